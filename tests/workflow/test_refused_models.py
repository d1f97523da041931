"""What cannot be measured stops with one line, and the rest stays."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from own_gpt2 import nothing, path_model, save_gpt2

from runs import (
    WEIGHTS_ALONE,
    complaints,
    copy_of_repository,
    folder_of,
    run,
    snakemake,
)

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("refused models")]


def not_a_number(weights: list[torch.Tensor]) -> None:
    weights[1][3, 5] = math.nan


def infinite(weights: list[torch.Tensor]) -> None:
    weights[0][3, 20] = math.inf


def test_each_bad_checkpoint_stops_with_one_line_and_the_rest_stays(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    checkpoints = folder / "checkpoints"
    expected = {
        "truncated": "model.safetensors",
        "wrongdigest": "sha256",
        "pickled": "pytorch_model.bin",
        "nans": "infinities or NaNs",
        "infs": "infinities or NaNs",
        "unsupported": "mamba",
        "offline": "openai-community/gpt2",
    }
    for name, edit in (("nans", not_a_number), ("infs", infinite)):
        save_gpt2(checkpoints / name, 4, edit)
        path_model(folder, name)
    for name in ("truncated", "wrongdigest", "pickled", "unsupported"):
        save_gpt2(checkpoints / name, 4, nothing)
        path_model(folder, name)
    weights = checkpoints / "truncated/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    path_model(folder, "wrongdigest", f"sha256: {{model.safetensors: '{'0' * 64}'}}\n")
    (checkpoints / "pickled/model.safetensors").rename(checkpoints / "pickled/pytorch_model.bin")
    config = json.loads((checkpoints / "unsupported/config.json").read_text())
    (checkpoints / "unsupported/config.json").write_text(
        json.dumps(config | {"model_type": "mamba"})
    )
    shutil.copy(folder / "config/model/gpt2.yaml", folder / "config/model/offline.yaml")
    models = ",".join([*expected, "tiny-init"])
    failed = snakemake(
        folder,
        *("basis", "--keep-going", "--config", f"models={models}", WEIGHTS_ALONE),
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HOME=str(tmp_path / "cache"),
    )
    assert failed.returncode != 0
    lines = [line for line in complaints(failed) if line.startswith("extract_weights:")]
    assert len(lines) == len(expected), failed.stderr
    for name, words in expected.items():
        assert sum(words in line for line in lines) >= 1, (name, lines)
        (log,) = folder.glob(f"results/logs/{name}*/extract_weights.log")
        assert "Traceback" in log.read_text()
        assert not list(folder.glob(f"results/models/{name}*/factors"))
    assert folder_of(folder, "tiny-init", "basis.parquet")
    # Mended and run again, only what failed runs.
    path_model(folder, "wrongdigest")
    said = run(folder, "basis", "-p", "--config", "models=wrongdigest,tiny-init", WEIGHTS_ALONE)
    assert "model=tiny-init" not in said
    assert folder_of(folder, "wrongdigest", "basis.parquet")


def test_an_option_that_a_family_cannot_honour_stops_with_the_reason(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    refused = {
        "folded": ("minilm", "fold_norm: true", "norm"),
        "turned": ("minilm", "rope_offset: 3", "rotary"),
        "turned-init": ("tiny-init", "rope_offset: 3", "rotary"),
    }
    for name, (model, option, _) in refused.items():
        text = (folder / f"config/model/{model}.yaml").read_text()
        (folder / f"config/model/{name}.yaml").write_text(f"{text}{option}\n")
    # The models are small, and their weights are read by a job of its own all the same.
    models = ("--config", f"models={','.join(refused)}", 'hydra=["model.one_job=false"]')
    failed = snakemake(folder, "weights", "--keep-going", *models)
    assert failed.returncode != 0
    for name, (_, option, reason) in refused.items():
        log = (folder / f"results/logs/{name}/extract_weights.log").read_text()
        complaint = log.splitlines()[-1]
        assert option.partition(":")[0] in complaint and reason in complaint
        assert not (folder / f"results/models/{name}/factors").exists()
    lines = failed.stderr.splitlines()
    assert sum(line.startswith("extract_weights:") for line in lines) == len(refused)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("models=minilm", 'hydra=["model.folder=elsewhere"]'),
            ("config/model/minilm.yaml", "model.folder", "elsewhere"),
        ),
        (("models=minilm,gtp2",), ("gtp2", "config/model/", "gpt2")),
        (('hydra=["analysis.probes=five"]',), ("analysis.probes", "five", "integer")),
    ],
)
def test_a_wrong_setting_stops_before_any_job(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    folder = copy_of_repository(tmp_path)
    failed = snakemake(folder, "--config", *arguments)
    assert failed.returncode != 0
    lines = complaints(failed)
    assert len(lines) == 1, failed.stderr
    assert all(word in lines[0] for word in words), lines[0]
    assert not (folder / "results").exists()
