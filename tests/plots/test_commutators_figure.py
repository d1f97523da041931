"""Laws of the maps of head pairs: both ways, white at the Haar value, one scale for all models."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn import OTHER_STYLE, STYLE, find_collisions, find_cut_off

from headalgebra.plots import NothingToShow
from headalgebra.plots.linf import commutator_maps

MODELS = {"far": (12, 8, 0.7), "near": (3, 4, 0.05), "init": (2, 3, 0.01)}


def draw_pairs(models=MODELS, seed=0):
    """Pairs of each model: layers, heads, and by how many doublings they scatter about Haar's."""
    rng = np.random.default_rng(seed)
    rows = [
        (model, layer, i, j, haar * 2 ** rng.normal(0, spread), haar)
        for model, (n_layers, n_heads, spread) in models.items()
        for layer in range(n_layers)
        for i, j in itertools.combinations(range(n_heads), 2)
        for haar in [rng.lognormal()]
    ]
    columns = ["model", "layer", "i", "j", "commutator_norm", "haar_norm"]
    return pd.DataFrame(rows, columns=columns)


def maps(figure):
    return [axes for axes in figure.axes if axes.images]


def test_maps_are_the_pairs_both_ways_with_a_blank_diagonal():
    pairs = draw_pairs()
    figure = commutator_maps(pairs, STYLE, model="far")
    assert [axes.get_title() for axes in maps(figure)] == [f"layer {k}" for k in range(12)]
    of_model = pairs[pairs["model"] == "far"]
    for layer, axes in enumerate(maps(figure)):
        matrix = np.ma.filled(axes.images[0].get_array(), np.nan)
        rows = of_model[of_model["layer"] == layer]
        expected = np.log2(rows["commutator_norm"] / rows["haar_norm"])
        np.testing.assert_allclose(matrix[rows["i"], rows["j"]], expected, rtol=1e-12)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.isnan(matrix.diagonal()).all() and np.isnan(matrix).sum() == len(matrix)
    assert figure.get_suptitle() == "far"


def test_all_models_have_one_scale_that_is_white_at_the_haar_value():
    pairs = draw_pairs()
    figures = {model: commutator_maps(pairs, STYLE, model=model) for model in MODELS}
    limits = {axes.images[0].get_clim() for figure in figures.values() for axes in maps(figure)}
    ((low, high),) = limits
    assert low == -high
    image = maps(figures["near"])[0].images[0]
    assert min(image.get_cmap()(image.norm(0.0))[:3]) > 0.95
    # Apart from the others a model would have another: what is common is not so by chance.
    alone = commutator_maps(pairs[pairs["model"] == "init"], STYLE, model="init")
    assert maps(alone)[0].images[0].get_clim() != (low, high)
    below, above = (image.get_cmap()(image.norm(at)) for at in (-high, high))
    assert below[2] > 2 * below[0] and above[0] > 2 * above[2]


def test_the_scale_holds_most_pairs_of_every_model_and_says_that_some_lie_beyond():
    pairs = draw_pairs()
    doublings = np.log2(pairs["commutator_norm"] / pairs["haar_norm"]).abs()
    share = pairs["model"].map(doublings.groupby(pairs["model"]).quantile(0.95))
    for factor in (1.0, 2.0, 5.0):
        wider = pairs.assign(commutator_norm=pairs["haar_norm"] * 2 ** (factor * doublings))
        high = maps(commutator_maps(wider, STYLE, model="near"))[0].images[0].get_clim()[1]
        assert high - 1 < factor * share.max() <= high
    bright = pairs.copy()
    one = (bright["model"] == "far") & (bright["layer"] == 0) & (bright["i"] < 1)
    bright.loc[one, "commutator_norm"] *= 100
    image = maps(commutator_maps(bright, STYLE, model="near"))[0].images[0]
    # Seven pairs of 336 leave the scale to the others.
    assert image.get_clim()[1] <= np.ceil(share.max()) + 1
    bar = commutator_maps(bright, STYLE, model="near").axes[-1]
    assert any(text.get_text() == "× 1" for text in bar.get_yticklabels())


def test_a_pair_that_commutes_has_the_lowest_colour_and_one_without_a_number_none():
    pairs = draw_pairs()
    first = pairs["model"].eq("near") & pairs["layer"].eq(0)
    pairs.loc[first & (pairs["i"] == 0) & (pairs["j"] == 1), "commutator_norm"] = 0.0
    pairs.loc[first & (pairs["i"] == 0) & (pairs["j"] == 2), "haar_norm"] = 0.0
    pairs.loc[pairs["model"].eq("near") & pairs["layer"].eq(1), "commutator_norm"] = np.nan
    figure = commutator_maps(pairs, STYLE, model="near")
    image = maps(figure)[0].images[0]
    shown = np.ma.filled(image.get_array(), np.nan)
    assert shown[0, 1] < image.get_clim()[0] and np.isnan(shown[0, 2])
    assert [len(axes.texts) for axes in maps(figure)] == [0, 1, 0]


def test_a_model_without_pairs_is_not_drawn():
    pairs = draw_pairs()
    with pytest.raises(NothingToShow, match=r"^no pairs: they need two heads"):
        commutator_maps(pairs, STYLE, model="one-head")
    pairs.loc[pairs["model"] == "near", "commutator_norm"] = np.nan
    with pytest.raises(NothingToShow, match=r"^no pairs"):
        commutator_maps(pairs, STYLE, model="near")
    with pytest.raises(ValueError, match=r"^the table pairs lacks haar_norm; give it"):
        commutator_maps(pairs.drop(columns="haar_norm"), STYLE, model="far")


@pytest.mark.parametrize("style", [STYLE, OTHER_STYLE], ids=["wide", "narrow"])
@pytest.mark.parametrize("shape", [(1, 2, 0.5), (48, 25, 0.5), (30, 9, 3.0)])
def test_maps_can_be_read(shape, style):
    name = "an-organisation-and-its-very-long-model-name_v2"
    figure = commutator_maps(
        draw_pairs({name: shape}), replace(style, quantised={name: "Q4_1"}), model=name
    )
    assert find_collisions(figure) == [] and find_cut_off(figure) == []
