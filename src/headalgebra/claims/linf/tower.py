"""Claims on gauge observables (section 6)."""

import math

from headalgebra.claims._claim import (
    Claim,
    Finding,
    Study,
    layers_counted,
    numbers,
    on_every_model,
    spearman,
)

OBSERVABLES = {
    "action": "|S|",
    "action_normalised": "|S| by operator norms",
    "wilson_deviation": "|1 − W|",
}
"""Quantities of the tower's gauge level. Wilson loops are of operators of unit norm already."""


def growth(study: Study) -> Finding:
    """Rank correlation of action and Wilson loops with the layer."""
    passed, texts = {}, []
    for model, rows in study.rows("tower"):
        gauge = rows[rows["level"] == "gauge"]
        rhos, n = {}, 0
        for quantity, name in OBSERVABLES.items():
            values = gauge[gauge["quantity"] == quantity]
            rhos[name] = spearman(numbers(values["layer"]), numbers(values["value"].abs()))
            n = max(n, len(values))
        if any(math.isnan(rho) for rho in rhos.values()):
            texts.append(f"{model}: no rank correlation over {layers_counted(n)}")
            continue
        passed[model] = all(rho >= study.thresholds.rank_correlation for rho in rhos.values())
        by_name = ", ".join(f"{rho:.2f} ({name})" for name, rho in rhos.items())
        texts.append(f"{model}: ρ = {by_name} over {layers_counted(n)}")
    return on_every_model(passed, texts, study.nothing_counts)


CLAIMS = (
    Claim(
        id="gauge",
        section="6",
        statement="the action S = Σ tr([A_i, A_j]²) and the Wilson loops W grow with depth",
        paper_value="more pronounced in deep layers",
        criterion="Spearman's ρ with the layer ≥ {rank_correlation:g} in every trained model, of "
        "|S|, of |S| for operators of unit norm, and of the pairs' mean |1 − W|, whose operators "
        "have unit norm from the start",
        evidence="tower.csv: action, action_normalised, wilson_deviation",
        figures=("tower",),
        judge=growth,
    ),
)
