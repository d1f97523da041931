"""Section 6: the algebraic tower and gauge observables."""

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Finding
from headalgebra.claims.rules import on_every_order
from headalgebra.claims.statistics import RankCorrelation, numbers, rank_correlation
from headalgebra.claims.study import Study

OBSERVABLES = {
    "action": "|S|",
    "action_normalised": "|S| by operator norms",
    "wilson_deviation": "|1 − W|",
}
"""Quantities of the tower's gauge level. Wilson loops are of operators of unit norm already."""


def growth(study: Study) -> Finding:
    """Rank correlation of action and Wilson loops with the layer."""
    correlations: dict[str, dict[str, RankCorrelation]] = {}
    for model, rows in study.rows("tower"):
        gauge = rows[rows["level"] == "gauge"]
        of_quantity = {name: gauge[gauge["quantity"] == name] for name in OBSERVABLES}
        correlations[model] = {
            f"{called} and layer": rank_correlation(
                numbers(of_quantity[name]["layer"]),
                abs(numbers(of_quantity[name]["value"])),
                study.seed,
            )
            for name, called in OBSERVABLES.items()
        }
    return on_every_order(
        study,
        "smallest Spearman's ρ of a gauge observable and layer",
        correlations,
        fewest=study.thresholds.layers,
        not_judged={},
        nothing=study.nothing_counts,
    )


CLAIMS = (
    Claim(
        id="gauge",
        title="Gauge observables grow with depth",
        section="6",
        statement="the action S = Σ tr([A_i, A_j]²) and the Wilson loops W grow with depth",
        paper_value="more pronounced in deep layers",
        criterion="Spearman's ρ with the layer ≥ {rank_correlation:g}, and such an order less "
        "likely than {significance:g} by chance, in every trained model of at least {layers} "
        "layers, of |S|, of |S| for operators of unit norm, and of the pairs' mean |1 − W|, whose "
        "operators have unit norm from the start",
        reads={"tower": ("level", "quantity", "value")},
        figures=("tower",),
        rule=growth,
    ),
)
