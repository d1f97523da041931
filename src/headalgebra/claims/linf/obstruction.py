"""Section 2: layers as deformations, and the obstruction ½[φ₁,φ₁]_G."""

import numpy as np

from headalgebra.claims.claim import Claim, on_identity, residuals
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_REPRODUCED,
    TRUE_OF_ANYTHING,
    Evidence,
    Finding,
    not_measured,
    smallest,
    verdict_if,
)
from headalgebra.claims.linf.paper import OBSTRUCTION_RANGE
from headalgebra.claims.statistics import inside, numbers, share
from headalgebra.claims.study import Study, listed


def never_classical(study: Study) -> Finding:
    """Smallest ε̂, and whether it is more than rounding."""
    found, beside, notes = [], [], []
    for model, rows in study.rows("layers"):
        # ε has the scale of the weights; what is rounding shows in ε̂, where it exists.
        epsilon, relative = numbers(rows["epsilon"]), numbers(rows["epsilon_relative"])
        classical = (epsilon == 0) | (relative <= study.thresholds.classical_up_to)
        judged = classical | np.isfinite(relative)
        if not judged.any():
            notes.append(f"{model}: no layer has ε̂")
            continue
        # A layer whose ε is zero may have no ε̂; it is as classical as one whose ε̂ is zero.
        size = np.where(epsilon == 0, 0.0, relative)[judged]
        n = int(judged.sum())
        found.append(
            Evidence(on=model, statistic="smallest ε̂ of a layer", value=float(size.min()), n=n)
        )
        least = float(epsilon[judged].min())
        beside.append(Evidence(on=model, statistic="smallest ε of a layer", value=least, n=n))
        if classical.any():
            layers = listed([str(layer) for layer in rows["layer"][classical]])
            notes.append(f"{model}: layers {layers} are classical")
        if not judged.all():
            notes.append(f"{model}: {int((~judged).sum())} layers without ε̂ are not judged")
    if not found:
        return not_measured("; ".join(notes) or study.nothing_counts.note)
    least_of_all = smallest(found, "smallest ε̂ of a layer")
    holds = least_of_all.value > study.thresholds.classical_up_to
    return Finding(
        verdict=TRUE_OF_ANYTHING if holds else NOT_REPRODUCED,
        deciding=least_of_all,
        evidence=(*found, *beside),
        note="; ".join(notes),
    )


def strength(study: Study) -> Finding:
    """Share of the layers with ε of order one whose obstruction is in the range claimed."""
    low, high = study.thresholds.near_one_from, study.thresholds.near_one_to
    found, beside = [], []
    largest_epsilon = 0.0
    for model, rows in study.rows("layers"):
        epsilon, rms = numbers(rows["epsilon"]), numbers(rows["obstruction_rms"])
        near_one = inside(epsilon, (low, high)) & np.isfinite(rms)
        largest_epsilon = max(largest_epsilon, *epsilon[np.isfinite(epsilon)], 0.0)
        if not near_one.any():
            continue
        here = rms[near_one]
        within = int(inside(here, OBSTRUCTION_RANGE).sum())
        found.append(share(model, "share of layers with ε of order one inside", within, len(here)))
        extremes = (("smallest obstruction", here.min()), ("largest obstruction", here.max()))
        beside += [
            Evidence(on=model, statistic=name, value=float(value), n=len(here))
            for name, value in extremes
        ]
    if study.counted.empty:
        return study.nothing_counts
    if not found:
        none = f"no layer of a trained model has ε in [{low:g}, {high:g}] and an obstruction"
        return not_measured(f"{none}; ε reaches {largest_epsilon:.3g}")
    n = sum(measured.n for measured in found)
    k = sum(round(measured.value * measured.n) for measured in found)
    models = ", ".join(measured.on for measured in found)
    of_all = share(models, "share of layers with ε of order one inside", k, n)
    return Finding(
        verdict=verdict_if(of_all.value >= study.thresholds.share),
        deciding=of_all,
        evidence=(*found, *beside),
    )


def coboundary(study: Study) -> Finding:
    """Whether δφ₁ + ½[φ₁,φ₁]_G vanishes to rounding, which solves the equation."""
    statistic = "largest relative residual of δφ₁ + ½[φ₁,φ₁]_G"
    found, doubts = residuals(study, "hochschild_residual", statistic)
    return on_identity(
        study,
        CONTRADICTED,
        statistic,
        found,
        doubts=doubts,
        nothing="no layer with a residual: it takes three elements that do not commute",
    )


CLAIMS = (
    Claim(
        id="never-classical",
        title="No layer is classical",
        section="2, 3",
        statement="no layer is classical: ε vanishes nowhere",
        paper_value="above 0 everywhere, though phase I is elsewhere called classical",
        criterion="ε above 0 and ε̂ above {classical_up_to:g}, which is rounding, in every layer "
        "of every trained model; any two matrices that do not happen to commute make it so",
        rests_on="layers.csv: epsilon, epsilon_relative",
        figures=("epsilon", "phases"),
        judge=never_classical,
    ),
    Claim(
        id="obstruction-range",
        title="The obstruction where ε is about 1",
        section="2",
        statement="where ε is of order one, the obstruction has a norm of a few hundredths",
        paper_value="norm of ½[φ₁,φ₁]_G in [0.01, 0.1]",
        criterion="at least {share:.0%} of the layers of trained models with ε in "
        "[{near_one_from:g}, {near_one_to:g}] inside",
        rests_on="layers.csv: obstruction_rms, epsilon",
        figures=("obstruction",),
        judge=strength,
    ),
    Claim(
        id="obstruction-class",
        title="The obstruction cannot be lifted",
        section="2",
        statement="in a typical layer no second-order term lifts the obstruction",
        paper_value="δφ₂ + ½[φ₁,φ₁]_G = 0 has no solution",
        criterion="δφ₁ = −½[φ₁,φ₁]_G, so that φ₁ solves it; borne out where the relative residual "
        "is at most {identity_residual:g} in every layer that has one",
        rests_on="identity δφ₁ = −½[φ₁,φ₁]_G; layers.csv: hochschild_residual",
        figures=("associator", "obstruction"),
        judge=coboundary,
    ),
)
