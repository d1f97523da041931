"""Laws of the figures of states: tables are drawn, models without rows named, texts apart."""

from dataclasses import replace
from math import comb

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
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from scipy import stats

from headalgebra.plots import NothingToShow
from headalgebra.plots._style import MARKERS
from headalgebra.plots.dyson import (
    growth_by_depth,
    orders_by_depth,
    pseudospectra,
    resummation_by_terms,
    saturation_by_depth,
    symmetric_share_by_depth,
)
from headalgebra.plots.dyson._orders import FLOOR, guide
from headalgebra.plots.dyson._resummation import METHODS
from headalgebra.plots.hopf import convolution_by_head, gradient_by_layer

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("states figures")

DEMO = {
    "minilm": ("encoder", 6, 4),
    "smollm2": ("decoder", 10, 3),
    "minilm-init": ("encoder", 6, 4),
    "smollm2-init": ("decoder", 10, 3),
    "refused-by-a-guard": ("", 4, 4),
}
MANY = {f"an-organisation-and-its-model-{k}": ("decoder", 12, 4) for k in range(5)}
MANY |= {"one-block": ("encoder", 1, 2), "refused": ("", 2, 2)}
PAIRS = {"minilm": "minilm-init", "smollm2": "smollm2-init"}
UNTRAINED = {"initialised": ["minilm-init", "smollm2-init", "one-block"]}
BESIDE = {**UNTRAINED, "initialisations": PAIRS}
SEQUENCES, GRADIENT_SEQUENCES = 9, 7


def draw_states(models, seed=0):
    """Tables of the shape that the wing of states has, by name."""
    rng = np.random.default_rng(seed)
    rows = {name: [] for name in ("runs", "dyson", "resummation", "states")}
    rows |= {name: [] for name in ("normality", "convolution")}
    for model, (kind, n_layers, n_heads) in models.items():
        rows["runs"].append(
            {"model": model, "kind": kind, "sequences": SEQUENCES if kind else None}
        )
        decoder = kind == "decoder"

        def add(table, model=model, **cells):
            rows[table].append({"model": model, **cells})

        for layer in range(n_layers):
            for head in range(n_heads):
                share = {"symmetric_share": rng.uniform(0.4, 0.9), "symmetric_share_chance": 0.501}
                for quantity, value in share.items():
                    cells = {"quantity": quantity, "value": value}
                    add("normality", layer=layer, operator=f"head {head}", **cells)
            if not kind:
                continue
            add("normality", layer=layer, operator="growth", quantity="growth", value=1.1**layer)
            if layer in (0, n_layers - 1):
                for operator in ("frozen block", "tangent block"):
                    for quantity in ("norm", "radius"):
                        value = rng.lognormal(1, 0.5)
                        cells = {"operator": operator, "quantity": quantity, "value": value}
                        add("normality", layer=layer, **cells)
            add(
                "states",
                layer=layer,
                update_ratio=rng.lognormal(-1, 0.5),
                update_ratio_without_first=rng.lognormal(-1, 0.5),
                stable_rank=rng.uniform(3, 30),
                kl_to_last=float(n_layers - 1 - layer) if decoder else np.nan,
            )
            for head in range(n_heads):
                cells = {"head": head, "quantity": "convolution_share"}
                add("convolution", layer=layer, value=rng.uniform(), null=0.01, **cells)
            if decoder:
                for quantity, value in (
                    ("gradient_cosine", rng.normal(0, 0.01)),
                    ("gradient_cosine_se", 0.004),
                    ("gradient_sequences", GRADIENT_SEQUENCES),
                    ("gradient_cosine_chance_sd", 0.15),
                    ("gradient_first_order", rng.normal(0, 0.5)),
                    ("gradient_first_order_se", 0.2),
                ):
                    cells = {"quantity": quantity, "value": value, "null": 0.001}
                    add("convolution", layer=layer, head=np.nan, **cells)
        if not kind:
            continue
        cells = {"quantity": "impulse_share", "value": 0.43, "null": 0.05}
        add("convolution", layer=n_layers - 1, head=np.nan, **cells)
        for order in range(n_layers + 1):
            size = comb(n_layers, order) * 0.4**order
            error = size if order < n_layers else 1e-15
            cells = {"partial_error": error, "partial_error_without_first": 0.9 * error}
            add("dyson", order=order, norm=size, norm_without_first=0.8 * size, **cells)
        for sequence in ("states", "orders"):
            for m in np.unique(np.linspace(1, n_layers - 1, 8).round()) if n_layers > 1 else ():
                for method in METHODS:
                    median = rng.lognormal(0, 1)
                    cells = {"median": median, "q1": 0.8 * median, "q3": 1.3 * median}
                    add("resummation", sequence=sequence, m=m, method=method, **cells)
    return {name: pd.DataFrame(table) for name, table in rows.items()}


def portraits(*heads):
    """Pseudospectra of normal heads whose only eigenvalue is 0, with these departures."""
    rows = []
    for head, henrici in enumerate(heads):
        grid = [
            ("grid", x, y, abs(complex(x, y)))
            for x in np.linspace(-1.1, 1.1, 21)
            for y in np.linspace(0, 1.1, 11)
        ]
        for kind, x, y, value in (*grid, ("eigenvalue", 0, 0, np.nan), ("field", 0, 0, np.nan)):
            cells = {"kind": kind, "real": x, "imaginary": y, "value": value}
            rows.append({"model": "m", "layer": 0, "head": head, "henrici": henrici, **cells})
    columns = ["model", "layer", "head", "henrici", "kind", "real", "imaginary", "value"]
    return pd.DataFrame(rows, columns=columns)


FIGURES = {
    "orders": ("dyson", orders_by_depth, BESIDE),
    "resummation": ("resummation", resummation_by_terms, UNTRAINED),
    "saturation": ("states", saturation_by_depth, BESIDE),
    "symmetric_share": ("normality", symmetric_share_by_depth, UNTRAINED),
    "growth": ("normality", growth_by_depth, BESIDE),
    "convolution": ("convolution", convolution_by_head, BESIDE),
    "gradient": ("convolution", gradient_by_layer, BESIDE),
}


def draw(name, study, style=STYLE):
    table, plot, settings = FIGURES[name]
    return plot(study[table], study["runs"], style, **settings)


@pytest.fixture(scope="module")
def study():
    return draw_states(DEMO)


@pytest.fixture(scope="module")
def figures(study):
    return {name: draw(name, study) for name in FIGURES}


def column(figure, model):
    """The panels of a model, from the top."""
    (top,) = [axes for axes in figure.axes if axes.get_title().split("\n")[0] == model]
    place = top.get_subplotspec()
    same = [a for a in figure.axes if a.get_subplotspec().colspan == place.colspan]
    return sorted(same, key=lambda axes: axes.get_subplotspec().rowspan.start)


def curves(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata())]


def note(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


# ------------------------------------------------------------------------------ what is drawn


@pytest.mark.parametrize("model", PAIRS)
def test_orders_and_errors_are_the_tables_beside_the_initialisations(study, figures, model):
    dyson = study["dyson"].set_index("model")
    for axes, name in zip(column(figures["orders"], model), ("norm", "partial_error"), strict=True):
        rows, initial = dyson.loc[model], dyson.loc[PAIRS[model]]
        for marker, drawn, quantity in (
            ("o", rows, name),
            (".", rows, f"{name}_without_first"),
            ("s", initial, name),
        ):
            (line,) = curves(axes, marker)
            values = drawn[quantity].to_numpy()
            shown = values >= FLOOR
            assert drawn_as(line, drawn["order"], np.where(shown, values, 0))
            assert set(drawn["order"][~shown]) <= set(zeros_drawn(axes))


@pytest.mark.parametrize(("L", "v", "height"), [(6, 0.4, 1.0), (30, 2.5, 1e-3), (1, 3.0, 7.0)])
def test_the_guide_is_exact_for_equal_commuting_updates(L, v, height):
    order = np.arange(L + 1.0)
    norm = np.array([height * comb(L, k) * v**k for k in range(L + 1)])
    # Logarithms up to 40 are rounded and fitted; their errors are those of the exponentials.
    np.testing.assert_allclose(guide(order, norm), norm, rtol=1e-11)
    np.testing.assert_allclose(guide(order, 3 * norm), 3 * norm, rtol=1e-11)
    assert np.isnan(guide(order, np.where(order > 0, 0, norm))).all()


@pytest.mark.parametrize("model", [model for model, (kind, *_) in DEMO.items() if kind])
def test_medians_and_quartiles_of_every_method_are_the_tables(study, figures, model):
    table = study["resummation"].query("model == @model")
    panels = column(figures["resummation"], model)
    for axes, sequence in zip(panels, ("states", "orders"), strict=True):
        of_sequence = table[table["sequence"] == sequence]
        m = of_sequence["m"].unique()
        bars = [c for c in axes.collections if isinstance(c, LineCollection)]
        for place, (method, bar) in enumerate(zip(METHODS, bars, strict=True)):
            rows = of_sequence[of_sequence["method"] == method]
            (line,) = curves(axes, METHODS[method][1]["marker"])
            assert drawn_as(line, line.get_xdata(), rows["median"])
            # They stand in order beside their m, nearer to it than to another.
            aside = line.get_xdata() - m
            assert (abs(aside) < 0.3 * np.diff(m).min()).all()
            assert (np.sign(aside) == np.sign(place - 2.5)).all()
            ends = np.array([segment[:, 1] for segment in bar.get_segments()])
            np.testing.assert_array_equal(ends, rows[["q1", "q3"]])


def test_heads_are_drawn_by_kind_and_what_was_not_run_apart(study, figures):
    normality = study["normality"].query("quantity == 'symmetric_share'")
    panels = figures["symmetric_share"].axes
    assert [axes.get_title().split(":")[0] for axes in panels] == [
        *("encoders", "decoders", "neither is known")
    ]
    for axes, kind in zip(panels, ("encoder", "decoder", ""), strict=True):
        models = [model for model in DEMO if DEMO[model][0] == kind]
        points = curves(axes, ".")
        means = [
            line
            for line in axes.lines
            if line.get_marker() in MARKERS and line.get_linestyle() != "None"
        ]
        assert len({line.get_marker() for line in means}) == len(models)
        for model, heads, mean in zip(models, points, means, strict=True):
            rows = normality[normality["model"] == model]
            depth = rows["layer"] / (DEMO[model][1] - 1)
            assert drawn_as(heads, depth, rows["value"])
            np.testing.assert_allclose(
                mean.get_ydata(), rows.groupby("layer")["value"].mean(), rtol=1e-12
            )
            assert (mean.get_linestyle() != "-") == (model in UNTRAINED["initialised"])
        (chance,) = [line for line in axes.lines if line.get_linestyle() == ":"]
        assert set(chance.get_ydata()) == {0.501}


@pytest.mark.parametrize("model", PAIRS)
def test_growth_and_blocks_are_the_tables(study, figures, model):
    normality = study["normality"].set_index("model")
    above, below = column(figures["growth"], model)
    for marker, name in (("o", model), ("s", PAIRS[model])):
        rows = normality.loc[name].query("operator == 'growth'")
        (line,) = curves(above, marker)
        assert drawn_as(line, rows["layer"], rows["value"])
    for marker, quantity in (("D", "norm"), ("x", "radius")):
        for line, operator in zip(
            curves(below, marker), ("frozen block", "tangent block"), strict=True
        ):
            rows = normality.loc[model]
            rows = rows[(rows["operator"] == operator) & (rows["quantity"] == quantity)]
            assert drawn_as(line, rows["layer"], rows["value"])


def test_predictors_are_drawn_where_they_were_measured(study, figures):
    entries = [text.get_text() for text in figures["growth"].legends[0].get_texts()]
    assert not any("product" in entry for entry in entries)
    normality = study["normality"]
    growth = normality[normality["operator"] == "growth"]
    names = ("product_of_radii", "product_of_pseudospectral_radii", "norm_of_product")
    more = [growth.assign(quantity=name, value=2 * growth["value"]) for name in names]
    figure = draw("growth", study | {"normality": pd.concat([normality, *more])})
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sum("product" in entry for entry in entries) == 3
    for axes in (column(figure, model)[0] for model in PAIRS):
        for marker in "x^_":
            (line,) = curves(axes, marker)
            np.testing.assert_allclose(line.get_ydata(), 2 * curves(axes, "o")[0].get_ydata())


@pytest.mark.parametrize("model", PAIRS)
def test_updates_ranks_and_predictions_are_the_tables(study, figures, model):
    states = study["states"].set_index("model")
    panels = column(figures["saturation"], model)
    names = ("update_ratio", "stable_rank", "kl_to_last")
    for axes, name in zip(panels, names, strict=True):
        for marker, shown in (("o", model), ("s", PAIRS[model])):
            if name == "kl_to_last" and DEMO[model][0] == "encoder":
                assert not axes.lines
                continue
            (line,) = curves(axes, marker)
            assert drawn_as(line, states.loc[shown, "layer"], states.loc[shown, name])
    (later,) = curves(panels[0], ".")
    rows = states.loc[model]
    assert drawn_as(later, rows["layer"], rows["update_ratio_without_first"])
    if DEMO[model][0] == "encoder":
        assert [text.get_text() for text in panels[2].texts] == ["no next token to predict"]
    else:
        assert set(zeros_drawn(panels[2])) == {DEMO[model][1] - 1}


@pytest.mark.parametrize("model", PAIRS)
def test_convolution_shares_and_their_null_are_the_tables(study, figures, model):
    table = study["convolution"].set_index("model")
    (axes,) = column(figures["convolution"], model)
    shares = table[table["quantity"] == "convolution_share"]
    (heads,) = curves(axes, ".")
    assert drawn_as(heads, shares.loc[model, "layer"], shares.loc[model, "value"])
    for marker, shown, name in (
        ("o", model, "value"),
        ("_", model, "null"),
        ("s", PAIRS[model], "value"),
    ):
        (line,) = curves(axes, marker)
        means = shares.loc[shown].groupby("layer")[name].mean()
        np.testing.assert_allclose(line.get_ydata(), means, rtol=1e-12)
    assert axes.get_title().split("\n")[1:] == ["impulse 0.43, chance 0.05"]


def test_cosines_have_students_intervals_and_encoders_are_left_out(study, figures):
    table = study["convolution"].query("model == 'smollm2'")
    panels = column(figures["gradient"], "smollm2")
    assert len(figures["gradient"].axes) == 2
    t = stats.t.ppf(0.975, GRADIENT_SEQUENCES - 1)
    for axes, name, error in zip(
        panels, ("gradient_cosine", "gradient_first_order"), (0.004, 0.2), strict=True
    ):
        values = table[table["quantity"] == name]["value"].to_numpy()
        (line,) = curves(axes, "o")
        np.testing.assert_array_equal(line.get_ydata(), values)
        bars = [c for c in axes.collections if isinstance(c, LineCollection)][-1]
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends[:, 0], values - t * error, rtol=0, atol=1e-12)
        np.testing.assert_allclose(ends[:, 1], values + t * error, rtol=0, atol=1e-12)
    band = next(c for c in panels[0].collections if isinstance(c, LineCollection))
    for segment in band.get_segments():
        np.testing.assert_allclose(segment[:, 1], [0.001 - 0.15, 0.001 + 0.15])
    assert "no next token, so no loss: minilm, minilm-init" in note(figures["gradient"])


def test_pseudospectra_are_of_the_most_and_the_least_normal_head():
    figure = pseudospectra(portraits(0.5, 0.9, 0.1, 0.7), STYLE)
    titles = [axes.get_title().split("\n") for axes in figure.axes if axes.get_title()]
    assert titles == [
        ["m, layer 0, head 2", "departure from normality 0.10"],
        ["m, layer 0, head 1", "departure from normality 0.90"],
    ]
    # σ_min(z) is |z|: the contours are circles.
    for axes in figure.axes[:2]:
        (contours,) = [c for c in axes.collections if len(c.get_paths()) > 3]
        for path, level in zip(contours.get_paths(), (-3, -2.5, -2, -1.5, -1, -0.5), strict=True):
            if level >= -0.5:
                np.testing.assert_allclose(np.hypot(*path.vertices.T), 10**level, atol=0.02)
    assert find_collisions(figure) == []
    alone = pseudospectra(portraits(0.5), STYLE)
    assert len([axes for axes in alone.axes if axes.get_title()]) == 1


@pytest.mark.parametrize("name", [n for n, (*_, how) in FIGURES.items() if how is BESIDE])
def test_an_initialisation_beside_its_trained_model_has_no_panels_of_its_own(figures, name):
    headed = {axes.get_title().split("\n")[0] for axes in figures[name].axes} - {""}
    assert headed == ({"smollm2"} if name == "gradient" else {"minilm", "smollm2"})


# --------------------------------------------------------------------------- what is not there


@pytest.mark.parametrize("name", FIGURES)
def test_a_model_that_could_not_be_run_is_named_and_has_no_panel(figures, name):
    if name == "symmetric_share":
        return
    assert "could not be run: refused-by-a-guard" in note(figures[name])
    titles = [axes.get_title() for axes in figures[name].axes]
    assert not any("refused" in title for title in titles)


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_whose_models_all_ran_has_no_note(name):
    study = draw_states({"smollm2": ("decoder", 5, 4)})
    figure = draw(name, study)
    assert note(figure) in ("", "None")
    assert find_collisions(figure) == [] and find_empty_panels(figure) == []


@pytest.mark.parametrize("name", [*FIGURES, "pseudospectra"])
def test_a_figure_with_nothing_to_show_is_refused_with_its_reason(study, name):
    with pytest.raises(NothingToShow, match=r"^(no|nothing) [^\n]*$"):
        if name == "pseudospectra":
            pseudospectra(portraits(), STYLE)
        else:
            table = FIGURES[name][0]
            draw(name, study | {table: study[table].iloc[:0]})


@pytest.mark.parametrize("name", FIGURES)
def test_an_initialisation_alone_has_panels_of_its_own(study, name):
    without = {
        table: rows[rows["model"] != "smollm2"].reset_index(drop=True)
        for table, rows in study.items()
    }
    figure = draw(name, without)
    if name != "symmetric_share":
        (_, *_) = panels = column(figure, "smollm2-init")
        assert "(at initialisation)" in panels[0].get_title()
        (line,) = curves(panels[0], "o")
        assert line.get_markerfacecolor() == "white" or name == "resummation"


@pytest.mark.parametrize("name", FIGURES)
def test_a_model_without_numbers_is_named_and_has_no_panel(name):
    study = draw_states(DEMO)
    for table in set(study) - {"runs"}:
        numbers = (
            study[table].select_dtypes("number").columns.difference(["layer", "order", "m", "head"])
        )
        study[table].loc[study[table]["model"] == "smollm2", numbers] = np.nan
    figure = draw(name, study)
    assert find_empty_panels(figure) == []
    assert find_collisions(figure) == []
    assert not any(axes.get_title().split("\n")[0] == "smollm2" for axes in figure.axes)
    assert "smollm2" in note(figure)


def test_a_row_of_panels_that_no_model_fills_is_taken_away_and_its_reason_given(study):
    encoders = {
        table: rows[rows["model"].isin(["minilm", "minilm-init"])] for table, rows in study.items()
    }
    whole, without = draw("saturation", study), draw("saturation", encoders)
    assert len(without.axes) == 2
    assert without.get_figheight() < whole.get_figheight() - 1
    assert note(without) == "KL to the last: no next token to predict"
    assert without.axes[-1].get_xlabel() == "layer"
    assert find_collisions(without) == [] and find_empty_panels(without) == []
    # Beside models that fill it, one that does not has its reason and no frame.
    (bare,) = [axes for axes in whole.axes if not axes.get_frame_on()]
    assert bare is column(whole, "minilm")[2]
    assert not (bare.lines or bare.patches or bare.collections)
    states = encoders["states"].assign(
        **{name: np.nan for name in ("update_ratio", "update_ratio_without_first")}
    )
    headless = draw("saturation", encoders | {"states": states})
    assert [axes.get_title() for axes in headless.axes] == ["minilm"]


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_column_is_named(study, name):
    table = FIGURES[name][0]
    for column_ in ("model", study[table].columns[-1 if table != "convolution" else 3]):
        broken = study | {table: study[table].drop(columns=column_)}
        with pytest.raises(ValueError, match=rf"^the table {table} lacks {column_}; give [^\n]*$"):
            draw(name, broken)


# ------------------------------------------------------------------------------ can it be read?


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("models", "style"), [(DEMO, STYLE), (MANY, OTHER_STYLE)])
def test_no_text_meets_another_or_leaves_the_page(name, models, style):
    figure = draw(name, draw_states(models), style)
    assert find_collisions(figure) == []
    assert find_empty_panels(figure) == []
    assert figure.get_figwidth() == style.width_inches


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_how_the_weights_of_a_model_are_stored(study, name):
    figure = draw(name, study, replace(STYLE, quantised={"smollm2": "Q4_1"}))
    assert any("smollm2 (Q4_1)" in text.get_text() for text in figure.findobj(Text))


@pytest.mark.parametrize("name", FIGURES)
def test_tables_are_left_as_they_were(study, name):
    tables = {key: table.copy() for key, table in study.items()}
    draw(name, study)
    for key, table in tables.items():
        pd.testing.assert_frame_equal(study[key], table)
