"""What every script does around its stage: log, progress, outputs written aside and renamed."""

import json
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from headalgebra.columns import FLOAT_FORMAT

Item = TypeVar("Item")


@contextmanager
def job(snakemake: Any) -> Iterator[None]:
    """Send what the stage prints, and a traceback if it fails, to the rule's log.

    The terminal gets the progress bars, and one line saying what went wrong.
    """
    log_file = Path(snakemake.log[0])
    with log_file.open("w", buffering=1, encoding="utf-8") as log, redirect_stdout(log):
        try:
            yield
        except Exception as error:
            traceback.print_exc(file=log)
            first_line = (str(error) or type(error).__name__).splitlines()[0]
            print(f"{snakemake.rule}: {first_line}", file=sys.stderr)
            raise SystemExit(1) from None


def progress(items: Sequence[Item], doing: str, unit: str = "layer") -> Iterable[Item]:
    """The items, with a progress bar on the terminal once they take more than a few seconds."""
    return tqdm(items, desc=doing, unit=unit, delay=3, mininterval=1, dynamic_ncols=True)


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


def write_csv(path: str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Write the named columns as CSV, missing numbers empty."""
    with aside(path) as partial:
        table[list(columns)].to_csv(
            partial, index=False, float_format=FLOAT_FORMAT, lineterminator="\n"
        )
