"""The claims as the page lists them: by paper, each with everything that is behind its verdict."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
    VERDICTS,
)
from headalgebra.claims.hopf.abstract import ABSTRACT
from headalgebra.claims.ledger import CLAIMS, TITLES
from headalgebra.claims.wording import in_a_sentence, number, shown


@dataclass(frozen=True)
class Look:
    """What tells a verdict beside its words.

    Attributes
    ----------
    key
        A word for style sheets and scripts.
    symbol
        A sign, for whoever does not see the colour.
    on_light, on_dark
        Colours of its letters on the ground of a light and of a dark page.
    """

    key: str
    symbol: str
    on_light: str
    on_dark: str


LOOKS = {
    REPRODUCED: Look("reproduced", "✓", "#00664a", "#5fd0a8"),
    NOT_REPRODUCED: Look("not-reproduced", "✗", "#a33a00", "#ff9d66"),
    CONTRADICTED: Look("contradicted", "⊥", "#6f2b8c", "#d3a2ee"),
    TRUE_OF_ANYTHING: Look("anything", "≡", "#1c4f8a", "#8dbdf5"),
    NOT_MEASURED: Look("not-measured", "–", "#5a5f66", "#a4abb3"),
}
"""Of every verdict."""


def verdict_counts(claims: pd.DataFrame) -> list[dict[str, Any]]:
    """How many claims have each verdict that any has, and how it looks."""
    counts = claims["verdict"].value_counts()
    return [
        {"verdict": verdict, "look": LOOKS[verdict], "count": int(counts[verdict])}
        for verdict in VERDICTS
        if verdict in counts
    ]


def papers(
    claims: pd.DataFrame, evidence: pd.DataFrame, pictures: Collection[str]
) -> list[dict[str, Any]]:
    """Each paper with its claims, in their order.

    Parameters
    ----------
    claims, evidence
        In the columns of :data:`headalgebra.columns.CLAIMS` and
        :data:`headalgebra.columns.EVIDENCE`.
    pictures
        Names of the study's figures; a claim is shown the first of its own that is there.
    """
    return [
        {
            "key": paper,
            "title": TITLES[str(paper)],
            "counts": verdict_counts(of_paper),
            "claims": [
                _claim(row, evidence[evidence["id"] == row["id"]], pictures)
                for row in of_paper.to_dict("records")
            ],
        }
        for paper, of_paper in claims.groupby("paper", sort=False)
    ]


def _claim(
    row: dict[Any, Any], evidence: pd.DataFrame, pictures: Collection[str]
) -> dict[str, Any]:
    claim = CLAIMS[row["id"]]
    in_abstract = row["section"] == ABSTRACT
    return {
        **row,
        "title": claim.title,
        "look": LOOKS[row["verdict"]],
        "identity": claim.identity,
        "place": row["section"] if in_abstract else f"section {row['section']}",
        "number": number(row),
        "short": "" if math.isnan(row["value"]) else in_a_sentence(row["value"]),
        "picture": next((name for name in claim.figures if name in pictures), None),
        "evidence": [
            {
                **measured,
                "value": shown(measured["value"]),
                "interval": _interval(measured["low"], measured["high"]),
            }
            for measured in evidence.to_dict("records")
        ],
    }


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{shown(low)} to {shown(high)}"
