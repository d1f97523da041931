"""The feed-forward part as a filter: what its activation turns off, and how complex the rest is.

Paper 002, section 4. Of m units, u is what enters the activation and a what the next product with
weights is given: act(u), or act(u) ⊙ v where a gate multiplies it by another part v.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from headalgebra.states import FrozenBlock
from headalgebra.states.activations import ACTIVATIONS
from headalgebra.states.inside import ActivationSeen

STEPS = 64
"""Quantisation steps in a standard deviation of u over the layer."""

NULL_ENTRIES = 2**19
"""About so many entries of a layer are drawn for the null, or as many as it has."""

PANEL = 256
"""Columns of a covariance matrix that are formed at once."""

BINS = 2**24
"""Quantised values are counted in a table where they span no more steps than this."""

ONE_SEQUENCE = "one sequence has no standard error"
ALL_ZERO = "every vector is zero"
STILL = "no unit varies"
CONSTANT = "u is constant, and has no step"
WHY_NONE = {
    "off_share": "",
    "off_share_se": ONE_SEQUENCE,
    "sparsity_before": ALL_ZERO,
    "sparsity_after": ALL_ZERO,
    "participation_before": STILL,
    "participation_after": STILL,
    "participation_before_without_first": STILL,
    "participation_after_without_first": STILL,
    "bits_before": CONSTANT,
    "bits_after": CONSTANT,
}
"""Every quantity, and why one does not exist where the units are one set."""

EXPERTS = "experts have units of their own, and see some of the tokens each"
NOTHING = "no product with weights was seen to take what an activation made"


@dataclass(frozen=True)
class Found:
    """A quantity of the feed-forward part of a block.

    Attributes
    ----------
    quantity
        One of :data:`WHY_NONE`.
    value
        Of the recorded u and a; None where it does not exist.
    null
        Of Gaussian u, and v, with each unit's own mean and variance; None where there is none.
    note
        Why there is no value, or what it does not count; or empty.
    """

    quantity: str
    value: float | None
    null: float | None
    note: str


@torch.no_grad()
def filter_quantities(block: FrozenBlock, generator: np.random.Generator) -> list[Found]:
    """Measure the feed-forward part of a block whose inside was looked at.

    ``off_share`` is the share of u < 0 over units and tokens, ``off_share_se`` its standard error
    over sequences. For u (``before``) and a (``after``): ``sparsity``, Hoyer's, a mean over tokens;
    ``participation``, the participation ratio of the covariance over tokens, also without the first
    token of each sequence, which carries activations orders of magnitude larger in many decoders;
    ``bits``, the entropy of an entry in steps of 1/64 of the standard deviation of u, when all
    entries of the layer are coded alike.

    Parameters
    ----------
    block
        As ``recording.blocks(looking_inside=True)`` gives it.
    generator
        Of the null's draws.

    Returns
    -------
    list
        All of :data:`WHY_NONE`, in that order. The experts of a mixture are given some tokens each:
        their vectors are pooled, and what needs sequences or one set of units is None.

    Raises
    ------
    ValueError
        If its inside was not looked at.

    Notes
    -----
    Units of the null are independent. Given their variances, its participation ratio is known and
    not drawn: :func:`independent_participation`.
    """
    if block.inside is None:
        raise ValueError("ask for blocks with looking_inside=True")
    seen = [one for one in block.inside.activations if one.before.numel()]
    if not seen:
        return [Found(quantity, None, None, NOTHING) for quantity in WHY_NONE]
    functions = [block.module.get_submodule(one.name) for one in seen]
    drawn = [gaussian_twin(*pair, generator) for pair in zip(seen, functions, strict=True)]
    step = float(_pool([one.before for one in seen]).std()) / STEPS
    values, nulls = _of_entries(seen, step), _of_entries(drawn, step)
    sequences, tokens, _ = block.input.shape
    whole = len(seen) == 1 and seen[0].before.shape[:-1].numel() == sequences * tokens
    if whole:
        # Some families flatten the tokens.
        shape = (sequences, tokens, -1)
        values |= _of_sequences(seen[0].before.reshape(shape), seen[0].after.reshape(shape))
        for side, entries in (("before", drawn[0].before), ("after", drawn[0].after)):
            chance = independent_participation(_moments(entries)[1], sequences * tokens)
            nulls[f"participation_{side}"] = chance
    unseen = _activations(block) - {one.name for one in seen}
    left_out = f"{', '.join(sorted(unseen))} was not seen" if unseen else ""
    found = []
    for quantity, why in WHY_NONE.items():
        value, null = (_exists(them.get(quantity)) for them in (values, nulls))
        missing = "" if value is not None else why if whole or quantity in values else EXPERTS
        note = "; ".join(filter(None, (missing, left_out)))
        found.append(Found(quantity, value, null, note))
    return found


def hoyer_sparsity(vectors: Float[Tensor, "*n m"]) -> Float[Tensor, "*n"]:
    """``(√m − |a|₁/|a|₂)/(√m − 1)``: 0 if all entries are as large, 1 if one is not zero.

    NaN of a vector that is zero.
    """
    root = math.sqrt(vectors.shape[-1])
    one, two = (torch.linalg.vector_norm(vectors, p, dim=-1) for p in (1, 2))
    return (root - one / two) / (root - 1)


def participation_ratios(states: Float[Tensor, "N T m"]) -> tuple[float, float]:
    """``(tr C)²/‖C‖_F²`` of the covariance C of all tokens, and of all but first ones.

    From 1, where they lie on a line, to m. NaN where nothing varies. No eigenvalue is computed: C
    is formed in panels, and half of it, by products in float32, whose rounding is some 1e-7 of the
    ratio. The first tokens come in as the scatter that they and the distance of the means add.
    """
    first, later = states[:, 0], states[:, 1:]
    middle = later.mean((0, 1))
    centred = torch.empty(later.shape, dtype=torch.float32, device=states.device)
    centred = torch.sub(later, middle, out=centred).flatten(0, 1)
    first = (first - middle).double()
    between = math.sqrt(len(first) * len(centred) / (len(first) + len(centred))) * first.mean(0)
    added = torch.cat([first - first.mean(0), between[None]])
    trace, square = _scatter(centred)
    across = centred @ added.float().T
    return (
        _ratio(trace + _squared(added), square + 2 * _squared(across) + _squared(added @ added.T)),
        _ratio(trace, square),
    )


def independent_participation(variance: Float[Tensor, "m"], tokens: int) -> float:
    """The participation ratio that independent units have on average, on so many tokens.

    The sample covariance of n tokens has E s_ij² = σ_i²σ_j²/(n − 1) off its diagonal.
    """
    trace, diagonal = float(variance.sum()), float(variance.square().sum())
    return _ratio(trace, diagonal + (trace**2 - diagonal) / (tokens - 1))


def entropy(entries: Float[Tensor, "*n"], step: float) -> float:
    """Bits per entry, of values rounded to whole steps, when all are coded alike.

    NaN if the step is zero.
    """
    if not step > 0:
        return math.nan
    steps = (entries.flatten() / step).round_()
    low, high = steps.min(), steps.max()
    if float(high - low) < BINS:
        counts = torch.bincount((steps - low).int())
        counts = counts[counts > 0]
    else:
        counts = steps.unique(return_counts=True)[1]
    share = counts.double() / len(steps)
    return -float((share * share.log2()).sum()) + 0.0


def gaussian_twin(
    seen: ActivationSeen, function: Callable[[Tensor], Tensor], generator: np.random.Generator
) -> ActivationSeen:
    """What an activation makes of independent Gaussian u with each unit's own mean and variance.

    Where a gate multiplied its result by v, Gaussian v does, with the moments that v had in the
    unit where the gate was not zero, which are all that a tells. So the twin has the scales of u
    and v, and nothing of their shape, of how they go together in a unit, or of other units.
    """
    u, a = (part.flatten(0, -2) for part in (seen.before, seen.after))
    n, m = u.shape
    draws = min(n, -(-NULL_ENTRIES // m))

    def normal(mean: Tensor, variance: Tensor) -> Tensor:
        z = generator.standard_normal((draws, m), dtype=np.float32)
        return mean + variance.sqrt() * torch.from_numpy(z).to(mean)

    before = normal(*_moments(u))
    after = function(before)
    factor = function(u)
    if not torch.equal(factor, a):
        after = after * normal(*_moments(a / factor, factor != 0))
    return ActivationSeen(seen.name, before, after)


def _of_entries(parts: Sequence[ActivationSeen], step: float) -> dict[str, float]:
    """What needs no more than vectors; NaN where it does not exist."""
    us, as_ = [one.before for one in parts], [one.after for one in parts]
    sparsity = [torch.cat([hoyer_sparsity(x).flatten() for x in them]) for them in (us, as_)]
    u, a = _pool(us), _pool(as_)
    return {
        "off_share": int((u < 0).sum()) / len(u),
        "sparsity_before": float(sparsity[0].nanmean()),
        "sparsity_after": float(sparsity[1].nanmean()),
        "bits_before": entropy(u, step),
        "bits_after": entropy(a, step),
    }


def _of_sequences(u: Float[Tensor, "N T m"], a: Float[Tensor, "N T m"]) -> dict[str, float]:
    """What needs sequences of tokens that one set of units was given."""
    off = (u < 0).double().mean((1, 2))
    before, after = participation_ratios(u), participation_ratios(a)
    return {
        "off_share_se": float(off.std()) / math.sqrt(len(off)) if len(off) > 1 else math.nan,
        "participation_before": before[0],
        "participation_after": after[0],
        "participation_before_without_first": before[1],
        "participation_after_without_first": after[1],
    }


def _pool(parts: Sequence[Tensor]) -> Float[Tensor, "n"]:
    flat = [part.flatten() for part in parts]
    return flat[0] if len(flat) == 1 else torch.cat(flat)


def _moments(
    entries: Float[Tensor, "n m"], counted: Bool[Tensor, "n m"] | None = None
) -> tuple[Float[Tensor, "m"], Float[Tensor, "m"]]:
    """Mean and variance of each unit, over the tokens that count; zeros where none does."""
    if counted is None or bool(counted.all()):
        mean = entries.mean(0)
        return mean, (entries - mean).square_().mean(0)
    n = counted.sum(0).clamp(min=1)
    mean = torch.where(counted, entries, 0).sum(0) / n
    return mean, torch.where(counted, entries - mean, 0).square_().sum(0) / n


def _scatter(centred: Float[Tensor, "n m"]) -> tuple[float, float]:
    """Trace and squared Frobenius norm of ``XᵀX``, by half of its entries."""
    square = 0.0
    for start in range(0, centred.shape[1], PANEL):
        rows = centred[:, start : start + PANEL].T @ centred[:, start:]
        square += _squared(rows[:, : len(rows)]) + 2 * _squared(rows[:, len(rows) :])
    return _squared(centred), square


def _squared(x: Float[Tensor, "n m"]) -> float:
    return float(torch.linalg.vector_norm(x, dtype=torch.float64)) ** 2


def _ratio(trace: float, square: float) -> float:
    return trace**2 / square if square > 0 else math.nan


def _exists(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _activations(block: FrozenBlock) -> set[str]:
    return {name for name, module in block.module.named_modules() if type(module) in ACTIVATIONS}
