"""Rules that several claims are judged by."""

import math
from collections.abc import Mapping, Sequence

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
from headalgebra.claims.statistics import RankCorrelation, listed, numbers
from headalgebra.claims.study import Study

FAILED = "the computation failed its own check: "
"""What is said of an identity that does not hold to rounding."""


def on_every_model(
    statistic: str,
    deciding: Mapping[str, Evidence],
    threshold: float,
    *,
    beside: Sequence[Evidence] = (),
    not_judged: Mapping[str, str],
    by_chance: Mapping[str, str] | None = None,
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
    by_chance
        By model, what says that its number could be an accident, whatever its size.
    """
    accidents = by_chance or {}
    told = (*not_judged.items(), *accidents.items())
    note = "; ".join(f"{model}: {reason}" for model, reason in told)
    if not deciding:
        return not_measured(note or nothing.note, beside)
    least = weakest(list(deciding.values()), statistic)
    return Finding(
        verdict=verdict_if(least.value >= threshold and not accidents),
        deciding=least,
        evidence=(*deciding.values(), *beside),
        note=note,
    )


def on_every_order(
    study: Study,
    statistic: str,
    correlations: Mapping[str, Mapping[str, RankCorrelation]],
    *,
    on: Mapping[str, str] | None = None,
    fewest: int,
    of: str = "layers",
    beside: Sequence[Evidence] = (),
    not_judged: Mapping[str, str],
    nothing: Finding,
) -> Finding:
    """Reproduced if everything grows in every model, by more than an order by chance would have.

    Parameters
    ----------
    statistic
        What the smallest ρ over the models is called.
    correlations
        By model or family, and by what is ordered, the rank correlations; all must be high.
    on
        What a family is called beside its numbers, where it is not by its name.
    fewest
        Pairs from which an order is judged.
    of
        What the pairs are of.
    beside, not_judged, nothing
        As of :func:`on_every_model`.
    """
    deciding: dict[str, Evidence] = {}
    by_chance: dict[str, str] = {}
    unfit, numbers_beside = dict(not_judged), list(beside)
    for name, by_quantity in correlations.items():
        called = (on or {}).get(name, name)
        n = min(found.n for found in by_quantity.values())
        flat = [what for what, found in by_quantity.items() if math.isnan(found.rho)]
        rhos = [
            Evidence(on=called, statistic=f"Spearman's ρ of {what}", value=found.rho, n=found.n)
            for what, found in by_quantity.items()
            if what not in flat
        ]
        chances = [
            Evidence(
                on=called,
                statistic=f"probability by chance of such a ρ of {what}",
                value=found.p_value,
                n=found.n,
            )
            for what, found in by_quantity.items()
            if what not in flat
        ]
        numbers_beside += chances
        if n < fewest:
            unfit[name] = f"{n} {of}, and an order is judged from {fewest} on"
            numbers_beside += rhos
        elif flat:
            unfit[name] = f"no rank correlation, {flat[0]} is alike in all {of}"
            numbers_beside += rhos
        else:
            worst = max(measured.value for measured in chances)
            if worst >= study.thresholds.significance:
                by_chance[name] = f"such an order has probability {worst:.2g} by chance"
            # The one number of a model is its own deciding one; of several that is the least.
            deciding[name] = weakest(rhos, statistic) if len(rhos) > 1 else rhos[0]
            numbers_beside += rhos if len(rhos) > 1 else []
    return on_every_model(
        statistic,
        deciding,
        study.thresholds.rank_correlation,
        beside=numbers_beside,
        not_judged=unfit,
        by_chance=by_chance,
        nothing=nothing,
    )


def on_identity(
    study: Study,
    verdict: str,
    statistic: str,
    deciding: Sequence[Evidence],
    *,
    doubts: Sequence[str] = (),
    beside: Sequence[Evidence] = (),
    not_judged: Mapping[str, str] | None = None,
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
    not_judged
        By model, why it was not.
    nothing
        What is missing where no model could be judged.
    """
    if study.counted.empty:
        return study.nothing_counts
    aside = [f"{model}: {reason}" for model, reason in (not_judged or {}).items()]
    if not deciding:
        return not_measured("; ".join(aside) or nothing, beside)
    most = largest(deciding, statistic)
    evidence = (*deciding, *beside)
    failed = [FAILED + "; ".join(doubts)] if doubts else []
    return Finding(
        verdict=NOT_MEASURED if doubts else verdict,
        deciding=most,
        evidence=evidence,
        note="; ".join([*failed, *aside]),
    )


def residuals(study: Study, column: str, statistic: str) -> tuple[list[Evidence], list[str]]:
    """Largest residual of each model that has one, and where it is no rounding."""
    found, doubts = [], []
    tolerance = study.thresholds.identity_residual
    for model, rows in study.rows("layers"):
        residual = numbers(rows[column])
        exists = ~np.isnan(residual)
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
