"""The layers of a study as an interactive page."""

import json
from typing import TypeVar

import altair as alt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from headalgebra.plots import FigureStyle
from headalgebra.plots._tables import require_columns

SHOWN = (
    ("epsilon", "ε", ".3g"),
    ("epsilon_relative", "ε̂", ".3g"),
    ("epsilon_null_ratio", "ε / null", ".3g"),
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

DIGITS = 5
"""Significant digits of the numbers behind the page, more than it shows."""

ROWS_AT_ONCE = 48
"""Rows of the table that have room; the layers of most models."""

Channel = TypeVar("Channel", alt.X, alt.Y)

ALL = "all models"
SHADES = 9
PANEL = 400
ROW = 18
CELL = 68
NAME_CELL = 150
MENU_ABOVE = "#vis.vega-embed { flex-direction: column-reverse } .vega-bindings { margin: 0 0 1em }"


class _InScript(json.JSONEncoder):
    """JSON that no text in it can end the script around it."""

    def encode(self, o: object) -> str:
        return super().encode(o).replace("</", "<\\/")


def layer_explorer(layers: pd.DataFrame, style: FigureStyle, *, title: str) -> str:
    """The phase diagram and the table of layers as one HTML page that needs no other file.

    Hovering names a layer and its numbers; a menu chooses a model, in the diagram and the table.

    Parameters
    ----------
    layers
        Columns :data:`COLUMNS`; layers without a number are not in the panel that needs it, and
        have a gap in the table.
    style
        Whose sequential colours stand for the depth.
    title
        Of the study.

    Raises
    ------
    ValueError
        When the table has no rows or lacks a column.
    """
    require_columns(layers, "layers", COLUMNS)
    if not len(layers):
        raise ValueError("layers has no rows")
    rows = layers[list(COLUMNS)].copy()
    rows["model"] = rows["model"].astype(str).map(style.called)
    last = layers.groupby("model")["layer"].transform("max").clip(lower=1)
    rows["depth"] = (layers["layer"] / last).round(3)
    # As CSV inside the page: a third of the bytes of one object a row.
    values = rows.to_csv(index=False, float_format=f"%.{DIGITS}g")
    numeric = {column: "number" for column in ("layer", "depth", *(name for name, _, _ in SHOWN))}
    data = alt.InlineData(values=values, format=alt.CsvDataFormat(type="csv", parse=numeric))

    names = [ALL, *dict.fromkeys(rows["model"])]
    shades = [to_hex(colour) for colour in style.depth_colours()(np.linspace(0, 1, SHADES))]
    model = alt.param(
        name="model", value=ALL, bind=alt.binding_select(options=names, name="Model: ")
    )
    chosen = (model == ALL) | (alt.datum.model == model)
    tooltip = [
        alt.Tooltip("model:N"),
        alt.Tooltip("layer:Q", format="d"),
        alt.Tooltip("phase:N"),
        alt.Tooltip("route:N"),
        *(alt.Tooltip(f"{name}:Q", title=called, format=form) for name, called, form in SHOWN),
    ]

    def logarithmic(axis: type[Channel], column: str, called: str) -> Channel:
        return axis(
            f"{column}:Q",
            title=called,
            scale=alt.Scale(type="log", nice=False, padding=15),
            axis=alt.Axis(format="~e", tickCount=5, labelOverlap=True),
        )

    def panel(column: str, called: str) -> alt.Chart:
        drawable = (alt.datum[column] > 0) & (alt.datum["epsilon"] > 0)
        return (
            alt.Chart(data, width=PANEL, height=PANEL)
            .transform_filter(drawable)
            .mark_point(filled=True, size=55, stroke="#333333", strokeWidth=0.5)
            .encode(
                x=logarithmic(alt.X, column, called),
                y=logarithmic(alt.Y, "epsilon", "ε"),
                color=alt.Color(
                    "depth:Q",
                    title="layer / last layer",
                    scale=alt.Scale(range=shades, domain=list(np.linspace(0, 1, SHADES))),
                ),
                shape=alt.Shape("model:N", legend=alt.Legend(symbolLimit=20)),
                opacity=alt.condition(chosen, alt.value(0.95), alt.value(0.06)),
                tooltip=tooltip,
            )
        )

    diagram = panel("obstruction_rms", "obstruction, rms over triples") | panel(
        "jacobi_projected_rms", "projected Jacobiator, rms over i < j < k"
    )
    every = (("model", "model", ""), ("layer", "layer", "d"), ("phase", "phase", ""), *SHOWN)
    in_table = (
        alt.Chart(data)
        .transform_filter(chosen)
        .transform_window(row="row_number()")
        .transform_filter(alt.datum.row <= ROWS_AT_ONCE)
    )

    def column(name: str, called: str, form: str) -> alt.Chart:
        width = NAME_CELL if name == "model" else CELL
        if form:  # numbers end where their column does
            cells = in_table.mark_text(align="right").encode(
                x=alt.value(width), text=alt.Text(f"{name}:Q", format=form)
            )
            head = alt.TitleParams(called, fontSize=11, anchor="end")
        else:
            cells = in_table.mark_text(align="left").encode(
                x=alt.value(0), text=alt.Text(f"{name}:N")
            )
            head = alt.TitleParams(called, fontSize=11, anchor="start")
        return cells.encode(y=alt.Y("row:O", axis=None), tooltip=tooltip).properties(
            title=head, width=width, height=alt.Step(ROW)
        )

    table = alt.hconcat(*(column(*entry) for entry in every), spacing=8)
    page = (
        alt.vconcat(diagram, table, spacing=30)
        .add_params(model)
        .properties(
            title=alt.TitleParams(
                title,
                subtitle=f"A point a layer; the table has the first {ROWS_AT_ONCE} chosen.",
            )
        )
        .configure_view(strokeOpacity=0.3)
    )
    html = page.to_html(
        inline=True,
        embed_options={"renderer": "svg", "actions": False},
        json_kwds={"cls": _InScript},
    )
    return html.replace("</style>", f"{MENU_ABOVE}</style>", 1)
