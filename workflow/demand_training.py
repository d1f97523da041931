"""What the job that trains a decoder asks a cluster for: memory, time, and a GPU or none."""

import math
from collections.abc import Mapping
from typing import Any

from demand import START_MINUTES

SHAPES = {
    "tiny": (2, 2, 32),
    "tiny4": (4, 8, 64),
    "tiny6": (6, 8, 64),
    "small": (6, 8, 128),
    "medium": (12, 8, 384),
}
"""Layers, heads and width of each size, as headalgebra.training has them."""

FLOPS_PER_SECOND = 2e10
"""Of one thread in float32, on matrices as small as these."""

STEP_SECONDS = 0.02
"""Of what a step does besides: Python, the optimiser, the norms of gradients."""

WORTH_A_GPU = 1_000_000
"""Parameters."""

MEASURE_MINUTES = 30

Settings = Mapping[str, Any]


def parameters(training: Settings) -> int:
    """About how many numbers a decoder consists of."""
    layers, _, width = SHAPES[training["size"]]
    layers, width = training["layers"] or layers, training["width"] or width
    return 12 * layers * width**2 + (training["vocabulary"] + training["tokens"]) * width


def wants_gpu(training: Settings) -> bool:
    """Whether a GPU trains it faster than a core."""
    return parameters(training) > WORTH_A_GPU


def core_seconds(training: Settings) -> float:
    """Seconds of one core: the steps, and the validations between them."""
    passes = training["steps"] * training["batch"] * 3.0
    every = training["validate_every"] or training["steps"]
    passes += training["steps"] / every * training["validation_sequences"]
    flops = 2.0 * parameters(training) * passes * training["tokens"]
    return STEP_SECONDS * training["steps"] + flops / FLOPS_PER_SECOND


def minutes(training: Settings) -> int:
    """Minutes that the job asks for, in steps of 5."""
    return 5 * math.ceil((START_MINUTES + 3 * core_seconds(training) / 60) / 5)


def mem_mb(training: Settings) -> int:
    """Megabytes: Python and torch, weights with their moments, and the states of a batch."""
    layers, heads, width = SHAPES[training["size"]]
    layers, width = training["layers"] or layers, training["width"] or width
    heads, tokens = training["heads"] or heads, training["tokens"]
    batch = max(training["batch"], 32)
    states = batch * tokens * (20 * layers * width + 3 * layers * heads * tokens)
    states += 4 * batch * tokens * training["vocabulary"]
    numbers = 6 * parameters(training) + states
    return 100 * math.ceil((1500 + 4e-6 * numbers) / 100)
