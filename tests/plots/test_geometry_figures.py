"""Laws of the figures of geometry: tables are drawn, zeros marked, models without rows named."""

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
from matplotlib.collections import LineCollection
from matplotlib.text import Text

from headalgebra import columns
from headalgebra.plots import NothingToShow
from headalgebra.plots.geometry import (
    ablation_by_layer,
    drift_by_offset,
    filter_by_layer,
    head_axes_by_layer,
    norms_by_layer,
    permuted_axes,
    scores_by_layer,
)
from headalgebra.plots.geometry._norms import FLOOR
from headalgebra.plots.geometry._permuted import GROUPS
from headalgebra.plots.geometry._rows import by_norm, of_stream

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("geometry figures")

DEMO = {
    "minilm": ("encoder", 6, 4),
    "smollm2": ("decoder", 10, 3),
    "minilm-init": ("encoder", 6, 4),
    "smollm2-init": ("decoder", 10, 3),
    "refused-by-a-guard": ("", 4, 4),
}
MANY = {f"an-organisation-and-its-model-{k}": ("decoder", 12, 4) for k in range(5)}
MANY |= {"one-block": ("decoder", 1, 2), "refused": ("", 2, 2)}
PAIRS = {"minilm": "minilm-init", "smollm2": "smollm2-init"}
BESIDE = {
    "initialised": ["minilm-init", "smollm2-init", "one-block"],
    "initialisations": PAIRS,
}
NORMS = ("attention.norm", "output.norm", "attention.query_norm")
"""The last one is no norm of the stream."""

WIDTHS = (8, 16, 32, 64, 128)
OFFSETS = (1, 3, 6, 12, 24)
DEPTHS = (0, 0.25, 0.5, 0.75, 1)
MOVES = ("within", "across", "relabelled within", "relabelled across")


def draw_tables(models, seed=0):
    """Tables of the shape that the geometry of states has, by name."""
    rng = np.random.default_rng(seed)
    rows = {"runs": [], "geometry": [], "axes": [], "drift": [], "normality": []}
    for model, (kind, n_layers, n_heads) in models.items():
        rows["runs"].append({"model": model, "kind": kind})
        if not kind:
            continue
        decoder = kind == "decoder"

        def add(quantity, value, null=np.nan, model=model, **cells):
            blank = {"layer": np.nan, "norm": None, "head": np.nan, "note": ""}
            number = {"quantity": quantity, "value": value, "null": null}
            rows["geometry"].append({"model": model, **blank, **number, **cells})

        for layer in range(n_layers):
            for norm in NORMS:
                at = {"layer": layer, "norm": norm}
                # A LayerNorm nulls a direction, an RMSNorm none.
                add("takes_mean_off", float(not decoder), **at)
                least = rng.uniform(0.02, 0.04) if decoder else 1e-16
                add("lambda_1", least, 0.59 if decoder else 1e-17, **at)
                for quantity in ("lambda_2", "lambda_3"):
                    add(quantity, rng.uniform(0.05, 0.2), 0.6, **at)
                add("mean_square_sd", 1e-4 if decoder else 1e-13, **at)
                add("size_variation", rng.uniform(0.1, 1), **at)
                if norm is not NORMS[-1]:
                    add("size_variation_without_first", rng.uniform(0.05, 0.2), **at)
                    add("constant_scale_change", rng.lognormal(-2, 1), **at)
                    if decoder:
                        add("constant_scale_loss_rise", rng.normal(0, 0.5), **at)
            for where in ("", "_without_first"):
                add(f"first_scales_gain{where}", rng.lognormal(layer / 3, 0.1), layer=layer)
                for side in ("before", "after"):
                    value = rng.uniform(5, 100)
                    add(f"participation_{side}{where}", value, 200.0, layer=layer)
            add("off_share", rng.uniform(0.4, 0.9), layer=layer)
            add("off_share_se", 0.01, layer=layer)
            for side, bits in (("before", 8.0), ("after", 5.0)):
                add(f"bits_{side}", rng.normal(bits, 0.1), bits, layer=layer)
            for head in range(n_heads):
                at = {"layer": layer, "head": head}
                for where in ("", "_without_first"):
                    add(f"score_std{where}", rng.lognormal(0, 0.5), **at)
                    add(f"score_cosine_r2{where}", rng.uniform(0.7, 1), **at)
                of_head = {
                    **{"own_block_share": rng.uniform(0.005, 0.02), "own_block_chance": 0.007},
                    **{f"{side}_overlap": rng.uniform(0.1, 0.3) for side in ("query", "key")},
                    "overlap_chance": 0.083,
                }
                place = {"model": model, "layer": layer, "operator": f"head {head}"}
                rows["normality"] += [
                    {**place, "quantity": quantity, "value": value}
                    for quantity, value in of_head.items()
                ]
        for width in WIDTHS:
            add(f"initial_score_std_{width}", rng.normal(0.15, 0.001), 0.15)
            add(f"initial_score_variance_ratio_{width}", rng.normal(1, 0.01), 1.0)
        quantity = "cross_entropy" if decoder else "last_state"
        for permuted in ("joint", "query only", "stream"):
            for moved in MOVES if permuted == "stream" else MOVES[:2]:
                exact = permuted == "joint" and moved == "within"
                mean = 1e-15 if exact else rng.lognormal(-1, 0.5)
                cells = {"mean": mean, "standard_error": 0.05 * mean, "permutations": 16}
                rows["axes"].append(
                    {
                        **{"model": model, "permuted": permuted, "quantity": quantity},
                        **{"moved": moved, "layer": np.nan, "note": "", **cells},
                    }
                )
        for layer in range(n_layers + 1) if decoder else ():
            for offset in OFFSETS:
                for place in ("before", "after"):
                    median = 0.0 if layer == 0 else 0.1 * offset**0.3 * rng.uniform(0.9, 1.1)
                    cells = {"median": median, "n": 4 * (96 - offset), "note": ""}
                    at = {"layer": layer, "offset": offset, "place": place}
                    rows["drift"].append({"model": model, **at, **cells})
    names = {
        **{"runs": ("model", "kind"), "geometry": columns.MODEL_GEOMETRY},
        **{"axes": columns.MODEL_AXES, "drift": columns.MODEL_DRIFT},
        "normality": columns.MODEL_NORMALITY,
    }
    return {name: pd.DataFrame(table, columns=names[name]) for name, table in rows.items()}


FIGURES = {
    "norms": ("geometry", norms_by_layer),
    "scores": ("geometry", scores_by_layer),
    "filter": ("geometry", filter_by_layer),
    "head_axes": ("normality", head_axes_by_layer),
    "norm_ablation": ("geometry", ablation_by_layer),
    "axes": ("axes", permuted_axes),
    "drift": ("drift", drift_by_offset),
}


def draw(name, study, style=STYLE):
    table, plot = FIGURES[name]
    return plot(study[table], study["runs"], style, **BESIDE)


@pytest.fixture(scope="module")
def study():
    return draw_tables(DEMO)


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


def rows_of(study, model, quantity, table="geometry"):
    table = study[table]
    return table[(table["model"] == model) & (table["quantity"] == quantity)]


def medians(rows, name="value"):
    return rows.groupby("layer")[name].median()


# ------------------------------------------------------------------------------ what is drawn


@pytest.mark.parametrize("model", PAIRS)
def test_eigenvalues_and_lengths_are_the_tables_norm_by_norm(study, figures, model):
    above, below = column(figures["norms"], model)
    places = np.arange(2 * DEMO[model][1]) / 2 - 0.25

    def of(shown, quantity, name="value"):
        rows = rows_of(study, shown, quantity)
        return rows[rows["norm"].isin(NORMS[:2])][name].to_numpy()

    for axes, marker, shown, quantity in (
        (above, "^", model, "lambda_1"),
        (above, "o", model, "lambda_2"),
        (above, "x", model, "lambda_3"),
        (above, "s", PAIRS[model], "lambda_2"),
        (below, "o", model, "size_variation"),
        (below, ".", model, "size_variation_without_first"),
        (below, "D", model, "mean_square_sd"),
        (below, "s", PAIRS[model], "size_variation"),
    ):
        (line,) = curves(axes, marker)
        values = of(shown, quantity)
        assert drawn_as(line, places, np.where(values < FLOOR, 0, values))
        assert set(places[values < FLOOR]) <= set(zeros_drawn(axes))
    for line, quantity in zip(
        curves(above, "_"), ("lambda_1", "lambda_2", "lambda_3"), strict=True
    ):
        nulls = of(model, quantity, "null")
        assert drawn_as(line, places, np.where(nulls < FLOOR, 0, nulls))


@pytest.mark.parametrize(("model", "called"), [("minilm", "LayerNorm"), ("smollm2", "RMSNorm")])
def test_a_title_says_what_kind_of_norm_a_model_has(figures, model, called):
    above, _ = column(figures["norms"], model)
    assert above.get_title().split("\n") == [model, called]
    # Only that which takes the mean off has a direction on the lower edge.
    assert bool(zeros_drawn(above)) == (called == "LayerNorm")


def test_norms_of_a_layer_stand_evenly_about_it_in_their_order():
    rows = pd.DataFrame(
        [(0, "b"), (0, "a"), (1, "a"), (1, None), (1, "c"), (0, "b")], columns=["layer", "norm"]
    )
    placed = by_norm(rows.assign(value=range(6)))
    assert list(placed["value"]) == [*range(6)]
    np.testing.assert_allclose(
        placed["place"], [-0.25, 0.25, 1 - 1 / 3, 1, 1 + 1 / 3, -0.25], rtol=1e-15
    )


def test_norms_of_queries_and_keys_are_not_of_the_stream(study):
    kept = of_stream(study["geometry"])
    assert set(kept["norm"]) == set(NORMS[:2])
    assert len(kept) == study["geometry"]["norm"].isin(NORMS[:2]).sum()


@pytest.mark.parametrize("model", PAIRS)
def test_scores_of_every_head_and_their_medians_are_the_tables(study, figures, model):
    *panels, below = column(figures["scores"], model)
    for axes, quantity in zip(panels, ("score_std", "score_cosine_r2"), strict=True):
        heads, later = curves(axes, ".")
        rows = rows_of(study, model, quantity)
        assert drawn_as(heads, rows["layer"], rows["value"])
        for line, shown, name in (
            (*curves(axes, "o"), model, quantity),
            (*curves(axes, "s"), PAIRS[model], quantity),
            (later, model, f"{quantity}_without_first"),
        ):
            found = medians(rows_of(study, shown, name))
            assert drawn_as(line, found.index, found)
    for marker, name, what in (
        ("s", "value", "std"),
        ("_", "null", "std"),
        ("^", "value", "variance_ratio"),
    ):
        (line,) = curves(below, marker)
        rows = [rows_of(study, model, f"initial_score_{what}_{width}") for width in WIDTHS]
        assert drawn_as(line, WIDTHS, [float(row[name].iloc[0]) for row in rows])


@pytest.mark.parametrize("model", PAIRS)
def test_shares_ratios_and_bits_are_the_tables(study, figures, model):
    share, ratio, change, beyond = column(figures["filter"], model)

    def of(shown, quantity, name="value"):
        return rows_of(study, shown, quantity)[name].to_numpy()

    layers = np.arange(DEMO[model][1])
    for axes, marker, values in (
        (share, "o", of(model, "off_share")),
        (share, "s", of(PAIRS[model], "off_share")),
        (ratio, "^", of(model, "participation_before")),
        (ratio, "2", of(model, "participation_before_without_first")),
        (ratio, "o", of(model, "participation_after")),
        (ratio, ".", of(model, "participation_after_without_first")),
        (ratio, "_", of(model, "participation_after", "null")),
        (ratio, "s", of(PAIRS[model], "participation_after")),
    ):
        (line,) = curves(axes, marker)
        assert drawn_as(line, layers, values)
    bars = next(c for c in share.collections if isinstance(c, LineCollection))
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends - of(model, "off_share")[:, None], [[-0.03, 0.03]] * len(ends))

    def spared(shown, name="value"):
        return of(shown, "bits_after", name) - of(shown, "bits_before", name)

    for axes, marker, values in (
        (change, "o", spared(model)),
        (change, "_", spared(model, "null")),
        (change, "s", spared(PAIRS[model])),
        (beyond, "o", spared(model) - spared(model, "null")),
        (beyond, "s", spared(PAIRS[model]) - spared(PAIRS[model], "null")),
    ):
        (line,) = curves(axes, marker)
        np.testing.assert_array_equal(line.get_xdata(), layers)
        np.testing.assert_array_equal(line.get_ydata(), values)


@pytest.mark.parametrize("model", PAIRS)
def test_shares_of_blocks_and_overlaps_are_the_tables_beside_chance(study, figures, model):
    for axes, (quantity, chance) in zip(
        column(figures["head_axes"], model),
        (
            ("own_block_share", "own_block_chance"),
            ("query_overlap", "overlap_chance"),
            ("key_overlap", "overlap_chance"),
        ),
        strict=True,
    ):
        rows = rows_of(study, model, quantity, "normality")
        (heads,) = curves(axes, ".")
        assert drawn_as(heads, rows["layer"], rows["value"])
        for marker, shown, name in (
            ("o", model, quantity),
            ("_", model, chance),
            ("s", PAIRS[model], quantity),
        ):
            (line,) = curves(axes, marker)
            found = medians(rows_of(study, shown, name, "normality"))
            assert drawn_as(line, found.index, found)


@pytest.mark.parametrize("model", PAIRS)
def test_growth_and_what_constant_scales_do_are_the_tables(study, figures, model):
    above, middle, below = column(figures["norm_ablation"], model)
    n_layers = DEMO[model][1]
    places = np.arange(2 * n_layers) / 2 - 0.25
    for marker, shown in (("o", model), ("s", PAIRS[model])):
        for axes, x, quantity in (
            (above, np.arange(n_layers), "first_scales_gain"),
            (middle, places, "constant_scale_change"),
        ):
            (line,) = curves(axes, marker)
            assert drawn_as(line, x, rows_of(study, shown, quantity)["value"])
        rises = rows_of(study, shown, "constant_scale_loss_rise")["value"]
        for line in curves(below, marker):
            np.testing.assert_array_equal(line.get_xdata(), places)
            np.testing.assert_array_equal(line.get_ydata(), rises)
    (later,) = curves(above, ".")
    values = rows_of(study, model, "first_scales_gain_without_first")["value"]
    assert drawn_as(later, np.arange(n_layers), values)
    predicts = DEMO[model][0] == "decoder"
    assert bool(curves(below, "o")) == predicts
    said = [text.get_text() for text in below.texts]
    assert said == ([] if predicts else ["no next token to predict"])


def test_a_title_says_from_which_layer_on_states_are_beyond_their_numbers(study):
    table = study["geometry"].copy()
    gone = (table["model"] == "smollm2") & (table["layer"] > 6)
    gone &= table["quantity"].str.startswith("first_scales_gain")
    table.loc[gone, ["value", "note"]] = np.nan, "the state is beyond its numbers"
    figure = draw("norm_ablation", study | {"geometry": table})
    title = " ".join(column(figure, "smollm2")[0].get_title().split())
    assert title == "smollm2 from layer 7 on the state is beyond its numbers"
    assert column(figure, "minilm")[0].get_title() == "minilm"
    assert find_collisions(figure) == []


@pytest.mark.parametrize("model", PAIRS)
def test_permutations_are_the_table_and_what_is_exact_is_marked(study, figures, model):
    (axes,) = column(figures["axes"], model)
    judged = "rise of the loss, nats" if DEMO[model][0] == "decoder" else "change of $x_L$"
    assert (axes.get_title(), axes.get_ylabel()) == (model, judged)
    table = study["axes"].set_index(["model", "permuted", "moved"])
    for marker, moved in (("o", "within"), ("D", "across")):
        rows = table.loc[[(model, which, f"{before}{moved}") for which, before in GROUPS.values()]]
        mean = rows["mean"].to_numpy()
        (line,) = curves(axes, marker)
        np.testing.assert_array_equal(line.get_ydata(), np.where(mean > 1e-6, mean, np.nan))
        np.testing.assert_array_equal(np.round(line.get_xdata()), range(len(GROUPS)))
    # The trained model's joint permutation within heads, and that of its initialisation.
    zeros = [line for line in curves(axes, "v") if line.get_transform() == axes.transData]
    assert [len(line.get_xdata()) for line in zeros] == [1, 1]
    assert all((np.abs(line.get_ydata()) < 1e-6).all() for line in zeros)
    bars = [c for c in axes.collections if isinstance(c, LineCollection)]
    within = table.loc[[(model, which, f"{b}within") for which, b in GROUPS.values()]]
    ends = np.array([segment[:, 1] for segment in bars[2].get_segments()])
    for sign, end in zip((-1, 1), ends.T, strict=True):
        np.testing.assert_array_equal(end, within["mean"] + sign * within["standard_error"])


def test_standard_errors_are_in_the_legend_where_they_can_be_seen(study, figures):
    table = study["axes"]
    larger = table.assign(standard_error=0.5 * table["mean"].abs())
    for figure, seen in (
        (figures["axes"], False),
        (draw("axes", study | {"axes": larger}), True),
    ):
        entries = [text.get_text() for text in figure.legends[0].get_texts()]
        assert ("± standard error of 16" in entries) == seen


def test_a_permutation_that_helps_is_drawn_below_zero(study):
    table = study["axes"]
    better = table.assign(mean=table["mean"].where(table["moved"] != "across", -0.3))
    figure = draw("axes", study | {"axes": better})
    for model in PAIRS:
        (axes,) = column(figure, model)
        (line,) = curves(axes, "D")
        assert (line.get_ydata()[:3] == -0.3).all() and axes.get_ylim()[0] < -0.3
    assert find_collisions(figure) == []


def test_drift_is_the_table_by_offset_and_by_layer(study, figures):
    above, below = column(figures["drift"], "smollm2")
    table = study["drift"].query("model == 'smollm2'")
    layers = DEMO["smollm2"][1]
    for depth, marker in zip(DEPTHS, "PsD^o", strict=True):
        at = table[table["layer"] == round(depth * layers)]
        for line, place in zip(curves(above, marker), ("after", "before"), strict=True):
            assert drawn_as(line, OFFSETS, at[at["place"] == place]["median"])
    # What enters the first block stands still where positions turn.
    assert set(zeros_drawn(above)) == set(OFFSETS)
    assert set(zeros_drawn(below)) == {0}
    farthest = study["drift"][study["drift"]["offset"] == OFFSETS[-1]]
    for marker, model, place in (
        ("o", "smollm2", "before"),
        ("^", "smollm2", "after"),
        ("s", "smollm2-init", "before"),
    ):
        rows = farthest[(farthest["model"] == model) & (farthest["place"] == place)]
        (line,) = curves(below, marker)
        assert drawn_as(line, range(layers + 1), rows["median"])
    last = table[(table["layer"] == layers) & (table["place"] == "before")]["median"].to_numpy()
    assert above.get_title().split("\n") == [
        "smollm2",
        "medians over 288 to 380 tokens",
        f"last block, $k$ 12 to 24: × {last[-1] / last[-2]:.2f}",
    ]
    assert "no window slides along what it reads: minilm, minilm-init" in note(figures["drift"])


@pytest.mark.parametrize("name", FIGURES)
def test_an_initialisation_beside_its_trained_model_has_no_panels_of_its_own(figures, name):
    headed = {axes.get_title().split("\n")[0] for axes in figures[name].axes} - {""}
    assert headed == ({"smollm2"} if name == "drift" else {"minilm", "smollm2"})


# --------------------------------------------------------------------------- what is not there


@pytest.mark.parametrize("name", FIGURES)
def test_a_model_that_could_not_be_run_is_named_and_has_no_panel(figures, name):
    assert "could not be run: refused-by-a-guard" in note(figures[name])
    titles = [axes.get_title() for axes in figures[name].axes]
    assert not any("refused" in title for title in titles)


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_whose_models_all_ran_has_no_note(name):
    figure = draw(name, draw_tables({"smollm2": ("decoder", 5, 4)}))
    assert note(figure) in ("", "None")
    assert find_collisions(figure) == [] and find_empty_panels(figure) == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_with_nothing_to_show_is_refused_with_its_reason(study, name):
    table, _ = FIGURES[name]
    with pytest.raises(NothingToShow, match=r"^no [^\n]*$"):
        draw(name, study | {table: study[table].iloc[:0]})


@pytest.mark.parametrize("name", FIGURES)
def test_an_initialisation_alone_has_panels_of_its_own(study, name):
    without = {
        table: rows[rows["model"] != "smollm2"].reset_index(drop=True)
        for table, rows in study.items()
    }
    figure = draw(name, without)
    panels = column(figure, "smollm2-init")
    assert "(at initialisation)" in panels[0].get_title()
    (line,) = [line for line in curves(panels[-1], "o") or curves(panels[0], "o")][:1]
    assert line.get_markerfacecolor() == "white"
    assert find_collisions(figure) == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_model_without_numbers_is_named_with_the_one_reason_that_all_its_rows_have(name):
    study = draw_tables(DEMO)
    why = "9 vectors, and a covariance matrix of dimension 8 wants 128"
    for table, kept in (
        ("geometry", ["layer", "head"]),
        ("axes", ["layer"]),
        ("drift", ["layer", "offset", "n"]),
        ("normality", ["layer"]),
    ):
        rows = study[table]
        names = rows.select_dtypes("number").columns.difference(kept)
        of_model = rows["model"] == "smollm2"
        rows.loc[of_model, names] = np.nan
        if "note" in rows:
            rows.loc[of_model, "note"] = why
    # The table of normality gives no reasons.
    said = "query and key weights are not read" if name == "head_axes" else why
    figure = draw(name, study)
    assert find_empty_panels(figure) == [] and find_collisions(figure) == []
    assert f"{said}: smollm2" in note(figure)
    assert not any(axes.get_title().split("\n")[0] == "smollm2" for axes in figure.axes)


@pytest.mark.parametrize("name", FIGURES)
def test_a_missing_column_is_named(study, name):
    table, _ = FIGURES[name]
    for column_ in ("model", "operator" if table == "normality" else "note"):
        broken = study | {table: study[table].drop(columns=column_)}
        with pytest.raises(ValueError, match=rf"^the table {table} lacks {column_}; give [^\n]*$"):
            draw(name, broken)


# ------------------------------------------------------------------------------ can it be read?


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize(("models", "style"), [(DEMO, STYLE), (MANY, OTHER_STYLE)])
def test_no_text_meets_another_or_leaves_the_page(name, models, style):
    figure = draw(name, draw_tables(models), style)
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
