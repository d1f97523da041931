"""Section 4: dense and sampled extraction, methods that are judged on any layers."""

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import (
    Evidence,
    Finding,
    not_measured,
    verdict_if,
    weakest,
)
from headalgebra.claims.linf.paper import FEASIBLE_DIMENSION, INFEASIBLE_SIZE, SAMPLES_OF_HOURS
from headalgebra.claims.statistics import CONFIDENCE, numbers, share
from headalgebra.claims.study import Study

MINUTE, HOUR = 60.0, 3600.0

BETTER_METHOD = {"well": "dense", "moderate": "dense", "poor": "sampled"}
"""Which method the paper takes for a small basis in each band, and checks in the middle one."""

PROBES = ("probes", "weighted")
"""Our estimators in the sampling table."""


def dense_limit(study: Study) -> Finding:
    """Whether dense extraction of the size that is said to be out of reach completes."""
    n, d = INFEASIBLE_SIZE
    runs = study.tables["feasibility"]
    tried = runs[(runs["route"] == "dense") & (runs["n"] >= n) & (runs["d_model"] >= d)]
    done = tried["completed"].astype(bool)
    made = [
        f"random layer of n = {run['n']} and d = {run['d_model']}"
        for run in tried.to_dict("records")
    ]
    evidence = [
        Evidence(on=layer, statistic="GB held by a completed extraction", value=size / 1e9, n=1)
        for layer, size, completed in zip(made, tried["bytes"], done, strict=True)
        if completed
    ]
    layers = study.tables["layers"]
    large = layers["route"].isin(["dense", "mixed"]) & layers["obstruction_rms"].notna()
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
        note=f"n² d² numbers would be {8 * n**2 * d**2 / 1e9:.2f} GB",
    )


def cost(study: Study) -> Finding:
    """Times against minutes and hours, in words, since seconds differ from run to run.

    Those of the processor: on one core it is the wall time without what else the machine does.
    """
    runs = study.tables["feasibility"]
    runs = runs[runs["completed"].astype(bool) & runs["cpu_s"].notna()]
    small = runs[(runs["route"] == "dense") & (runs["n"] <= FEASIBLE_DIMENSION)]
    probed = runs[(runs["route"] == "probes") & (runs["n_triples"] > 0)]
    if small.empty or probed.empty:
        return not_measured("no timed run of dense extraction and of sampling")
    dense = small.sort_values("cpu_s").iloc[-1]
    census = probed.iloc[0]
    samples = census["cpu_s"] / census["n_triples"] * SAMPLES_OF_HOURS
    note = (
        f"of a random layer with d = {dense['d_model']}, on one core: dense extraction with "
        f"n = {dense['n']} takes {_duration(dense['cpu_s'])}; the {census['n_triples']} triples "
        f"of n = {census['n']}, with {census['n_probes']} probes, take "
        f"{_duration(census['cpu_s'])}, and {SAMPLES_OF_HOURS:,} at that rate would take "
        f"{_duration(samples)}; feasibility.csv has the seconds"
    )
    verdict = verdict_if(bool(dense["cpu_s"] >= MINUTE and samples >= HOUR))
    return Finding(verdict=verdict, note=note)


def _duration(seconds: float) -> str:
    if seconds < MINUTE:
        return "under a minute"
    return "under an hour" if seconds < HOUR else "an hour or more"


def conditioning(study: Study) -> Finding:
    """Which method is nearer the truth in each band, on layers made to have a known truth."""
    cases = study.tables["conditioning"]
    dense_error, sampled_error = (numbers(cases[name]) for name in ("dense_error", "sampled_error"))
    known = np.isfinite(dense_error) & np.isfinite(sampled_error)
    known &= (cases["n"] <= FEASIBLE_DIMENSION).to_numpy()
    deciding, beside, lacking = [], [], []
    for band, method in BETTER_METHOD.items():
        here = (cases["conditioning"] == band).to_numpy() & known
        if not here.any():
            lacking.append(band)
            continue
        dense, sampled = dense_error[here], sampled_error[here]
        nearer = dense < sampled if method == "dense" else dense >= sampled
        made = f"constructed layers ({band})"
        n = len(dense)
        deciding.append(share(made, f"share in which {method} is nearer", int(nearer.sum()), n))
        errors = (("largest error, dense", dense), ("largest error, sampled", sampled))
        beside += [
            Evidence(on=made, statistic=statistic, value=float(error.max()), n=n)
            for statistic, error in errors
        ]
    beside += _mixed_layers(study)
    if lacking:
        return not_measured(f"no case {' or '.join(lacking)}", (*deciding, *beside))
    least = weakest(deciding, "smallest share of a band's layers as predicted")
    return Finding(
        verdict=verdict_if(least.value >= study.thresholds.share),
        deciding=replace(least, on="constructed layers"),
        evidence=(*deciding, *beside),
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
            value=float(np.abs(numbers(rows["value"] / rows["dense"]) - 1).max()),
            n=len(rows),
        )
        for band, rows in pairs.groupby("conditioning", sort=True)
    ]


def _both_ways(study: Study) -> pd.DataFrame:
    """Sampled estimates of layers whose dense value is known, with that value."""
    sampling = study.tables["sampling"]
    dense = sampling[sampling["estimator"] == "dense"][["model", "layer", "value"]]
    estimates = sampling[sampling["estimator"] != "dense"]
    return estimates.merge(dense.rename(columns={"value": "dense"}), on=["model", "layer"]).dropna(
        subset=["dense", "low", "high"]
    )


def sampling(study: Study) -> Finding:
    """Coverage of the intervals, of the paper's estimator and of ours."""
    cases, own = study.tables["conditioning"], _both_ways(study)
    uniform = cases.assign(low=cases["uniform_low"], high=cases["uniform_high"])
    of_tuples = _coverage("constructed layers", "uniform tuples", uniform)
    if of_tuples is None:
        return not_measured("no layer went both ways")
    by_elements = [
        _coverage(f"constructed layers ({elements} elements)", "uniform tuples", rows)
        for elements, rows in uniform.groupby("elements", sort=False)
    ]
    by_probes = own[own["estimator"].isin(PROBES)]
    by_tuples = own[own["estimator"] == "uniform"]
    beside = [
        *by_elements,
        _coverage("constructed layers", "probes", cases),
        _coverage("the study's own layers", "probes", by_probes),
        _coverage("the study's own layers", "uniform tuples with norms by probes", by_tuples),
    ]
    within = round(of_tuples.value * of_tuples.n)
    p_value = float(stats.binomtest(within, of_tuples.n, CONFIDENCE).pvalue)
    return Finding(
        verdict=verdict_if(p_value >= study.thresholds.significance),
        deciding=of_tuples,
        evidence=tuple(measured for measured in (of_tuples, *beside) if measured is not None),
        note=f"were the intervals right, coverage as far from {CONFIDENCE:.0%} would have "
        f"probability {p_value:.0e}",
    )


def _coverage(on: str, of: str, estimates: pd.DataFrame) -> Evidence | None:
    """How often dense values lie in their intervals, where both are known."""
    known = estimates[["dense", "low", "high"]].dropna()
    if known.empty:
        return None
    within = int(known["dense"].between(known["low"], known["high"]).sum())
    return share(on, f"share of values inside the intervals of {of}", within, len(known))


CLAIMS = (
    Claim(
        id="dense-limit",
        title="Dense extraction beyond six",
        section="4",
        statement="dense extraction is out of reach beyond a basis of six; n = 10 at d = 512 "
        "exceeds memory",
        paper_value="n² d² numbers, 0.2 GB in float64",
        criterion="no dense extraction of that size or more completes here",
        rests_on="feasibility.csv: completed, bytes, peak_rss_bytes; layers.csv: route, basis_dim",
        judge=dense_limit,
        of_trained_models=False,
    ),
    Claim(
        id="cost",
        title="Minutes and hours",
        section="4",
        statement="dense extraction takes minutes up to a basis of six, sampling hours",
        paper_value="minutes for n ≤ 6, hours for about 10⁶ samples",
        criterion="a minute or more for the former and an hour or more for the latter, of one core "
        "of this machine, which is not the paper's",
        rests_on="feasibility.csv: cpu_s, wall_s, which have the seconds",
        judge=cost,
        of_trained_models=False,
    ),
    Claim(
        id="conditioning",
        title="κ tells which method to trust",
        section="4",
        statement="the band of κ tells which method to trust: dense below, sampled where it is "
        "poor",
        paper_value="κ < 100 well, < 1000 moderate, from 1000 poor",
        criterion="the method that the paper takes in a band is the nearer to the exact value in "
        "at least {share:.0%} of the constructed layers of n ≤ 6, in every band",
        rests_on="conditioning.csv: dense_error, sampled_error; sampling.csv: value",
        figures=("conditioning", "singular_values"),
        judge=conditioning,
        of_trained_models=False,
    ),
    Claim(
        id="sampling",
        title="Sampling agrees with dense extraction",
        section="4",
        statement="the Monte Carlo estimate agrees with the dense value",
        paper_value="within its interval",
        criterion="dense values of constructed layers inside the 95 % intervals of the paper's "
        "uniform tuples, with exact norms, as often as the binomial law has it at level "
        "{significance:g}; beside it, our probes, and the study's own layers that went both ways",
        rests_on="conditioning.csv: dense, low, high, uniform_low, uniform_high; sampling.csv: "
        "low, high",
        figures=("conditioning",),
        judge=sampling,
        of_trained_models=False,
    ),
)
