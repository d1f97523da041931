"""Trainings of a second on tokens of which some follow others, as runs."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from headalgebra.experiments.run import Run
from headalgebra.training import Recipe, Size, TrainingTokens, read_trained, train
from headalgebra.training.models import USUAL_START, Start, build_model
from headalgebra.variants import Variant

V, T = 40, 24
SIZE = Size(layers=3, heads=4, width=16)
RECIPE = Recipe(steps=60, batch=4, checkpoints=7, validate_every=5)
STEPS = (0, 1, 2, 4, 8, 16, 31, 60)
"""Three of whose intervals are of eight steps or more."""
SHORT = Recipe(steps=20, batch=4, checkpoints=2)

VARIANTS = {
    "window": Variant(attention="window", width=5),
    "linear": Variant(attention="linear"),
    "soft": Variant(heads="triangular", overlap=0.5),
    "symmetriser": Variant(normaliser="symmetriser", mixing="identity"),
    "llama": Variant(),
}


def markov_tokens() -> TrainingTokens:
    """80 sequences of 24 tokens of 40, each near the one before."""
    draws = np.random.default_rng(0)
    ids = torch.from_numpy(draws.integers(0, 4, (130, T)).cumsum(1) % V)
    vocabulary = {f"<{token}>": token for token in range(V)}
    made = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="<0>"))
    )
    return TrainingTokens(ids[:80], ids[80:90], ids[90:], made, "a Markov chain")


def trained_run(
    tokens: TrainingTokens,
    folder: Path,
    name: str = "",
    *,
    recipe: Recipe = RECIPE,
    start: Start = USUAL_START,
    **more: Any,
) -> Run:
    """A run of the usual GPT-2, or of one of the variants."""
    config = SIZE.llama(V, T, head_width=4, feed_forward=24) if name == "llama" else SIZE.gpt2(V, T)
    variant = VARIANTS.get(name, Variant())
    done = train(
        lambda: build_model(config, variant, start, seed=0),
        tokens,
        folder / "training",
        recipe=recipe,
        device="cpu",
        **more,
    )
    assert read_trained(done.folder) == done
    return Run(done, tokens, folder / "states", device="cpu")
