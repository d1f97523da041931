"""Section 3.3: norms as what tames the drift of states under a sliding window."""

import pandas as pd

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, not_measured
from headalgebra.claims.statistics import numbers
from headalgebra.claims.study import Study

GROWTH = "drift of the last state at the largest offset over that at half of it"
AFTER = "drift after a norm over that before it, at the largest offset"


def but_encoders(study: Study) -> list[str]:
    """Models that count and are not known to be encoders, of which there is no drift."""
    encoders = study.of_kind("kind", "encoder")
    return [model for model in study.counted["model"] if model not in encoders]


def tamed(study: Study) -> Finding:
    """How drift grows with the offset at the last layer, and what norms make of it, in decoders."""
    if study.counted.empty:
        return study.nothing_counts
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("drift", study.of_kind("kind", "decoder")):
        there = rows.assign(median=numbers(rows["median"])).dropna(subset="median")
        if there.empty:
            notes = rows["note"].dropna().astype(str)
            not_judged[model] = "; ".join(dict.fromkeys(filter(None, notes))) or "no drift"
            continue
        before, after = (_by_offset(there[there["place"] == it]) for it in ("before", "after"))
        *_, half, most = (0.0, 0.0, *sorted(map(float, before.columns)))
        if not half or half != most // 2:
            not_judged[model] = "no offset of the window and its half"
            continue
        last = before.iloc[-1]
        read = after[most].dropna() if most in after else pd.Series(dtype=float)
        moving = read[before.loc[read.index, most] > 0]
        if moving.empty or not last[half] > 0:
            not_judged[model] = "no state that drifts and is read by a norm"
            continue
        norms = moving / before.loc[moving.index, most]
        measured[model] = [
            Evidence(on=model, statistic=GROWTH, value=float(last[most] / last[half]), n=1),
            Evidence(
                on=model, statistic=f"largest {AFTER}", value=float(norms.max()), n=len(norms)
            ),
        ]
        beside += [
            Evidence(on=model, statistic=statistic, value=float(value), n=1)
            for statistic, value in (
                (f"median drift of the last state at offset {most:g}", last[most]),
                (f"median drift of the first state at offset {most:g}", before.iloc[0][most]),
            )
        ]
    return on_every_bound(
        [
            Bound(
                called=f"largest {GROWTH}",
                limit=study.thresholds.drift_saturation,
                at_most=True,
            ),
            Bound(called=f"largest {AFTER}", limit=1.0, at_most=True),
        ],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=not_measured("no trained decoder could be judged"),
    )


def _by_offset(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.pivot(index="layer", columns="offset", values="median")


CLAIMS = (
    Claim(
        id="geometry-drift",
        title="Norms tame drift",
        section="3.3",
        statement="when a window slides along the text its tokens' states drift, and projection to "
        "the same sphere in every layer keeps the drift from growing without bound",
        paper_value="tamed",
        criterion="in every trained decoder the median drift of the last state when a window "
        "slides by a quarter of its length is at most {drift_saturation:g} times that when it "
        "slides by an eighth, so that it saturates; and when it slides by a quarter, no norm that "
        "reads a state leaves more drift, relative to the norm, than the state had, in any layer; "
        "in states that are equal at both places there is nothing to tame",
        reads={"drift": ("offset", "place", "median", "note"), "runs": ("kind",)},
        models=but_encoders,
        figures=("drift",),
        rule=tamed,
    ),
)
