"""Section 6: what a covariance matrix shows of norms, and the renormalisation group."""

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, not_measured
from headalgebra.claims.quantities import by, lacking
from headalgebra.claims.statistics import numbers
from headalgebra.claims.study import Study

EIGENVALUES = ("takes_mean_off", "lambda_1", "lambda_2", "lambda_3", "nulled")


def two_nulls(study: Study) -> Finding:
    """The second smallest eigenvalue of normalised states' covariance, in LayerNorms."""
    if study.counted.empty:
        return study.nothing_counts
    statistic = "second smallest eigenvalue over the median, in a LayerNorm"
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("geometry"):
        kinds = by(rows, ("layer", "norm"), EIGENVALUES)
        if kinds.empty:
            not_judged[model] = "no norm was seen"
            continue
        centred = kinds[kinds["takes_mean_off"] == 1]
        if centred.empty:
            not_judged[model] = "none of its norms takes the mean off"
            continue
        places = rows.set_index(["layer", "norm"])
        of_layer_norms = places[places.index.isin(centred.index)].reset_index()
        if why := lacking(of_layer_norms, EIGENVALUES):
            not_judged[model] = why
            continue
        n = len(centred)
        second = Evidence(
            on=model, statistic=f"largest {statistic}", value=float(centred["lambda_2"].max()), n=n
        )
        measured[model] = [second]
        beside += [
            Evidence(on=model, statistic=called, value=float(value), n=n)
            for called, value in (
                (f"smallest {statistic}", centred["lambda_2"].min()),
                ("largest first eigenvalue over the median", centred["lambda_1"].max()),
                ("smallest third eigenvalue over the median", centred["lambda_3"].min()),
                ("most eigenvalues that are none in a LayerNorm", centred["nulled"].max()),
            )
        ]
        of_second = of_layer_norms["quantity"] == "lambda_2"
        nulls = numbers(of_layer_norms["null"][of_second].dropna())
        if len(nulls):
            called = "the second eigenvalue of as many isotropic states, mean"
            mean = float(nulls.mean())
            beside.append(Evidence(on=model, statistic=called, value=mean, n=len(nulls)))
    return on_every_bound(
        [
            Bound(
                called=f"largest {statistic}",
                limit=study.thresholds.second_eigenvalue,
                at_most=True,
            )
        ],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


CLAIMS = (
    Claim(
        id="geometry-two-nulls",
        title="Two eigenvalues are null",
        section="6",
        statement="the covariance matrix of normalised states has two eigenvalues orders of "
        "magnitude below all others, one for the mean of 0 and one for the constant norm",
        paper_value="two",
        criterion="the second smallest eigenvalue is at most {second_eigenvalue:g} of the median "
        "one in every LayerNorm of every trained model, before gain and shift, over at least 16 "
        "tokens for each dimension; the argument itself an identity refutes: a mean of 0 is linear "
        "in z and nulls one direction, while a constant norm is quadratic, fixes the trace of "
        "E zzᵀ and nulls none, so that a second one would be the model's doing",
        identity="tr E zzᵀ = E|z|²",
        reads={"geometry": ("norm", "quantity", "value", "null", "note")},
        quantities=EIGENVALUES,
        figures=("norms",),
        rule=two_nulls,
    ),
    Claim(
        id="geometry-rg",
        title="A block is a step of a renormalisation group",
        section="6",
        statement="the cycle of norm, attention and feed-forward part is isomorphic to a flow of "
        "the renormalisation group",
        paper_value="an isomorphism",
        criterion="none here: the paper defines no map that makes states coarser and no fixed "
        "point that a flow could have",
        rule=lambda _: not_measured("no coarse-graining map and no fixed point are defined"),
        of_trained_models=False,
    ),
)
