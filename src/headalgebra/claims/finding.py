"""What is found of a claim: a verdict, and the numbers that it rests on."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted by an identity"
TRUE_OF_ANYTHING = "true of anything"
NOT_MEASURED = "not measured"

VERDICTS = (REPRODUCED, NOT_REPRODUCED, CONTRADICTED, TRUE_OF_ANYTHING, NOT_MEASURED)
"""`true of anything`: an identity makes it so for any matrices, and it says nothing of a model."""


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


def smallest(evidence: Sequence[Evidence], statistic: str) -> Evidence:
    """The smallest number, under a name for all of them."""
    return _renamed(min(evidence, key=lambda measured: measured.value), evidence, statistic)


def largest(evidence: Sequence[Evidence], statistic: str) -> Evidence:
    """The largest number, under a name for all of them."""
    return _renamed(max(evidence, key=lambda measured: measured.value), evidence, statistic)


def _renamed(extreme: Evidence, evidence: Sequence[Evidence], statistic: str) -> Evidence:
    return Evidence(
        on=", ".join(dict.fromkeys(measured.on for measured in evidence)),
        statistic=statistic,
        value=extreme.value,
        low=extreme.low,
        high=extreme.high,
        n=extreme.n,
    )
