"""ε of every layer, and what else there is of it, as a page to point at."""

import json
from collections.abc import Collection, Mapping

import altair as alt
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import to_hex
from matplotlib.markers import MarkerStyle

from headalgebra.pages.axis import EPSILON, OF_EPSILON, Scale, axis_of
from headalgebra.pages.index import rendered
from headalgebra.plots import FigureStyle, NothingToShow
from headalgebra.plots.linf import epsilon_by_depth

SHOWN = (
    ("epsilon", EPSILON, ".3g"),
    ("epsilon_relative", "ε̂", ".3g"),
    ("epsilon_null_ratio", "ε / Haar null", ".3g"),
    ("kappa", "κ", ".3g"),
    ("basis_dim", "n", "d"),
    ("obstruction_rms", "obstruction", ".3g"),
    ("jacobi_projected_rms", "projected J", ".2e"),
    ("rho3", "ρ₃", ".3f"),
    ("rho3_null", "null of ρ₃", ".3f"),
    ("closure_isotropy", "(1 − χ) d²/n", ".3g"),
    ("closure_isotropy_null", "its null", ".3g"),
)
"""Columns of numbers, what they are called, and how they are written."""

COLUMNS = ("model", "layer", "phase", "route", *(column for column, _, _ in SHOWN))

DIGITS = 4
"""Significant digits of the numbers behind the page, more than it shows."""

ALL = "all models"
HEIGHT = 420
ERRORS = 1
"""What the chart tells the browser's console; an axis without points is no more than a warning."""

INK = "#262626"

SHAPES = {"o": "circle", "s": "square", "D": "diamond", "^": "triangle-up", "<": "triangle-left"}
"""Markers of the figures that have the same name here; the others are drawn."""


class _InScript(json.JSONEncoder):
    """JSON that no text in it can end the script around it."""

    def encode(self, o: object) -> str:
        return super().encode(o).replace("</", "<\\/")


def layers_page(
    layers: pd.DataFrame,
    nulls: pd.DataFrame,
    style: FigureStyle,
    *,
    title: str,
    initialised: Collection[str],
    weak_below: float,
    topological_above: float,
) -> str:
    """ε by layer as one HTML page that needs no other file; menus choose a model and a quantity.

    Parameters
    ----------
    layers
        Columns :data:`COLUMNS` and ``epsilon_null``; a layer without a number has no point.
    nulls
        Columns ``model``, ``layer``, ``quantity``, ``null`` and ``mean``.
    style
        That of the figure of ε by depth, whose axis, colours and markers these are.
    title
        Of the study.
    initialised
        Models that were never trained; their markers are open.
    weak_below, topological_above
        Ends of phase II.

    Raises
    ------
    ValueError
        When a table has no rows or lacks a column.
    """
    if missing := [name for name in (*COLUMNS, "epsilon_null") if name not in layers]:
        raise ValueError(f"layers lacks {', '.join(missing)}; give it with them")
    edges = (weak_below, topological_above)
    try:
        figure = epsilon_by_depth(
            layers,
            nulls,
            style,
            initialised=initialised,
            weak_below=weak_below,
            topological_above=topological_above,
        )
    except NothingToShow as reason:
        return rendered("layers.html", title=title, chart=f"Nothing is drawn: {reason}.")
    scale = Scale.of(figure.axes[0])
    chart = _chart(layers, nulls, style, scale, initialised, edges)
    fragment = chart.to_html(
        inline=True,
        fullhtml=False,
        output_div="chart",
        embed_options={"renderer": "svg", "actions": False, "logLevel": ERRORS},
        json_kwds={"cls": _InScript},
    )
    return rendered("layers.html", title=title, chart=Markup(fragment))


def _outline(marker: str) -> str:
    """A marker of matplotlib as an SVG path from −1 to 1, its y axis turned over."""
    made = MarkerStyle(marker)
    corners = np.asarray(made.get_path().transformed(made.get_transform()).to_polygons()[0])
    size = np.abs(corners).max()
    places = [f"{x / size:.3f},{-y / size:.3f}" for x, y in corners[:-1]]
    return f"M{'L'.join(places)}Z"


def _chart(
    layers: pd.DataFrame,
    nulls: pd.DataFrame,
    style: FigureStyle,
    scale: Scale,
    initialised: Collection[str],
    edges: tuple[float, float],
) -> alt.LayerChart:
    called = {str(model): style.called(str(model)) for model in layers["model"].unique()}
    quantity = alt.param(
        name="quantity",
        value=EPSILON,
        bind=alt.binding_select(options=[name for _, name, _ in SHOWN], name="Quantity "),
    )
    model = alt.param(
        name="model",
        value=ALL,
        bind=alt.binding_select(options=[ALL, *called.values()], name="Model "),
    )
    y = axis_of(scale)
    x = alt.X(
        "layer:Q",
        title="layer",
        scale=alt.Scale(nice=False, zero=False, padding=14),
        axis=alt.Axis(format="d", tickMinStep=1, grid=False),
    )
    chosen = (model == ALL) | (alt.datum.model == model)
    rows = layers[[*COLUMNS, "epsilon_null"]].assign(
        model=layers["model"].astype(str).map(called),
        initial=[int(str(name) in initialised) for name in layers["model"]],
    )
    columns = {name: column for column, name, _ in SHOWN}
    base = (
        alt.Chart()
        .transform_calculate(value=f"datum[{json.dumps(columns)}[quantity]]")
        .transform_filter(chosen)
    )
    colours = {called[name]: to_hex(c) for name, c in style.model_colours(layers).items()}
    markers = {called[name]: m for name, m in style.model_markers(layers).items()}
    colour = alt.Color(
        "model:N",
        title=None,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(orient="bottom", columns=2, symbolLimit=60, labelLimit=300),
    )
    shapes = [SHAPES.get(marker) or _outline(marker) for marker in markers.values()]
    shape = alt.Shape("model:N", title=None, scale=alt.Scale(domain=list(markers), range=shapes))
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("layer:Q", format="d"),
        alt.Tooltip("phase:N"),
        alt.Tooltip("route:N"),
        *(alt.Tooltip(f"{column}:Q", title=name, format=form) for column, name, form in SHOWN),
    ]
    positive = base.transform_filter("datum.value > 0")
    lines = positive.mark_line(strokeWidth=1.2).encode(
        x=x, y=y, color=colour, detail="model:N", order="layer:Q"
    )
    points = (
        positive.mark_point(filled=True, opacity=1, size=70, strokeWidth=1, stroke=INK)
        .encode(
            x=x,
            y=y,
            color=colour,
            shape=shape,
            fillOpacity=alt.condition(alt.datum.initial == 1, alt.value(0), alt.value(1)),
            tooltip=tooltip,
        )
        .properties(name="points")
    )
    zeros = (
        base.transform_filter("isValid(datum.value) && datum.value === 0")
        .mark_point(shape="triangle-down", size=70, filled=True, fill="white", stroke=INK)
        .encode(x=x, y=alt.value(HEIGHT), tooltip=tooltip)
        .properties(name="zeros")
    )
    return (
        alt.layer(
            *_bands(scale, edges, style.phase_colours, y),
            *_chance(nulls, called, x, y),
            lines,
            points,
            zeros,
            data=_data(rows),
        )
        .add_params(quantity, model)
        .properties(width="container", height=HEIGHT, background="transparent")
        # An axis has a fixed title, the chart's own may change.
        .properties(title=alt.TitleParams(alt.ExprRef(expr="quantity"), anchor="start"))
        .configure_view(stroke="#8a8a8a", fill=None)
        .configure_axis(labelFontSize=12, titleFontSize=13)
        .configure_legend(labelFontSize=12)
        .configure_title(fontSize=14, fontWeight="normal", frame="bounds", color=INK)
    )


def _bands(
    scale: Scale, edges: tuple[float, float], colours: Mapping[str, str], y: alt.Y
) -> list[alt.Chart]:
    """The phases behind the points, with their names on the right; there for ε alone."""
    low, high = scale.limits
    ends = [low, *(min(max(edge, low), high) for edge in edges), high]
    charts = []
    for (phase, colour), below, above in zip(colours.items(), ends, ends[1:], strict=False):
        if above > below:
            band = {"phase": phase, "low": below, "value": above, "middle": (below * above) ** 0.5}
            base = alt.Chart(alt.InlineData(values=[band])).transform_filter(OF_EPSILON)
            charts += [
                base.mark_rect(fill=colour)
                .encode(y=y, y2="low:Q")
                .properties(name=f"band-{phase}"),
                base.mark_text(align="left", dx=5, fill=INK)
                .encode(x=alt.value("width"), y="middle:Q", text="phase:N")
                .properties(name=f"phase-{phase}"),
            ]
    return charts


def _chance(nulls: pd.DataFrame, called: Mapping[str, str], x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """Means of random layers, of the model that is chosen."""
    kept = nulls.loc[nulls["quantity"] == "epsilon", ["model", "layer", "null", "mean"]]
    kept = kept[kept["null"].isin(["pooled", "init"])].rename(columns={"mean": "value"})
    kept["model"] = kept["model"].astype(str).map(called)
    shown = f"{OF_EPSILON} && datum.model === model && datum.value > 0"

    def line(chart: alt.Chart, dash: list[float], name: str) -> alt.Chart:
        return (
            chart.transform_filter(shown)
            .mark_line(stroke=INK, strokeWidth=1.2, strokeDash=dash)
            .encode(x=x, y=y, order="layer:Q")
            .properties(name=name)
        )

    drawn = {
        null: alt.Chart(_data(kept[kept["null"] == null].drop(columns="null")))
        for null in ("pooled", "init")
    }
    return [
        line(drawn["pooled"], [1.0, 0.0], "chance-pooled"),
        line(
            alt.Chart().transform_calculate(value="datum.epsilon_null"), [6.0, 3.0], "chance-haar"
        ),
        line(drawn["init"], [2.0, 2.4], "chance-init"),
    ]


def _data(rows: pd.DataFrame) -> alt.InlineData:
    """Rows as CSV inside the page: a third of the bytes of one object a row."""
    numbers = {
        str(name): "number"
        for name in rows
        if name in ("layer", "value") or pd.api.types.is_numeric_dtype(rows[name])
    }
    values = rows.to_csv(index=False, float_format=f"%.{DIGITS}g")
    return alt.InlineData(values=values, format=alt.CsvDataFormat(type="csv", parse=numbers))
