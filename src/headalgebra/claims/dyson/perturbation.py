"""Section III.6: small updates, and the perturbation series that they are said to give."""

import numpy as np
import pandas as pd

from headalgebra.claims.bounds import Bound, by_placement, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, not_measured
from headalgebra.claims.statistics import numbers, share
from headalgebra.claims.study import Study

SIZES = {
    "update_ratio": "share of layers of small updates",
    "update_ratio_without_first": "share of layers of small updates, without the first token",
}
ERRORS = {
    "partial_error": "",
    "partial_error_without_first": ", without the first token",
}
"""Over all tokens, and without the first of each sequence, which may have most of the norm."""

SECOND_ORDER = 2

ABOVE_ROUNDING = 10.0
"""In float32 an error up to this times that of the sum of all orders, which is 0, is rounding."""


def small(study: Study) -> Finding:
    """Share of each model's layers whose update is small, by the place of its norms."""
    least, most = study.thresholds.share, study.thresholds.small_update

    def judge(models: list[str]) -> Finding:
        measured, beside = {}, []
        for model, rows in study.rows("states", models):
            n = len(rows)
            ratios = {called: numbers(rows[column]) for column, called in SIZES.items()}
            measured[model] = [
                share(model, called, int((sizes <= most).sum()), n)
                for called, sizes in ratios.items()
            ]
            beside += [
                Evidence(on=model, statistic=f"median |δx|/|x|{where}", value=value, n=n)
                for where, value in zip(
                    ERRORS.values(), map(float, map(np.median, ratios.values())), strict=True
                )
            ]
        return on_every_bound(
            [Bound(called=f"smallest {called}", limit=least) for called in SIZES.values()],
            measured,
            beside=beside,
            not_judged={},
            nothing=not_measured("no trained model of this kind"),
        )

    return by_placement(study, judge)


def perturbative(study: Study) -> Finding:
    """Whether the errors of partial sums fall from order 1 on, and soon, by the place of norms."""
    bounds = [
        bound
        for where in ERRORS.values()
        for bound in (
            Bound(
                called=f"largest error of the sum to second order{where}",
                limit=study.thresholds.truncation_error,
                at_most=True,
            ),
            Bound(called=f"smallest share of orders at which the error falls{where}", limit=1.0),
        )
    ]

    def judge(models: list[str]) -> Finding:
        measured, not_judged = {}, {}
        for model, rows in study.rows("dyson", models):
            orders = rows.set_index("order")
            if set(orders.index) != set(range(len(orders))):
                not_judged[model] = "orders are missing"
                continue
            if orders.index.max() <= SECOND_ORDER:
                not_judged[model] = f"{orders.index.max():g} blocks, and it takes three"
                continue
            measured[model] = [
                number
                for column, where in ERRORS.items()
                for number in _errors(model, orders[column], where, study)
            ]
        return on_every_bound(
            bounds,
            measured,
            not_judged=not_judged,
            nothing=not_measured("no trained model of this kind"),
        )

    return by_placement(study, judge)


def _errors(model: str, errors: pd.Series, where: str, study: Study) -> tuple[Evidence, Evidence]:
    """The error at second order, and the share of steps from an order to the next that lower it."""
    after_first = numbers(errors.loc[1:])
    # Where both are rounding, their order is an accident.
    rounding = study.thresholds.identity_residual
    if model in study.not_in_double:
        rounding = max(rounding, ABOVE_ROUNDING * after_first[-1])
    falls = np.diff(after_first) < 0
    falls |= np.maximum(after_first[1:], after_first[:-1]) <= rounding
    statistic = f"share of orders at which the error falls{where}"
    return (
        Evidence(
            on=model,
            statistic=f"error of the sum to second order{where}",
            value=float(errors.loc[SECOND_ORDER]),
            n=int(errors.index.max()),
        ),
        Evidence(on=model, statistic=statistic, value=float(falls.mean()), n=len(falls)),
    )


CLAIMS = (
    Claim(
        id="dyson-small",
        title="Updates are small",
        section="III.6",
        statement="each layer's update is small against the state that it is added to",
        paper_value="small",
        criterion="|δx|/|x| ≤ {small_update:g} in at least {share:.0%} of the layers of every "
        "trained model, over all tokens, and as the median over tokens with the first of each "
        "sequence left out; models that normalise before a block's parts (pre-norm, of which the "
        "paper speaks) and after their sum (post-norm, which it writes) apart",
        reads={"states": tuple(SIZES), "runs": ("norm_placement",)},
        figures=("saturation",),
        rule=small,
    ),
    Claim(
        id="dyson-perturbative",
        title="Depth is a perturbation series",
        section="III.6, IV",
        statement="so the expansion in orders of the layers' updates is a valid perturbation "
        "series",
        paper_value="a valid approximation",
        criterion="the error of the sum to order m falls with m from m = 1 on, unless it is "
        "rounding, and is at most {truncation_error:g} at m = 2, relative to the last state, in "
        "every trained model, over all tokens and with the first of each sequence left out; "
        "pre-norm and post-norm models apart",
        reads={"dyson": ("order", *ERRORS), "runs": ("norm_placement", "dtype")},
        figures=("orders",),
        rule=perturbative,
    ),
)
