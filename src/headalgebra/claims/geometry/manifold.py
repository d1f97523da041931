"""Section 3.1: norms as projections to a sphere, and linear maps on it."""

from dataclasses import replace

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import (
    NOT_MEASURED,
    TRUE_OF_ANYTHING,
    Evidence,
    Finding,
    not_measured,
    smallest,
)
from headalgebra.claims.quantities import by, lacking
from headalgebra.claims.rules import FAILED, on_identity
from headalgebra.claims.study import Study

NEEDED = ("takes_mean_off", "mean_square", "shortened", "mean_square_sd")
LAMBDA_1 = "lambda_1"
"""Of every norm, and of those that see enough tokens."""


def sphere(study: Study) -> Finding:
    """How far the norms' vectors are from a sphere, and from a hyperplane where they have one."""
    found, beside, doubts, not_judged, told = [], [], [], {}, []
    for model, rows in study.rows("geometry"):
        if why := lacking(rows, NEEDED):
            not_judged[model] = why
            continue
        norms = by(rows, ("layer", "norm"), (*NEEDED, LAMBDA_1))
        n = len(norms)
        from_sphere = (norms["mean_square"] - norms["shortened"]).abs().max()
        residuals = [("largest difference of |z|²/d from var/(var + ε)", float(from_sphere), n)]
        in_hyperplane = norms[norms["takes_mean_off"] == 1]
        from_plane = in_hyperplane[LAMBDA_1].dropna().abs()
        if len(from_plane):
            called = "largest share of the median variance across the hyperplane"
            residuals.append((called, float(from_plane.max()), len(from_plane)))
        elif len(in_hyperplane):
            told.append(f"{model}: too few tokens to see its hyperplane")
        if not len(in_hyperplane):
            told.append(f"{model}: a sphere alone, its norms take no mean off")
        for statistic, value, of in residuals:
            found.append(Evidence(on=model, statistic=statistic, value=value, n=of))
            if value > study.thresholds.identity_residual:
                doubts.append(f"{model}: {statistic} is {value:.2g}")
        for statistic, value in (
            ("smallest factor var/(var + ε) of |z|²/d", norms["shortened"].min()),
            ("largest standard deviation of |z|²/d over tokens", norms["mean_square_sd"].max()),
        ):
            beside.append(Evidence(on=model, statistic=statistic, value=float(value), n=n))
    finding = on_identity(
        study,
        TRUE_OF_ANYTHING,
        "largest residual of the sphere and of the hyperplane",
        found,
        doubts=doubts,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured.note,
    )
    return replace(finding, note="; ".join(filter(None, (finding.note, *told))))


BEYOND_AFFINE = "query_beyond_affine"


def non_linear(study: Study) -> Finding:
    """How much of the queries no affine map of the sphere's coordinates explains."""
    if study.counted.empty:
        return study.nothing_counts
    statistic = "share of a head's queries beyond an affine map of the sphere's coordinates"
    found, beside, doubts, not_judged = [], [], [], {}
    for model, rows in study.rows("geometry"):
        shares = by(rows, ("layer", "head"), (BEYOND_AFFINE,))[BEYOND_AFFINE].dropna()
        if shares.empty:
            not_judged[model] = lacking(rows, (BEYOND_AFFINE,))
            continue
        least, n = float(shares.min()), len(shares)
        found.append(Evidence(on=model, statistic=f"smallest {statistic}", value=least, n=n))
        beside += [
            Evidence(on=model, statistic=f"{which} {statistic}", value=float(value), n=n)
            for which, value in (("mean", shares.mean()), ("largest", shares.max()))
        ]
        if least <= study.thresholds.identity_residual:
            doubts.append(f"{model}: {statistic} is {least:.2g} in a head")
    aside = [f"{model}: {why}" for model, why in not_judged.items()]
    if not found:
        return not_measured("; ".join(aside) or study.nothing_measured.note)
    failed = [FAILED + "; ".join(doubts)] if doubts else []
    return Finding(
        verdict=NOT_MEASURED if doubts else TRUE_OF_ANYTHING,
        deciding=smallest(found, f"smallest {statistic}"),
        evidence=(*found, *beside),
        note="; ".join([*failed, *aside]),
    )


CLAIMS = (
    Claim(
        id="geometry-manifold",
        title="Norms project to a sphere in a hyperplane",
        section="3.1",
        statement="LayerNorm, before its gain and shift, puts every state on a sphere of radius "
        "√d in the hyperplane of mean 0",
        paper_value="d − 2 dimensions",
        criterion="division by the deviation makes it so of any vector, so true of anything, on a "
        "sphere that the norm's ε shortens by var/(var + ε); RMSNorm, which takes no mean off, "
        "gives the sphere alone; borne out where the mean of |z|²/d is that of this factor, and "
        "where tokens are enough the smallest eigenvalue of a LayerNorm's covariance 0 beside the "
        "median, to {identity_residual:g} in every norm of every trained model",
        identity="Σ z_i = 0, |z|²/d = var/(var + ε)",
        reads={"geometry": ("norm", "quantity", "value", "note")},
        quantities=(*NEEDED, LAMBDA_1),
        figures=("norms",),
        rule=sphere,
    ),
    Claim(
        id="geometry-nonlinear",
        title="Linear maps are not linear on the sphere",
        section="3.1",
        statement="maps that are linear in the space around act as non-linear ones on the "
        "coordinates of the sphere in it",
        paper_value="powerfully non-linear",
        criterion="a coordinate that the others give only up to a root makes it so of any map that "
        "does not lose it, so true of anything; borne out where no affine map of the other "
        "coordinates explains all of a head's queries, in every head of every trained model whose "
        "queries are made from a norm's output; how much is left, a share of their variance, is "
        "shown, and whether the model gains by it is not",
        identity="z_p = ±√(|z|² − |u|²), u the other coordinates",
        reads={"geometry": ("head", "quantity", "value", "note")},
        quantities=(BEYOND_AFFINE,),
        rule=non_linear,
    ),
)
