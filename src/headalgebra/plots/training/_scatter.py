"""A rank correlation over the runs of an experiment, as the points behind it."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from headalgebra.plots._panels import panel_inches, title_panel, wrapped
from headalgebra.plots._tables import numbers
from headalgebra.plots.training._arms import Arms, counted
from headalgebra.plots.training._effects import is_claimed
from headalgebra.plots.training._names import called

POINT_LOOK: dict[str, Any] = {"linestyle": "none", "markersize": 4, "alpha": 0.8, "zorder": 3}


def draw_scatter(axes: Axes, arms: Arms, row: "pd.Series[Any]", *, cells: bool) -> None:
    """One quantity of each run, or the mean of each arm, against the other.

    The row's ``statistic`` names both: ``quantity ~ against``. Its correlation stands in the
    title, and may have others partialled out: the points do not.
    """
    quantity, against = str(row["statistic"]).split(" ~ ")
    pairs = points(arms, quantity, against, cells=cells)
    for arm, curve in arms.curves.items():
        of_arm = pairs[pairs["arm"] == arm]
        axes.plot(numbers(of_arm["x"]), numbers(of_arm["y"]), **curve.look, **POINT_LOOK)
    effect, low, high = (float(row[name]) for name in ("effect", "low", "high"))
    said = counted(
        int(row["n"]),
        diverged=0 if pd.isna(row["diverged"]) else int(row["diverged"]),
        excluded=0 if pd.isna(row["excluded"]) else int(row["excluded"]),
        noun="arm" if cells else "run",
    )
    correlation = f"{effect:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(effect) else "none"
    remarks = [said]
    if is_claimed(row):
        remarks.append(f"claimed: {row['side']} {float(row['bound']):g}")
    title_panel(
        axes,
        f"partial rank correlation {correlation}".replace("-", "−"),
        {"no points": numbers(pairs["x"]) if len(pairs) else np.full(1, np.nan)},
        [remark.replace("-", "−") for remark in remarks],
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=5))
    inches = panel_inches(axes)
    axes.set_xlabel(wrapped(called(against), inches))
    axes.set_ylabel(wrapped(called(quantity), inches))


def points(arms: Arms, quantity: str, against: str, *, cells: bool) -> pd.DataFrame:
    """Columns ``arm``, ``x`` and ``y``: of each run that has both quantities, or their means."""
    y, x = (
        arms.of_runs(name).rename(columns={"value": axis})
        for name, axis in ((quantity, "y"), (against, "x"))
    )
    pairs = y.merge(x, on=["arm", "seed"])[["arm", "x", "y"]]
    return pairs.groupby("arm", sort=False).mean().reset_index() if cells else pairs
