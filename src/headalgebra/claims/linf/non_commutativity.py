"""Section 1: ε of attention layers, by depth."""

import numpy as np

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, weakest
from headalgebra.claims.linf.paper import EPSILON_BY_THIRD, in_words
from headalgebra.claims.rules import on_every_model, on_every_order
from headalgebra.claims.statistics import inside, numbers, rank_correlation, share
from headalgebra.claims.study import Study

THIRDS = ("early", "middle", "deep")


def by_depth(study: Study) -> Finding:
    """Share of each third's layers inside its interval."""
    deciding, beside, not_judged = {}, [], {}
    for model, rows in study.rows("layers"):
        epsilon = numbers(rows["epsilon"])
        third = 3 * rows["layer"].to_numpy() // rows["n_layers"].to_numpy()
        shares = []
        for index, (name, interval) in enumerate(zip(THIRDS, EPSILON_BY_THIRD, strict=True)):
            here = epsilon[(third == index) & np.isfinite(epsilon)]
            if len(here):
                within = int(inside(here, interval).sum())
                statistic = f"share of the {name} third's layers inside"
                shares.append(share(model, statistic, within, len(here)))
        if len(shares) < len(THIRDS):
            not_judged[model] = "a third of its depth has no ε"
            continue
        deciding[model] = weakest(shares, "smallest share of a third's layers inside")
        extremes = (("smallest ε", np.nanmin(epsilon)), ("largest ε", np.nanmax(epsilon)))
        n = int(np.isfinite(epsilon).sum())
        beside += shares
        beside += [
            Evidence(on=model, statistic=name, value=float(value), n=n) for name, value in extremes
        ]
    return on_every_model(
        "smallest share of a third's layers inside its range",
        deciding,
        study.thresholds.share,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_counts,
    )


def monotone(study: Study) -> Finding:
    """Rank correlation of ε with the layer."""
    correlations, beside = {}, []
    for model, rows in study.rows("layers"):
        epsilon = numbers(rows["epsilon"])
        found = rank_correlation(numbers(rows["layer"]), epsilon, study.seed)
        correlations[model] = {"ε and layer": found}
        third = 3 * rows["layer"] // rows["n_layers"]
        early, deep = rows["phase"][third == 0], rows["phase"][third == 2]
        for statistic, phases in (
            ("share of early layers in phase I or II", early.isin(["I", "II"])),
            ("share of deep layers in phase III", deep == "III"),
        ):
            if len(phases):
                beside.append(share(model, statistic, int(phases.sum()), len(phases)))
    return on_every_order(
        study,
        "smallest Spearman's ρ of ε and layer",
        correlations,
        fewest=study.thresholds.layers,
        beside=beside,
        not_judged={},
        nothing=study.nothing_counts,
    )


CLAIMS = (
    Claim(
        id="eps-depth",
        title="ε by thirds of the depth",
        section="1",
        statement="ε lies in one range in the early third of a model's layers, in a higher one in "
        "the middle third, and above 1 in the deep third",
        paper_value=in_words(*EPSILON_BY_THIRD),
        criterion="at least {share:.0%} of the layers of every third inside, in every trained "
        "model; tested as stated, though the paper's ranges for GPT-2 Medium are others",
        reads={"layers": ("epsilon", "n_layers")},
        figures=("epsilon", "phases"),
        rule=by_depth,
    ),
    Claim(
        id="eps-monotone",
        title="ε grows with depth",
        section="1, 5",
        statement="ε grows with depth, whatever the architecture",
        paper_value="early third mostly in phase I or II, last third mostly in phase III",
        criterion="Spearman's ρ of ε and layer ≥ {rank_correlation:g}, and such an order less "
        "likely than {significance:g} by chance, in every trained model of at least {layers} "
        "layers",
        reads={"layers": ("epsilon", "phase", "n_layers")},
        figures=("epsilon", "phases"),
        rule=monotone,
    ),
)
