"""Models of one's own beside those of the smoke study: their rows, their readings, their stages."""

import json
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from own_gpt2 import nothing, path_model, save_gpt2
from transformers import GPT2Config, GPT2Model

from demand import STAGES
from runs import (
    WEIGHTS_ALONE,
    copy_of_repository,
    folder_of,
    planned,
    run,
    share_constructed,
    snakemake,
    study_of,
)

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("own models")]


def zero_and_twin_heads(weights: list[torch.Tensor]) -> None:
    weights[1][:, :4] = 0  # the queries of head 0 in layer 1
    for start in (0, 16):  # queries and keys of head 1 in layer 2 become those of head 0
        weights[2][:, start + 4 : start + 8] = weights[2][:, start : start + 4]


def test_odd_layers_have_a_row_and_a_note(smoke: Path, tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    share_constructed(smoke, folder)
    save_gpt2(folder / "checkpoints/onehead", 1, nothing)
    save_gpt2(folder / "checkpoints/odd", 4, zero_and_twin_heads, n_layer=3)
    for name in ("onehead", "odd"):
        path_model(folder, name)
    run(folder, "tables", "--config", "models=onehead,odd", WEIGHTS_ALONE)
    layers = pd.read_csv(study_of(folder, "odd+onehead") / "tables/layers.csv").set_index(
        ["model", "layer"]
    )
    assert len(layers) == 5
    alone = layers.loc[("onehead", 0)]
    empty = ["epsilon", "epsilon_relative", "epsilon_haar", "phase", "obstruction_rms", "rho3"]
    assert alone[empty].isna().all()
    assert "no pairs" in alone["note"]
    assert alone["kappa"] == 1
    zero = layers.loc[("odd", 1)]
    assert math.isnan(zero["epsilon_relative"])
    assert zero["epsilon"] > 0
    assert "a head is zero" in zero["note"]
    assert zero["rank"] == 3
    twins = layers.loc[("odd", 2)]
    assert (twins["rank"], twins["basis_dim"]) == (3, 3)
    assert "rank 3 of 4" in twins["note"]
    pairs = pd.read_parquet(folder_of(folder, "odd", "pairs.parquet") / "pairs.parquet")
    twin = pairs.query("layer == 2 and i == 0 and j == 1")
    assert twin["commutator_relative"].item() < 1e-14
    sound = layers.loc[("odd", 0)]
    assert sound.drop(["note", "quantisation"]).notna().all()
    assert isinstance(sound["note"], float)  # empty


def test_a_split_model_has_the_rows_of_the_whole_one(smoke: Path, tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    share_constructed(smoke, folder)
    whole = (folder / "config/model/tiny-init.yaml").read_text()
    split = whole + "layers: 0-3\nlayers_per_job: 3\n"
    (folder / "config/model/tiny-split.yaml").write_text(split)
    run(folder, "tables", "--config", "models=tiny-init,tiny-split", WEIGHTS_ALONE)
    study = next(folder.glob("results/tiny-init+tiny-split@*"))
    layers = pd.read_csv(study / "tables/layers.csv").drop(columns="model")
    assert len(layers) == 8
    first, second = (layers[start : start + 4].reset_index(drop=True) for start in (0, 4))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_two_readings_of_one_checkpoint_stand_side_by_side(smoke: Path, tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    share_constructed(smoke, folder)
    tiny = (folder / "config/model/tiny-init.yaml").read_text()
    (folder / "config/model/tiny-values.yaml").write_text(tiny + "circuit: ov\nfold_norm: true\n")
    run(folder, "tables", "--config", "models=tiny-init,tiny-values", WEIGHTS_ALONE)
    study = next(folder.glob("results/tiny-init+tiny-values@*"))
    layers = pd.read_csv(study / "tables/layers.csv").set_index("model")
    read = layers.loc["tiny-values"]
    assert set(read["circuit"]) == {"ov"} and read["fold_norm"].all() and not read["scale"].any()
    assert set(layers.loc["tiny-init", "circuit"]) == {"qk"}
    ratio = read["epsilon"].to_numpy() / layers.loc["tiny-init", "epsilon"].to_numpy()
    assert (np.abs(ratio - 1) > 1e-3).all()
    for column in ("rho3", "rho3_null", "action", "wilson_mean", "obstruction_rms"):
        assert layers[column].notna().all()


def test_scale_and_rotation_reach_epsilon(smoke: Path) -> None:
    rotary = "{model_type: llama, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 4, "
    rotary += "num_key_value_heads: 2, head_dim: 16}"
    readings = {"plain": "", "scaled": "scale: true\n", "turned": "rope_offset: 5\n"}
    for name, option in readings.items():
        (smoke / f"config/model/{name}.yaml").write_text(
            f"source: init\nconfig: {rotary}\n{option}"
        )
    # In the same run, some layers of a decoder whose weights are those of a GGUF file.
    decoder = (smoke / "config/model/smollm2.yaml").read_text()
    (smoke / "config/model/few.yaml").write_text(f"{decoder}layers: [0, 15, 29]\n")
    models = ("--config", f"models={','.join([*readings, 'few'])}", 'hydra=["model.one_job=false"]')
    run(smoke, "epsilon", *models)
    few = pd.read_parquet(smoke / "results/models/few/epsilon.parquet").set_index("layer")
    assert list(few.index) == [0, 15, 29]
    assert few["epsilon"].tolist() == pytest.approx([453.675, 3.86399, 1.07442], rel=1e-5)
    recorded = json.loads((smoke / "results/models/few/provenance.json").read_text())
    assert recorded["quantisation"] == dict.fromkeys(("0", "15", "29"), "Q4_1")
    epsilon = {
        name: pd.read_parquet(smoke / f"results/models/{name}/epsilon.parquet")["epsilon"].item()
        for name in readings
    }
    # Heads are 16 wide, so that every operator is a quarter of what it was; weights are float32.
    assert epsilon["scaled"] / epsilon["plain"] == pytest.approx(1 / 16, rel=1e-12)
    assert abs(epsilon["turned"] / epsilon["plain"] - 1) > 1e-3


def test_a_checkpoint_with_another_content_is_read_again(smoke: Path, tmp_path: Path) -> None:
    """Though its files are older than what was made from the former ones."""
    for name, width in (("wide", 32), ("narrow", 16)):
        torch.manual_seed(0)
        GPT2Model(GPT2Config(n_embd=width, n_head=4, n_layer=1, vocab_size=8)).save_pretrained(
            tmp_path / name
        )
        for file in (tmp_path / name).iterdir():
            os.utime(file, ns=(10**18, 10**18))
    link, copied = tmp_path / "link", tmp_path / "copied"
    link.symlink_to(tmp_path / "wide")
    shutil.copytree(tmp_path / "wide", copied)
    for model in (link, copied):
        (smoke / f"config/model/{model.name}.yaml").write_text(f"source: path\npath: {model}\n")
    weights = ("weights", "--config", "models=link,copied", 'hydra=["model.one_job=false"]')
    run(smoke, *weights)
    assert not planned(smoke, *weights)
    shutil.copytree(tmp_path / "narrow", copied, dirs_exist_ok=True)
    assert planned(smoke, *weights) == {"extract_weights": 1}
    link.unlink()
    link.symlink_to(tmp_path / "narrow")
    assert planned(smoke, *weights) == {"extract_weights": 2}


STAGES_APART = ("--config", "models=tiny-init", 'hydra=["text=short","model.one_job=false"]')


@pytest.fixture(scope="module")
def stages_apart(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model of the smoke study, a job for each stage, on one core."""
    folder = copy_of_repository(tmp_path_factory.mktemp("apart"))
    share_constructed(smoke, folder)
    run(folder, "tables", "states", *STAGES_APART, cores=1)
    return folder


def test_one_core_and_a_job_for_each_stage_give_the_same_bytes(
    smoke: Path, stages_apart: Path
) -> None:
    together = folder_of(smoke, "tiny-init", "epsilon.parquet")
    parquets = sorted(path.name for path in together.glob("*.parquet"))
    assert len(parquets) > len(STAGES)
    for name in parquets:
        other = folder_of(stages_apart, "tiny-init", name) / name
        assert (together / name).read_bytes() == other.read_bytes(), name


@pytest.mark.parametrize(("device", "gpus"), [("auto", "1"), ("cpu", "0")])
def test_a_gpu_is_asked_for_where_there_is_work_that_may_use_it(
    stages_apart: Path, device: str, gpus: str
) -> None:
    """Every layer here is extracted densely, so that the other stage has nothing to do."""
    stages = ("extract_linf_dense", "extract_linf_sampled")
    log = run(
        stages_apart,
        "--dry-run",
        "-p",
        "--forcerun",
        *stages,
        *STAGES_APART[:2],
        f'hydra=["text=short","model.one_job=false","analysis.device={device}",'
        '"analysis.sampled_gpu_from_d=2"]',
    )
    for stage, number in zip(stages, (gpus, "0"), strict=True):
        asked = re.findall(rf"rule {stage}:(?:\n    .*)*?span=(\S+)(?:\n    .*)*?gpu=(\d)", log)
        assert [(span.partition("@")[0], gpu) for span, gpu in asked] == [("tiny-init", number)]


def test_a_damaged_file_stops_with_its_name_and_the_rest_stays(
    stages_apart: Path, tmp_path: Path
) -> None:
    folder = copy_of_repository(tmp_path)
    shutil.copytree(stages_apart / "results/models", folder / "results/models")
    models = ("--config", "models=tiny-init", 'hydra=["model.one_job=false"]')
    run(folder, "basis", *models)
    # Otherwise it is found out before any job runs, and made again.
    (folder / "results/logs/tiny-init/extract_weights.left.json").unlink(missing_ok=True)
    damaged = folder / "results/models/tiny-init/factors/002.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    failed = snakemake(folder, "epsilon", "--forcerun", "measure_epsilon", *models)
    assert failed.returncode != 0
    complaint = [line for line in failed.stderr.splitlines() if "002.safetensors" in line]
    assert complaint
    assert complaint[0].startswith("measure_epsilon: ")
    assert (folder / "results/models/tiny-init/basis.parquet").is_file()
    assert not list(folder.glob("results/models/tiny-init/*.partial"))
