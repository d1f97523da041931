"""Where Snakemake works, and where code and checkpoints lie, are three places."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import GPT2Config, GPT2Model

from code_inputs import modules_behind
from paths import ROOT
from runs import copy_of_repository


def test_code_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    here = modules_behind("measure_epsilon")
    assert all(not Path(module).is_absolute() for module in here)
    monkeypatch.chdir(tmp_path)
    assert modules_behind("measure_epsilon") == sorted(str(ROOT / module) for module in here)


@pytest.mark.workflow
def test_results_land_where_snakemake_works(tmp_path: Path) -> None:
    """From another folder, of a checkpoint with a brace in its path, where text is not UTF-8."""
    work, repository = tmp_path / "work", tmp_path / "repository"
    repository.mkdir()
    copy_of_repository(repository)
    folder = work / "a{b} c" / "tiny"
    GPT2Model(
        GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=5, bos_token_id=0, eos_token_id=0)
    ).save_pretrained(folder)
    # Relative to where Snakemake works.
    model = "source: path\npath: a{b} c/tiny\n"
    (repository / "config/model/tiny.yaml").write_text(model, encoding="utf-8")
    made = "results/models/tiny/provenance.json"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--cores", "1", "--nocolor"),
                *("-s", str(repository / "Snakefile"), "--config", "models=tiny"),
                'hydra=["model.one_job=false"]',
                *("--", *arguments),
            ],
            cwd=work,
            env={**os.environ, "PYTHONPATH": str(repository / "src")}
            | {"PYTHONUTF8": "0", "LC_ALL": "C"},
            capture_output=True,
            check=False,
        )
        said = (done.stdout + done.stderr).decode("utf-8", errors="replace")
        assert done.returncode == 0, said
        return said

    run(made)
    assert (work / made).is_file()
    assert not (repository / "results").exists()
    assert "Nothing to be done" in run(made)
