"""Claims on dense and sampled extraction: methods, judged on any layers (section 4)."""

import numpy as np
import pandas as pd
from scipy import stats

from headalgebra.claims._claim import (
    NOT_MEASURED,
    Claim,
    Finding,
    Study,
    layers_counted,
    magnitude,
    numbers,
    shown,
    verdict_if,
)
from headalgebra.claims.linf._paper import FEASIBLE_DIMENSION, INFEASIBLE_SIZE, SAMPLES_OF_HOURS

CONFIDENCE = 0.95
"""Level of every interval in the tables."""

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
    completed = [bool(done) for done in tried["completed"]]
    texts = [
        f"random layer, n = {run['n']}, d = {run['d_model']}: "
        + (f"completed, holding {run['bytes'] / 1e9:.2f} GB" if done else "out of memory")
        for done, run in zip(completed, tried.to_dict("records"), strict=True)
    ]
    layers = study.tables["layers"]
    large = layers["route"].isin(["dense", "mixed"]) & layers["obstruction_rms"].notna()
    large &= (layers["basis_dim"] >= n) & (layers["d_model"] >= d)
    for model, rows in layers[large].groupby("model", sort=False):
        completed.append(True)
        texts.append(f"{model}: completed for {layers_counted(len(rows))}")
    if not completed:
        return Finding(NOT_MEASURED, f"no dense extraction with n ≥ {n} and d ≥ {d} was tried")
    texts.append(f"n² d² numbers would be {8 * n**2 * d**2 / 1e9:.2f} GB")
    return Finding(verdict_if(not any(completed)), "; ".join(texts))


def cost(study: Study) -> Finding:
    """Times against minutes and hours, in words, since they differ from run to run.

    Those of the processor: on one core it is the wall time without what else the machine does.
    """
    runs = study.tables["feasibility"]
    runs = runs[runs["completed"].astype(bool) & runs["cpu_s"].notna()]
    small = runs[(runs["route"] == "dense") & (runs["n"] <= FEASIBLE_DIMENSION)]
    probed = runs[(runs["route"] == "probes") & (runs["n_triples"] > 0)]
    if small.empty or probed.empty:
        return Finding(NOT_MEASURED, "no timed run of dense extraction and of sampling")
    dense = small.sort_values("cpu_s").iloc[-1]
    census = probed.iloc[0]
    samples = census["cpu_s"] / census["n_triples"] * SAMPLES_OF_HOURS
    measured = (
        f"random layers, d = {dense['d_model']}, one core: dense at n = {dense['n']} takes "
        f"{_duration(dense['cpu_s'])}, {SAMPLES_OF_HOURS:,} triples at the rate of "
        f"{census['n_probes']} probes would take {_duration(samples)}; all there are at "
        f"n = {census['n']}, {census['n_triples']}, take {_duration(census['cpu_s'])}"
    )
    return Finding(verdict_if(dense["cpu_s"] >= MINUTE and samples >= HOUR), measured)


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
    texts, as_predicted, lacking = [], [], []
    for band, method in BETTER_METHOD.items():
        here = (cases["conditioning"] == band).to_numpy() & known
        if not here.any():
            lacking.append(band)
            continue
        dense, sampled = dense_error[here], sampled_error[here]
        dense_nearer = int((dense < sampled).sum())
        n = len(dense)
        nearer = dense_nearer if method == "dense" else n - dense_nearer
        as_predicted.append(nearer >= study.thresholds.share * n)
        texts.append(
            f"{band}: error up to {magnitude(dense.max())} dense, {shown(sampled.max())} sampled, "
            f"dense nearer in {dense_nearer} of {n}"
        )
    texts += _mixed_layers(study)
    if lacking:
        return Finding(NOT_MEASURED, "; ".join([f"no case {' or '.join(lacking)}", *texts]))
    return Finding(verdict_if(all(as_predicted)), "constructed layers, " + "; ".join(texts))


def _mixed_layers(study: Study) -> list[str]:
    """How far apart the methods are on a study's own layers that went both ways, by band."""
    pairs = _both_ways(study)
    pairs = pairs[pairs["estimator"].isin(PROBES)]
    bands = study.tables["layers"][["model", "layer", "conditioning"]]
    pairs = pairs.merge(bands, on=["model", "layer"])
    return [
        f"the study's own, {band}: methods apart by up to "
        f"{shown(np.abs(numbers(rows['value'] / rows['dense']) - 1).max())} in "
        f"{layers_counted(len(rows))}"
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
    texts, within, n = [], 0, 0
    uniform = cases.assign(low=cases["uniform_low"], high=cases["uniform_high"])
    for elements, rows in uniform.groupby("elements", sort=False):
        k, of = _coverage(rows)
        within, n = within + k, n + of
        texts.append(f"{k} of {of} {elements}")
    if not n:
        return Finding(NOT_MEASURED, "no layer went both ways")
    p_value = _binomial(within, n)
    measured = (
        f"dense values inside the intervals of uniform tuples: {within} of {n} constructed layers, "
        f"{CONFIDENCE * n:.1f} expected (p = {magnitude(p_value)}; by elements "
        f"{', '.join(texts)})"
    )
    ours = own["estimator"].isin(PROBES)
    probes = pd.concat([cases[["dense", "low", "high"]], own.loc[ours, ["dense", "low", "high"]]])
    k, of = _coverage(probes)
    measured += (
        f"; of probes: {k} of {of} layers, {int(ours.sum())} of them the study's own "
        f"(p = {shown(_binomial(k, of))})"
    )
    if (drawn := own["estimator"] == "uniform").any():
        k, of = _coverage(own[drawn])
        measured += f"; of uniform tuples with norms by probes, {k} of {of} of the study's own"
    return Finding(verdict_if(p_value >= study.thresholds.significance), measured)


def _coverage(estimates: pd.DataFrame) -> tuple[int, int]:
    """How many dense values lie in their intervals, of how many that have both."""
    known = estimates[["dense", "low", "high"]].dropna()
    return int(known["dense"].between(known["low"], known["high"]).sum()), len(known)


def _binomial(k: int, n: int) -> float:
    """How likely coverage so far from 95 % would be, two-sided; 1 where nothing was compared."""
    return float(stats.binomtest(k, n, CONFIDENCE).pvalue) if n else 1.0


CLAIMS = (
    Claim(
        id="dense-limit",
        section="4",
        statement="dense extraction is out of reach beyond a basis of six; n = 10 at d = 512 "
        "exceeds memory",
        paper_value="n² d² numbers, 0.2 GB in float64",
        criterion="no dense extraction of that size or more completes here",
        evidence="feasibility.csv: completed, bytes, peak_rss_bytes; layers.csv: route, basis_dim",
        judge=dense_limit,
    ),
    Claim(
        id="cost",
        section="4",
        statement="dense extraction takes minutes up to a basis of six, sampling hours",
        paper_value="minutes for n ≤ 6, hours for about 10⁶ samples",
        criterion="a minute or more for the former and an hour or more for the latter, of one core "
        "of this machine, which is not the paper's",
        evidence="feasibility.csv: cpu_s, wall_s, which have the seconds",
        judge=cost,
    ),
    Claim(
        id="conditioning",
        section="4",
        statement="the band of κ tells which method to trust: dense below, sampled where it is "
        "poor",
        paper_value="κ < 100 well, < 1000 moderate, from 1000 poor",
        criterion="the method that the paper takes in a band is the nearer to the exact value in "
        "at least {share:.0%} of the constructed layers of n ≤ 6, in every band",
        evidence="conditioning.csv: dense_error, sampled_error; sampling.csv: value",
        figures=("conditioning", "singular_values"),
        judge=conditioning,
    ),
    Claim(
        id="sampling",
        section="4",
        statement="the Monte Carlo estimate agrees with the dense value",
        paper_value="within its interval",
        criterion="dense values of constructed layers inside the 95 % intervals of the paper's "
        "uniform tuples, with exact norms, as often as the binomial law has it at level "
        "{significance:g}; beside it, our probes, and the study's own layers that went both ways",
        evidence="conditioning.csv: dense, low, high, uniform_low, uniform_high; sampling.csv: "
        "low, high",
        figures=("conditioning",),
        judge=sampling,
    ),
)
