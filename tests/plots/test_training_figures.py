"""Laws of the figures of trainings: runs of an arm are averaged, counted, and held to a claim."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import (
    OTHER_STYLE,
    STYLE,
    drawn_as,
    find_collisions,
    find_empty_panels,
    zeros_drawn,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy import stats

from headalgebra import columns
from headalgebra.experiments import Experiment
from headalgebra.experiments import compare as compared_by
from headalgebra.plots import NothingToShow
from headalgebra.plots._course import PANELS, interval_of_mean
from headalgebra.plots._style import MARKERS
from headalgebra.plots._training_axis import spread, training_axis
from headalgebra.plots.linf import epsilon_over_training
from headalgebra.plots.training import course_over_training, experiment

FLOORS = {"unigram": 5.75, "bigram": 3.75, "trigram": 3.0}
CHECKPOINTS = (0, 1, 3, 10, 48, 165, 568, 1952)
VALIDATED = (*CHECKPOINTS, *range(64, 1952, 256))
ONE = ("default",)
THREE = ("default", "commuting", "opposed")
LONG = (
    "layernorm",
    "rmsnorm",
    "a-symmetriser-that-begins-at-the-identity",
    "an_arm_of_a_name_without_any_place_to_break_it",
    "none",
)
CELLS = tuple(f"{i}-{j}-{4 - i - j}" for i in range(5) for j in range(5 - i))
ERRORS = {1: 0.3, 2: 0.08, 4: 1e-7}
LAYERS = 4


def draw_tables(arms, n_seeds, *, diverged=(), extra=(), seed=0):
    """Trainings and their values, as an experiment `exp` has them, beside one of another's."""
    rng = np.random.default_rng(seed)
    trainings, values = [], []
    for k, arm in enumerate(arms):
        for s in range(n_seeds):
            run = {"experiment": "exp", "arm": arm, "seed": s, "run": f"{arm}/{s}"}
            lost = (arm, s) in diverged
            loss = np.nan if lost else 3.3 + 0.05 * k + 0.02 * rng.normal()
            of_run = {"size": "tiny4", "parameters": 268_000, "tokens": 1_998_848}
            of_run |= {f"validation_{name}": floor for name, floor in FLOORS.items()}
            trainings.append(
                {**run, **of_run, "test_loss": loss, "diverged": 100 if lost else None}
            )

            def add(quantity, value, step=np.nan, layer=np.nan, run=run):
                at = {"step": step, "tokens": 1024 * step, "layer": layer}
                values.append({**run, **at, "quantity": quantity, "value": value})

            for step in sorted({*VALIDATED}):
                fall = np.log1p(step / 40) + rng.normal(0, 0.02)
                add("validation_loss", 6.9 - fall, step)
            for step in CHECKPOINTS:
                ratios = rng.lognormal(0, 0.1, LAYERS)
                if arm == "commuting" and step < 2:
                    ratios *= 4e-8
                of_layers = {
                    "epsilon": 1e-5 * (1 + step) * ratios,
                    "epsilon_over_haar": ratios,
                    "rho3_over_null": rng.lognormal(0, 0.1, LAYERS),
                }
                for quantity, numbers in of_layers.items():
                    for layer, number in enumerate(numbers):
                        add(quantity, number, step, layer)
                    add(quantity, np.median(numbers), step)
                for order, error in ERRORS.items():
                    add(f"partial_error_{order}", error * rng.lognormal(0, 0.1), step)
            add("test_loss", loss)
            for quantity in extra:
                add(quantity, np.nan if lost else rng.normal(0.5, 0.1))
    other = {**values[0], "experiment": "other", "value": 1e9}
    return {
        "trainings": pd.DataFrame(trainings, columns=columns.TRAININGS),
        "training_values": pd.DataFrame([*values, other], columns=columns.TRAINING_VALUES),
    }


def effect_row(arm, numbers, *, control="", bound=0.0, side="below", statistic="test_loss", **more):
    numbers = np.asarray(numbers, float)
    n = len(numbers)
    mean = numbers.mean() if n else np.nan
    half = stats.t.ppf(0.975, n - 1) * numbers.std(ddof=1) / n**0.5 if n > 1 else np.nan
    return {
        **dict.fromkeys(columns.EXPERIMENTS, np.nan),
        **{"experiment": "exp", "claim": "c", "statistic": statistic, "arm": arm},
        **{"control": control, "n": n, "effect": mean, "low": mean - half, "high": mean + half},
        **{"bound": bound, "side": side, "needs": "all", "diverged": 0, "excluded": 0},
        **{"above_floor": 0, **more},
    }


def pairs_of(tables, arm, control, comparison):
    values = tables["training_values"]
    values = values[(values["quantity"] == "test_loss") & (values["experiment"] == "exp")]
    table = values.pivot(index="seed", columns="arm", values="value")
    if comparison == "mean":
        return table[arm].dropna()
    ratio = comparison == "ratio"
    return (table[arm] / table[control] - 1 if ratio else table[arm] - table[control]).dropna()


def compare(tables, comparison="paired", **more):
    """The tables with a row for each arm but the first."""
    arms = tables["trainings"]["arm"].unique()
    mean = comparison == "mean"
    control = "" if mean else arms[0]
    rows = [
        effect_row(arm, pairs_of(tables, arm, control, comparison), control=control, **more)
        for arm in (arms if mean else arms[1:])
    ]
    return tables | {"experiments": pd.DataFrame(rows, columns=columns.EXPERIMENTS)}


def correlate(tables, quantity="phase_entropy", against=("gap", "test_loss"), **more):
    rows = [
        effect_row("", [-0.5, -0.3], statistic=f"{quantity} ~ {name}", bound=-0.3, **more)
        for name in against
    ]
    return tables | {"experiments": pd.DataFrame(rows, columns=columns.EXPERIMENTS)}


def draw(tables, style=STYLE, *, comparison="paired", quantity="test_loss", **more):
    arms = tables["trainings"]["arm"].unique()
    return experiment(
        **tables,
        style=style,
        experiment="exp",
        title="An experiment",
        quantity=quantity,
        comparison=comparison,
        control=arms[0] if comparison in ("paired", "ratio") else None,
        **more,
    )


def course(tables, style=STYLE):
    return course_over_training(**tables, style=style, experiment="exp", title="A course")


def legend(figure):
    return [" ".join(text.get_text().split()) for text in figure.legends[0].get_texts()]


def curves(axes):
    """Curves of arms, by marker; layers, zeros and strokes are none."""
    return {
        line.get_marker(): line
        for line in axes.lines
        if isinstance(line.get_marker(), str)
        and line.get_marker() in MARKERS
        and len(line.get_xdata())
        and line.get_linestyle() == "-"
    }


def band(axes, colour):
    """Times and ends of the band of an arm."""
    (found,) = [
        part
        for part in axes.collections
        if isinstance(part, PolyCollection) and np.allclose(part.get_facecolor()[0, :3], colour)
    ]
    vertices = found.get_paths()[0].vertices
    return {
        (x, end): f(vertices[vertices[:, 0] == x, 1])
        for x in np.unique(vertices[:, 0])
        for end, f in (("low", np.min), ("high", np.max))
    }


def panel(figure, quantity):
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel() == PANELS[quantity]]
    return axes


# ----------------------------------------------------------------------- means and intervals


@given(
    arrays(np.float64, (3, 5), elements=st.floats(1e-3, 1e3)),
    st.booleans(),
    st.floats(0.1, 10),
)
def test_an_interval_of_a_mean_is_that_of_a_t_test(values, logarithms, factor):
    found = interval_of_mean(pd.DataFrame(values), logarithms=logarithms)
    numbers = np.log(values) if logarithms else values
    for row, (mean, low, high) in zip(numbers, found.to_numpy(), strict=True):
        ends = np.array([mean, low, high])
        ends = np.log(ends) if logarithms else ends
        expected = [row.mean()]
        if np.ptp(row):
            expected += [*stats.ttest_1samp(row, 0).confidence_interval(0.95)]
        scale = np.abs(row).max()
        np.testing.assert_allclose(ends[: len(expected)], expected, rtol=1e-9, atol=1e-12 * scale)
    # Units do not matter.
    scaled = interval_of_mean(pd.DataFrame(values * factor), logarithms=logarithms)
    np.testing.assert_allclose(
        scaled, found.to_numpy() * factor, rtol=1e-9, atol=1e-9 * np.abs(values).max()
    )


def test_one_run_has_no_interval_and_a_zero_makes_the_geometric_mean_zero():
    table = pd.DataFrame({"a": [1.0, 2.0, np.nan]})
    found = interval_of_mean(table, logarithms=True)
    np.testing.assert_allclose(found["mean"], [1, 2, np.nan], rtol=1e-15)
    assert found[["low", "high"]].isna().all(axis=None)
    found = interval_of_mean(pd.DataFrame({"a": [0.0], "b": [3.0]}), logarithms=True)
    assert found["mean"].item() == 0 and found[["low", "high"]].isna().all(axis=None)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4), st.floats(0.01, 0.3))
def test_names_of_lines_keep_their_order_and_a_gap(heights, gap):
    heights = np.sort(heights)
    moved = spread(heights, gap)
    assert (moved[1:] >= heights[1:]).all() and (np.diff(moved) >= gap - 1e-12).all()
    # The lowest stands on its line, or under it.
    assert not len(heights) or heights[0] - moved[0] in (0, pytest.approx(gap))
    if (np.diff(heights) >= gap).all():
        assert (moved == heights).all()


# --------------------------------------------------------------------------------- the time axis


@pytest.mark.parametrize(
    "time",
    [
        [0, 1, 2, 512, 1000, 143000],
        [0, 1024, 16384, 2e6],
        [0, 16384, 400000],
        [512, 1000, 143000],
        [0, 10, 20, 30],
        [0, 1, 300],
        [7],
        [0],
        [0, 5],
    ],
)
@pytest.mark.parametrize("width", [1.6, 3.3, 7.0])
def test_times_stand_in_order_apart_and_labelled(time, width):
    figure = Figure(figsize=(width, 2), layout="constrained")
    axes = figure.subplots()
    axes.tick_params(labelsize=6)
    training_axis(axes, np.array(time, float))
    figure.draw_without_rendering()
    places = axes.transAxes.inverted().transform(axes.transData.transform([(t, 0) for t in time]))[
        :, 0
    ]
    assert (places > 0).all() and (places < 1).all() and (np.diff(places) > 0).all()
    ticks = [tick.label1 for tick in axes.xaxis.get_major_ticks() if tick.label1.get_text()]
    assert ticks and find_collisions(figure) == []
    broken = [line for line in axes.lines if not isinstance(line.get_marker(), str)]
    assert bool(broken) == (axes.get_xscale() == "symlog")
    if broken:
        assert min(time) == 0 and places[1] - places[0] > 0.1


# ------------------------------------------------------------------------------- the experiment


@pytest.fixture(scope="module")
def tables():
    return draw_tables(THREE, 8, diverged=[("opposed", 2)])


@pytest.mark.parametrize("drawn", ["experiment", "course"])
def test_losses_are_means_of_the_runs_that_did_not_diverge(tables, drawn):
    figure = draw(compare(tables)) if drawn == "experiment" else course(tables)
    axes = figure.axes[0]
    values = tables["training_values"]
    values = values[(values["experiment"] == "exp") & (values["quantity"] == "validation_loss")]
    for arm, marker in zip(THREE, MARKERS, strict=False):
        runs = values[values["arm"] == arm].pivot(index="tokens", columns="seed", values="value")
        runs = runs.drop(columns=2) if arm == "opposed" else runs
        line = curves(axes)[marker]
        np.testing.assert_array_equal(line.get_xdata(), runs.index)
        np.testing.assert_allclose(line.get_ydata(), runs.mean(axis=1), rtol=1e-12)
        ends = band(axes, line.get_color())
        for tokens, run in runs.iterrows():
            low, high = stats.ttest_1samp(run, 0).confidence_interval(0.95)
            np.testing.assert_allclose(ends[tokens, "low"], low, rtol=1e-9)
            np.testing.assert_allclose(ends[tokens, "high"], high, rtol=1e-9)
    named = {text.get_text() for text in axes.texts}
    assert named == set(FLOORS)
    heights = {float(line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata()) == 2}
    assert {*FLOORS.values()} <= heights


def test_a_legend_says_of_how_many_runs_each_arm_is(tables):
    for figure in (draw(compare(tables)), course(tables)):
        texts = legend(figure)
        assert any("commuting (n = 8)" in text for text in texts)
        assert any("opposed (n = 7, 1 diverged)" in text for text in texts)
    assert "default (control, n = 8)" in legend(draw(compare(tables)))


@pytest.mark.parametrize("comparison", ["mean", "paired", "ratio"])
def test_effects_and_the_runs_behind_them_are_the_tables(tables, comparison):
    compared = compare(tables, comparison)
    _, axes = draw(compared, comparison=comparison).axes
    rows = compared["experiments"]
    for place, (_, row) in enumerate(rows.iterrows()):
        (dots,) = [
            line
            for line in axes.lines
            if line.get_marker() == "." and np.allclose(line.get_ydata(), place, atol=0.3)
        ]
        pairs = pairs_of(tables, row["arm"], THREE[0], comparison)
        np.testing.assert_allclose(np.sort(dots.get_xdata()), np.sort(pairs), rtol=1e-12)
        points = [
            line for line in axes.lines if [*np.atleast_1d(line.get_xdata())] == [row["effect"]]
        ]
        assert [line.get_ydata()[0] for line in points] == [place]
        (marker,) = {line.get_marker() for line in points}
        assert marker == MARKERS[THREE.index(row["arm"])]
        ends = axes.collections[place].get_segments()[0]
        np.testing.assert_allclose(ends, [(row["low"], place), (row["high"], place)], rtol=1e-12)
    low, high = axes.get_xlim()
    every = rows[["effect", "low", "high"]].to_numpy()
    assert low < every.min() and every.max() < high
    assert axes.yaxis_inverted()


def test_test_losses_are_those_of_the_trainings_whether_or_not_they_were_measured_again(tables):
    compared = compare(tables)
    values = compared["training_values"]
    without = compared | {"training_values": values[values["quantity"] != "test_loss"]}
    drawn = [
        [tuple(line.get_xdata()) for line in draw(study).axes[1].lines if line.get_marker() == "."]
        for study in (compared, without)
    ]
    assert drawn[0] == drawn[1] and all(drawn[0])


def test_a_band_that_its_line_hides_is_not_in_the_legend(tables):
    compared = compare(tables)
    values = compared["training_values"]
    losses = values["quantity"] == "validation_loss"
    for scatter, seen in ((1e-4, False), (0.2, True)):
        value = values["value"].where(~losses, 4.0 + scatter * (values["seed"] - 3.5))
        figure = draw(compared | {"training_values": values.assign(value=value)})
        assert ("95 % interval of the mean" in legend(figure)) == seen


def test_rows_say_how_many_pairs_there_are_and_what_became_of_the_others(tables):
    compared = compare(tables, diverged=1, excluded=2)
    _, axes = draw(compared).axes
    labels = [" ".join(label.get_text().split()) for label in axes.get_yticklabels()]
    assert labels == [
        f"{arm} n = {n} pairs, 1 diverged, 2 excluded"
        for arm, n in (("commuting", 8), ("opposed", 7))
    ]


@pytest.mark.parametrize("side", ["above", "below"])
@pytest.mark.parametrize("bound", [0.0, -0.3, 5.0])
def test_the_side_of_the_claim_is_shaded(tables, side, bound):
    _, axes = draw(compare(tables, side=side, bound=bound)).axes
    (shade,) = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    ends = shade.get_x(), shade.get_x() + shade.get_width()
    low, high = axes.get_xlim()
    assert low < bound < high
    np.testing.assert_allclose(sorted(ends), (bound, high) if side == "above" else (low, bound))
    assert any(np.allclose(line.get_xdata(), bound) for line in axes.lines)
    figure = draw(compare(tables, side=side, bound=bound))
    assert f"claimed: {side} {bound:g}, in every row".replace("-", "−") in legend(figure)


def test_arms_that_are_not_judged_are_open_and_have_no_bound(tables):
    compared = compare(tables)
    compared["experiments"].loc[0, ["bound", "side", "needs"]] = [np.nan, "", ""]
    figure = draw(compared)
    faces = {
        line.get_marker(): line.get_markerfacecolor() == "white"
        for line in figure.axes[1].lines
        if line.get_marker() in MARKERS
    }
    assert faces == {MARKERS[1]: True, MARKERS[2]: False}
    assert "not judged" in legend(figure)
    compared["experiments"].loc[1, ["bound", "side", "needs"]] = [np.nan, "", ""]
    figure = draw(compared)
    assert not figure.axes[1].patches
    assert not any("claimed" in text for text in legend(figure))


def test_an_experiment_that_no_model_is_good_enough_for_says_so(tables):
    figure = draw(compare(tables, above_floor=2))
    said = figure.legends[0].get_title().get_text()
    assert said == "not judged: the test loss of 2 runs is not below that of bigrams"
    assert draw(compare(tables)).legends[0].get_title().get_text() in ("", "None")


def test_at_equal_loss_each_arm_names_its_own_placebo_and_pairs_are_as_they_are_compared():
    tables = draw_tables(("weak", "strong", "placebo-weak", "placebo-strong"), 4)
    values = tables["training_values"]
    # So high a loss as the arms' last the placebos had at some time: but for one pair.
    losses = values["quantity"] == "validation_loss"
    arms_alone = values["arm"].isin(["weak", "strong"])
    values.loc[losses & arms_alone, "value"] += 0.2
    never = values["arm"].eq("strong") & values["seed"].eq(3)
    values.loc[losses & never, "value"] += 90
    claim = Experiment(
        name="exp",
        claim="c",
        quantity="epsilon",
        comparison="equal_loss",
        arms=("weak", "strong", "placebo-weak", "placebo-strong"),
        placebo_of={"weak": "placebo-weak", "strong": "placebo-strong"},
        bound=0.0,
        side="below",
        needs="all",
    )
    tables["experiments"] = compared_by(claim, tables["trainings"], values, seed=0)
    figure = draw(tables, comparison="equal_loss", quantity="epsilon")
    axes = figure.axes[1]
    labels = [" ".join(label.get_text().split()) for label in axes.get_yticklabels()]
    assert labels == [
        "weak − placebo-weak n = 4 pairs",
        "strong − placebo-strong n = 3 pairs, 1 excluded",
    ]
    pairs = [line.get_xdata() for line in axes.lines if line.get_marker() == "."]
    assert [len(drawn) for drawn in pairs] == [4, 3]
    means = [np.mean(drawn) for drawn in pairs]
    np.testing.assert_allclose(means, tables["experiments"]["effect"], rtol=1e-12)
    assert "pair of runs of one seed" in legend(figure)
    assert "at equal validation loss" in " ".join(axes.get_xlabel().split())
    assert find_collisions(figure) == []


@pytest.mark.parametrize("cells", [False, True])
def test_points_of_a_correlation_are_runs_or_means_of_arms(cells):
    tables = draw_tables(CELLS, 3, extra=("phase_entropy", "gap"), diverged=[(CELLS[0], 0)])
    tables = correlate(tables, diverged=1)
    figure = draw(tables, comparison="partial_rank", quantity="phase_entropy", cells=cells)
    values = tables["training_values"]
    table = values.pivot_table(index=["arm", "seed"], columns="quantity", values="value")
    for axes, against in zip(figure.axes[1:], ("gap", "test_loss"), strict=True):
        drawn = np.concatenate([np.array(line.get_data()).T for line in axes.lines])
        runs = table[[against, "phase_entropy"]].dropna()
        expected = (runs.groupby("arm").mean() if cells else runs).to_numpy()
        np.testing.assert_allclose(
            drawn[np.lexsort(drawn.T)], expected[np.lexsort(expected.T)], rtol=1e-12
        )
        title = " ".join(axes.get_title().split())
        assert "partial rank correlation −0.40 [" in title
        assert f"n = 2 {'arms' if cells else 'runs'}, 1 diverged" in title
        assert title.endswith("claimed: below −0.3")
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[1].lines}
    assert len(looks) == len(CELLS)
    assert find_collisions(figure) == []


# ------------------------------------------------------------------------------------ the course


def test_the_course_of_each_arm_is_the_geometric_mean_of_its_runs(tables):
    figure = course(tables)
    values = tables["training_values"]
    values = values[(values["experiment"] == "exp") & values["layer"].isna()]
    for quantity in [*PANELS][1:-1]:
        axes = panel(figure, quantity)
        for arm, marker in zip(THREE, MARKERS, strict=False):
            rows = values[(values["arm"] == arm) & (values["quantity"] == quantity)]
            rows = rows[(arm != "opposed") | (rows["seed"] != 2)]
            runs = rows.pivot(index="tokens", columns="seed", values="value")
            means = np.exp(np.log(runs).mean(axis=1))
            if arm == "commuting" and quantity.startswith("epsilon"):
                means.iloc[:2] = np.nan
            line = curves(axes)[marker]
            np.testing.assert_array_equal(line.get_xdata(), runs.index)
            np.testing.assert_allclose(line.get_ydata(), means, rtol=1e-12)
            low, high = stats.ttest_1samp(np.log(runs.iloc[-1]), 0).confidence_interval(0.95)
            ends = band(axes, line.get_color())
            np.testing.assert_allclose(ends[runs.index[-1], "low"], np.exp(low), rtol=1e-9)
            np.testing.assert_allclose(ends[runs.index[-1], "high"], np.exp(high), rtol=1e-9)
        expected = [0, 1024] if quantity.startswith("epsilon") else []
        assert zeros_drawn(axes) == expected


def test_a_panel_without_numbers_or_of_rounding_alone_is_left_out(tables):
    labels = {axes.get_ylabel() for axes in course(tables).axes}
    assert labels == {name for key, name in PANELS.items() if key != "partial_error_4"}
    values = tables["training_values"]
    kept = values[~values["quantity"].str.startswith("partial_error")]
    kept = kept.assign(value=kept["value"].where(kept["quantity"] != "rho3_over_null"))
    figure = course(tables | {"training_values": kept})
    quantities = ("validation_loss", "epsilon", "epsilon_over_haar")
    assert {axes.get_ylabel() for axes in figure.axes} == {PANELS[name] for name in quantities}
    last = values["step"].isna() | (values["step"] == values["step"].max())
    for too_few in (values.iloc[:0], values[last]):
        with pytest.raises(NothingToShow, match=r"^fewer than two checkpoints"):
            course(tables | {"training_values": too_few})


def test_layers_are_drawn_where_there_is_a_single_run():
    tables = draw_tables(ONE, 1)
    figure = course(tables)
    values = tables["training_values"].query("experiment == 'exp'")
    for quantity in ("epsilon", "epsilon_over_haar", "rho3_over_null"):
        lines = [line for line in panel(figure, quantity).lines if line.get_marker() == "."]
        rows = values[values["quantity"] == quantity]
        for layer, line in zip(range(LAYERS), lines, strict=True):
            of_layer = rows[rows["layer"] == layer]
            assert drawn_as(line, of_layer["tokens"], of_layer["value"])
    assert {"layer 0", "layer 2", "layer 3"} <= set(legend(figure))
    several = course(draw_tables(ONE, 2))
    assert not any(line.get_marker() == "." for axes in several.axes for line in axes.lines)
    assert not any("layer" in text for text in legend(several))


def test_errors_share_one_scale(tables):
    figure = course(tables)
    first, second = (panel(figure, f"partial_error_{order}").get_ylim() for order in (1, 2))
    assert first == second


# ------------------------------------------------------------ a series of published checkpoints

REVISIONS = {
    "steps": ["step0", "step1", "step1000", "step143000"],
    "names": ["early-run", "late-run", "final"],
    "falling": ["step9", "step5", "step7"],
    "single": ["step4"],
}
SERIES = {
    "epsilon": ("epsilon", None),
    "epsilon_over_haar": ("epsilon", "epsilon_null"),
    "rho3_over_null": ("rho3", "rho3_null"),
}


def draw_checkpoints(revisions):
    """Tables of the checkpoints of a run, and of another model, in no order."""
    rng = np.random.default_rng(0)
    models = [*(f"run.{revision}" for revision in revisions), "other"]
    names = ["epsilon", "epsilon_null", "rho3", "rho3_null"]
    layers = [
        {"model": model, "layer": layer, **dict(zip(names, rng.lognormal(0, 1, 4), strict=True))}
        for model in models
        for layer in range(5)
    ]
    dyson = [
        {"model": model, "order": order, "partial_error": 10.0 ** -(order + rng.uniform())}
        for model in models
        for order in range(6)
    ]
    tables = {"layers": pd.DataFrame(layers), "dyson": pd.DataFrame(dyson)}
    return {name: table.sample(frac=1, random_state=0) for name, table in tables.items()}


def draw_series(tables, kind, **more):
    checkpoints = {revision: f"run.{revision}" for revision in REVISIONS[kind]}
    return epsilon_over_training(
        **tables, style=STYLE, checkpoints=checkpoints, title="run", **more
    )


@pytest.mark.parametrize("kind", REVISIONS)
def test_a_training_run_is_drawn_in_its_order(kind):
    tables = draw_checkpoints(REVISIONS[kind])
    if len(REVISIONS[kind]) == 1:
        with pytest.raises(NothingToShow, match=r"^fewer than two checkpoints"):
            draw_series(tables, kind)
        return
    figure = draw_series(tables, kind)
    models = [f"run.{revision}" for revision in REVISIONS[kind]]
    stepped = kind in ("steps", "single")
    time = (
        [float(revision.removeprefix("step")) for revision in REVISIONS[kind]]
        if stepped
        else [*range(len(models))]
    )
    of_run = tables["layers"].set_index(["layer", "model"])
    for quantity, (column, null) in SERIES.items():
        axes = panel(figure, quantity)
        table = (of_run[column] / (of_run[null] if null else 1)).unstack("model")[models]
        lines = [line for line in axes.lines if line.get_marker() == "."]
        for layer, line in zip(range(5), lines, strict=True):
            assert drawn_as(line, time, table.loc[layer].to_numpy())
        # The mean over one run, by way of its logarithm.
        np.testing.assert_allclose(curves(axes)["o"].get_data(), (time, table.median()), rtol=1e-12)
    errors = tables["dyson"].set_index(["order", "model"])["partial_error"].unstack("model")
    for order in (1, 2, 4):
        line = curves(panel(figure, f"partial_error_{order}"))["o"]
        np.testing.assert_allclose(line.get_data(), (time, errors.loc[order, models]), rtol=1e-12)
    assert figure.axes[-1].get_xlabel() == ("training step" if stepped else "checkpoint")
    assert find_collisions(figure) == []


def test_the_error_of_all_orders_is_not_drawn():
    tables = draw_checkpoints(REVISIONS["steps"])
    tables["dyson"] = tables["dyson"][tables["dyson"]["order"] < 5]
    labels = {axes.get_ylabel() for axes in draw_series(tables, "steps").axes}
    assert PANELS["partial_error_2"] in labels and PANELS["partial_error_4"] not in labels


def test_losses_of_a_training_run_stand_by_step_or_nowhere():
    tables = draw_checkpoints(REVISIONS["steps"]) | {
        "metrics": pd.DataFrame(
            {"step": [0, 1, 2, 3], "validation_loss": [7.0, 6.0, np.nan, 5.0], "tokens": 9}
        )
    }
    axes = panel(draw_series(tables, "steps", floors=FLOORS), "validation_loss")
    assert drawn_as(curves(axes)["o"], [0, 1, 3], [7, 6, 5])
    assert {text.get_text() for text in axes.texts} == set(FLOORS)
    assert not panel(draw_series(tables, "steps"), "validation_loss").texts
    tables |= draw_checkpoints(REVISIONS["names"])
    labels = {axes.get_ylabel() for axes in draw_series(tables, "names", floors=FLOORS).axes}
    assert PANELS["epsilon"] in labels and PANELS["validation_loss"] not in labels


def test_the_same_numbers_draw_the_same_panels_of_a_series_and_of_an_experiment():
    tables = draw_checkpoints(REVISIONS["steps"])
    series = draw_series({"layers": tables["layers"]}, "steps")
    of_runs = []
    for model, rows in tables["layers"].groupby("model"):
        if model == "other":
            continue
        step = int(model.removeprefix("run.step"))
        at = {"experiment": "exp", "arm": "run", "seed": 0, "run": "r"}
        at |= {"step": step, "tokens": step}
        for quantity, (column, null) in SERIES.items():
            numbers = (rows[column] / (rows[null] if null else 1)).to_numpy()
            cells = [*zip(rows["layer"], numbers, strict=True), (np.nan, np.median(numbers))]
            of_runs += [
                {**at, "layer": layer, "quantity": quantity, "value": value}
                for layer, value in cells
            ]
    training = {"experiment": "exp", "arm": "run", "seed": 0, "run": "r", **FLOORS}
    figure = course(
        {
            "trainings": pd.DataFrame([training], columns=columns.TRAININGS),
            "training_values": pd.DataFrame(of_runs, columns=columns.TRAINING_VALUES),
        }
    )
    for quantity in SERIES:
        pairs = zip(panel(series, quantity).lines, panel(figure, quantity).lines, strict=True)
        for first, second in pairs:
            np.testing.assert_allclose(first.get_data(), second.get_data(), rtol=1e-12)
        assert panel(series, quantity).get_ylim() == panel(figure, quantity).get_ylim()


def test_heads_that_commute_but_for_rounding_are_marked():
    tables = draw_checkpoints(REVISIONS["steps"])
    layers = tables["layers"]
    first = layers["model"] == "run.step0"
    layers.loc[first, "epsilon"] = 1e-8 * layers.loc[first, "epsilon_null"]
    figure = draw_series(tables, "steps")
    for quantity in ("epsilon", "epsilon_over_haar"):
        # Of each of five layers, and of their median.
        assert zeros_drawn(panel(figure, quantity)) == [0] * 6
        assert panel(figure, quantity).get_ylim()[0] > 1e-4
    assert zeros_drawn(panel(figure, "rho3_over_null")) == []
    assert "rounding, below $10^{-6}$" in legend(figure)


def test_a_training_run_without_one_of_its_checkpoints_is_refused():
    tables = draw_checkpoints(["step0", "step1"])
    with pytest.raises(ValueError, match=r"^the table layers lacks run.step1000; give [^\n]*$"):
        draw_series(tables, "steps")


@pytest.mark.parametrize(
    ("table", "column"),
    [("layers", "rho3_null"), ("dyson", "partial_error"), ("metrics", "validation_loss")],
)
def test_a_column_that_a_series_lacks_is_named(table, column):
    tables = draw_checkpoints(REVISIONS["steps"])
    tables["metrics"] = pd.DataFrame({"step": [0], "validation_loss": [7.0]})
    tables[table] = tables[table].drop(columns=column)
    with pytest.raises(ValueError, match=rf"^the table {table} lacks {column}; give [^\n]*$"):
        draw_series(tables, "steps")


# ------------------------------------------------------------------------------ can it be read?

STUDIES = {
    "one run": (ONE, 1),
    "one arm": (ONE, 8),
    "three arms": (THREE, 8),
    "long names": (LONG, 3),
    "cells": (CELLS, 2),
}


@pytest.mark.parametrize("style", [STYLE, OTHER_STYLE], ids=["wide", "narrow"])
@pytest.mark.parametrize("study", STUDIES)
def test_no_text_meets_another_or_leaves_the_page(study, style):
    arms, n_seeds = STUDIES[study]
    tables = draw_tables(arms, n_seeds, extra=("phase_entropy", "gap"))
    figures = [course(tables, style)]
    for comparison in ("mean", "paired", "ratio"):
        if comparison == "mean" or len(arms) > 1:
            compared = compare(tables, comparison, excluded=1, diverged=1, above_floor=1)
            figures.append(draw(compared, style, comparison=comparison))
    ranked = correlate(tables)
    figures.append(draw(ranked, style, comparison="partial_rank", quantity="phase_entropy"))
    for figure in figures:
        assert find_collisions(figure) == []
        assert find_empty_panels(figure) == []
        assert figure.get_figwidth() == style.width_inches


def test_arms_are_told_apart_without_colour():
    figure = draw(compare(draw_tables(LONG, 2)))
    assert len(curves(figure.axes[0])) == len(LONG)
    looks = {(colour, MARKERS[k % len(MARKERS)]) for k, colour in enumerate([*range(10)] * 9)}
    assert len(looks) == 90


# --------------------------------------------------------------------------- what is not there


def test_an_experiment_that_was_not_compared_shows_its_losses(tables):
    compared = compare(tables)
    figure = draw(compared | {"experiments": compared["experiments"].iloc[:0]})
    assert len(curves(figure.axes[0])) == 3
    assert len(figure.axes) == 1
    assert figure.legends[0].get_title().get_text() == "not compared"
    assert find_collisions(figure) == []
    no_losses = compared["training_values"].iloc[:0]
    alone = draw(compared | {"training_values": no_losses})
    assert len(alone.axes) == 1 and alone.legends[0].get_title().get_text() == "no losses"
    with pytest.raises(NothingToShow, match=r"^no losses, and nothing that was compared$"):
        draw(
            compared
            | {"training_values": no_losses, "experiments": compared["experiments"].iloc[:0]}
        )


def test_an_arm_whose_runs_all_diverged_keeps_its_row():
    arms = ("default", "wild")
    tables = draw_tables(arms, 3, diverged=[("wild", seed) for seed in range(3)])
    figure = draw(compare(tables, diverged=3))
    assert "wild (n = 0, 3 diverged)" in legend(figure)
    labels = [" ".join(label.get_text().split()) for label in figure.axes[1].get_yticklabels()]
    assert labels == ["wild n = 0 pairs, 3 diverged"]
    assert "no effect" in figure.axes[1].texts[0].get_text()
    assert find_collisions(figure) == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("trainings", name) for name in ("seed", "diverged", "validation_bigram")),
        *(("training_values", name) for name in ("tokens", "layer", "value")),
        *(("experiments", name) for name in ("effect", "above_floor", "side")),
    ],
)
def test_a_missing_column_is_named(tables, table, column):
    broken = compare(tables)
    broken[table] = broken[table].drop(columns=column)
    with pytest.raises(ValueError, match=rf"^the table {table} lacks {column}; give [^\n]*$"):
        draw(broken)


def test_an_experiment_or_an_arm_that_was_not_trained_is_named(tables):
    empty = tables["trainings"].iloc[:0]
    with pytest.raises(ValueError, match=r"^the table trainings lacks the experiment exp; give"):
        course(tables | {"trainings": empty})
    compared = compare(tables)
    compared["experiments"].loc[0, "arm"] = "strange"
    with pytest.raises(ValueError, match=r"^the table trainings lacks the arm strange of exp;"):
        draw(compared)


def test_tables_are_left_as_they_were(tables):
    compared = compare(tables)
    copies = {name: table.copy() for name, table in compared.items()}
    draw(compared)
    course(tables)
    for name, table in copies.items():
        pd.testing.assert_frame_equal(compared[name], table)


def test_colours_are_the_palettes(tables):
    drawn = {
        palette: [
            line.get_color()
            for line in curves(
                draw(compare(tables), replace(STYLE, model_palette=palette)).axes[0]
            ).values()
        ]
        for palette in ("colorblind", "husl")
    }
    assert drawn["colorblind"] != drawn["husl"]
    assert all(len(set(colours)) == 3 for colours in drawn.values())
