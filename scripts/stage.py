"""What every script does around its stage: log, progress, outputs written aside and renamed."""

import json
import os
import shutil
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headalgebra import csv_files
from headalgebra.fingerprints import ENDING, take_fingerprints, write_fingerprints

Item = TypeVar("Item")

TOLD = "| "
"""What begins a line of a log that the terminal shows too (snakemake_logger_plugin_headalgebra)."""
SECONDS_BETWEEN = 3.0
"""Between two lines of a log that say how far a stage is."""


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Write to the rule's log what the stage takes, prints and leaves, and how long it was at it.

    Nothing is written to the terminal, since jobs that run at once would write into one another's
    lines. What a user has to see is told by `tell`; of a failure, that is one line.
    """
    log_file = Path(snakemake.log[0])
    with log_file.open("w", buffering=1, encoding="utf-8") as log, _written_to(log):
        start = perf_counter()
        threads = f"{snakemake.threads} thread{'s' if snakemake.threads > 1 else ''}"
        print(" ".join([snakemake.rule, *dict(snakemake.wildcards.items()).values()]), end="")
        print(f", {threads}, process {os.getpid()}")
        _print_files("in", snakemake.input)
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            print(f"failed after {perf_counter() - start:.1f} s")
            first_line = (str(error) or type(error).__name__).splitlines()[0]
            tell(f"{snakemake.rule}: {first_line}")
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            print(f"interrupted after {perf_counter() - start:.1f} s")
            raise SystemExit(130) from None
        _print_files("out", snakemake.output)
        write_fingerprints(log_file.with_suffix(ENDING), take_fingerprints(snakemake.output))
        print(f"done in {perf_counter() - start:.1f} s")


@contextmanager
def _written_to(log: TextIO) -> Iterator[None]:
    """Output goes to the log, that of compiled libraries and of processes begun here too."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal = {number: os.dup(number) for number in (1, 2)}
    try:
        for number in terminal:
            os.dup2(log.fileno(), number)
        with redirect_stdout(log), redirect_stderr(log):
            yield
    finally:
        for number, kept in terminal.items():
            os.dup2(kept, number)
            os.close(kept)


def tell(said: str) -> None:
    """Print what the terminal shows too, once the job has ended."""
    for line in said.splitlines():
        print(f"{TOLD}{line}")


def progress(items: Sequence[Item], unit: str = "layer") -> Iterator[Item]:
    """The items; every few seconds the log says which of them it is at, and the bar shows that."""
    start = said = perf_counter()
    for number, item in enumerate(items, 1):
        now = perf_counter()
        if now - said >= SECONDS_BETWEEN:
            print(f"{unit} {number} of {len(items)}, {now - start:.0f} s")
            said = now
        yield item
    plural = "" if len(items) == 1 else "s"
    print(f"{len(items)} {unit}{plural} in {perf_counter() - start:.1f} s")


def _print_files(kind: str, files: Any) -> None:
    """What a stage takes or leaves, by name; of many files under one name how many."""
    named = {
        name: [value] if isinstance(value, str) else list(value) for name, value in files.items()
    }
    every = {path for paths in named.values() for path in paths}
    unnamed = [path for path in files if isinstance(path, str) and path not in every]
    for name, paths in [*named.items(), ("", unnamed)]:
        if paths:
            shown = paths[0] if len(paths) == 1 else f"{len(paths)} files"
            print(f"{kind:>3}  {name:<16} {shown}, {_size(paths)}")


def _size(paths: Iterable[str]) -> str:
    """The size of files and folders, as a person says it."""
    size = sum(_bytes(Path(path)) for path in paths)
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(inside.stat().st_size for inside in path.rglob("*") if inside.is_file())
    return path.stat().st_size if path.exists() else 0


@contextmanager
def aside(path: str) -> Iterator[Path]:
    """A path to write to, renamed to ``path`` when all went well.

    A job killed half way leaves no file that looks finished.
    """
    partial = Path(f"{path}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    try:
        yield partial
    except BaseException:
        _remove(partial)
        raise
    _remove(Path(path))
    partial.replace(path)


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """An empty folder that is gone afterwards; what a job that was killed left there goes first."""
    _remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_table(
    path: str,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write rows as Parquet, with what they were computed on in the file's metadata.

    Raises
    ------
    ValueError
        When a row lacks a column or has another.
    """
    for row in rows:
        if set(row) != set(columns):
            raise ValueError(f"{path}: {sorted(set(row) ^ set(columns))} in a row or missing")
    table = pa.Table.from_pandas(pd.DataFrame(rows, columns=list(columns)), preserve_index=False)
    metadata = {**table.schema.metadata, b"headalgebra": json.dumps(origin or {}).encode()}
    with aside(path) as partial:
        pq.write_table(table.replace_schema_metadata(metadata), partial)
    _print_rows(path, table.num_rows, [row.get("note") for row in rows])


def write_csv(path: str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Write the named columns as CSV, missing numbers empty."""
    with aside(path) as partial:
        csv_files.write_csv(partial, table[list(columns)])
    _print_rows(path, len(table), table["note"].tolist() if "note" in columns else [])


def _print_rows(path: str, rows: int, notes: Iterable[Any]) -> None:
    """How many rows a table has, and what most of its notes say."""
    print(f"{Path(path).name}: {rows} row{'' if rows == 1 else 's'}")
    said = Counter(note for note in notes if isinstance(note, str) and note)
    for note, times in said.most_common(5):
        print(f"     note of {times} row{'s' if times > 1 else ''}: {note}")
