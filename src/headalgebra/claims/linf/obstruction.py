"""Section 2: layers as deformations, and the obstruction ½[φ₁,φ₁]_G."""

import numpy as np

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_REPRODUCED,
    TRUE_OF_ANYTHING,
    Evidence,
    Finding,
    not_measured,
    smallest,
)
from headalgebra.claims.linf.paper import OBSTRUCTION_RANGE, in_words
from headalgebra.claims.rules import on_every_model, on_identity, residuals
from headalgebra.claims.statistics import classical, inside, listed, numbers, share
from headalgebra.claims.study import Study


def never_classical(study: Study) -> Finding:
    """Smallest ε̂, and whether it is more than rounding."""
    found, beside, notes = [], [], []
    for model, rows in study.rows("layers"):
        # ε has the scale of the weights; what is rounding shows in ε̂, where it exists.
        epsilon, relative = numbers(rows["epsilon"]), numbers(rows["epsilon_relative"])
        up_to = study.thresholds.classical_up_to
        commute = classical(rows["epsilon"], rows["epsilon_relative"], up_to).to_numpy()
        judged = commute | ~np.isnan(relative)
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
        if commute.any():
            layers = listed([str(layer) for layer in rows["layer"][commute]])
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
    """Share of each model's layers with ε of order one whose obstruction is as claimed."""
    low, high = study.thresholds.near_one_from, study.thresholds.near_one_to
    deciding, beside, not_judged = {}, [], {}
    for model, rows in study.rows("layers"):
        epsilon, rms = numbers(rows["epsilon"]), numbers(rows["obstruction_rms"])
        near_one = inside(epsilon, (low, high)) & ~np.isnan(rms)
        if not near_one.any():
            reaches = np.fmax.reduce(epsilon)
            not_judged[model] = f"no layer has ε in [{low:g}, {high:g}] and an obstruction; " + (
                "it has no ε" if np.isnan(reaches) else f"ε reaches {reaches:.3g}"
            )
            continue
        here = rms[near_one]
        within = int(inside(here, OBSTRUCTION_RANGE).sum())
        statistic = "share of layers with ε of order one inside"
        deciding[model] = share(model, statistic, within, len(here))
        extremes = (("smallest obstruction", here.min()), ("largest obstruction", here.max()))
        beside += [
            Evidence(on=model, statistic=name, value=float(value), n=len(here))
            for name, value in extremes
        ]
    return on_every_model(
        "smallest share of a model's layers with ε of order one inside",
        deciding,
        study.thresholds.share,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_counts,
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
        reads={"layers": ("epsilon", "epsilon_relative")},
        figures=("epsilon", "phases"),
        rule=never_classical,
    ),
    Claim(
        id="obstruction-range",
        title="The obstruction where ε is about 1",
        section="2",
        statement="where ε is of order one, the obstruction has a norm of a few hundredths",
        paper_value=f"norm of ½[φ₁,φ₁]_G in {in_words(OBSTRUCTION_RANGE)}",
        criterion="at least {share:.0%} of the layers with ε in "
        "[{near_one_from:g}, {near_one_to:g}] inside, in every trained model that has such",
        reads={"layers": ("obstruction_rms", "epsilon")},
        figures=("obstruction",),
        rule=strength,
    ),
    Claim(
        id="obstruction-class",
        title="The obstruction cannot be lifted",
        section="2",
        statement="in a typical layer no second-order term lifts the obstruction",
        paper_value="δφ₂ + ½[φ₁,φ₁]_G = 0 has no solution",
        criterion="δφ₁ = −½[φ₁,φ₁]_G, so that φ₁ solves it; borne out where the relative residual "
        "is at most {identity_residual:g} in every layer that has one",
        identity="δφ₁ = −½[φ₁,φ₁]_G",
        reads={"layers": ("hochschild_residual",)},
        figures=("associator", "obstruction"),
        rule=coboundary,
    ),
)
