"""Laws of the figures: what the table says is drawn, nothing else is, and all of it can be read."""

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
from headalgebra.plots import FigureStyle, write_figure
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
                (model, layer, i, j, rng.lognormal(-2.5, 0.5))
                for i, j in itertools.combinations(range(n_heads), 2)
            ]
    sigma_columns = ["model", "layer", "index", "sigma"]
    precision_columns = ["model", "layer", "operand", "dtype", "unit_roundoff", "jacobi_mean"]
    pair_columns = ["model", "layer", "i", "j", "commutator_relative"]
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
    """Every figure of a study, by name; of the maps, those of the last model."""
    layers, pairs, nulls = study["layers"], study["pairs"], study["nulls"]
    last = layers["model"].iloc[-1]
    sigma = study["singular_values"]
    figures = {
        "epsilon": epsilon_by_depth(layers, nulls, style, **PHASE_ENDS, **UNTRAINED),
        "singular_values": singular_values(sigma, layers, style, **KAPPA_BANDS, **UNTRAINED),
        "jacobiator": jacobiator_by_precision(study["precision"], style, **UNTRAINED),
        "obstruction": obstruction_by_depth(layers, style, **UNTRAINED),
        "commutators": commutator_maps(pairs[pairs["model"] == last], style, model=last),
        "nulls": beside_chance_of(last, layers, nulls, style),
        "tower": tower_by_depth(study["tower"], style, **UNTRAINED),
        "associator": associator_by_parameter(study["associator"], style, **UNTRAINED),
        "phases": phase_counts(layers, phase_table(layers), style, **UNTRAINED),
        "phase_diagram": phase_diagram(layers, style, **PHASE_ENDS, **UNTRAINED),
        "size": epsilon_by_size(layers, style, families=families(layers), **UNTRAINED),
        "conditioning": conditioning_by_depth(layers, style, **KAPPA_BANDS, **UNTRAINED),
        "chance": ratios_to_chance(layers, nulls, style, **UNTRAINED),
    }
    of_its_shape = layers[(layers["n_layers"] == 24) & (layers["n_heads"] == 16)]
    if len(of_its_shape):
        figures["gpt2_medium"] = gpt2_medium_intervals(
            layers, style, **by_training(of_its_shape["model"].unique())
        )
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


@pytest.mark.parametrize("model", SMALL)
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


@pytest.mark.parametrize("model", SMALL)
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


def test_maps_are_the_pairs_both_ways_with_a_blank_diagonal(study, figures):
    pairs = study["pairs"][study["pairs"]["model"] == "all"]
    maps = [axes for axes in figures["commutators"].axes if axes.images]
    assert [axes.get_title() for axes in maps] == [f"layer {layer}" for layer in range(12)]
    for layer, axes in enumerate(maps):
        matrix = np.ma.filled(axes.images[0].get_array(), np.nan)
        rows = pairs[pairs["layer"] == layer]
        np.testing.assert_array_equal(matrix[rows["i"], rows["j"]], rows["commutator_relative"])
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.isnan(matrix.diagonal()).all()
        assert np.isnan(matrix).sum() == len(matrix)
        assert axes.images[0].norm is maps[0].images[0].norm
        assert axes.images[0].get_clim()[1] == pairs["commutator_relative"].max()
    assert figures["commutators"].get_suptitle() == "all"


def test_measured_and_nulls_are_the_tables(study, figures):
    layers = study["layers"][study["layers"]["model"] == "all"]
    nulls = study["nulls"][study["nulls"]["model"] == "all"]
    for axes, quantity in zip(figures["nulls"].axes, QUANTITIES, strict=True):
        assert drawn_as(curve(axes, "o"), layers["layer"], layers[quantity])
        means = [line for line in axes.lines if line.get_marker() == "_"]
        spreads = [bars for bars in axes.collections if isinstance(bars, LineCollection)]
        of_quantity = nulls[nulls["quantity"] == quantity]
        assert len({line.get_color() for line in means}) == len(means) == len(spreads) == 5
        assert len({line.get_linestyle() for line in means}) >= 2
        for mean, spread, null in zip(means, spreads, NULLS, strict=True):
            rows = of_quantity[of_quantity["null"] == null]
            assert drawn_as(mean, rows["layer"], rows["mean"])
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


def test_associators_lie_on_their_prediction_and_fall_at_both_ends(study, figures):
    rows = study["associator"][study["associator"]["model"] == "all"]
    axes = panel(figures["associator"], "all")
    points = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(points) == rows["layer"].nunique()
    for line, (_, of_layer) in zip(points, rows.groupby("layer"), strict=True):
        assert drawn_as(line, of_layer["t"], of_layer["associator"])
    for line in (line for line in axes.lines if line.get_marker() != "o"):
        t, height = line.get_data()
        (of_layer,) = [
            part
            for _, part in rows.groupby("layer")
            if np.isclose(np.nanmax(height), part["predicted"].max(), rtol=1e-9)
        ]
        at = np.isin(t, of_layer["t"]) & ~np.isnan(height)
        known = of_layer[of_layer["predicted"] > 0]
        np.testing.assert_allclose(height[at], known["predicted"], rtol=1e-9)
        assert set(t[np.isnan(height)]) == {-1.0, 0.0}


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


def test_what_does_not_exist_is_said_in_the_panel(figures):
    assert "no ε: it needs two heads" in reasons(panel(figures["epsilon"], "one-head"))
    assert "no obstruction" in reasons(panel(figures["obstruction"], "one-head"))
    assert "no projected Jacobiator" in reasons(panel(figures["obstruction"], "two-heads"))
    for figure in ("epsilon", "obstruction"):
        assert "no " not in reasons(panel(figures[figure], "all"))


def test_a_study_without_pairs_or_triples_still_has_figures():
    study = draw_study({"one-head": (3, 1)})
    figures = draw_figures(study)
    for name in ("commutators", "jacobiator", "associator"):
        figure = figures[name]
        assert any(text.get_text().startswith("no ") for text in figure.texts), name


def test_columns_that_are_empty_throughout_still_give_figures():
    study = draw_study(LEAST)
    kept = ["model", "layer", "n_layers", "n_heads", "d_model", "d_head"]
    layers = study["layers"]
    study["layers"] = layers[kept].reindex(columns=layers.columns)
    study["singular_values"]["sigma"] = np.nan
    study["precision"]["jacobi_mean"] = np.nan
    study["pairs"]["commutator_relative"] = np.nan
    study["nulls"][["mean", "low", "high"]] = np.nan
    study["tower"]["value"] = np.nan
    study["associator"][["associator", "predicted"]] = np.nan
    for name, figure in draw_figures(study).items():
        assert find_empty_panels(figure) == [], name
        assert find_collisions(figure) == [], name


def test_a_layer_whose_heads_are_zero_says_so_among_the_others():
    pairs = draw_study({"m": (3, 4)})["pairs"]
    pairs.loc[pairs["layer"] == 1, "commutator_relative"] = np.nan
    figure = commutator_maps(pairs, STYLE, model="m")
    assert [len(axes.texts) for axes in figure.axes[:3]] == [0, 1, 0]


def test_one_bright_layer_leaves_shades_to_the_others():
    pairs = draw_study({"m": (3, 4)})["pairs"]
    cells = pairs["commutator_relative"].to_numpy()
    assert cells.min() > 0 and cells.max() < 4 * np.median(cells)
    shades = commutator_maps(pairs, STYLE, model="m").axes[1].images[0].norm
    assert (shades(0), shades(cells.max())) == (0, 1)
    assert shades(cells.max() / 2) == pytest.approx(0.5)
    pairs.loc[pairs["layer"] == 0, "commutator_relative"] *= 100
    pairs.loc[(pairs["layer"] == 1) & (pairs["i"] == 0), "commutator_relative"] = 0
    figure = commutator_maps(pairs, STYLE, model="m")
    image = figure.axes[1].images[0]
    # By the logarithm: what is equal is a ratio. A pair that commutes is dark, and not blank.
    middle = np.median(cells)
    steps = np.diff(image.norm([middle, 2 * middle, 4 * middle]))
    assert 0.05 < steps[0] == pytest.approx(steps[1])
    shown = np.ma.filled(image.norm(image.get_array()), np.nan)
    assert shown[0, 1] == 0 and np.isnan(shown[0, 0])
    bar = figure.axes[-1]
    assert all("e" not in label.get_text() for label in bar.get_yticklabels())


def test_a_level_that_only_some_models_have_names_the_others():
    tower = draw_study({"small": (2, 4), "large": (2, 4)})["tower"]
    titles = [axes.get_title() for axes in tower_by_depth(tower, STYLE, **UNTRAINED).axes]
    assert not any("none of" in title for title in titles)
    tower.loc[(tower["model"] == "large") & (tower["level"] == "W*"), "value"] = np.nan
    titles = [axes.get_title() for axes in tower_by_depth(tower, STYLE, **UNTRAINED).axes]
    assert [title for title in titles if "none of" in title] == [
        "W*: gap to decoupling\nnone of large: see the notes"
    ]


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


def test_titles_are_broken_between_formulas_and_not_within():
    for width in (3.0, 3.4, 7.0):
        style = FigureStyle(**{**vars(STYLE), "width_inches": width})
        figure = tower_by_depth(draw_study(LEAST)["tower"], style, **UNTRAINED)
        titles = [axes.get_title() for axes in figure.axes]
        assert any("$" in title for title in titles)
        for line in "\n".join(titles).split("\n"):
            assert line.count("$") % 2 == 0, line


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
    for name, model in itertools.product(("epsilon", "obstruction"), SMALL):
        assert curve(panel(figures[name], model), "o").get_color() == colours[model]
    maps = [axes.images[0] for axes in figures["commutators"].axes if axes.images]
    assert {image.get_cmap().name for image in maps} == {style.map_colours}
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
    assert len(files(here)) == 26
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
    figure = gpt2_medium_intervals(layers, STYLE, measured=[], initial=["gpt2-medium-init"])
    axes = figure.axes[0]
    assert "no evidence" in axes.get_title()
    assert not axes.texts
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries == ["interval of the paper", "gpt2-medium-init (null: never trained)"]


def test_what_is_not_gpt2_medium_is_left_out_and_said(paper):
    layers, _ = paper
    for measured, initial in ((["all"], []), ([], ["all"]), (["gpt2-medium", "all"], [])):
        figure = gpt2_medium_intervals(layers, STYLE, measured=measured, initial=initial)
        axes = figure.axes[0]
        title = axes.get_title().replace("\n", " ")
        assert title == "all is left out: it has another shape than GPT-2 Medium."
        lines = [line for line in axes.lines if line.get_marker() == "o"]
        assert len(lines) == ("gpt2-medium" in measured)
        entries = [text.get_text() for text in figure.legends[0].get_texts()]
        assert "all" not in " ".join(entries[1:])
        assert len(axes.texts) == (3 if lines else 1)
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
        {"small": (2, 10), "large": (3, 100), "init": (2, 100), "other": (2, 10)},
        {"small": [1.0, 3.0], "large": [9.0, 4.0, 5.0], "init": [0.1, 0.2], "other": [7.0, 7.0]},
    )
    of = {"small": "a", "large": "a", "init": "a", "other": "b"}
    figure = epsilon_by_size(layers, STYLE, families=of, initialised=["init"])
    a, b = 12e-6 * 2 * 10**2, 12e-6 * 3 * 100**2
    for axes, heights, other in zip(figure.axes, ([3, 9], [2, 5]), (7, 0), strict=True):
        trained, initial, *rest = axes.lines
        np.testing.assert_allclose(trained.get_xydata(), np.column_stack([[a, b], heights]))
        assert trained.get_linestyle() == "-" and initial.get_linestyle() == "None"
        assert initial.get_markerfacecolor() == "white"
        np.testing.assert_allclose(initial.get_ydata(), [0.2 if axes is figure.axes[0] else 0.1])
        assert rest[0].get_color() != trained.get_color()
        assert zeros_drawn(axes) == ([] if other else [pytest.approx(a)])


def test_layers_that_are_not_neighbours_make_no_step():
    layers = sized({"m": (4, 10)}, {"m": [1.0, 2.0, 8.0, 8.5]})
    for kept, step in (([0, 1, 3], 1.0), ([0, 2], np.nan), ([3], np.nan)):
        table = sizes(layers[layers["layer"].isin(kept)])
        np.testing.assert_array_equal(table["step"], [step])
    figure = epsilon_by_size(
        layers[layers["layer"] == 3], STYLE, families={"m": "m"}, initialised=[]
    )
    assert "no steps" in reasons(figure.axes[1]) and "no " not in reasons(figure.axes[0])


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
    for marker, quantity in (("o", "epsilon"), ("^", "closure_isotropy"), ("s", "rho3")):
        pooled = nulls[nulls["quantity"] == quantity].set_index("layer")["mean"]
        chance = rows["layer"].map(pooled)
        assert drawn_as(curve(axes, marker), rows["layer"], rows[quantity] / chance)
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
    assert list(markers.values())[:6] == ["o"] * 6


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
