"""The paper's survey runs on a cache of the hub, and says beforehand what it will ask for."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import stand_ins
from demand import STAGES
from headalgebra import columns
from headalgebra.checkpoints import open_folder
from headalgebra.claims.finding import VERDICTS
from runs import complaints, copy_of_repository, planned, run, snakemake, study_of

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("paper study")]

PAPER = ("--config", "study=paper")
# Starting a job takes longer than a tiny model's stage: one model, and one job for each stage.
MEDIUM = 'hydra=["study.models=[gpt2-medium]","model.layers_per_job=null"]'


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository beside a cache with a stand-in for each model of the study."""
    folder = copy_of_repository(tmp_path_factory.mktemp("paper"))
    stand_ins.write_cache(folder / "cache/hub", stand_ins.ARCHITECTURES)
    return folder


def cached(folder: Path) -> dict[str, str]:
    """The environment in which that cache is all there is of the hub."""
    return {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "cache")}


def test_a_survey_is_judged_and_no_stand_in_taken_for_gpt2_medium(paper: Path) -> None:
    run(paper, "claims", "figures", *PAPER, MEDIUM, **cached(paper))
    study = study_of(paper, "paper")
    tables = study / "tables"
    # The stand-in is smaller than what it stands for.
    left_out = json.loads((study / "figures.json").read_text())["left_out"]
    assert "gpt2-medium has another shape" in left_out["gpt2_medium"]["reason"]
    layers = pd.read_csv(tables / "layers.csv")
    assert list(layers["layer"]) == list(range(24))
    assert set(layers["revision"]) == {stand_ins.COMMIT}
    assert not layers.drop(columns=["note", "quantisation"]).isna().any().any()
    claims = pd.read_csv(tables / "claims.csv").set_index("id")
    assert set(claims["verdict"]) <= set(VERDICTS)
    medium = claims.loc["eps-gpt2-medium"]
    assert medium["verdict"] == "not measured"
    assert f"gpt2-medium: another commit, {stand_ins.COMMIT[:12]}" in medium["note"]
    # Other claims are not judged by the name.
    assert claims.loc["eps-monotone", "verdict"] != "not measured"


def test_the_estimate_is_of_the_files_that_a_run_opens_and_of_its_jobs(
    paper: Path, tmp_path: Path
) -> None:
    opened = {}
    for model in stand_ins.ARCHITECTURES:
        local = tmp_path / model
        shutil.copytree(stand_ins.snapshot(paper / "cache/hub", model), local)
        names = open_folder(local).files
        assert len(names) < len(list(local.iterdir()))
        opened[model] = sum((local / name).stat().st_size for name in names)
    jobs = planned(paper, "--forceall", *PAPER)
    # No weights are read: whoever opened these would refuse them.
    shutil.copytree(paper / "cache", tmp_path / "cache", symlinks=True)
    for weights in tmp_path.glob("cache/hub/*/snapshots/*/*.safetensors"):
        weights.write_bytes(bytes(weights.stat().st_size))
    said = run(paper, "estimate", *PAPER, **cached(tmp_path))
    estimate = pd.read_csv(paper / "results/paper/tables/estimate.csv")
    assert tuple(estimate.columns) == columns.ESTIMATE
    reading = estimate[estimate["rule"] == "extract_weights"].set_index("model")
    assert dict(reading["fetched_bytes"]) == opened
    # Eight heads of width 4 read all of d = 32; a key for two of them, or for four.
    assert reading.loc["gpt2", "kept_numbers"] == 12 * 32 * (8 + 8) * 4
    assert reading.loc["qwen3-1.7b", "kept_numbers"] == 28 * 32 * (8 + 4) * 8
    by_rule = estimate.groupby("rule")["jobs"].sum()
    # Of this study weights alone are measured.
    assert dict(by_rule) == {
        rule: jobs[rule] for rule in ("extract_weights", *STAGES) if rule != "measure_normality"
    }
    stages = estimate[estimate["rule"] != "extract_weights"]
    assert (stages["cpu_s"] >= 5 * stages["jobs"]).all()
    total = [line for line in said.splitlines() if line.strip().startswith("total")][-1]
    assert float(total.split()[2]) == pytest.approx(sum(opened.values()) / 1e9, rel=1e-2)


def test_an_estimate_without_hub_or_cache_is_one_line(paper: Path, tmp_path: Path) -> None:
    failed = snakemake(paper, "estimate", *PAPER, "--forceall", **cached(tmp_path))
    assert failed.returncode != 0
    (line,) = complaints(failed)
    assert line.startswith("config/model/gpt2.yaml: model.id: HF_HUB_OFFLINE is set")
    assert "openai-community/gpt2 at main" in line and "HF_HOME" in line
