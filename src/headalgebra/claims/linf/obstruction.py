"""Claims on the obstruction ½[φ₁,φ₁]_G (section 2)."""

import numpy as np

from headalgebra.claims._claim import (
    CONTRADICTED,
    NOT_MEASURED,
    Claim,
    Finding,
    Study,
    inside,
    layers_counted,
    numbers,
    on_identity,
    residuals,
    shown,
    verdict_if,
)
from headalgebra.claims.linf._paper import OBSTRUCTION_RANGE


def strength(study: Study) -> Finding:
    """Share of the layers with ε of order one whose obstruction is in the range claimed."""
    low, high = study.thresholds.near_one_from, study.thresholds.near_one_to
    texts, within, n = [], 0, 0
    largest = 0.0
    for model, rows in study.rows("layers"):
        epsilon, rms = numbers(rows["epsilon"]), numbers(rows["obstruction_rms"])
        near_one = inside(epsilon, (low, high)) & np.isfinite(rms)
        largest = max(largest, *epsilon[np.isfinite(epsilon)], 0.0)
        if near_one.any():
            here = rms[near_one]
            as_claimed = int(inside(here, OBSTRUCTION_RANGE).sum())
            within, n = within + as_claimed, n + len(here)
            texts.append(
                f"{model}: {as_claimed} of {layers_counted(len(here))} inside, obstruction "
                f"{shown(here.min())} to {shown(here.max())}"
            )
    if study.counted.empty:
        return study.nothing_counts
    if not n:
        none = f"no layer of a trained model has ε in [{low:g}, {high:g}] and an obstruction"
        return Finding(NOT_MEASURED, f"{none}; ε reaches {shown(largest)}")
    return Finding(verdict_if(within >= study.thresholds.share * n), "; ".join(texts))


def coboundary(study: Study) -> Finding:
    """Whether δφ₁ + ½[φ₁,φ₁]_G vanishes to rounding, which solves the equation."""
    texts, doubts = residuals(study, "hochschild_residual", "residual up to")
    nothing = "no layer with a residual: it takes three elements that do not commute"
    return on_identity(study, CONTRADICTED, texts, doubts, nothing=nothing)


CLAIMS = (
    Claim(
        id="obstruction-range",
        section="2",
        statement="where ε is of order one, the obstruction has a norm of a few hundredths",
        paper_value="norm of ½[φ₁,φ₁]_G in [0.01, 0.1]",
        criterion="at least {share:.0%} of the layers of trained models with ε in "
        "[{near_one_from:g}, {near_one_to:g}] inside",
        evidence="layers.csv: obstruction_rms, epsilon",
        figures=("obstruction",),
        judge=strength,
    ),
    Claim(
        id="obstruction-class",
        section="2",
        statement="in a typical layer no second-order term lifts the obstruction",
        paper_value="δφ₂ + ½[φ₁,φ₁]_G = 0 has no solution",
        criterion="δφ₁ = −½[φ₁,φ₁]_G, so that φ₁ solves it; borne out where the relative residual "
        "is at most {identity_residual:g} in every layer that has one",
        evidence="identity δφ₁ = −½[φ₁,φ₁]_G; layers.csv: hochschild_residual",
        figures=("associator", "obstruction"),
        judge=coboundary,
    ),
)
