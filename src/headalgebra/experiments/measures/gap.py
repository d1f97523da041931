"""Whether decoders whose layers are in different phases generalise better (000, section 5)."""

import math
from collections import Counter
from collections.abc import Iterable

import torch
from torch import nn

from headalgebra.algebra.phases import phase
from headalgebra.experiments.measures.losses import test_loss
from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.measures.weights import commutators
from headalgebra.experiments.run import Run

AT_ONCE = 32
"""Sequences in a pass."""


def generalisation(run: Run) -> list[Value]:
    """The generalisation gap, and the phases of the layers.

    ``gap`` is ``test_loss`` less the loss of the last checkpoint on the training sequences, all of
    them, in nats a token. ``phase_entropy`` is the entropy of the shares of layers in the phases I,
    II and III at the last checkpoint, in nats: 0 where all are in one.

    ``log_qk_scale_sum`` is the sum over layers of the logarithm of the scale at which queries
    start. The scale is the Frobenius norm of W_q at step 0, over the root of the mean of its square
    under the architecture's own initialisation. Empty for soft heads, whose factors have no such
    law.
    """
    (tested,) = test_loss(run)
    assert tested.value is not None
    epsilons = [commutators(operators)["epsilon"] for operators in run.operators(run.last)]
    return [
        Value.of("gap", tested.value - training_loss(run)),
        tested,
        Value.of("phase_entropy", entropy(map(phase, epsilons))),
        Value.of("log_qk_scale_sum", _log_scales(run)),
    ]


@torch.no_grad()
def training_loss(run: Run) -> float:
    """Mean cross-entropy of the next token of the last checkpoint on the training sequences."""
    # In float32, as the test loss was taken.
    model = run.model(run.last, "float32")
    total = 0.0
    for tokens in run.tokens.train.split(AT_ONCE):
        ids = tokens.to(model.device)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1)
        total += nn.functional.cross_entropy(logits, ids[:, 1:].flatten()).item() * len(ids)
    return total / len(run.tokens.train)


def entropy(classes: Iterable[str]) -> float:
    """Of the shares of the classes, in nats; layers without one, which are empty, are left out."""
    counts = Counter(filter(None, classes))
    shares = [count / counts.total() for count in counts.values()]
    return sum(-share * math.log(share) for share in shares) if shares else math.nan


def _log_scales(run: Run) -> float:
    start = run.checkpoint(0)
    total = 0.0
    for layer in range(start.n_layers):
        law = start.initialisation(layer)
        if law is None:
            return math.nan
        queries = start.read_layer(layer, "float64").queries
        expected = law.query_std * math.sqrt(queries.numel())
        total += math.log(float(torch.linalg.vector_norm(queries)) / expected)
    return total
