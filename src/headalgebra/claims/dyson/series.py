"""Section IV: depth as a Dyson series, and norms as what keeps it stable."""

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import TRUE_OF_ANYTHING, Evidence, Finding
from headalgebra.claims.quantities import by, lacking
from headalgebra.claims.rules import on_identity
from headalgebra.claims.statistics import numbers
from headalgebra.claims.study import Study


def product(study: Study) -> Finding:
    """How far frozen blocks, and the sum of all orders, are from the states that they give."""
    found, doubts, not_judged = [], [], {}
    replays = dict(study.rows("guards"))
    rough = study.not_in_double
    for model, rows in study.rows("dyson"):
        if model in rough:
            not_judged[model] = rough[model]
            continue
        if model not in replays:
            not_judged[model] = "no replay of its frozen blocks"
            continue
        replay = numbers(replays[model]["value"])
        last = rows.iloc[-1]
        residuals = {
            "largest relative residual of a frozen block": float(replay.max()),
            "relative residual of the sum of all orders": float(last["partial_error"]),
        }
        n = int(last["order"])
        for statistic, value in residuals.items():
            found.append(Evidence(on=model, statistic=statistic, value=value, n=n))
            if not value <= study.thresholds.identity_residual:
                doubts.append(f"{model}: {statistic} is {value:.2g}")
    return on_identity(
        study,
        TRUE_OF_ANYTHING,
        "largest relative residual of frozen blocks and of the sum of all orders",
        found,
        doubts=doubts,
        not_judged=not_judged,
        nothing=study.nothing_measured.note,
    )


GAINS = {
    "first_scales_gain": "",
    "first_scales_gain_without_first": ", without the first token",
}
"""By quantity, of which tokens."""


def without_norms(study: Study) -> Finding:
    """Size of the last state over the recorded one, all norms with the first block's scales."""
    called = "|x_L| over the recorded one with the first block's scales"
    measured, not_judged = {}, {}
    for model, rows in study.rows("geometry"):
        if why := lacking(rows, list(GAINS)):
            not_judged[model] = why
            continue
        layers = by(rows, ("layer",), list(GAINS))
        n = len(layers)
        measured[model] = [
            Evidence(on=model, statistic=called + where, value=float(layers[name].iloc[-1]), n=n)
            for name, where in GAINS.items()
        ]
    limit = study.thresholds.growth_without_norms
    return on_every_bound(
        [
            Bound(called=f"smallest {called}{where}", limit=limit, beyond=True)
            for where in GAINS.values()
        ],
        measured,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


CLAIMS = (
    Claim(
        id="dyson-product",
        title="The forward pass is a product, and a sum over orders",
        section="IV",
        statement="the forward pass is the ordered product of 1 + V_l over the layers, and its "
        "expansion a sum over all orders of them",
        paper_value="Eqs. 6 and 7",
        criterion="a block at its own input is a linear map with an offset once its attention, "
        "the scales of its norms and its gates are held, and a product of such maps expands "
        "exactly, so true of anything; borne out where frozen blocks and the sum of all orders "
        "give the recorded states to {identity_residual:g} in every trained model run in float64",
        identity="∏(1 + V_l) = Σ_k T_k",
        reads={
            "dyson": ("order", "partial_error"),
            "guards": ("guard", "value"),
            "runs": ("kind", "dtype"),
        },
        quantities=("replay",),
        figures=("orders",),
        rule=product,
    ),
    Claim(
        id="dyson-norm",
        title="Norms keep the series stable",
        section="IV.1",
        statement="normalisation maps the series back to a manifold of unit variance: without its "
        "rescaling the norm of the states would leave it",
        paper_value="convergence where series without it diverge",
        criterion="frozen blocks whose norms keep the scales that they had for each token in the "
        "first block give a last state more than {growth_without_norms:g} times the recorded one, "
        "over all tokens and with the first of each sequence left out, in every trained model",
        reads={"geometry": ("quantity", "value", "note")},
        quantities=tuple(GAINS),
        figures=("norm_ablation",),
        rule=without_norms,
    ),
)
