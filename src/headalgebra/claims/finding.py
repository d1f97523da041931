"""What is found of a claim: a verdict, and the numbers that it rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted by an identity"
TRUE_OF_ANYTHING = "true of anything"
NOT_MEASURED = "not measured"

VERDICTS = (REPRODUCED, NOT_REPRODUCED, CONTRADICTED, TRUE_OF_ANYTHING, NOT_MEASURED)
"""`true of anything`: mathematics makes it so for any matrices, and it says nothing of a model."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A number that was measured.

    Attributes
    ----------
    on
        Of which model, family of models, or layers made here.
    statistic
        What the number is, in a few words.
    value
        The number; not a number where it does not exist.
    low, high
        Its 95 % interval, where it has one.
    n
        How many layers, cases or models it was taken over.
    """

    on: str
    statistic: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a study says of a claim.

    Attributes
    ----------
    verdict
        One of :data:`VERDICTS`.
    deciding
        The number that the criterion was applied to; None where nothing was measured.
    evidence
        The numbers of each model.
    note
        What a reader must know besides: what is missing, or in doubt.
    """

    verdict: str
    deciding: Evidence | None = None
    evidence: tuple[Evidence, ...] = ()
    note: str = ""


def not_measured(note: str, evidence: Sequence[Evidence] = ()) -> Finding:
    """What is found where something is missing."""
    return Finding(verdict=NOT_MEASURED, evidence=tuple(evidence), note=note)


def verdict_if(holds: bool) -> str:
    """Reproduced, or not."""
    return REPRODUCED if holds else NOT_REPRODUCED


def weakest(estimates: Sequence[Evidence], statistic: str) -> Evidence:
    """The smallest of several estimates, with the interval and the n of that one.

    Parameters
    ----------
    statistic
        What it is called among all of them.
    """
    least = min(estimates, key=lambda measured: measured.value)
    return replace(least, on=_all_of(estimates), statistic=statistic)


def strongest(estimates: Sequence[Evidence], statistic: str) -> Evidence:
    """The largest of several estimates, with the interval and the n of that one."""
    most = max(estimates, key=lambda measured: measured.value)
    return replace(most, on=_all_of(estimates), statistic=statistic)


def smallest(minima: Sequence[Evidence], statistic: str) -> Evidence:
    """The smallest number of all that these are the smallest of."""
    return _over_all(min(measured.value for measured in minima), minima, statistic)


def largest(maxima: Sequence[Evidence], statistic: str) -> Evidence:
    """The largest number of all that these are the largest of."""
    return _over_all(max(measured.value for measured in maxima), maxima, statistic)


def _over_all(value: float, parts: Sequence[Evidence], statistic: str) -> Evidence:
    # Of one model there may be several numbers over the same layers, or over some of them.
    n: dict[str, int] = {}
    for measured in parts:
        n[measured.on] = max(measured.n, n.get(measured.on, 0))
    return Evidence(on=_all_of(parts), statistic=statistic, value=value, n=sum(n.values()))


def _all_of(parts: Sequence[Evidence]) -> str:
    return ", ".join(dict.fromkeys(measured.on for measured in parts))
