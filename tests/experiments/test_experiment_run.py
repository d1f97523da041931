"""A run gives what its training left, and refuses what it did not read."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from trained_runs import SHORT, SIZE, STEPS, VARIANTS, trained_run

from headalgebra.checkpoints import CheckpointError
from headalgebra.experiments.run import Run
from headalgebra.training import TrainingTokens
from headalgebra.variants import SoftHeads


def test_a_run_is_its_training(usual: Run) -> None:
    assert usual.checkpoints == STEPS
    assert usual.last == 60
    stored = pd.read_parquet(usual.trained.folder / "metrics.parquet")
    pd.testing.assert_frame_equal(usual.metrics, stored)
    assert usual.metrics is usual.metrics


def test_tokens_of_another_training_are_refused(usual: Run, tmp_path: Path) -> None:
    ids = usual.tokens.test.clone()
    ids[3, 5] = (ids[3, 5] + 1) % 40
    with pytest.raises(ValueError, match="it was trained on other tokens") as refused:
        Run(usual.trained, replace(usual.tokens, test=ids), tmp_path)
    assert "\n" not in str(refused.value)


def test_a_checkpoint_that_is_not_there_is_said(usual: Run) -> None:
    with pytest.raises(CheckpointError, match="/3"):
        usual.factors(3)


@pytest.mark.parametrize("name", ["usual", "soft"])
def test_operators_are_those_of_the_weights(
    name: str, tokens: TrainingTokens, tmp_path: Path
) -> None:
    """``W_q diag(W_h) W_kᵀ``, W_h the window of head h on the axes."""
    run = trained_run(tokens, tmp_path, name, recipe=SHORT)
    overlap = VARIANTS["soft"].overlap if name == "soft" else 0.0
    assert overlap is not None
    windows = SoftHeads(SIZE.heads, 4, "triangular", overlap).weights()
    weights = load_file(run.trained.folder / "20/model.safetensors")
    for layer, operators in enumerate(run.operators(20)):
        fused = weights[f"transformer.h.{layer}.attn.c_attn.weight"].double()
        queries, keys = fused[:, :16], fused[:, 16:32]
        for head, window in enumerate(windows):
            expected = queries * window @ keys.T
            # Factors of soft heads are rounded to float32, as the weights are.
            torch.testing.assert_close(
                operators.materialise(head), expected, rtol=1e-5, atol=1e-6 * expected.abs().max()
            )
    assert len(run.operators(20)) == SIZE.layers


def test_a_recording_is_of_the_first_test_sequences(usual: Run) -> None:
    found = usual.recording(8, 3)
    assert torch.equal(found.tokens, usual.tokens.test[:3])
    assert found.stack.dtype == torch.float64
    with torch.no_grad():
        states = usual.model(8)(input_ids=found.tokens, output_hidden_states=True).hidden_states
    for place in range(SIZE.layers):
        torch.testing.assert_close(found.state(place), states[place], rtol=1e-6, atol=1e-6)
    # Another checkpoint's states do not take their place.
    before = found.state(2)
    assert not torch.equal(usual.recording(60, 3).state(2), before)
    assert torch.equal(found.state(2), before)
    assert len(usual.recording(8, 999).tokens) == len(usual.tokens.test)
