"""Section 4: dense and sampled extraction, methods that are judged on any layers."""

import numpy as np
import pandas as pd
from scipy import stats

from headalgebra.claims.claim import Claim, all_models
from headalgebra.claims.finding import Evidence, Finding, not_measured, verdict_if, weakest
from headalgebra.claims.linf.paper import FEASIBLE_DIMENSION, INFEASIBLE_SIZE, SAMPLES_OF_HOURS
from headalgebra.claims.statistics import CONFIDENCE, numbers, share
from headalgebra.claims.study import Study

MINUTE, HOUR = 60.0, 3600.0

GB_OF_INFEASIBLE = 8 * INFEASIBLE_SIZE[0] ** 2 * INFEASIBLE_SIZE[1] ** 2 / 1e9
"""Of the brackets of all pairs of so many elements in float64, as the paper counts them."""

PROBES = ("probes", "weighted")
"""Our estimators in the sampling table."""

KNOWN = ("dense", "exact")
"""What is no estimate there."""

NEGLIGIBLE = 1e-12
"""Probabilities below it are not told apart."""

COVERED = "share of a layer's draws whose interval has the exact value"


def dense_limit(study: Study) -> Finding:
    """Whether dense extraction of the size that is said to be out of reach completes."""
    n, d = INFEASIBLE_SIZE
    runs = study.tables["feasibility"]
    tried = runs[(runs["route"] == "dense") & (runs["n"] >= n) & (runs["d_model"] >= d)]
    done = tried["completed"] == True  # noqa: E712  of objects, where some were missing
    made = [
        f"random layer of n = {run['n']:g} and d = {run['d_model']:g}"
        for run in tried.to_dict("records")
    ]
    evidence = [
        Evidence(on=layer, statistic="GB held by a completed extraction", value=size / 1e9, n=1)
        for layer, size, completed in zip(made, tried["bytes"], done, strict=True)
        if completed
    ]
    layers = study.tables["layers"]
    large = layers["route"].isin(["dense", "mixed"])
    large &= (layers["basis_dim"] >= n) & (layers["d_model"] >= d)
    own = [
        Evidence(on=str(model), statistic="layers extracted", value=float(len(rows)), n=len(rows))
        for model, rows in layers[large].groupby("model", sort=False)
    ]
    attempts = len(tried) + sum(measured.n for measured in own)
    if not attempts:
        return not_measured(f"no dense extraction with n ≥ {n} and d ≥ {d} was tried")
    completed = int(done.sum()) + sum(measured.n for measured in own)
    where = ", ".join(dict.fromkeys([*made, *(measured.on for measured in own)]))
    return Finding(
        verdict=verdict_if(not completed),
        deciding=Evidence(
            on=where,
            statistic=f"completed extractions with n ≥ {n} and d ≥ {d}",
            value=float(completed),
            n=attempts,
        ),
        evidence=(*evidence, *own),
        note=f"n² d² numbers would be {GB_OF_INFEASIBLE:.2f} GB",
    )


def cost(study: Study) -> Finding:
    """Times against minutes and hours, in words, since seconds differ from run to run.

    Those of the processor: on one core it is the wall time without what else the machine does. A
    sample of the paper's is one dense triple; our estimator is another method, and stands apart.
    """
    runs = study.tables["feasibility"]
    runs = runs[(runs["completed"] == True) & (runs["n_triples"] > 0)]  # noqa: E712
    dense = _slowest(runs[(runs["route"] == "dense") & (runs["n"] <= FEASIBLE_DIMENSION)])
    sample, probed = (_slowest(runs[runs["route"] == route]) for route in ("triple", "probes"))
    if dense is None or sample is None or probed is None:
        return not_measured("no timed run of dense extraction, of a dense triple and of probes")
    samples = sample["cpu_s"] / sample["n_triples"] * SAMPLES_OF_HOURS
    holds = (bool(dense["cpu_s"] >= MINUTE), bool(samples >= HOUR))
    on = f"random layers, d = {dense['d_model']:g}"
    return Finding(
        verdict=verdict_if(all(holds)),
        deciding=Evidence(
            on=on,
            statistic="of the paper's two times, those that hold",
            value=float(sum(holds)),
            n=2,
        ),
        note=f"dense extraction with n = {dense['n']:g} takes {_duration(dense['cpu_s'])} of one "
        f"core; {SAMPLES_OF_HOURS:,} of the paper's samples, each a dense bracket "
        f"[E_b, [E_c, E_a]], would take {_duration(samples)}; of its own method the paper is "
        f"{_right(holds[0])} as to the former and {_right(holds[1])} as to the latter; probes are "
        f"another method: all {probed['n_triples']:g} triples of n = {probed['n']:g} with "
        f"{probed['n_probes']:g} of them take {_duration(probed['cpu_s'])}; feasibility.csv has "
        "the seconds",
    )


def _slowest(runs: pd.DataFrame) -> pd.Series | None:
    """The run of the longest time for each triple; None where there is none."""
    if runs.empty:
        return None
    return runs.iloc[int((runs["cpu_s"] / runs["n_triples"]).argmax())]


def _right(holds: bool) -> str:
    return "right" if holds else "not right"


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return "under a minute"
    return "under an hour" if seconds < HOUR else "an hour or more"


def conditioning(study: Study) -> Finding:
    """No verdict, for the methods share their basis; how far either is from a known truth."""
    cases = study.tables["conditioning"]
    cases = cases[cases["n"] <= FEASIBLE_DIMENSION]
    errors = [
        Evidence(
            on=f"constructed layers ({band})",
            statistic=f"largest error, {method}",
            value=float(here[f"{method}_error"].max()),
            n=len(here),
        )
        for band, here in cases.groupby("conditioning", sort=False)
        for method in ("dense", "sampled")
    ]
    return not_measured(
        "both methods start from one orthonormal basis, as in the paper's Algorithm 4.1; κ has no "
        "part in what they do differently, so that no layer could show either to fail in a band",
        (*errors, *_mixed_layers(study)),
    )


def _mixed_layers(study: Study) -> list[Evidence]:
    """How far apart the methods are on a study's own layers that went both ways, by band."""
    pairs = _both_ways(study)
    pairs = pairs[pairs["estimator"].isin(PROBES)]
    bands = study.tables["layers"][["model", "layer", "conditioning"]]
    pairs = pairs.merge(bands, on=["model", "layer"])
    return [
        Evidence(
            on=f"the study's own layers ({band})",
            statistic="largest distance of the methods",
            value=float(np.abs(numbers(rows["value"] / rows["known"]) - 1).max()),
            n=len(rows),
        )
        for band, rows in pairs.groupby("conditioning", sort=True)
    ]


def _both_ways(study: Study) -> pd.DataFrame:
    """Estimates of layers whose obstruction is known without sampling, with what it is."""
    sampling = study.tables["sampling"]
    known = sampling["estimator"].isin(KNOWN)
    values = sampling[known].drop_duplicates(["model", "layer"])[["model", "layer", "value"]]
    return sampling[~known].merge(values.rename(columns={"value": "known"}), on=["model", "layer"])


def sampling(study: Study) -> Finding:
    """How often the paper's intervals have the exact value, layer by layer, and whether ours do."""
    estimates = _both_ways(study)
    smallest, beside, layers = [], [], 0
    for model in study.counted["model"]:
        of_model = estimates[estimates["model"] == model]
        drawn = of_model[of_model["repetitions"] > 0].sort_values("coverage", kind="stable")
        if drawn.empty:
            continue
        layers += len(drawn)
        smallest.append(_covered(model, f"smallest {COVERED}", drawn.iloc[0]))
        beside.append(_covered(model, f"largest {COVERED}", drawn.iloc[-1]))
        probed = of_model[of_model["estimator"].isin(PROBES)]
        inside = int(probed["known"].between(probed["low"], probed["high"]).sum())
        beside.append(
            share(model, "share of layers whose interval of probes has it", inside, len(probed))
        )
    if not smallest:
        return not_measured("no trained layer whose obstruction is known exactly")
    least = weakest(smallest, f"smallest {COVERED}")
    if least.n < study.thresholds.cases:
        few = f"{least.n} draws of a layer, and coverage is judged from {study.thresholds.cases} on"
        return not_measured(few, (*smallest, *beside))
    within = round(least.value * least.n)
    # The smallest of so many layers: Bonferroni's correction.
    once = float(stats.binomtest(within, least.n, CONFIDENCE, "less").pvalue)
    p_value = min(1.0, layers * once)
    return Finding(
        verdict=verdict_if(p_value >= study.thresholds.significance),
        deciding=least,
        evidence=(*smallest, *beside),
        note=f"were the intervals right, so small a share in one of {layers} layers would have "
        f"probability {_chance(p_value)}",
    )


def _chance(p_value: float) -> str:
    return f"{p_value:.0e}" if p_value >= NEGLIGIBLE else f"below {NEGLIGIBLE:g}"


def _covered(model: str, statistic: str, drawn: pd.Series) -> Evidence:
    n = int(drawn["repetitions"])
    return share(model, statistic, round(drawn["coverage"] * n), n)


CLAIMS = (
    Claim(
        id="dense-limit",
        title="Dense extraction beyond six",
        section="4",
        statement="dense extraction is out of reach beyond a basis of six; "
        f"n = {INFEASIBLE_SIZE[0]} at d = {INFEASIBLE_SIZE[1]} exceeds memory",
        paper_value=f"n² d² numbers, {GB_OF_INFEASIBLE:.1f} GB in float64",
        criterion="no dense extraction of that size or more completes here",
        reads={
            "feasibility": ("route", "n", "d_model", "completed", "bytes"),
            "layers": ("route", "basis_dim", "d_model", "obstruction_rms"),
        },
        models=all_models,
        rule=dense_limit,
        of_trained_models=False,
    ),
    Claim(
        id="cost",
        title="Minutes and hours",
        section="4",
        statement="dense extraction takes minutes up to a basis of six, sampling hours",
        paper_value=f"minutes for n ≤ {FEASIBLE_DIMENSION}, hours for about 10⁶ samples",
        criterion="a minute or more for the former and an hour or more for the latter, a sample "
        "being one dense triple, of one core of this machine, which is not the paper's",
        reads={
            "feasibility": ("route", "n", "d_model", "n_triples", "n_probes", "completed", "cpu_s")
        },
        models=all_models,
        rule=cost,
        of_trained_models=False,
    ),
    Claim(
        id="conditioning",
        title="κ tells which method to trust",
        section="4",
        statement="the band of κ tells which method to trust: dense below, sampled where it is "
        "poor",
        paper_value="κ < 100 well, < 1000 moderate, from 1000 poor",
        criterion="none here: the methods share the basis, which alone feels κ; beside it, the "
        "errors of both on constructed layers of known value",
        reads={
            "conditioning": ("case", "n", "conditioning", "dense_error", "sampled_error"),
            "sampling": ("estimator", "value", "low", "high"),
            "layers": ("conditioning",),
        },
        models=all_models,
        figures=("conditioning", "singular_values"),
        rule=conditioning,
        of_trained_models=False,
    ),
    Claim(
        id="sampling",
        title="Sampling agrees with dense extraction",
        section="4",
        statement="the Monte Carlo estimate agrees with the dense value",
        paper_value="within its interval",
        criterion="in every trained layer whose exact value is known, the 95 % intervals of the "
        "paper's uniform tuples, drawn again and again with exact norms, have it as often as they "
        "say, by the binomial law at level {significance:g}; beside it, our probes",
        reads={
            "sampling": ("estimator", "value", "low", "high", "coverage", "repetitions"),
        },
        figures=("conditioning",),
        rule=sampling,
    ),
)
