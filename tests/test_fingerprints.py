"""Files that are not as they were left are told from those that are."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headalgebra import fingerprints
from headalgebra.fingerprints import (
    compared,
    read_fingerprints,
    take_fingerprints,
    write_fingerprints,
)

LATER = (2_000_000_000, 2_000_000_000)


def overwrite(file: Path) -> None:
    """Other bytes, as many as there were, at another time."""
    file.write_bytes(bytes(reversed(file.read_bytes())))
    os.utime(file, LATER)


def cut_off(file: Path) -> None:
    """At the time that it had, as a file system may do that lost its last blocks."""
    was = file.stat()
    with file.open("r+b") as opened:
        opened.truncate(was.st_size // 2)
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.fixture
def left(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A file, a folder of two, and their fingerprints."""
    table, factors = tmp_path / "basis.parquet", tmp_path / "factors"
    table.write_bytes(b"PAR1 some columns PAR1")
    (factors / "deep").mkdir(parents=True)
    (factors / "000.safetensors").write_bytes(b"numbers of a layer")
    (factors / "deep/001.safetensors").write_bytes(b"numbers of another")
    record = tmp_path / "basis.left.json"
    write_fingerprints(record, take_fingerprints([str(table), str(factors)]))
    return table, factors, record


def test_what_was_let_be_is_as_it_was(left) -> None:
    table, factors, record = left
    assert compared(read_fingerprints(record))[0] == []
    # A copy, a checkout on another disk: the same bytes at another time.
    os.utime(table, LATER)
    os.utime(factors / "000.safetensors", LATER)
    (factors / ".snakemake_timestamp").touch()
    assert compared(read_fingerprints(record))[0] == []


def test_a_copy_is_read_once(left, monkeypatch: pytest.MonkeyPatch) -> None:
    table, factors, record = left
    for file in (table, factors / "deep/001.safetensors"):
        os.utime(file, LATER)
    cut_off(factors / "000.safetensors")
    differ, now = compared(read_fingerprints(record))
    assert differ == [str(factors)]
    write_fingerprints(record, now)
    monkeypatch.setattr(fingerprints, "_sha256", None)
    assert compared(read_fingerprints(record)) == (differ, now)
    assert {path.name for path in record.parent.iterdir()} == {record.name, table.name, "factors"}


@pytest.mark.parametrize("damage", [overwrite, cut_off])
def test_damage_is_found(left, damage: Callable[[Path], None]) -> None:
    table, factors, record = left
    damage(table)
    assert compared(read_fingerprints(record))[0] == [str(table)]
    damage(factors / "deep/001.safetensors")
    assert compared(read_fingerprints(record))[0] == [str(table), str(factors)]


def test_a_folder_that_lost_a_file_has_changed_and_what_is_gone_altogether_has_not(left) -> None:
    table, factors, record = left
    (factors / "000.safetensors").unlink()
    table.unlink()
    assert compared(read_fingerprints(record))[0] == [str(factors)]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"a": {"": [1]}}', '{"a": 3}'])
def test_a_record_that_is_damaged_itself_says_nothing(tmp_path: Path, content: str) -> None:
    record = tmp_path / "basis.left.json"
    record.write_text(content)
    assert read_fingerprints(record) == {}
    assert read_fingerprints(tmp_path / "not there") == {}
