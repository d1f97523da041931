"""The vertical axis of the figure of ε by depth, in a chart whose reader chooses the quantity."""

import json
import re
from dataclasses import dataclass

import altair as alt
from matplotlib.axes import Axes

from headalgebra.claims.wording import RAISED

EPSILON = "ε"
"""What ε is called among the quantities."""

OF_EPSILON = f"quantity === {json.dumps(EPSILON)}"
"""That ε is chosen, in the chart's language."""


@dataclass(frozen=True)
class Scale:
    """The vertical axis of a panel of the figure: its ends, its ticks and what they say."""

    limits: tuple[float, float]
    ticks: dict[float, str]

    @classmethod
    def of(cls, axes: Axes) -> "Scale":
        """That of a panel."""
        low, high = axes.get_ylim()
        places = [place for place in axes.yaxis.get_majorticklocs() if low <= place <= high]
        labels = axes.yaxis.get_major_formatter().format_ticks(places)
        return cls((low, high), dict(zip(places, map(_plain, labels), strict=True)))


def axis_of(scale: Scale) -> alt.Y:
    """The channel of a chart: of ε the axis of the figure; of another quantity one that fits it."""
    places, labels = json.dumps(list(scale.ticks)), json.dumps(list(scale.ticks.values()))

    def when_epsilon(value: object) -> alt.ExprRef:
        return alt.ExprRef(expr=f"{OF_EPSILON} ? {json.dumps(value)} : null")

    return alt.Y(
        "value:Q",
        title=None,
        scale=alt.Scale(
            type="log",
            nice=False,
            padding=alt.ExprRef(expr=f"{OF_EPSILON} ? 0 : 12"),
            domainMin=when_epsilon(scale.limits[0]),
            domainMax=when_epsilon(scale.limits[1]),
        ),
        axis=alt.Axis(
            grid=False,
            values=when_epsilon(list(scale.ticks)),
            labelExpr=f"{OF_EPSILON} ? {labels}[indexof({places}, datum.value)] : "
            "format(datum.value, '~g')",
        ),
    )


def _plain(label: str) -> str:
    """A tick's label without the markup of formulas, its power of ten raised."""
    bare = re.sub(r"\$|\\mathdefault", "", label).replace("\\times", "×")
    raised = re.sub(r"\^\{([^}]*)\}", lambda power: power[1].translate(RAISED), bare)
    return re.sub(r"[{}]", "", raised)
