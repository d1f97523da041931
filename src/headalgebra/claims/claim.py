"""What a claim is, and the rules that several claims are judged by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from headalgebra.claims.finding import (
    NOT_MEASURED,
    Evidence,
    Finding,
    largest,
    not_measured,
    verdict_if,
    weakest,
)
from headalgebra.claims.statistics import numbers
from headalgebra.claims.study import Study, listed


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of a paper and the rule that judges it.

    Attributes
    ----------
    id, title, section
        A name, the claim in a few words, and where the paper says it.
    statement, paper_value
        What the paper says, in our words, and its figure.
    criterion
        When it is reproduced; a format string over :class:`~headalgebra.claims.study.Thresholds`.
    rests_on
        Table and columns, or the identity.
    figures
        Figures of a study that show it, the most telling first.
    judge
        The rule.
    of_trained_models
        Whether only trained models can be evidence of it.
    """

    id: str
    title: str
    section: str
    statement: str
    paper_value: str
    criterion: str
    rests_on: str
    figures: tuple[str, ...] = ()
    judge: Callable[[Study], Finding]
    of_trained_models: bool = True


def awaiting_experiment(
    id: str, *, title: str, section: str, statement: str, paper_value: str, missing: str
) -> Claim:
    """A claim that only experiments could test, and what is missing for them."""
    return Claim(
        id=id,
        title=title,
        section=section,
        statement=statement,
        paper_value=paper_value,
        criterion="none here: no experiment of this kind",
        rests_on="none",
        judge=lambda _: not_measured(f"no {missing}"),
        of_trained_models=False,
    )


def on_every_model(
    statistic: str,
    deciding: Mapping[str, Evidence],
    threshold: float,
    *,
    beside: Sequence[Evidence] = (),
    not_judged: Mapping[str, str],
    nothing: Finding,
) -> Finding:
    """Reproduced if every model judged reaches a threshold; `nothing` where there is none.

    Parameters
    ----------
    statistic
        What the smallest number over the models is called.
    deciding
        By model, the number that is held against the threshold.
    beside
        Numbers to show with these.
    not_judged
        By model, why it was not.
    """
    note = "; ".join(f"{model}: {reason}" for model, reason in not_judged.items())
    if not deciding:
        return not_measured(note or nothing.note, beside)
    least = weakest(list(deciding.values()), statistic)
    return Finding(
        verdict=verdict_if(least.value >= threshold),
        deciding=least,
        evidence=(*deciding.values(), *beside),
        note=note,
    )


def on_identity(
    study: Study,
    verdict: str,
    statistic: str,
    deciding: Sequence[Evidence],
    *,
    doubts: Sequence[str] = (),
    beside: Sequence[Evidence] = (),
    nothing: str,
) -> Finding:
    """The verdict that mathematics gives, where the computation bears its identity out.

    Parameters
    ----------
    statistic
        What the largest number over the models is called.
    deciding
        By model, how far the identity is from holding.
    doubts
        Where it does not hold to rounding.
    nothing
        What is missing where no model could be judged.
    """
    if study.counted.empty:
        return study.nothing_counts
    if not deciding:
        return not_measured(nothing)
    most = largest(deciding, statistic)
    evidence = (*deciding, *beside)
    if not doubts:
        return Finding(verdict=verdict, deciding=most, evidence=evidence)
    note = "the computation failed its own check: " + "; ".join(doubts)
    return Finding(verdict=NOT_MEASURED, deciding=most, evidence=evidence, note=note)


def residuals(study: Study, column: str, statistic: str) -> tuple[list[Evidence], list[str]]:
    """Largest residual of each model that has one, and where it is no rounding."""
    found, doubts = [], []
    tolerance = study.thresholds.identity_residual
    for model, rows in study.rows("layers"):
        residual = numbers(rows[column])
        exists = np.isfinite(residual)
        if not exists.any():
            continue
        if (beyond := exists & (residual > tolerance)).any():
            layers = listed([str(layer) for layer in rows["layer"][beyond]])
            doubts.append(f"{model}: residual above {tolerance:g} in layers {layers}")
        found.append(
            Evidence(
                on=model,
                statistic=statistic,
                value=float(residual[exists].max()),
                n=int(exists.sum()),
            )
        )
    return found, doubts
