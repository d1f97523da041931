"""Laws of the figures: what the table says is drawn, nothing else is, and all of it can be read."""

import contextlib
import itertools
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from drawn import (
    OTHER_STYLE,
    STYLE,
    drawn_as,
    find_collisions,
    find_cut_off,
    find_empty_panels,
    zeros_drawn,
)
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import Normalize, to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from headalgebra.algebra.phases import PHASES, phase
from headalgebra.claims.linf.paper import (
    GPT2_MEDIUM_EPSILON,
    JACOBIATOR_RANGE,
    OBSTRUCTION_AT,
    OBSTRUCTION_RANGE,
    PHASE_CLAIMS,
)
from headalgebra.plots import FigureStyle, NothingToShow, write_figure
from headalgebra.plots._panels import wrapped
from headalgebra.plots.linf import (
    associator_by_parameter,
    beside_chance,
    commutator_maps,
    conditioning_by_depth,
    epsilon_by_depth,
    epsilon_by_size,
    gpt2_medium_intervals,
    jacobiator_by_precision,
    obstruction_by_depth,
    phase_counts,
    phase_diagram,
    ratios_to_chance,
    singular_values,
    tower_by_depth,
)
from headalgebra.plots.linf._nulls import NULLS as MARKERS_OF_NULLS
from headalgebra.plots.linf._phase_counts import runs
from headalgebra.plots.linf._size import sizes
from headalgebra.tables import phase_table

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("plots")

ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
PHASE_ENDS = {"weak_below": 0.1, "topological_above": 1.0}
KAPPA_BANDS = {"well_below": 100.0, "poor_from": 1000.0}
UNTRAINED = {"initialised": ("minilm-init", "gpt2-medium-init", "all-init")}

NULLS = ("pooled", "haar", "layers", "gaussian", "init")
QUANTITIES = ("epsilon", "epsilon_relative", "rho3", "closure_isotropy")
LEVELS = (
    ("C*", "operator_norm_mean"),
    ("W*", "commutant_gap"),
    ("Lie", "rank"),
    ("L∞", "rho3"),
    ("gauge", "action_normalised"),
    ("gauge", "wilson_deviation"),
)

DEMO = {"minilm": (6, 12), "minilm-init": (6, 12), "gpt2-medium-init": (24, 16)}
FULL = {f"family-{size}m": (12, 4) for size in range(70, 84)}
FULL |= {"an-organisation-and-its-very-long-model-name_v2": (24, 16), "gpt2-xl": (48, 25)}
LEAST = {"least": (2, 3)}
SMALL = {"one-layer": (1, 8), "one-head": (3, 1), "two-heads": (3, 2), "all": (12, 8)}
PAIRED = [model for model, (_, n_heads) in SMALL.items() if n_heads > 1]
PAPER = {"gpt2-medium": (24, 16), "gpt2-medium-init": (24, 16), "all-init": (12, 8), "all": (12, 8)}


def draw_study(models, *, span_phases=True, seed=0):
    """Tables of the shape that a study has, by name."""
    rng = np.random.default_rng(seed)
    layer_rows, sigma_rows, precision_rows, pair_rows = [], [], [], []
    null_rows, tower_rows, associator_rows = [], [], []
    for model, (n_layers, n_heads) in models.items():
        for layer in range(n_layers):
            depth = layer / max(n_layers - 1, 1)
            epsilon = (0.05 * 60**depth if span_phases else 0.05) * rng.lognormal(0, 0.1)
            kappa = 10 ** (3.5 * depth * span_phases) * rng.uniform(1, 7)
            rms = 0.01 * rng.lognormal(0, 0.3)
            layer_rows.append(
                {
                    "model": model,
                    "layer": layer,
                    "n_layers": n_layers,
                    "n_heads": n_heads,
                    "d_model": 64 * n_heads,
                    "d_head": 64,
                    "phase": phase(epsilon, **PHASE_ENDS) if n_heads > 1 else "",
                    "epsilon": epsilon if n_heads > 1 else np.nan,
                    "epsilon_null": 1.1 * epsilon if n_heads > 1 else np.nan,
                    "epsilon_relative": rng.uniform(0.05, 0.1) if n_heads > 1 else np.nan,
                    "rho3": rng.uniform(0.2, 1.4) if n_heads > 2 else np.nan,
                    "closure_isotropy": rng.uniform(2, 400) if n_heads > 1 else np.nan,
                    "kappa": kappa if n_heads > 1 else 1.0,
                    "kappa_used": min(kappa, 50.0) if n_heads > 1 else 1.0,
                    "basis_dim": min(n_heads, 6 + layer),
                    "route": ("dense", "mixed", "sampled")[layer % 3],
                    "jacobi_rms": 1e-17 if n_heads > 2 else np.nan,
                    "obstruction_rms": rms if n_heads > 1 else np.nan,
                    "obstruction_ci_low": 0.9 * rms if n_heads > 1 else np.nan,
                    "obstruction_ci_high": 1.1 * rms if n_heads > 1 else np.nan,
                    "jacobi_projected_rms": 0.02 * rms if n_heads > 2 else np.nan,
                    "note": "",
                }
            )
            sigma = np.sort(rng.lognormal(0, 0.5, n_heads))[::-1]
            sigma_rows += [(model, layer, index, value) for index, value in enumerate(sigma)]
            if n_heads > 2 and layer in (0, n_layers - 1):
                precision_rows += [
                    (model, layer, operand, dtype, unit, size * unit * rng.lognormal(0, 0.2))
                    for operand, size in (("raw", 1e3), ("basis", 1e-1))
                    for dtype, unit in ROUNDOFF.items()
                ]
            null_rows += [
                (model, layer, quantity, null, mean, 0.8 * mean, 1.3 * mean)
                for quantity, mean in zip(QUANTITIES, (epsilon, 0.08, 1.3, 3.0), strict=True)
                for null in NULLS
                if n_heads > 2
            ]
            tower_rows += [
                (model, layer, level, quantity, rng.lognormal(0, 1) * sign)
                for level, quantity in LEVELS
                for sign in [rng.choice([1, -1]) if quantity == "action_normalised" else 1]
            ]
            if n_heads > 2 and layer in (0, n_layers - 1):
                associator_rows += [
                    (model, layer, t, abs(t + t * t) * rms + 1e-17, abs(t + t * t) * rms)
                    for t in np.linspace(-1.5, 0.5, 9)
                ]
            pair_rows += [
                (model, layer, i, j, rng.lognormal(0, 0.3), 0.8)
                for i, j in itertools.combinations(range(n_heads), 2)
            ]
    sigma_columns = ["model", "layer", "index", "sigma"]
    precision_columns = ["model", "layer", "operand", "dtype", "unit_roundoff", "jacobi_mean"]
    pair_columns = ["model", "layer", "i", "j", "commutator_norm", "haar_norm"]
    null_columns = ["model", "layer", "quantity", "null", "mean", "low", "high"]
    tower_columns = ["model", "layer", "level", "quantity", "value"]
    associator_columns = ["model", "layer", "t", "associator", "predicted"]
    return {
        "nulls": pd.DataFrame(null_rows, columns=null_columns),
        "tower": pd.DataFrame(tower_rows, columns=tower_columns),
        "associator": pd.DataFrame(associator_rows, columns=associator_columns),
        "layers": pd.DataFrame(layer_rows),
        "singular_values": pd.DataFrame(sigma_rows, columns=sigma_columns),
        "precision": pd.DataFrame(precision_rows, columns=precision_columns),
        "pairs": pd.DataFrame(pair_rows, columns=pair_columns),
    }


def draw_figures(study, style=STYLE):
    """Every figure of a study that shows something, by name; of the maps, the last model's."""
    layers, pairs, nulls = study["layers"], study["pairs"], study["nulls"]
    last = layers["model"].iloc[-1]
    sigma = study["singular_values"]
    draw = {
        "epsilon": lambda: epsilon_by_depth(layers, nulls, style, **PHASE_ENDS, **UNTRAINED),
        "singular_values": lambda: singular_values(
            sigma, layers, style, **KAPPA_BANDS, **UNTRAINED
        ),
        "jacobiator": lambda: jacobiator_by_precision(study["precision"], style, **UNTRAINED),
        "obstruction": lambda: obstruction_by_depth(layers, style, **UNTRAINED),
        "commutators": lambda: commutator_maps(pairs, style, model=str(last)),
        "nulls": lambda: beside_chance_of(last, layers, nulls, style),
        "tower": lambda: tower_by_depth(study["tower"], layers, style, **UNTRAINED),
        "associator": lambda: associator_by_parameter(study["associator"], style, **UNTRAINED),
        "phases": lambda: phase_counts(layers, phase_table(layers), style, **UNTRAINED),
        "phase_diagram": lambda: phase_diagram(layers, style, **PHASE_ENDS, **UNTRAINED),
        "size": lambda: epsilon_by_size(layers, style, families=families(layers), **UNTRAINED),
        "conditioning": lambda: conditioning_by_depth(layers, style, **KAPPA_BANDS, **UNTRAINED),
        "chance": lambda: ratios_to_chance(layers, nulls, style, **UNTRAINED),
    }
    of_its_shape = layers[(layers["n_layers"] == 24) & (layers["n_heads"] == 16)]
    if len(of_its_shape):
        draw["gpt2_medium"] = lambda: gpt2_medium_intervals(
            layers, style, **by_training(of_its_shape["model"].unique())
        )
    figures = {}
    for name, plot in draw.items():
        with contextlib.suppress(NothingToShow):
            figures[name] = plot()
    return figures


def by_training(models):
    initial = [model for model in models if model in UNTRAINED["initialised"]]
    return {"measured": [model for model in models if model not in initial], "initial": initial}


def families(layers):
    return {model: model.split("-")[0] for model in layers["model"].unique()}


def beside_chance_of(model, layers, nulls, style=STYLE):
    of_model = layers[layers["model"] == model]
    return beside_chance(
        of_model[["layer", "epsilon", "epsilon_relative"]],
        of_model[["layer", "rho3", "closure_isotropy"]],
        nulls[nulls["model"] == model],
        style,
        model=str(model),
    )


def epsilon_figure(layers):
    """ε by depth without the null at initialisation."""
    nulls = pd.DataFrame(columns=["model", "layer", "quantity", "null", "mean"])
    return epsilon_by_depth(layers, nulls, STYLE, **PHASE_ENDS, **UNTRAINED)


def with_gaps_and_zeros(study):
    """Missing numbers in the middle, alone and beside one another; zeros; an infinity."""
    layers = study["layers"]
    last = layers["model"] == layers["model"].iloc[-1]
    columns = ["epsilon", "epsilon_null", "kappa"]
    columns += [name for name in layers if "obstruction" in name or "projected" in name]
    layers.loc[last & layers["layer"].isin([3, 5, 6]), columns] = np.nan
    layers.loc[last & (layers["layer"] == 8), ["epsilon", "jacobi_projected_rms"]] = 0.0
    layers.loc[last & (layers["layer"] == 9), "kappa"] = np.inf
    layers["phase"] = [phase(epsilon, **PHASE_ENDS) for epsilon in layers["epsilon"]]
    sigma = study["singular_values"]
    sigma.loc[(sigma["layer"] == 2) & (sigma["index"] > 5), "sigma"] = 0.0
    precision = study["precision"]
    precision.loc[precision.index[3], "jacobi_mean"] = np.nan
    precision.loc[precision.index[12], "jacobi_mean"] = 0.0
    return study


def panel(figure, model):
    (axes,) = [axes for axes in figure.axes if axes.get_title().split("\n")[0] == model]
    return axes


def curve(axes, marker):
    (line,) = [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]
    return line


# ------------------------------------------------------------------------------ what is drawn


@pytest.fixture(scope="module")
def study():
    return with_gaps_and_zeros(draw_study(SMALL))


@pytest.fixture(scope="module")
def figures(study):
    return draw_figures(study)


@pytest.mark.parametrize("model", PAIRED)
def test_epsilon_and_its_null_are_the_tables(study, figures, model):
    rows = study["layers"][study["layers"]["model"] == model]
    axes = panel(figures["epsilon"], model)
    assert drawn_as(curve(axes, "o"), rows["layer"], rows["epsilon"])
    assert drawn_as(curve(axes, "_"), rows["layer"], rows["epsilon_null"])
    nulls = study["nulls"].query("model == @model and quantity == 'epsilon'")
    for marker, null in (("+", "pooled"), (".", "init")):
        drawn = nulls[nulls["null"] == null]
        if len(drawn):
            assert drawn_as(curve(axes, marker), drawn["layer"], drawn["mean"])
    assert zeros_drawn(axes) == list(rows["layer"][rows["epsilon"] == 0])


@pytest.mark.parametrize("model", PAIRED)
def test_obstruction_interval_and_projected_jacobiator_are_the_tables(study, figures, model):
    rows = study["layers"][study["layers"]["model"] == model]
    axes = panel(figures["obstruction"], model)
    assert drawn_as(curve(axes, "o"), rows["layer"], rows["obstruction_rms"])
    assert drawn_as(curve(axes, "s"), rows["layer"], rows["jacobi_projected_rms"])
    assert zeros_drawn(axes) == list(rows["layer"][rows["jacobi_projected_rms"] == 0])
    (bars,) = [bars for bars in axes.collections if isinstance(bars, LineCollection)]
    drawn = [segment for segment in bars.get_segments() if len(segment)]
    known = rows.dropna(subset="obstruction_rms")
    ends = known[["layer", "obstruction_ci_low", "layer", "obstruction_ci_high"]].to_numpy()
    np.testing.assert_array_equal(np.reshape(drawn, (-1, 4)), ends)


@pytest.mark.parametrize("model", SMALL)
def test_spectra_and_condition_numbers_are_the_tables(study, figures, model):
    axes = panel(figures["singular_values"], model)
    spectra = study["singular_values"]
    of_layer = spectra[spectra["model"] == model].groupby("layer")
    lines = [line for line in axes.lines if line.get_marker() != "v"]
    assert len(lines) == of_layer.ngroups
    for line, (_, rows) in zip(lines, of_layer, strict=True):
        assert drawn_as(line, rows["index"], rows["sigma"])
    assert len(zeros_drawn(axes)) == (spectra[spectra["model"] == model]["sigma"] == 0).sum()
    layers = study["layers"][study["layers"]["model"] == model]
    beside = figures["singular_values"].axes[figures["singular_values"].axes.index(axes) + 1]
    (points,) = [points for points in beside.collections if isinstance(points, PathCollection)]
    known = layers[np.isfinite(layers["kappa"])]
    drawn = np.ma.getdata(points.get_offsets())
    np.testing.assert_array_equal(drawn[np.isfinite(drawn).all(1)], known[["layer", "kappa"]])
    assert drawn_as(beside.lines[0], layers["layer"], layers["kappa"])


@pytest.mark.parametrize("model", ["one-layer", "all"])
def test_every_jacobiator_of_every_layer_is_drawn(study, figures, model):
    rows = study["precision"][study["precision"]["model"] == model]
    axes = panel(figures["jacobiator"], model)
    drawn = {
        (x, y) for line in axes.lines if line.get_alpha() is not None for x, y in line.get_xydata()
    }
    known = rows[rows["jacobi_mean"] > 0]
    finite = {point for point in drawn if np.isfinite(point).all()}
    assert finite == set(known[["unit_roundoff", "jacobi_mean"]].itertuples(index=False, name=None))
    assert zeros_drawn(axes) == list(rows["unit_roundoff"][rows["jacobi_mean"] == 0])


def test_measured_and_nulls_are_the_tables(study, figures):
    layers = study["layers"][study["layers"]["model"] == "all"]
    nulls = study["nulls"][study["nulls"]["model"] == "all"]
    for axes, quantity in zip(figures["nulls"].axes, QUANTITIES, strict=True):
        assert drawn_as(curve(axes, "o"), layers["layer"], layers[quantity])
        means = [curve(axes, MARKERS_OF_NULLS[null][1]) for null in NULLS]
        spreads = [bars for bars in axes.collections if isinstance(bars, LineCollection)]
        of_quantity = nulls[nulls["quantity"] == quantity]
        assert len({line.get_color() for line in means}) == len(means) == len(spreads) == 5
        places = np.array([line.get_xdata() for line in means])
        # In order about their layer, nearer to it than to another.
        assert (np.diff(places, axis=0) > 0.1).all()
        assert (np.abs(places - layers["layer"].to_numpy()) < 0.45).all()
        for mean, spread, null in zip(means, spreads, NULLS, strict=True):
            rows = of_quantity[of_quantity["null"] == null]
            assert drawn_as(mean, mean.get_xdata(), rows["mean"])
            ends = np.array([segment[:, 1] for segment in spread.get_segments()])
            np.testing.assert_allclose(ends, rows[["low", "high"]], rtol=1e-12)
            # None is cut off by the scale.
            low, high = axes.get_ylim()
            assert low < ends.min() and ends.max() < high
    assert figures["nulls"].get_suptitle() == "all"


def test_a_null_that_does_not_exist_is_not_in_the_legend():
    study = draw_study({"m": (3, 4)})
    nulls = study["nulls"]
    for missing, entries in (("layers", 6), ("none", 7)):
        figure = beside_chance_of("m", study["layers"], nulls[nulls["null"] != missing])
        assert len(figure.legends[0].get_texts()) == entries


def entries(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_bar_from_zero_reaches_the_edge_and_is_marked_there():
    study = draw_study({"m": (3, 4)})
    nulls = study["nulls"]
    at = (nulls["layer"] == 1) & (nulls["null"] == "haar") & (nulls["quantity"] == "rho3")
    nulls.loc[at, "low"] = 0.0
    figure = beside_chance_of("m", study["layers"], nulls)
    assert "goes on to 0 or without end" in entries(figure)
    marked = {
        axes.get_ylabel(): line
        for axes in figure.axes
        for line in axes.lines
        if line.get_marker() == "v"
    }
    assert list(marked) == [r"$ρ_3$"]
    (line,) = marked.values()
    assert abs(line.get_xdata()[0] - 1) < 0.45 and not line.get_clip_on()
    spreads = [bars for bars in line.axes.collections if isinstance(bars, LineCollection)]
    bottom, _ = line.axes.get_ylim()
    ends = np.array([segment[:, 1] for segment in spreads[NULLS.index("haar")].get_segments()])
    np.testing.assert_allclose(ends[:, 0], [0.8 * 1.3, bottom, 0.8 * 1.3])
    assert find_cut_off(figure) == []
    # Of a ratio to the pooled null the bar has no upper end then.
    pooled = study["nulls"].assign(null=nulls["null"].map({"haar": "pooled", "pooled": "haar"}))
    ratios = ratios_to_chance(study["layers"], pooled, STYLE, **UNTRAINED)
    assert [line.get_marker() for line in ratios.axes[0].lines].count("^") == 2  # and χ's own
    assert "goes on to 0 or without end" in entries(ratios)
    whole = ratios_to_chance(
        study["layers"], draw_study({"m": (3, 4)})["nulls"], STYLE, **UNTRAINED
    )
    assert "goes on to 0 or without end" not in entries(whole)


def test_intervals_are_in_the_legend_where_they_can_be_seen():
    study = draw_study({"m": (3, 4)})
    layers, nulls = study["layers"], study["nulls"]
    sharp = nulls.assign(low=nulls["mean"], high=1.0001 * nulls["mean"])
    exact = layers.assign(
        obstruction_ci_low=layers["obstruction_rms"], obstruction_ci_high=layers["obstruction_rms"]
    )
    for draw, wide, narrow, named in (
        (lambda t: beside_chance_of("m", layers, t), nulls, sharp, "95 % of the draws"),
        (
            lambda t: ratios_to_chance(layers, t, STYLE, **UNTRAINED),
            *(nulls, sharp, "over 95 % of the draws"),
        ),
        (
            lambda t: obstruction_by_depth(t, STYLE, **UNTRAINED),
            *(layers.assign(obstruction_ci_low=0.3 * layers["obstruction_rms"]), exact),
            "its 95 % interval",
        ),
    ):
        assert named in entries(draw(wide))
        assert named not in entries(draw(narrow))


def test_levels_are_the_tables_with_negative_actions_open(study, figures):
    for axes, (level, quantity) in zip(figures["tower"].axes, LEVELS, strict=True):
        table = study["tower"]
        chosen = table[(table["level"] == level) & (table["quantity"] == quantity)]
        lines = [line for line in axes.lines if line.get_markerfacecolor() != "white"]
        for line, model in zip(lines, SMALL, strict=True):
            rows = chosen[chosen["model"] == model]
            depth = rows["layer"] / max(rows["layer"].max(), 1)
            assert drawn_as(line, depth, rows["value"].abs())
        open_points = sum(
            len(line.get_xdata()) for line in axes.lines if line.get_markerfacecolor() == "white"
        )
        assert open_points == (chosen["value"] < 0).sum()
        assert (open_points > 0) == (quantity == "action_normalised")


def test_associators_lie_on_their_prediction_which_falls_to_them_at_both_ends(study, figures):
    rows = study["associator"][study["associator"]["model"] == "all"]
    axes = panel(figures["associator"], "all")
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(points) == rows["layer"].nunique()
    for line, (_, of_layer) in zip(points, rows.groupby("layer"), strict=True):
        assert drawn_as(line, of_layer["t"], of_layer["associator"])
    lowest = axes.get_ylim()[0]
    curves = [line for line in axes.lines if line.get_marker() != "o"]
    for line, (_, of_layer) in zip(curves, rows.groupby("layer"), strict=True):
        t, height = line.get_data()
        assert (np.diff(t) >= 0).all() and (t[0], t[-1]) == (-1.5, 0.5)
        away = np.abs(t * (1 + t)) > 1e-3
        scale = of_layer["predicted"].max() / 0.75
        np.testing.assert_allclose(height[away], scale * np.abs(t + t * t)[away], rtol=1e-9)
        # It reaches what was computed where only rounding is left.
        for zero in (-1.0, 0.0):
            near = np.abs(t - zero) < 1e-6
            assert height[near].min() < lowest < of_layer["associator"].min()


def test_a_line_that_fills_a_gap_or_loses_a_point_is_noticed(study, figures):
    rows = study["layers"][study["layers"]["model"] == "all"]
    line = curve(panel(figures["epsilon"], "all"), "o")
    x, y = line.get_data()
    filled, lost = np.nan_to_num(y), np.delete(y, 1)
    assert drawn_as(line, rows["layer"], rows["epsilon"])
    assert not drawn_as(Line2D(x, filled), rows["layer"], rows["epsilon"])
    assert not drawn_as(Line2D(np.delete(x, 1), lost), rows["layer"], rows["epsilon"])


@pytest.mark.parametrize("power", [1.0, 0.5, 0.0])
def test_the_fitted_slope_is_that_of_the_geometric_mean(power):
    precision = pd.DataFrame(
        [
            ("exact", layer, operand, dtype, unit, height * unit**power)
            for layer, height in ((0, 2.0), (1, 5.0))
            for operand in ("raw", "basis")
            for dtype, unit in ROUNDOFF.items()
        ],
        columns=["model", "layer", "operand", "dtype", "unit_roundoff", "jacobi_mean"],
    )
    figure = jacobiator_by_precision(precision, STYLE, **UNTRAINED)
    axes = panel(figure, "exact")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [f"raw {power:.2f}", f"basis {power:.2f}"]
    (mean,) = [line for line in axes.lines if line.get_label() == labels[0]]
    # A rounding of a logarithm of at most 36 moves its exponential by 36 units; there are three.
    np.testing.assert_allclose(
        mean.get_ydata(), np.sqrt(10) * mean.get_xdata() ** power, rtol=128 * ROUNDOFF["float64"]
    )


def test_the_guide_has_slope_one_and_the_claimed_range_is_shaded(figures):
    axes = panel(figures["jacobiator"], "all")
    (guide,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    x, y = (np.log(values) for values in guide.get_data())
    # Two roundings of logarithms up to 40, over a run of about 34.
    assert np.diff(y) / np.diff(x) == pytest.approx(1, abs=64 * ROUNDOFF["float64"])
    low, high = axes.patches[0].get_extents().transformed(axes.transData.inverted()).intervaly
    assert (low, high) == pytest.approx(JACOBIATOR_RANGE)


# --------------------------------------------------------------------------- numbers that are not


def reasons(axes):
    return " ".join(text.get_text() for text in [axes.title, *axes.texts]).replace("\n", " ")


def note(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def test_a_model_without_numbers_has_no_panel_and_is_named(figures):
    for name, reason in (
        ("epsilon", "no ε, which needs two heads: one-head"),
        ("obstruction", "no obstruction, which needs two basis elements: one-head"),
        ("phase_diagram", "no pairs of heads: one-head"),
    ):
        assert note(figures[name]) == reason
        assert not any("one-head" in axes.get_title() for axes in figures[name].axes)
    assert "no projected Jacobiator" in reasons(panel(figures["obstruction"], "two-heads"))
    for figure in ("epsilon", "obstruction"):
        assert "no " not in reasons(panel(figures[figure], "all"))


def test_a_figure_with_nothing_to_show_is_not_drawn():
    found = draw_figures(draw_study({"one-head": (3, 1)}))
    assert set(found) == {"phases", "singular_values", "conditioning", "tower"}


def test_columns_that_are_empty_throughout_give_no_figures():
    study = draw_study(LEAST)
    kept = ["model", "layer", "n_layers", "n_heads", "d_model", "d_head"]
    layers = study["layers"]
    study["layers"] = layers[kept].reindex(columns=layers.columns)
    study["singular_values"]["sigma"] = np.nan
    study["precision"]["jacobi_mean"] = np.nan
    study["pairs"]["commutator_norm"] = np.nan
    study["nulls"][["mean", "low", "high"]] = np.nan
    study["tower"]["value"] = np.nan
    study["associator"][["associator", "predicted"]] = np.nan
    # Which says that no layer is in any phase.
    assert set(draw_figures(study)) == {"phases"}


def test_a_quantity_that_no_layer_has_has_no_panel():
    study = draw_study({"m": (3, 4)})
    layers = study["layers"].assign(rho3=np.nan, jacobi_projected_rms=np.nan)
    figure = beside_chance_of("m", layers, study["nulls"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["ε", "ε̂", r"$(1-χ)\,d^2/n$"]
    assert note(figure) == r"no $ρ_3$, which needs three basis elements"
    diagram = phase_diagram(layers, STYLE, **PHASE_ENDS, **UNTRAINED)
    assert len([axes for axes in diagram.axes if axes.get_xlabel() == "ε"]) == 1
    assert "it needs three basis elements" in note(diagram)
    for each in (figure, diagram):
        assert find_collisions(each) == [] and find_cut_off(each) == []


def test_a_level_that_only_some_models_have_names_the_others_and_what_was_too_large():
    study = draw_study({"small": (2, 4), "large": (2, 4)})
    tower, layers = study["tower"], study["layers"]

    def draw():
        return tower_by_depth(tower, layers, STYLE, **UNTRAINED)

    assert not any("none of" in axes.get_title() for axes in draw().axes)
    assert all(axes.get_ylabel() for axes in draw().axes)
    large = layers["model"] == "large"
    layers.loc[large, "note"] = "rank 3 of 4; d = 576 above commutant_max_d = 512: no W* level"
    tower.loc[(tower["model"] == "large") & (tower["level"] == "W*"), "value"] = np.nan
    titles = [" ".join(axes.get_title().split()) for axes in draw().axes]
    assert [title for title in titles if "none of" in title] == [
        "W* none of large: d = 576 above commutant_max_d = 512"
    ]
    assert find_collisions(draw()) == []
    # Where no model has it there is no panel.
    tower.loc[tower["level"] == "W*", "value"] = np.nan
    assert len(draw().axes) == 5
    assert note(draw()) == (
        "W*, gap to decoupling, not drawn: small: it was not found; "
        "large: d = 576 above commutant_max_d = 512"
    )


# ------------------------------------------------------------------------------ can it be read?


@pytest.mark.parametrize(
    ("models", "style", "span_phases"),
    [
        (DEMO, STYLE, False),
        (SMALL, OTHER_STYLE, True),
        (FULL, STYLE, True),
        (FULL, OTHER_STYLE, True),
        (LEAST, OTHER_STYLE, True),
    ],
    ids=["demo", "narrow", "full", "full-narrow", "least"],
)
def test_no_text_meets_another_or_leaves_the_page(models, style, span_phases):
    figures = draw_figures(draw_study(models, span_phases=span_phases), style)
    for name, figure in figures.items():
        assert find_collisions(figure) == [], name
        assert find_empty_panels(figure) == [], name
        assert find_cut_off(figure) == [], name
        assert figure.get_figwidth() == style.width_inches


def test_texts_that_meet_or_leave_the_page_are_noticed():
    figure = epsilon_figure(draw_study(LEAST)["layers"])
    assert find_collisions(figure) == []
    axes = figure.axes[0]
    axes.text(0.5, 1.01, "over the title", transform=axes.transAxes, ha="center")
    figure.text(0.99, 0.5, "off the page")
    found = find_collisions(figure)
    assert (axes.get_title(), "over the title") in found or (
        "over the title",
        axes.get_title(),
    ) in found
    assert "off the page" in found


def test_what_is_cut_off_is_noticed():
    figure = epsilon_figure(draw_study(LEAST)["layers"])
    assert find_cut_off(figure) == []
    axes = figure.axes[0]
    (line,) = [line for line in axes.lines if line.get_marker() == "o"]
    axes.set_ylim(top=0.99 * line.get_ydata().max())
    assert find_cut_off(figure)
    figure = epsilon_figure(draw_study(LEAST)["layers"])
    figure.text(0.99, 0.5, "off the page")
    assert find_cut_off(figure)


def test_lines_are_broken_between_formulas_and_not_within():
    text = r"the share $ρ_3=\|ℓ_3\|/\|ℓ_2∘ℓ_2\|$ of span{$A_h$, $[A_i,A_j]$} in words"
    for inches in (0.9, 1.3, 1.7, 3.0):
        lines = wrapped(text, inches).split("\n")
        assert " ".join(lines) == text
        assert all(line.count("$") % 2 == 0 for line in lines)


def test_curves_of_a_panel_differ_in_more_than_colour(figures):
    for name, curves in (("epsilon", 4), ("obstruction", 2), ("chance", 3)):
        for axes in figures[name].axes:
            lines = [line for line in axes.lines if line.get_marker() not in ("v", "None", "")]
            looks = {(line.get_linestyle(), line.get_marker()) for line in lines}
            assert len(looks) == len(lines) == curves


def test_the_axes_to_compare_are_the_same(figures):
    def limits(axes):
        return {(axis.get_ylim(), axis.get_yscale()) for axis in axes}

    for name in ("epsilon", "obstruction", "jacobiator", "conditioning", "chance"):
        assert len(limits(figures[name].axes)) == 1
    of_kappa = [axes for axes in figures["singular_values"].axes if axes.get_ylabel() == "κ"]
    assert len(of_kappa) == len(SMALL)
    assert len(limits(of_kappa)) == 1


def test_all_three_phases_are_drawn_and_named_however_small_epsilon_is():
    for epsilon in (1e-6, 0.05, 30.0):
        layers = draw_study(LEAST)["layers"].assign(epsilon=epsilon, epsilon_null=epsilon)
        figure = epsilon_figure(layers)
        assert [text.get_text() for text in figure.axes[0].texts] == [*PHASES, "phase"]
        assert find_collisions(figure) == []
        for axes in figure.axes:
            bands = [patch.get_extents().height for patch in axes.patches]
            assert len(bands) == 3 and min(bands) > 0


def test_conditioning_bands_are_drawn_only_within_the_axis():
    for span_phases, edges in ((True, [100, 1000]), (False, [])):
        study = draw_study({"m": (6, 8)}, span_phases=span_phases)
        figure = singular_values(
            study["singular_values"], study["layers"], STYLE, **KAPPA_BANDS, **UNTRAINED
        )
        for axes in figure.axes:
            if axes.get_ylabel() == "κ":
                dotted = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"]
                assert dotted == edges
                assert [text.get_text() for text in axes.texts] == (
                    ["well", "moderate", "poor"] if edges else []
                )


# -------------------------------------------------------------------------------------- colours


@pytest.mark.parametrize("style", [STYLE, OTHER_STYLE], ids=["style", "other"])
def test_colours_are_the_styles(study, figures, style):
    if style != STYLE:
        figures = draw_figures(study, style)
    for axes in figures["epsilon"].axes:
        bands = [patch.get_facecolor() for patch in axes.patches]
        assert bands == [to_rgba(style.phase_colours[phase]) for phase in PHASES]
    colours = style.model_colours(study["layers"])
    assert list(colours) == list(SMALL)
    for name, model in itertools.product(("epsilon", "obstruction"), PAIRED):
        assert curve(panel(figures[name], model), "o").get_color() == colours[model]
    spectra = panel(figures["singular_values"], "all")
    shades = style.depth_colours()(Normalize(0, 11)(np.arange(12)))
    lines = [line for line in spectra.lines if line.get_marker() != "v"]
    np.testing.assert_array_equal([line.get_color() for line in lines], shades)


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("palette", ["colorblind", "pastel", "dark", "husl", "Set3", "tab20"])
def test_a_palettes_colours_are_kept_or_darkened_until_lines_can_be_seen(palette):
    table = pd.DataFrame({"model": [f"m{k}" for k in range(16)]})
    style = FigureStyle(**{**vars(STYLE), "model_palette": palette})
    given = sns.color_palette(palette, 16)
    for colour, drawn in zip(given, style.model_colours(table).values(), strict=True):
        # 1.05 / (luminance + 0.05) is the contrast with white; sRGB's two branches meet to 1e-7.
        assert 1.05 / (luminance(drawn) + 0.05) > 2.5 - 1e-4
        if luminance(colour) < 0.36:
            np.testing.assert_allclose(drawn, colour, atol=1e-6)


def test_lines_by_depth_end_before_the_colours_that_paper_swallows():
    for name in ("cividis", "viridis", "plasma", "inferno", "magma"):
        shades = FigureStyle(**{**vars(STYLE), "map_colours": name}).depth_colours()
        lightness = [luminance(colour) for colour in shades(np.linspace(0, 1, 64))]
        assert np.all(np.diff(lightness) > -1e-3)
        assert max(lightness) < 0.65


# --------------------------------------------------------------------------------- reproducible

WRITE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_plots import STYLE, LEAST, draw_figures, draw_study, write_figure
for name, figure in draw_figures(draw_study(LEAST)).items():
    path = Path(sys.argv[2]) / name
    write_figure(figure, path.with_suffix(".svg"), path.with_suffix(".png"), STYLE.dpi)
"""


def files(folder: Path):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_second_write_and_a_fresh_process_give_the_same_bytes(tmp_path):
    here, again, elsewhere = (tmp_path / name for name in ("here", "again", "elsewhere"))
    for folder in (here, again, elsewhere):
        folder.mkdir()
    fresh = subprocess.Popen(
        [sys.executable, "-c", WRITE, str(Path(__file__).parent), str(elsewhere)],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    # A user's own settings are no part of the figure.
    with mpl.rc_context({"lines.dashed_pattern": [9, 9], "svg.hashsalt": None, "path.snap": False}):
        figures = draw_figures(draw_study(LEAST))
        for folder in (here, again):
            for name, figure in figures.items():
                write_figure(figure, folder / f"{name}.svg", folder / f"{name}.png", STYLE.dpi)
    assert fresh.wait() == 0
    assert len(files(here)) == 24
    assert files(here) == files(again)
    assert files(here) == files(elsewhere)
    for name, content in files(here).items():
        if name.endswith(".svg"):
            assert b"<text" not in content
            assert not re.search(rb"<dc:date>|Matplotlib v", content)
        else:
            assert b"Matplotlib" not in content


def test_other_numbers_give_other_bytes(tmp_path):
    layers = draw_study({"m": (3, 4)})["layers"]
    written = []
    for table in (layers, layers.assign(epsilon=1.01 * layers["epsilon"])):
        figure = epsilon_figure(table)
        # What the rules write aside has another ending.
        write_figure(figure, tmp_path / "a.svg.partial", tmp_path / "a.png.partial", STYLE.dpi)
        written.append(files(tmp_path))
    assert all(written[0][name] != written[1][name] for name in written[0])


def test_no_setting_and_no_figure_is_left_behind(study):
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    tables = {name: table.copy() for name, table in study.items()}
    draw_figures(study)
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []
    for name, table in tables.items():
        pd.testing.assert_frame_equal(study[name], table)


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("column", ["model", "layer", "epsilon", "epsilon_null"])
def test_a_missing_column_is_named(column):
    layers = draw_study(DEMO)["layers"].drop(columns=column)
    with pytest.raises(ValueError, match=rf"^the table layers lacks {column}; give it [^\n]*$"):
        epsilon_figure(layers)


def test_a_table_without_rows_is_refused():
    layers = draw_study(DEMO)["layers"].iloc[:0]
    with pytest.raises(ValueError, match=r"^the table layers has no rows; give [^\n]*$"):
        obstruction_by_depth(layers, STYLE, **UNTRAINED)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width_inches", 2.0),
        ("width_inches", float("nan")),
        ("phase_colours", {"I": "#ffffff", "II": "#ffffff"}),
    ],
)
def test_a_style_that_cannot_be_drawn_is_refused(field, value):
    with pytest.raises(ValueError, match=rf"^{field} [^\n]*give [^\n]*$"):
        FigureStyle(**{**vars(STYLE), field: value})


def test_models_named_by_numbers_are_drawn():
    study = draw_study({"125": (3, 4)})
    for table in study.values():
        table["model"] = table["model"].astype(int)
    layers = study["layers"]
    assert panel(epsilon_figure(layers), "125").lines
    spectra = study["singular_values"].assign(model="125")
    assert panel(singular_values(spectra, layers, STYLE, **KAPPA_BANDS, **UNTRAINED), "125").lines


# ------------------------------------------------------------------------- the paper's own figures


@pytest.fixture(scope="module")
def paper():
    study = with_gaps_and_zeros(draw_study(PAPER))
    return study["layers"], draw_figures(study)


def table_rows(figure):
    """Texts of the phase table, line by line down each block, headings of the columns left out."""
    texts = [(text.get_position(), text.get_text()) for text in figure.axes[0].texts]
    middle = figure.get_figwidth() / 2
    lines = {}
    for (x, y), text in sorted(texts):
        lines.setdefault((x > middle, y), []).append(text)
    return [line for _, line in sorted(lines.items()) if line[0] != "phase"]


def test_the_phase_table_has_the_counts_of_every_model(paper):
    layers, figures = paper
    rows = table_rows(figures["phases"])
    headings = [line[0] for line in rows if len(line) == 1]
    assert headings == [
        "the paper",
        "gpt2-medium, 24 layers",
        "gpt2-medium-init, 24 layers (at initialisation)",
        "all-init, 12 layers (at initialisation)",
        "all, 12 layers, 3 without ε",
    ]
    cells = [line for line in rows if len(line) > 1][3:]
    assert len(cells) == 3 * len(PAPER)
    for line, (model, name) in zip(cells, itertools.product(PAPER, PHASES), strict=True):
        of_phase = layers[(layers["model"] == model) & (layers["phase"] == name)]
        assert line[:2] == [name, str(len(of_phase))]
        if of_phase.empty:
            assert line[2:] == ["–"] * 4
            continue
        low, _, high = line[3].partition("–")
        ends = [float(low), float(high or low)]
        expected = of_phase["epsilon"].agg(["min", "max"])
        np.testing.assert_allclose(ends, expected, rtol=0.005)
        assert float(line[5]) == pytest.approx(of_phase["rho3"].mean(), abs=0.005)


def test_the_phase_table_begins_with_the_papers(paper):
    rows = [line for line in table_rows(paper[1]["phases"]) if len(line) > 1][:3]
    assert [line[0] for line in rows] == list(PHASE_CLAIMS) == list(PHASES)
    assert [line[3] for line in rows] == ["< 0.1", "0.1–1", "> 1"]
    assert [line[4] for line in rows] == ["< 0.001", "0.001–0.1", "> 0.1"]
    assert [line[5] for line in rows] == [claim.ternary for claim in PHASE_CLAIMS.values()]


@pytest.mark.parametrize(
    ("layers", "shown"),
    [
        ([], ""),
        ([4], "4"),
        ([2, 0, 1, 7], "0–2, 7"),
        ([0, 1, 4, 5, 8, 9, 12], "in 0–12"),
    ],
)
def test_layers_are_shown_as_runs_or_by_their_ends(layers, shown):
    assert runs(layers) == shown


@pytest.mark.parametrize("model", PAPER)
def test_the_phase_diagram_has_every_layer_at_its_place_in_the_colour_of_its_depth(paper, model):
    layers, figures = paper
    rows = layers[layers["model"] == model]
    shades = STYLE.depth_colours()(rows["layer"] / rows["layer"].max())
    for axes, column in zip(
        figures["phase_diagram"].axes, ("obstruction_rms", "jacobi_projected_rms"), strict=False
    ):
        points = [c for c in axes.collections if isinstance(c, PathCollection)]
        of_model = points[list(PAPER).index(model)]
        there = ((rows["epsilon"] > 0) & (rows[column] > 0)).to_numpy()
        np.testing.assert_array_equal(
            np.ma.getdata(of_model.get_offsets()), rows[["epsilon", column]][there]
        )
        faces, (edge,) = of_model.get_facecolors(), np.unique(of_model.get_edgecolors(), axis=0)
        if model in UNTRAINED["initialised"]:
            np.testing.assert_array_equal(faces, [[1, 1, 1, 1]])
            assert tuple(edge[:3]) == STYLE.model_colours(layers)[model]
        else:
            np.testing.assert_allclose(faces, shades[there])


def test_what_the_phase_diagram_leaves_out_is_counted(paper):
    layers, figures = paper
    notes = [axes.get_title() for axes in figures["phase_diagram"].axes[:2]]
    assert notes == ["not shown: 1 with an exact 0"] * 2
    assert ((layers["epsilon"] == 0) | (layers["jacobi_projected_rms"] == 0)).sum() == 1


def boxes(axes):
    """Corners of what is drawn as the paper's, clear of the bands that fill the panel."""
    return [
        (box.get_x(), box.get_y(), box.get_x() + box.get_width(), box.get_y() + box.get_height())
        for box in axes.patches
        if isinstance(box, Rectangle) and box.get_edgecolor()[3] > 0
    ]


def test_the_papers_boxes_are_drawn(paper):
    _, figures = paper
    obstruction, projected, *_ = figures["phase_diagram"].axes
    low, high = (x for x in zip(OBSTRUCTION_AT, OBSTRUCTION_RANGE, strict=True))
    assert boxes(obstruction) == [pytest.approx((*low, *high))]
    edges = [*projected.get_xlim(), *projected.get_ylim()]
    assert edges[0] < 0.1 < 1 < edges[1] and edges[2] < 1e-3 < 0.1 < edges[3]
    assert boxes(projected) == [
        pytest.approx((edges[0], edges[2], 0.1, 1e-3)),
        pytest.approx((0.1, 1e-3, 1.0, 0.1)),
        pytest.approx((1.0, 0.1, edges[1], edges[3])),
    ]
    expected = [
        (span[0] + 0.5, low, span[-1] + 1.5, high) for span, (low, high) in GPT2_MEDIUM_EPSILON
    ]
    found = boxes(figures["gpt2_medium"].axes[0])
    for box, corners in zip(found, expected, strict=True):
        assert box == pytest.approx(corners)


def test_gpt2_medium_is_counted_from_one_and_its_null_counted_nowhere(paper):
    layers, figures = paper
    axes = figures["gpt2_medium"].axes[0]
    lines = [line for line in axes.lines if line.get_marker() == "o"]
    for line, model in zip(lines, ("gpt2-medium", "gpt2-medium-init"), strict=True):
        rows = layers[layers["model"] == model]
        assert drawn_as(line, rows["layer"] + 1, rows["epsilon"])
        assert (line.get_markerfacecolor() == "white") == (model != "gpt2-medium")
    measured = layers[layers["model"] == "gpt2-medium"].set_index("layer")["epsilon"]
    expected = [
        f"{measured.loc[list(span)].between(low, high).sum()} of 8 inside"
        for span, (low, high) in GPT2_MEDIUM_EPSILON
    ]
    assert [text.get_text() for text in axes.texts] == expected
    assert axes.get_title() == ""


@pytest.mark.parametrize(("factor", "inside"), [(1.0, 8), (0.01, 0), (100.0, 0)])
def test_layers_inside_an_interval_are_counted_and_others_are_not(factor, inside):
    layers = draw_study({"gpt2-medium": (24, 16)})["layers"]
    for span, (low, high) in GPT2_MEDIUM_EPSILON:
        layers.loc[layers["layer"].isin(span), "epsilon"] = factor * (low + high) / 2
    figure = gpt2_medium_intervals(layers, STYLE, measured=["gpt2-medium"], initial=[])
    counts = [text.get_text() for text in figure.axes[0].texts]
    assert counts == [f"{inside} of 8 inside"] * 3


@pytest.mark.parametrize("weak_below", [0.0, 0.3])
def test_phases_of_the_diagram_are_named_above_it_if_they_have_a_place(weak_below):
    layers = draw_study(LEAST)["layers"]
    figure = phase_diagram(layers, STYLE, weak_below=weak_below, topological_above=1.0, **UNTRAINED)
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        (above,) = axes.child_axes
        names = [label.get_text() for label in above.get_xticklabels()]
        assert names == list(PHASES if weak_below else PHASES[1:])


def test_a_null_alone_is_no_evidence(paper):
    layers, _ = paper
    with pytest.raises(NothingToShow, match=r"^GPT-2 Medium is not in this study$"):
        gpt2_medium_intervals(layers, STYLE, measured=[], initial=["gpt2-medium-init"])


def test_what_is_not_gpt2_medium_is_left_out_and_said(paper):
    layers, _ = paper
    for measured, initial in ((["all"], []), ([], ["all"])):
        with pytest.raises(NothingToShow, match=r"not in this study; all has another shape$"):
            gpt2_medium_intervals(layers, STYLE, measured=measured, initial=initial)
    figure = gpt2_medium_intervals(layers, STYLE, measured=["gpt2-medium", "all"], initial=[])
    axes = figure.axes[0]
    title = axes.get_title().replace("\n", " ")
    assert title == "all is left out: it has another shape than GPT-2 Medium."
    assert len([line for line in axes.lines if line.get_marker() == "o"]) == 1
    assert entries(figure) == ["interval of the paper", "gpt2-medium", "its Haar null"]
    assert len(axes.texts) == 3
    with pytest.raises(ValueError, match=r"^the table layers lacks absent; give [^\n]*$"):
        gpt2_medium_intervals(layers, STYLE, measured=["absent"], initial=[])


def sized(shapes, epsilon):
    """A layer table of models of the given depth and width, with these ε, one list a model."""
    return pd.DataFrame(
        [
            {
                "model": model,
                "layer": layer,
                "n_layers": n_layers,
                "d_model": width,
                "epsilon": epsilon[model][layer],
            }
            for model, (n_layers, width) in shapes.items()
            for layer in range(n_layers)
        ]
    )


def test_size_is_the_largest_value_and_step_of_each_model():
    layers = sized(
        {
            **{"small": (2, 10), "large": (3, 100), "largest": (3, 200)},
            **{"init": (2, 100), "other": (2, 10)},
        },
        {
            **{"small": [1.0, 3.0], "large": [9.0, 4.0, 5.0], "largest": [9.5, 4.0, 5.0]},
            **{"init": [0.1, 0.2], "other": [7.0, 7.0]},
        },
    )
    of = {"small": "a", "large": "a", "largest": "a", "init": "a", "other": "b"}
    figure = epsilon_by_size(layers, STYLE, families=of, initialised=["init"])
    a, b = 12e-6 * 2 * 10**2, 12e-6 * 3 * 100**2
    for axes, heights, other in zip(figure.axes, ([3, 9, 9.5], [2, 5, 5.5]), (7, 0), strict=True):
        trained, initial, *rest = axes.lines
        np.testing.assert_allclose(trained.get_xydata(), np.column_stack([[a, b, 4 * b], heights]))
        assert trained.get_linestyle() == "-" and initial.get_linestyle() == "None"
        assert initial.get_markerfacecolor() == "white"
        np.testing.assert_allclose(initial.get_ydata(), [0.2 if axes is figure.axes[0] else 0.1])
        assert rest[0].get_color() != trained.get_color()
        assert zeros_drawn(axes) == ([] if other else [pytest.approx(a)])
    assert find_collisions(figure) == [] and find_cut_off(figure) == []


def test_layers_that_are_not_neighbours_make_no_step():
    layers = sized({"m": (4, 10)}, {"m": [1.0, 2.0, 8.0, 8.5]})
    for kept, step in (([0, 1, 3], 1.0), ([0, 2], np.nan), ([3], np.nan)):
        table = sizes(layers[layers["layer"].isin(kept)])
        np.testing.assert_array_equal(table["step"], [step])


@pytest.mark.parametrize("sizes_of", [{"a": 2}, {"a": 2, "b": 2}, {"a": 1, "init": 4}])
def test_fewer_than_three_sizes_of_a_family_make_no_figure(sizes_of):
    shapes = {f"{name}-{k}": (2, 10 * k) for name, n in sizes_of.items() for k in range(1, n + 1)}
    layers = sized(shapes, {model: [1.0, 2.0] for model in shapes})
    of = families(layers)
    initialised = [model for model in shapes if model.startswith("init")]
    with pytest.raises(NothingToShow, match=r"^fewer than three sizes of a family"):
        epsilon_by_size(layers, STYLE, families=of, initialised=initialised)


def test_a_model_without_a_family_is_refused():
    layers = sized({"m": (1, 10)}, {"m": [1.0]})
    with pytest.raises(ValueError, match=r"^families lacks m; give [^\n]*$"):
        epsilon_by_size(layers, STYLE, families={}, initialised=[])


@pytest.mark.parametrize("model", PAPER)
def test_conditioning_and_route_are_the_tables(paper, model):
    layers, figures = paper
    rows = layers[layers["model"] == model]
    axes = panel(figures["conditioning"], model)
    assert drawn_as(axes.lines[0], rows["layer"], rows["kappa"])
    routes = {"s": "dense", "D": "mixed", "o": "sampled"}
    marked = [line for line in axes.lines if line.get_marker() in routes]
    assert len(marked) == 3
    for line in marked:
        taken = rows[rows["route"] == routes[line.get_marker()]]
        assert drawn_as(line, taken["layer"], taken["kappa"])
    kept = curve(axes, "_")
    other = rows[rows["kappa"].isna() | (rows["kappa"] != rows["kappa_used"])]
    assert drawn_as(kept, other["layer"], other["kappa_used"])
    n, heads = rows["basis_dim"], rows["n_heads"].iloc[0]
    assert axes.get_title().split("\n")[1] == f"n = {n.min()} to {n.max()} of {heads}"


def test_a_basis_of_one_size_and_a_route_that_does_not_exist():
    layers = draw_study(LEAST)["layers"]
    figure = conditioning_by_depth(layers, STYLE, **KAPPA_BANDS, **UNTRAINED)
    assert figure.axes[0].get_title() == "least\nn = 3 of 3"
    with pytest.raises(ValueError, match=r"^the table layers has the route shortest; give [^\n]*$"):
        conditioning_by_depth(layers.assign(route="shortest"), STYLE, **KAPPA_BANDS, **UNTRAINED)


@pytest.mark.parametrize("model", PAPER)
def test_ratios_to_chance_are_the_tables(paper, model):
    layers, figures = paper
    rows = layers[layers["model"] == model]
    axes = panel(figures["chance"], model)
    nulls = draw_study(PAPER)["nulls"].query("model == @model and null == 'pooled'")
    bars = [bars for bars in axes.collections if isinstance(bars, LineCollection)]
    for place, (marker, quantity) in enumerate(
        (("o", "epsilon"), ("^", "closure_isotropy"), ("s", "rho3"))
    ):
        pooled = nulls[nulls["quantity"] == quantity].set_index("layer")
        mean, low, high = (rows["layer"].map(pooled[name]) for name in ("mean", "low", "high"))
        line = curve(axes, marker)
        at = rows["layer"] + (place - 1) * 0.22
        assert drawn_as(line, at, rows[quantity] / mean)
        ends = pd.DataFrame({"low": rows[quantity] / high, "high": rows[quantity] / low})
        drawn = np.array([segment[:, 1] for segment in bars[place].get_segments()])
        np.testing.assert_allclose(drawn, ends[ends["high"] > 0], rtol=1e-12)
    (chance,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert list(chance.get_ydata()) == [1, 1]


@pytest.mark.parametrize("model", PAPER)
def test_epsilon_at_initialisation_is_the_nulls(paper, model):
    study = draw_study(PAPER)
    nulls = study["nulls"]
    nulls = nulls[~nulls["model"].isin(UNTRAINED["initialised"])]
    figure = epsilon_by_depth(study["layers"], nulls, STYLE, **PHASE_ENDS, **UNTRAINED)
    initial = nulls.query("model == @model and quantity == 'epsilon' and null == 'init'")
    lines = [line for line in panel(figure, model).lines if line.get_marker() == "."]
    assert all(drawn_as(line, initial["layer"], initial["mean"]) for line in lines)
    assert len(initial) == (0 if model.endswith("-init") else PAPER[model][0])


def test_models_that_were_never_trained_are_told_apart(paper):
    _, figures = paper
    for name in ("epsilon", "obstruction", "jacobiator", "associator", "singular_values"):
        for model in PAPER:
            said = "(at initialisation)" in panel(figures[name], model).get_title()
            assert said == (model in UNTRAINED["initialised"]), (name, model)
    lines = [line for line in figures["tower"].axes[0].lines if line.get_linestyle() != "None"]
    for line, model in zip(lines, PAPER, strict=True):
        assert (line.get_linestyle() != "-") == (model in UNTRAINED["initialised"])


def test_every_figure_says_how_the_weights_of_a_model_are_stored(study):
    """Wherever it names the model, in the same words otherwise."""
    model = str(study["layers"]["model"].iloc[-1])
    plain = draw_figures(study)
    stored = draw_figures(study, replace(STYLE, quantised={model: "Q4_1"}))
    # Families and training runs have names of their own.
    for name in plain.keys() - {"size", "training"}:
        texts = [
            [" ".join(text.get_text().split()) for text in figure.findobj(Text)]
            for figure in (plain[name], stored[name])
        ]
        named = [
            re.sub(rf"(?<![\w-]){model}(?![\w-])", f"{model} (Q4_1)", text) for text in texts[0]
        ]
        assert texts[1] == named, name
        assert any("Q4_1" in text for text in texts[1]), name


@pytest.mark.parametrize("palette", ["colorblind", "husl"])
def test_models_of_one_colour_have_markers_of_their_own(palette):
    style = FigureStyle(**{**vars(STYLE), "model_palette": palette})
    table = pd.DataFrame({"model": [f"m{k}" for k in range(24)]})
    colours, markers = style.model_colours(table), style.model_markers(table)
    assert len({(colours[model], markers[model]) for model in colours}) == 24
    assert len(set(list(markers.values())[:9])) == 9


@pytest.mark.parametrize(
    ("figure", "column"),
    [
        *(("phases", name) for name in ("model", "layer", "phase")),
        *(("phase_diagram", name) for name in ("epsilon", "obstruction_rms")),
        *(("gpt2_medium", name) for name in ("d_model", "epsilon_null")),
        *(("size", name) for name in ("n_layers", "epsilon")),
        *(("conditioning", name) for name in ("kappa", "basis_dim", "route")),
        *(("chance", name) for name in ("rho3", "closure_isotropy")),
    ],
)
def test_a_column_that_the_papers_figures_lack_is_named(figure, column):
    study = draw_study({"m": (24, 16)})
    whole, nulls = study["layers"], study["nulls"]
    layers = whole.drop(columns=column)
    draw = {
        "phases": lambda: phase_counts(layers, phase_table(whole), STYLE, **UNTRAINED),
        "phase_diagram": lambda: phase_diagram(layers, STYLE, **PHASE_ENDS, **UNTRAINED),
        "gpt2_medium": lambda: gpt2_medium_intervals(layers, STYLE, measured=["m"], initial=[]),
        "size": lambda: epsilon_by_size(layers, STYLE, families={"m": "m"}, **UNTRAINED),
        "conditioning": lambda: conditioning_by_depth(layers, STYLE, **KAPPA_BANDS, **UNTRAINED),
        "chance": lambda: ratios_to_chance(layers, nulls, STYLE, **UNTRAINED),
    }
    with pytest.raises(ValueError, match=rf"^the table layers lacks {column}; give it [^\n]*$"):
        draw[figure]()
