"""Trainings as jobs: killed ones go on, and what they leave is measured as any checkpoint."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from runs import (
    LONG_TRAINING,
    bytes_of,
    environment_of,
    planned,
    processes_of,
    rows_of_training,
    run,
    until,
)

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

MINE = ("--config", "models=mine", 'hydra=["text=short","model.one_job=false"]')


@pytest.fixture
def checkout(smoke: Path) -> Iterator[Path]:
    model = smoke / "config/model/mine.yaml"
    model.write_text(LONG_TRAINING)
    yield smoke
    model.unlink()
    shutil.rmtree(smoke / "results/trained/mine", ignore_errors=True)


def test_a_killed_training_ends_in_the_same_bytes(checkout: Path) -> None:
    trained = checkout / "results/trained/mine"
    jobs = planned(checkout, *MINE)
    assert (jobs["train_decoder"], jobs["extract_weights"], jobs["draw_figures"]) == (1, 2, 1)
    run(checkout, "epsilon", *MINE)
    epsilon = [
        pd.read_parquet(checkout / f"results/models/mine.{step}/epsilon.parquet")["epsilon"]
        for step in ("step0", "step600")
    ]
    assert all(len(found) == 2 for found in epsilon)
    assert (epsilon[1] > epsilon[0]).all()
    whole = bytes_of(trained)
    assert {"0/model.safetensors", "600/model.safetensors", "metrics.parquet"} <= whole.keys()

    shutil.rmtree(trained)
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "training", "--cores", "1", *MINE],
        cwd=checkout,
        env=environment_of(checkout),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: rows_of_training(checkout) >= 100, "a training is under way")
    for pid in processes_of(checkout, "train_decoder"):
        os.kill(pid, signal.SIGKILL)
    assert process.wait() != 0
    assert not trained.exists()
    assert 100 <= rows_of_training(checkout) < 600

    run(checkout, "training", *MINE)
    assert "goes on" in (checkout / "results/logs/mine/train_decoder.log").read_text()
    assert bytes_of(trained) == whole
    assert not [*checkout.glob("results/trained/.under_way/*")]
