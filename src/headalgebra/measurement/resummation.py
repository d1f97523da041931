"""The table `resummation` of a model: what its first terms tell of its last state."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.defaults import BOREL_NODES
from headalgebra.dyson.resummation import resum
from headalgebra.measurement._rows import Row
from headalgebra.states import Recording
from headalgebra.states.resume import logits_from

NO_NEXT = -100
"""What stands for the token after the last one."""


def lengths_of(blocks: int, at_most: int) -> list[int]:
    """So many numbers of terms, from 1 to one less than there are blocks, evenly spread.

    Half of the depth, rounded up, is always among them: there the paper's claim is judged.
    """
    if blocks < 2:
        return []
    spread = torch.linspace(1, blocks - 1, min(at_most, blocks - 1), dtype=torch.float64)
    return sorted({math.ceil(blocks / 2), *(round(m) for m in spread.tolist())})


def resum_depth(
    recording: Recording,
    orders: Sequence[Float[Tensor, "N T d"]],
    *,
    tokens: int,
    terms: int,
    nodes: int = BOREL_NODES,
) -> list[Row]:
    """Estimate the last state from the first states, and from the first partial sums of orders.

    Parameters
    ----------
    orders
        As :func:`headalgebra.measurement.orders.depth_orders` gives them.
    tokens
        So many tokens, of the first of these sequences, their first tokens among them.
    terms
        Numbers of terms to estimate from, spread evenly over the depth.
    nodes
        Gauss–Laguerre nodes of the Borel sum.

    Returns
    -------
    list
        Rows of :data:`headalgebra.columns.RESUMMATION`. Where the model has a head, an estimate
        goes through the final norm and the unembedding for its cross-entropy.
    """
    if not (lengths := lengths_of(recording.n_blocks, terms)):
        return []
    few = max(1, tokens // recording.tokens.shape[1])
    sequences = slice(0, min(few, len(orders[0])))
    head = _head(recording, sequences)
    states = torch.stack(
        [recording.state(place, sequences).flatten(0, 1) for place in range(lengths[-1] + 1)]
    )
    x_L = recording.state(recording.n_blocks, sequences).flatten(0, 1)
    rows = _rows("states", states, x_L, lengths, nodes, head)
    begun = (order[sequences].flatten(0, 1) for order in orders[: lengths[-1] + 1])
    sums = torch.stack([*accumulate(begun)])
    return rows + _rows("orders", sums, x_L, lengths, nodes, head)


def _head(recording: Recording, sequences: slice) -> dict[str, Any]:
    """What turns estimated states into a cross-entropy; nothing for a model without a head."""
    stack = recording.stack
    if not stack.predicts:
        return {}
    read = recording.tokens[sequences]
    following = torch.nn.functional.pad(read[:, 1:], (0, 1), value=NO_NEXT)

    def logits(states: Float[Tensor, "n d"]) -> Float[Tensor, "n V"]:
        return logits_from(
            stack, states.view(len(read), -1, states.shape[-1]), len(stack.blocks)
        ).flatten(0, 1)

    return {"logits": logits, "next_tokens": following.reshape(-1)}


def _rows(
    sequence: str,
    terms: Tensor,
    x_L: Tensor,
    lengths: Sequence[int],
    nodes: int,
    head: dict[str, Any],
) -> list[Row]:
    return [
        {
            "sequence": sequence,
            "m": found.m,
            "method": found.method,
            "median": found.median,
            "q1": found.q1,
            "q3": found.q3,
            "cross_entropy": found.cross_entropy,
            "broken": found.broken,
        }
        for found in resum(terms, x_L, lengths=lengths, nodes=nodes, **head)
    ]
