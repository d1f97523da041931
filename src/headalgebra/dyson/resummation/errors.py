"""How near every method comes to the last state, from how many terms."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headalgebra.defaults import BOREL_NODES
from headalgebra.dyson.resummation.epsilon import borel, vector_epsilon
from headalgebra.dyson.resummation.least_squares import anderson, mixing_weights, reduced_rank

METHODS = ("last", "linear", "rre", "anderson", "epsilon", "borel")
"""``last`` is the last term, ``linear`` adds the last difference to it."""


@dataclass(frozen=True)
class Resummed:
    """One method's estimates of the last state from y_0 … y_m.

    Attributes
    ----------
    m
        Number of the last term that was used.
    method
        One of :data:`METHODS`.
    median, q1, q3
        Quartiles over tokens of the distance to the last state, relative to its norm.
    broken
        Tokens for which a vanishing difference ended the method early, whether because the terms
        had converged or because two entries of a table met.
    cross_entropy
        Mean over tokens, in nats; None without a head.
    """

    m: int
    method: str
    median: float
    q1: float
    q3: float
    broken: int
    cross_entropy: float | None


@torch.no_grad()
def resum(
    sequence: Float[Tensor, "terms n d"],
    x_L: Float[Tensor, "n d"],
    *,
    lengths: Sequence[int],
    nodes: int = BOREL_NODES,
    logits: Callable[[Tensor], Tensor] | None = None,
    next_tokens: Int[Tensor, "n"] | None = None,
) -> list[Resummed]:
    """Estimate the last state by every method from the beginning of a sequence.

    Every method commutes with rotations, so that all work is done in coordinates of the space that
    a token's terms and its last state span: M + 2 numbers a token instead of d.

    Parameters
    ----------
    sequence
        ``[M + 1, n, d]``, for each of n tokens the states x_0 … x_M or the partial sums of the
        orders.
    x_L
        The last state of each token; none may be zero.
    lengths
        The m of interest, each from 1 to M.
    nodes
        Gauss–Laguerre nodes of the Borel sum.
    logits
        The final norm and the unembedding, from states ``[n, d]`` to ``[n, vocabulary]``.
    next_tokens
        What the logits are held against; −100 marks a token that has no next one.

    Returns
    -------
    list
        A row for each m and method, in float64 arithmetic whatever the dtype.

    Raises
    ------
    ValueError
        When an m is out of range, a last state is zero, or there are logits without next tokens.
    """
    if not all(1 <= m < len(sequence) for m in lengths):
        raise ValueError(f"lengths must lie in 1..{len(sequence) - 1}, not {list(lengths)}")
    if (logits is None) != (next_tokens is None):
        raise ValueError("logits and next_tokens go together")
    frames, terms, target = _coordinates(sequence.double(), x_L.double())
    size = torch.linalg.vector_norm(target, dim=-1)
    if not (size > 0).all():
        raise ValueError("the last state of a token is zero")
    rows = []
    quarters = size.new_tensor([0.25, 0.5, 0.75])
    for m, method, estimate, broken in _estimates(terms, sorted(set(lengths)), nodes):
        error = torch.linalg.vector_norm(estimate - target, dim=-1) / size
        q1, median, q3 = error.quantile(quarters).tolist()
        entropy = None
        if logits is not None and next_tokens is not None:
            state = torch.einsum("ndr,nr->nd", frames, estimate).to(x_L)
            entropy = float(torch.nn.functional.cross_entropy(logits(state).double(), next_tokens))
        rows.append(Resummed(m, method, median, q1, q3, int(broken.sum()), entropy))
    return rows


def _coordinates(
    sequence: Float[Tensor, "terms n d"], x_L: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, "n d r"], Float[Tensor, "terms n r"], Float[Tensor, "n r"]]:
    """A token's frame, and in it the terms T_0 = y_0, T_k = y_k − y_{k−1}, and the last state."""
    terms = torch.cat([sequence[:1], sequence.diff(dim=0), x_L[None]])
    frames, triangles = torch.linalg.qr(terms.permute(1, 2, 0))
    columns = triangles.permute(2, 0, 1)
    return frames, columns[:-1], columns[-1]


def _estimates(
    terms: Float[Tensor, "terms n r"], lengths: Sequence[int], nodes: int
) -> Iterator[tuple[int, str, Float[Tensor, "n r"], Bool[Tensor, "n"]]]:
    sequence = terms.cumsum(0)
    never = torch.zeros_like(terms[0, :, 0], dtype=torch.bool)
    tables = zip(vector_epsilon(sequence), borel(terms, nodes=nodes), strict=True)
    for m, ((wynn, wynn_broken), (integral, integral_broken)) in enumerate(tables):
        if m > lengths[-1]:
            return
        if m not in lengths:
            continue
        begun = sequence[: m + 1]
        weights, vanishing = mixing_weights(begun)
        yield m, "last", begun[-1], never
        yield m, "linear", begun[-1] + terms[m], never
        yield m, "rre", reduced_rank(begun, weights), vanishing
        yield m, "anderson", anderson(begun, weights), vanishing
        yield m, "epsilon", wynn, wynn_broken
        yield m, "borel", integral, integral_broken
