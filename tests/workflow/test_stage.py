"""Outputs are written aside; a failing stage leaves one line, a traceback in its log, no file."""

import os
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from snakemake.iocontainers import Namedlist

from headalgebra.fingerprints import compared, read_fingerprints
from stage import aside, job, progress, scratch, tell, write_csv, write_table


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


def stage_of(folder: Path) -> SimpleNamespace:
    """What Snakemake tells the script of a rule."""
    (folder / "in").mkdir()
    for name in ("000", "001"):
        (folder / f"in/{name}.safetensors").write_bytes(bytes(750))
    for name in ("a.py", "b.py"):
        (folder / name).write_bytes(bytes(10))
    return SimpleNamespace(
        rule="measure_epsilon",
        threads=2,
        log=[str(folder / "log")],
        wildcards=Namedlist(fromdict={"span": "minilm"}),
        input=Namedlist(
            fromdict={
                "factors": str(folder / "in"),
                "code": [str(folder / "a.py"), str(folder / "b.py")],
            }
        ),
        output=Namedlist(toclone=[str(folder / "t.csv")]),
    )


def test_the_log_says_what_was_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = stage_of(tmp_path)
    table = pd.DataFrame({"layer": [0, 1, 2], "note": ["few", "few", ""]})
    with job(given):
        assert list(progress([5, 6])) == [5, 6]
        tell("not run: no network\nnor cache")
        print("of a library", file=sys.stderr)
        os.write(2, b"of a compiled library\n")
        write_csv(given.output[0], table, ("layer", "note"))
    first, *lines, last = Path(given.log[0]).read_text().splitlines()
    assert re.fullmatch(r"measure_epsilon minilm, 2 threads, process \d+", first)
    assert f" in  factors          {tmp_path}/in, 1.5 kB" in lines
    assert " in  code             2 files, 20 bytes" in lines
    assert "2 layers in 0.0 s" in lines
    assert lines[lines.index("| not run: no network") + 1] == "| nor cache"
    assert {"of a library", "of a compiled library"} < set(lines)
    assert lines[lines.index("t.csv: 3 rows") + 1] == "     note of 2 rows: few"
    assert lines[-1].split() == ["out", f"{tmp_path}/t.csv,", "26", "bytes"]
    assert re.fullmatch(r"done in \d+\.\d s", last)
    assert compared(read_fingerprints(tmp_path / "log.left.json"))[0] == []
    Path(given.output[0]).write_text("cut off")
    assert compared(read_fingerprints(tmp_path / "log.left.json"))[0] == [given.output[0]]
    # Two jobs that run at once would write into one another's lines.
    assert capfd.readouterr() == ("", "")
    print("after", file=sys.stderr)
    assert capfd.readouterr().err == "after\n"


def test_the_log_says_how_far_a_stage_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 5.0, 6.0, 9.0, 9.5])
    monkeypatch.setattr("stage.perf_counter", lambda: next(times))
    with redirect_stdout(StringIO()) as said:
        assert len([*progress("abcd", "case")]) == 4
    assert said.getvalue() == "case 2 of 4, 5 s\ncase 4 of 4, 9 s\n4 cases in 9.5 s\n"


def test_a_failure_is_one_line_told_after_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = stage_of(tmp_path)
    with pytest.raises(SystemExit) as left, job(given):
        print("on the way")
        raise ValueError("file.yaml: key: mend\nsecond line")
    assert left.value.code == 1
    log = Path(given.log[0]).read_text()
    assert log.endswith("| measure_epsilon: file.yaml: key: mend\n")
    assert "on the way" in log and "Traceback" in log and "out" not in log
    assert capfd.readouterr() == ("", "")


def test_stages_of_one_process_have_logs_of_their_own(tmp_path: Path) -> None:
    first = stage_of(tmp_path)
    second = SimpleNamespace(**vars(first) | {"rule": "measure_nulls", "log": [f"{tmp_path}/l2"]})
    with job(first):
        with job(second):
            print("inside")
            Path(second.output[0]).touch()
        print("outside")
    assert "inside" in Path(second.log[0]).read_text()
    assert "inside" not in Path(first.log[0]).read_text()
    assert "outside" in Path(first.log[0]).read_text()


def test_an_interruption_leaves_no_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = stage_of(tmp_path)
    with pytest.raises(SystemExit) as left, job(given):
        raise KeyboardInterrupt
    assert left.value.code == 130
    assert Path(given.log[0]).read_text().splitlines()[-1].startswith("interrupted after")
    assert capfd.readouterr() == ("", "")


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
