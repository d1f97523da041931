"""Section VI: collapse, resummation, and pseudospectra as a diagnostic."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, not_measured, verdict_if
from headalgebra.claims.rules import on_every_model
from headalgebra.claims.statistics import bootstrap_interval, listed, numbers
from headalgebra.claims.study import Study


def collapse(study: Study) -> Finding:
    """Smallest stable rank of a layer's states, and the growth of their norm over the first."""
    bounds = [
        Bound(called="smallest stable rank of a layer", limit=study.thresholds.stable_rank),
        Bound(called="largest |x_l|/|x_0|", limit=study.thresholds.norm_growth, at_most=True),
    ]
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("states"):
        first = numbers(rows["norm_before"][rows["layer"] == 0])
        if not len(first) or first[0] == 0:
            not_judged[model] = "no norm of the first states"
            continue
        n = len(rows)
        growth = float(numbers(rows["norm"]).max() / first[0])
        rank = float(numbers(rows["stable_rank"]).min())
        cosine = float(numbers(rows["mean_cosine"]).max())
        measured[model] = [
            Evidence(on=model, statistic="smallest stable rank of a layer", value=rank, n=n),
            Evidence(on=model, statistic="largest |x_l|/|x_0|", value=growth, n=n),
        ]
        later = float(numbers(rows["stable_rank_without_first"]).min())
        for statistic, value in (
            ("smallest stable rank, the first token of each sequence left out", later),
            ("largest mean cosine of two tokens in a layer", cosine),
        ):
            beside.append(Evidence(on=model, statistic=statistic, value=value, n=n))
    return on_every_bound(
        bounds, measured, beside=beside, not_judged=not_judged, nothing=study.nothing_measured
    )


LAST, LINEAR = "last", "linear"
"""Methods of the table that resum nothing: the last term, and the last difference added to it."""

CALLED = {
    LAST: "the last term",
    LINEAR: "the last difference added",
    "rre": "reduced rank (DIIS)",
    "anderson": "Anderson's method",
    "epsilon": "the vector ε-algorithm (Padé)",
    "borel": "Borel sums",
}
"""Each of them in words."""


def resummation(study: Study) -> Finding:
    """What the best resummation of the first half of the states takes of the last one's error."""
    deciding, beside, not_judged = {}, [], {}
    blocks = {model: int(rows["order"].max()) for model, rows in study.rows("dyson")}
    for model, rows in study.rows("resummation"):
        if model not in blocks:
            not_judged[model] = "its blocks are not counted"
            continue
        m = math.ceil(blocks[model] / 2)
        for sequence, of_sequence in rows[rows["m"] == m].groupby("sequence", sort=False):
            errors = of_sequence.set_index("method")["median"]
            resummed = errors.drop([LAST, LINEAR], errors="ignore")
            if LAST not in errors or resummed.empty:
                continue
            of_terms = "states" if sequence == "states" else "partial sums"
            number = Evidence(
                on=model,
                statistic=f"of the last error, what the best resummation of {of_terms} takes away",
                value=1 - float(resummed.min() / errors[LAST]) if errors[LAST] else 0.0,
                n=m + 1,
            )
            if sequence == "states":
                deciding[model] = number
            else:
                beside.append(number)
            beside += [
                Evidence(
                    on=model,
                    statistic=f"median relative error of {CALLED[str(method)]}, {of_terms} to "
                    f"m = {m}",
                    value=float(error),
                    n=m + 1,
                )
                for method, error in errors.items()
            ]
        if model not in deciding:
            not_judged[model] = f"no estimate from the states to m = {m}"
    return on_every_model(
        "smallest share of the last state's error that the best resummation takes away",
        deciding,
        study.thresholds.resummation_gain,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


GROWTH = "growth"
PREDICTORS = {
    "product_of_pseudospectral_radii": "product of pseudospectral radii",
    "product_of_radii": "product of spectral radii",
}
"""Named before anything was measured; the first is said to be the better."""

Column = NDArray[np.float64]


def _rank_correlation(x: Column, y: Column, axis: int) -> Column:
    """Spearman's ρ along an axis; 0 where either is alike throughout, which orders nothing."""
    ranks = (stats.rankdata(values, axis=axis) for values in (x, y))
    x, y = (r - r.mean(axis=axis, keepdims=True) for r in ranks)
    scale = np.sqrt((x * x).sum(axis=axis) * (y * y).sum(axis=axis))
    return np.divide((x * y).sum(axis=axis), scale, out=np.zeros_like(scale), where=scale > 0)


def pseudospectra(study: Study) -> Finding:
    """How much better pseudospectral radii order the models' growth than spectral radii do."""
    if study.counted.empty:
        return study.nothing_counts
    growth, not_judged = {}, {}
    needed = {GROWTH: "growth of perturbations", **PREDICTORS}
    for model, rows in study.rows("normality"):
        through = rows[rows["operator"] == GROWTH]
        blocks = through.pivot(index="layer", columns="quantity", values="value")
        last = blocks.reindex(columns=list(needed)).tail(1)
        # A product ends at the first block of which a factor was not found.
        if missing := [needed[name] for name in needed if last[name].isna().all()]:
            why = f"no {' and no '.join(missing)}, which takes every block: states.block_layers"
            not_judged[model] = study.refused.get(model) or why
            continue
        # Through all blocks, for each of them: else the depth alone would order the models.
        k = int(blocks.index.max()) + 1
        growth[model] = numbers(last.iloc[0]) ** (1 / k)
    note = "; ".join(f"{model}: {reason}" for model, reason in not_judged.items())
    n = len(growth)
    if n < study.thresholds.trained_models:
        few = f"{n} trained models, and an order of them is judged from "
        few += f"{study.thresholds.trained_models} on"
        return not_measured("; ".join(filter(None, (few, note))))
    response, *predicted = np.array(list(growth.values())).T
    rhos = [float(_rank_correlation(response, values, 0)) for values in predicted]

    def better(response: Column, pseudospectral: Column, spectral: Column, axis: int) -> Column:
        by_first, by_second = (
            _rank_correlation(response, values, axis) for values in (pseudospectral, spectral)
        )
        return np.asarray(by_first - by_second)

    low, high = bootstrap_interval([response, *predicted], better, study.seed, paired=True)
    on = listed(list(growth))
    return Finding(
        verdict=verdict_if(low > 0),
        deciding=Evidence(
            on=on,
            statistic="Spearman's ρ of growth with pseudospectral radii less that with spectral",
            value=rhos[0] - rhos[1],
            low=low,
            high=high,
            n=n,
        ),
        evidence=tuple(
            Evidence(on=on, statistic=f"Spearman's ρ of growth and {called}", value=rho, n=n)
            for called, rho in zip(PREDICTORS.values(), rhos, strict=True)
        ),
        note=note,
    )


CLAIMS = (
    Claim(
        id="dyson-collapse",
        title="States neither diverge nor collapse",
        section="VI",
        statement="states keep through the layers: they neither diverge nor collapse into a "
        "single mode",
        paper_value="neither",
        criterion="in every layer of every trained model the stable rank ‖X‖_F²/‖X‖² of the "
        "centred states is at least {stable_rank:g}, and |x_l| is at most {norm_growth:g} times "
        "|x_0|",
        reads={
            "states": (
                *("norm_before", "norm", "stable_rank", "stable_rank_without_first"),
                "mean_cosine",
            )
        },
        figures=("saturation",),
        rule=collapse,
    ),
    Claim(
        id="dyson-resummation",
        title="Resummation finds the last state",
        section="VI",
        statement="methods that extrapolate sequences (DIIS, vector Padé, Borel) extract the "
        "converged representation from the trajectory of states",
        paper_value="may prove applicable",
        criterion="from the states to m = ⌈L/2⌉ of L layers, the best of the resummations is "
        "nearer to the last state x_L than the state x_m is, median over tokens, by at least "
        "{resummation_gain:.0%}, in every trained model; that the best is taken favours the claim",
        reads={"resummation": ("sequence", "m", "method", "median"), "dyson": ("order",)},
        figures=("resummation",),
        rule=resummation,
    ),
    Claim(
        id="dyson-pseudospectra",
        title="Pseudospectra tell stability better",
        section="VI",
        statement="pseudospectral analysis is a more insightful diagnostic of stability than the "
        "spectral radius alone",
        paper_value="an order",
        criterion="over at least {trained_models} trained models, Spearman's ρ of the growth of "
        "random perturbations through all blocks with the product of the blocks' pseudospectral "
        "radii, at δ a tenth of their norm, less that with the product of spectral radii, all by "
        "their root for one block; reproduced where the 95 % interval of the difference, models "
        "drawn again, lies above 0",
        reads={"normality": ("operator", "quantity", "value"), "runs": ("note",)},
        quantities=(GROWTH, *PREDICTORS),
        figures=("growth",),
        rule=pseudospectra,
    ),
)
