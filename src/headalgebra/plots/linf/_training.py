"""ε, and what else is measured of each checkpoint, over the checkpoints of one training run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from headalgebra.plots._course import LOSS, Curve, draw_course
from headalgebra.plots._style import INK, FigureStyle, paper_style
from headalgebra.plots._tables import require_columns
from headalgebra.plots._training_axis import training_steps

OF_LAYERS = {
    "epsilon": ("epsilon", None),
    "epsilon_over_haar": ("epsilon", "epsilon_null"),
    "rho3_over_null": ("rho3", "rho3_null"),
}
"""Quantities of layers: a column of the table, and the one it is divided by."""

ORDERS = (1, 2, 4)
"""Of the partial sums whose errors are drawn."""


@paper_style()
def epsilon_over_training(
    layers: pd.DataFrame,
    style: FigureStyle,
    *,
    checkpoints: Mapping[str, str],
    title: str,
    dyson: pd.DataFrame | None = None,
    metrics: pd.DataFrame | None = None,
    floors: Mapping[str, float] | None = None,
) -> Figure:
    """ε, ρ₃, errors of partial Dyson sums and the loss over the checkpoints of one training run.

    Parameters
    ----------
    layers
        Columns ``model``, ``layer``, ``epsilon``, ``epsilon_null``, ``rho3`` and ``rho3_null``;
        rows of other models are left out.
    style
        How it looks.
    checkpoints
        The model of each revision, in the order of the training.
    title
        Title of the figure.
    dyson
        Columns ``model``, ``order`` and ``partial_error``, where models read a text.
    metrics
        Columns ``step`` and ``validation_loss`` in nats a token; steps without a loss are left
        out, and all of them where the revisions are no steps.
    floors
        Losses of n-gram models in nats a token, by ``unigram``, ``bigram`` and ``trigram``.

    Raises
    ------
    NothingToShow
        When fewer than two checkpoints have numbers.
    ValueError
        When a table lacks a column or ``layers`` a model.
    """
    columns = {name for pair in OF_LAYERS.values() for name in pair if name}
    require_columns(layers, "layers", ("model", "layer", *sorted(columns)))
    if missing := set(checkpoints.values()) - set(layers["model"]):
        raise ValueError(f"the table layers lacks {sorted(missing)[0]}; give its rows")
    steps = training_steps(list(checkpoints))
    times = np.arange(len(checkpoints), dtype=np.float64) if steps is None else steps
    time_of = dict(zip(checkpoints.values(), times.tolist(), strict=True))
    values = [_of_layers(layers[layers["model"].isin(list(time_of))])]
    if dyson is not None:
        require_columns(dyson, "dyson", ("model", "order", "partial_error"))
        values.append(_of_orders(dyson[dyson["model"].isin(list(time_of))]))
    table = pd.concat(values).assign(time=lambda rows: rows["model"].map(time_of))
    if metrics is not None and steps is not None:
        require_columns(metrics, "metrics", ("step", LOSS))
        losses = metrics.dropna(subset=[LOSS]).rename(columns={"step": "time", LOSS: "value"})
        losses = losses[["time", "value"]].assign(quantity=LOSS, layer=np.nan)
        table = pd.concat([table, losses.astype({"time": np.float64})])
    return draw_course(
        table.assign(arm=title, run=title).reset_index(drop=True),
        {title: Curve("median over layers, or the model", {"color": INK, "marker": "o"})},
        floors or {},
        style,
        title=title,
        time="training step",
        names=list(checkpoints) if steps is None else None,
    )


def _of_layers(layers: pd.DataFrame) -> pd.DataFrame:
    """Each quantity by layer, and without a layer its median."""
    rows = [
        layers[["model", "layer"]].assign(
            quantity=quantity,
            value=layers[column] / (1.0 if null is None else layers[null]),
        )
        for quantity, (column, null) in OF_LAYERS.items()
    ]
    table = pd.concat(rows)
    medians = table.groupby(["model", "quantity"], sort=False)["value"].median().reset_index()
    return pd.concat([table, medians.assign(layer=np.nan)])


def _of_orders(dyson: pd.DataFrame) -> pd.DataFrame:
    """Errors of the partial sums that are drawn; that of all orders is rounding, and is not."""
    last = dyson.groupby("model")["order"].transform("max")
    drawn = dyson[dyson["order"].isin(ORDERS) & (dyson["order"] < last)]
    return pd.DataFrame(
        {
            "model": drawn["model"],
            "quantity": "partial_error_" + drawn["order"].astype(int).astype(str),
            "value": drawn["partial_error"],
            "layer": np.nan,
        }
    )
