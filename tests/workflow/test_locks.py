"""What a user is told of a lock."""

from pathlib import Path

import pytest

from locks import advice, unwritable


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for folder in ("locks", "log"):
        (tmp_path / ".snakemake" / folder).mkdir(parents=True)
    return tmp_path / ".snakemake"


def test_nothing_where_nothing_is_locked(state: Path) -> None:
    (state / "log/2026-01-02.snakemake.log").write_text("SLURM run ID: headalgebra_1\n")
    assert advice() is None


def test_the_last_run_on_a_cluster_is_named(state: Path) -> None:
    (state / "locks/0.input.lock").touch()
    for day, said in ((1, "SLURM run ID: headalgebra_1"), (2, "SLURM run ID: b_2"), (3, "local")):
        (state / f"log/2026-01-0{day}.snakemake.log").write_text(f"Host: a\n{said}\nmore\n")
    told = advice()
    assert told is not None
    assert "scancel --name b_2)" in told
    assert "--unlock" in told


def test_a_run_on_this_machine_left_no_jobs(state: Path) -> None:
    (state / "locks/0.input.lock").touch()
    told = advice()
    assert told is not None
    assert "scancel" not in told
    assert "--unlock" in told


def test_a_folder_that_cannot_be_written_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, not_yet = tmp_path / "there", tmp_path / "there/not yet"
    there.mkdir()
    assert unwritable([there, not_yet]) is None
    # Root may write anywhere: what the system would answer another user.
    monkeypatch.setattr("os.access", lambda path, mode: path != there)
    for folder in (there, not_yet):
        told = unwritable([tmp_path, folder])
        assert told is not None and told.startswith(f"{there}: you may not write here")
