"""The effect of each arm with its interval, single runs behind, and what the claim says of it."""

import math
import textwrap
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from headalgebra.plots._course import LOSS
from headalgebra.plots._panels import panel_inches, wrapped
from headalgebra.plots._style import INK
from headalgebra.plots._tables import Values, numbers
from headalgebra.plots.training._arms import Arms, counted
from headalgebra.plots.training._names import called

LABEL_CHARACTERS = 16
"""Of a line of an arm's name beside its row."""

BOUND_LOOK: dict[str, Any] = {"color": INK, "linewidth": 0.8, "zorder": 1.5}
ZERO_LINE: dict[str, Any] = {"color": "0.7", "linewidth": 0.5, "zorder": 1.2}
CLAIMED_LOOK: dict[str, Any] = {"facecolor": "0.92", "edgecolor": "none", "zorder": 0}
RUN_LOOK: dict[str, Any] = {
    "linestyle": "none",
    "marker": ".",
    "markersize": 4,
    "markeredgewidth": 0,
    "alpha": 0.7,
    "zorder": 2,
}
EFFECT_LOOK: dict[str, Any] = {
    "markersize": 5,
    "markeredgecolor": INK,
    "ecolor": INK,
    "elinewidth": 1.0,
    "capsize": 2,
    "zorder": 3,
}

OFF_ROW = 0.28
"""How far below a row's middle its runs lie, so that the interval does not hide them."""


def draw_effects(
    axes: Axes, arms: Arms, judged: pd.DataFrame, quantity: str, comparison: str
) -> None:
    """A row for each row of the table, from the top; `comparison` is not of ranks."""
    one = _one_control(judged)
    for place, (_, row) in enumerate(judged.iterrows()):
        arm = str(row["arm"])
        look = dict(arms.curves[arm].look)
        runs = effects_of_runs(arms, row, quantity, comparison)
        axes.plot(
            runs, np.full(len(runs), place + OFF_ROW), **(RUN_LOOK | {"color": look["color"]})
        )
        face = look["color"] if is_claimed(row) else "white"
        effect, low, high = (float(row[name]) for name in ("effect", "low", "high"))
        ends = [[effect - low], [high - effect]] if np.isfinite([low, high]).all() else None
        axes.errorbar(
            effect, place, xerr=ends, **look | EFFECT_LOOK, markerfacecolor=face, linestyle="none"
        )
    axes.set_ylim(len(judged) - 0.4, -0.6)
    axes.set_yticks(range(len(judged)), row_labels(judged, comparison))
    axes.tick_params(axis="y", length=0)
    _shade_claim(axes, judged)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    if comparison == "ratio":
        axes.xaxis.set_major_formatter(lambda share, _: _bound(round(share, 9), comparison))
    axes.set_xlabel(wrapped(_axis_label(quantity, comparison, one), panel_inches(axes)))
    if np.isnan(numbers(judged["effect"])).all():
        # The rows stay: beside each stands why.
        axes.text(
            *(0.5, 0.5),
            wrapped("no effect: no runs are left", 0.8 * panel_inches(axes)),
            transform=axes.transAxes,
            ha="center",
            va="center",
            style="italic",
        )


def effect_entries(judged: pd.DataFrame, comparison: str) -> list[Artist]:
    """What a legend says of a panel of effects."""
    run = "single run" if comparison == "mean" else "pair of runs of one seed"
    known = np.isfinite([numbers(judged[name]) for name in ("low", "high")]).all(axis=0).any()
    effect: dict[str, Any] = {"label": "effect", "linestyle": "none"}
    if known:
        effect = {"label": "effect, 95 % interval"}
    entries: list[Artist] = [
        Line2D([], [], color="0.4", marker="o", markeredgecolor=INK, **effect),
    ]
    entries.append(Line2D([], [], label=run, **(RUN_LOOK | {"color": "0.3"})))
    claimed = judged[[is_claimed(row) for _, row in judged.iterrows()]]
    if len(claimed):
        row = claimed.iloc[0]
        where = "in every row" if row["needs"] == "all" else "in one row or more"
        say = f"claimed: {row['side']} {_bound(float(row['bound']), comparison)}"
        entries.append(Patch(**CLAIMED_LOOK, label=f"{say}, {where}" if len(claimed) > 1 else say))
    if len(claimed) < len(judged):
        entries.append(
            Line2D(
                [],
                [],
                color="0.4",
                marker="o",
                markeredgecolor=INK,
                markerfacecolor="white",
                linestyle="none",
                label="not judged",
            )
        )
    return entries


def is_claimed(row: "pd.Series[Any]") -> bool:
    """Whether the claim says on which side of a bound the row's effect lies."""
    return row["side"] in ("above", "below") and math.isfinite(row["bound"])


def effects_of_runs(arms: Arms, row: "pd.Series[Any]", quantity: str, comparison: str) -> Values:
    """The value of each run, or of each pair of runs of a seed, in the units of the effect."""
    values = arms.of_runs(quantity)
    of_arm = values[values["arm"] == row["arm"]].set_index("seed")["value"].astype(float)
    if comparison == "mean":
        return numbers(of_arm)
    if comparison == "equal_loss":
        return _beyond_placebos(arms, row, quantity)
    of_control = values[values["arm"] == row["control"]].set_index("seed")["value"].astype(float)
    pairs = of_arm / of_control - 1 if comparison == "ratio" else of_arm - of_control
    return numbers(pairs.dropna())


def _beyond_placebos(arms: Arms, row: "pd.Series[Any]", quantity: str) -> Values:
    """The quantity of each run at its end, less its placebo's where that had the same loss."""
    # Here, for with it comes torch, which no other figure needs.
    from headalgebra.experiments.equal_loss import beyond_placebo
    from headalgebra.experiments.outcomes import LeftOut, Outcomes

    rows = arms.rows[arms.rows["layer"].isna() & arms.rows["quantity"].isin([quantity, LOSS])]
    courses: Any = rows.sort_values("step", kind="stable").groupby(["arm", "seed", "quantity"])
    outcomes = Outcomes(
        pd.DataFrame(),
        {(str(arm), int(seed), str(name)): found for (arm, seed, name), found in courses},
    )
    beyond = []
    for seed in sorted(rows.loc[rows["arm"] == row["arm"], "seed"].unique()):
        with suppress(LeftOut):
            beyond.append(
                beyond_placebo(outcomes, str(row["arm"]), str(row["control"]), int(seed), quantity)
            )
    return np.array([difference for _, difference in beyond])


def row_labels(judged: pd.DataFrame, comparison: str) -> list[str]:
    """What stands beside each row, in lines."""
    one = _one_control(judged)
    return [_label(row, one, comparison) for _, row in judged.iterrows()]


def _one_control(judged: pd.DataFrame) -> str | None:
    """What all arms are held against, if it is the same."""
    controls = {str(name) for name in judged["control"].dropna()} - {""}
    return controls.pop() if len(controls) == 1 else None


def _label(row: "pd.Series[Any]", one: str | None, comparison: str) -> str:
    """An arm, against what where the axis does not say it, and of how many runs."""
    names = _lines(str(row["arm"]))
    control = row["control"]
    if one is None and isinstance(control, str) and control:
        names += _lines(f"− {control}")
    said = counted(
        _count(row["n"]),
        diverged=_count(row["diverged"]),
        excluded=_count(row["excluded"]),
        noun="run" if comparison == "mean" else "pair",
    )
    return "\n".join([*names, *said.replace(", ", ",\n").split("\n")])


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, LABEL_CHARACTERS)


def _count(cell: Any) -> int:
    return 0 if pd.isna(cell) else int(cell)


def _axis_label(quantity: str, comparison: str, control: str | None) -> str:
    name = called(quantity)
    against = f" from {control}" if control else " from the arm's own control"
    match comparison:
        case "paired":
            return f"difference{against}: {name}"
        case "ratio":
            return f"relative change{against}: {name.split(',')[0]}"
        case "equal_loss":
            return f"difference{against} at equal validation loss: {name}"
    return name


def _bound(bound: float, comparison: str) -> str:
    said = f"{100 * bound:g} %" if comparison == "ratio" else f"{bound:g}"
    return said.replace("-", "−")


def _shade_claim(axes: Axes, judged: pd.DataFrame) -> None:
    """The bound as a line, and the side of it where the claim has the effects."""
    claimed = judged[[is_claimed(row) for _, row in judged.iterrows()]]
    drawn = np.concatenate([numbers(judged[name]) for name in ("effect", "low", "high")])
    drawn = np.concatenate([drawn, *(np.asarray(line.get_xdata(), float) for line in axes.lines)])
    bounds = numbers(claimed["bound"])
    every = np.concatenate([drawn[np.isfinite(drawn)], bounds, [0.0] * (len(bounds) == 0)])
    margin = 0.08 * float(np.ptp(every)) or 0.1
    low, high = every.min() - margin, every.max() + margin
    axes.set_xlim(low, high)
    if low < 0 < high:
        axes.axvline(0, **ZERO_LINE)
    if len(bounds):
        axes.axvline(bounds[0], **BOUND_LOOK)
        below = claimed["side"].iloc[0] == "below"
        axes.axvspan(*((low, bounds[0]) if below else (bounds[0], high)), **CLAIMED_LOOK)
