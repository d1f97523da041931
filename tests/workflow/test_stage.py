"""Outputs are written aside; a failing stage leaves one line, a traceback in its log, no file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stage import aside, job, scratch, write_csv, write_table


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with aside(str(target)) as partial:
        partial.write_text("new")
        assert not target.exists()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


def test_a_scratch_folder_is_empty_at_first_and_gone_at_last(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "left by a job that was killed").touch()
    with pytest.raises(ZeroDivisionError), scratch(folder) as given:
        assert given == folder
        assert not list(folder.iterdir())
        (folder / "state").touch()
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_the_writing_fails(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), aside(str(target)) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with aside(str(target)) as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in target.iterdir()] == ["second"]


def test_a_failure_is_one_line_here_and_a_traceback_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    snakemake = SimpleNamespace(log=[str(log)], rule="measure_epsilon")
    with pytest.raises(SystemExit) as left, job(snakemake):
        print("on the way")
        raise ValueError("file.yaml: key: mend\nsecond line")
    assert left.value.code == 1
    assert capsys.readouterr().err == "measure_epsilon: file.yaml: key: mend\n"
    assert "on the way" in log.read_text()
    assert "Traceback" in log.read_text()


def test_csv_has_twelve_digits_and_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(str(path), pd.DataFrame({"a": [np.pi, np.nan], "b": [1, 2], "c": 0}), ("b", "a"))
    assert path.read_bytes() == b"b,a\n1,3.14159265359\n2,\n"


def test_a_row_with_another_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sigma"):
        write_table(str(tmp_path / "t.parquet"), [{"layer": 0, "sigma": 1}], ("layer", "s"), {})


def test_a_table_says_what_it_was_computed_on(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(str(path), [{"layer": 0, "x": 0.5}], ("layer", "x"), {"device": "cpu"})
    assert pq.read_schema(path).metadata[b"headalgebra"] == b'{"device": "cpu"}'
    assert pd.read_parquet(path).to_dict("list") == {"layer": [0], "x": [0.5]}
