"""Wilson loops against capacity (000, section 6)."""

import math

import numpy as np

from headalgebra.algebra.gauge import wilson_loops
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.nulls import haar_conjugated
from headalgebra.algebra.operators import HeadOperators
from headalgebra.experiments.measures.losses import test_loss
from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.run import Run
from headalgebra.measurement.tower import WILSON_TIME
from headalgebra.seeds import layer_seed

DRAWS = 16
"""Layers of turned heads whose mean is the null."""


def wilson(run: Run) -> list[Value]:
    """How far Wilson loops of the last checkpoint are from 1, its loss, and its size.

    ``wilson_over_haar`` is the mean over layers of :func:`deviation_over_haar`. ``log_width`` and
    ``log_layers`` are the logarithms of d and L.
    """
    layers = run.operators(run.last)
    ratios = [
        deviation_over_haar(operators, layer, run.seed) for layer, operators in enumerate(layers)
    ]
    return [
        Value.of("wilson_over_haar", float(np.mean(ratios))),
        *test_loss(run),
        Value.of("log_width", math.log(layers[0].d_model)),
        Value.of("log_layers", math.log(len(layers))),
    ]


def deviation_over_haar(operators: HeadOperators, layer: int, seed: int) -> float:
    """Mean of \\|1 − W\\| over pairs of heads of a layer, over its mean for turned heads.

    W is at the time of the tables of a model. Each head is turned by a random rotation of its own,
    in :data:`DRAWS` draws. Not a number where a head is zero, or there is only one.
    """
    streams = layer_seed(seed, "haar_null", layer).spawn(DRAWS)
    turned = [haar_conjugated(operators, np.random.default_rng(stream)) for stream in streams]
    null = float(np.mean([_deviation(it) for it in turned]))
    return _deviation(operators) / null if null > 0 else math.nan


def _deviation(operators: HeadOperators) -> float:
    blocks = gram_blocks(operators)
    norms = blocks.operators.singular_values()[:, 0]
    return wilson_loops(blocks, norms, t=WILSON_TIME).mean_absolute_deviation
