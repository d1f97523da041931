"""Section 6: the algebraic tower and gauge observables."""

import math

from headalgebra.claims.claim import Claim, awaiting_experiment, on_every_model
from headalgebra.claims.finding import Evidence, Finding, weakest
from headalgebra.claims.statistics import numbers, spearman
from headalgebra.claims.study import Study

OBSERVABLES = {
    "action": "|S|",
    "action_normalised": "|S| by operator norms",
    "wilson_deviation": "|1 − W|",
}
"""Quantities of the tower's gauge level. Wilson loops are of operators of unit norm already."""


def growth(study: Study) -> Finding:
    """Rank correlation of action and Wilson loops with the layer."""
    deciding, beside, not_judged = {}, [], {}
    for model, rows in study.rows("tower"):
        gauge = rows[rows["level"] == "gauge"]
        rhos = []
        for quantity, name in OBSERVABLES.items():
            values = gauge[gauge["quantity"] == quantity].dropna(subset="value")
            rhos.append(
                Evidence(
                    on=model,
                    statistic=f"Spearman's ρ of {name} and layer",
                    value=spearman(numbers(values["layer"]), numbers(values["value"].abs())),
                    n=len(values),
                )
            )
        if any(math.isnan(rho.value) for rho in rhos):
            n = max(rho.n for rho in rhos)
            not_judged[model] = f"no rank correlation over {n} layers"
            continue
        beside += rhos
        deciding[model] = weakest(rhos, "smallest of the three ρ")
    return on_every_model(
        "smallest Spearman's ρ of a gauge observable and layer",
        deciding,
        study.thresholds.rank_correlation,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_counts,
    )


CLAIMS = (
    awaiting_experiment(
        "regularise",
        title="Penalising the obstruction",
        section="6",
        statement="a penalty on the obstruction in training leads to cleaner structure",
        paper_value="a proposal",
        missing="training run with such a penalty beside one without",
    ),
    Claim(
        id="gauge",
        title="Gauge observables grow with depth",
        section="6",
        statement="the action S = Σ tr([A_i, A_j]²) and the Wilson loops W grow with depth",
        paper_value="more pronounced in deep layers",
        criterion="Spearman's ρ with the layer ≥ {rank_correlation:g} in every trained model, of "
        "|S|, of |S| for operators of unit norm, and of the pairs' mean |1 − W|, whose operators "
        "have unit norm from the start",
        rests_on="tower.csv: action, action_normalised, wilson_deviation",
        figures=("tower",),
        judge=growth,
    ),
)
