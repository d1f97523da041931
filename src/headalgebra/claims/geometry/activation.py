"""Section 4.2: the activation as a filter, and as what shortens descriptions."""

import pandas as pd

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding
from headalgebra.claims.quantities import by, lacking
from headalgebra.claims.statistics import numbers
from headalgebra.claims.study import Study

OFF = ("off_share", "off_share_se")


def discards(study: Study) -> Finding:
    """Smallest share of a layer's activation inputs below 0, less its standard errors."""
    k = study.thresholds.standard_errors
    called = f"share of u < 0 in a layer less {k:g} standard errors"
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("geometry"):
        if why := lacking(rows, OFF):
            not_judged[model] = why
            continue
        layers = by(rows, ("layer",), OFF)
        n = len(layers)
        least = float((layers["off_share"] - k * layers["off_share_se"]).min())
        measured[model] = [Evidence(on=model, statistic=f"smallest {called}", value=least, n=n)]
        nulls = numbers(rows["null"][rows["quantity"] == "off_share"].dropna())
        for statistic, values in (
            ("mean share of u < 0", numbers(layers["off_share"])),
            ("the same of Gaussian u of each unit's mean and variance", nulls),
        ):
            if len(values):
                mean, of = float(values.mean()), len(values)
                beside.append(Evidence(on=model, statistic=statistic, value=mean, n=of))
    return on_every_bound(
        [Bound(called=f"smallest {called}", limit=study.thresholds.off_share, beyond=True)],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


BITS = ("bits_before", "bits_after")


def shortens(study: Study) -> Finding:
    """Bits that the activation takes from an entry, and how many more than from Gaussian ones."""
    falls = "fall of bits an entry in a layer"
    more = f"{falls} beyond that of Gaussian u"
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("geometry"):
        values, nulls = (_fall(rows, column) for column in ("value", "null"))
        if why := lacking(rows, BITS):
            not_judged[model] = why
            continue
        if nulls.isna().any():
            not_judged[model] = "no null of its bits"
            continue
        n = len(values)
        beyond = values - nulls
        measured[model] = [
            Evidence(on=model, statistic=f"smallest {falls}", value=float(values.min()), n=n),
            Evidence(on=model, statistic=f"smallest {more}", value=float(beyond.min()), n=n),
        ]
        before = by(rows, ("layer",), BITS)["bits_before"]
        for statistic, mean in (
            ("mean bits of an entry of u", before.mean()),
            (f"mean {falls}", values.mean()),
            (f"mean {more}", beyond.mean()),
        ):
            beside.append(Evidence(on=model, statistic=statistic, value=float(mean), n=n))
    return on_every_bound(
        [
            Bound(called=f"smallest {falls}", limit=0.0, beyond=True),
            Bound(called=f"smallest {more}", limit=0.0, beyond=True),
        ],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


def _fall(rows: pd.DataFrame, column: str) -> pd.Series:
    """By layer, the bits before the activation less those after it."""
    layers = by(rows.assign(value=rows[column]), ("layer",), BITS)
    return layers["bits_before"] - layers["bits_after"]


CLAIMS = (
    Claim(
        id="geometry-filter",
        title="The activation discards",
        section="4.2",
        statement="the first linear map of a feed-forward part puts what is irrelevant to a token "
        "where the activation is off, and that is a large part of the coordinates",
        paper_value="a large portion",
        criterion="read as most: the share of u < 0, u what enters the activation, is above "
        "{off_share:g} by {standard_errors:g} standard errors over sequences in every layer of "
        "every trained model; that what is off is irrelevant is not tested",
        reads={"geometry": ("quantity", "value", "null", "note")},
        quantities=OFF,
        figures=("filter",),
        rule=discards,
    ),
    Claim(
        id="geometry-complexity",
        title="The activation shortens the description",
        section="4.2",
        statement="the activation reduces the complexity of what it is given, as the length of its "
        "shortest description",
        paper_value="a reduction",
        criterion="no description is known to be the shortest, and the entropy of entries, "
        "quantised in one fixed step, stands for its length: that of the activation's output is "
        "below that of its input, by more than where the input is Gaussian with each unit's mean "
        "and variance, in every layer of every trained model",
        reads={"geometry": ("quantity", "value", "null", "note")},
        quantities=BITS,
        figures=("filter",),
        rule=shortens,
    ),
)
