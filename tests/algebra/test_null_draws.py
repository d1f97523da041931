"""Random layers keep what they say they keep, randomise the rest, and have the laws they should."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.coherence import chance
from headalgebra.algebra.coherence.chance import QUANTITIES, compared_with_chance
from headalgebra.algebra.nulls import (
    draw_foreign_groups,
    gaussian_factors,
    haar_conjugated,
    initial_factors,
    with_norms_of,
)
from headalgebra.algebra.operators import HeadOperators
from heads import (
    SEEDS,
    basis_of,
    gaussian,
    gaussian_heads,
    layers,
    numbers_of,
    pairs_of,
    to_matrices,
)
from thresholds import U


def generator(*entropy):
    return np.random.default_rng(entropy)


def power_traces(layer, power):
    words = torch.linalg.matrix_power(to_matrices(layer), power)
    return words.diagonal(dim1=1, dim2=2).sum(1)


def aligned_heads(seed, heads=4, d=12, r=3):
    """Heads that share their query space, which chance would not have them do."""
    space = gaussian(seed, d, r)
    return HeadOperators.from_factors(
        space + 0.1 * gaussian(seed + 1, heads, d, r), gaussian(seed + 2, heads, d, r)
    )


@given(layers(), SEEDS, st.integers(1, 3))
def test_a_draw_is_the_same_however_many_heads_are_formed_at_once(layer, seed, heads):
    whole = haar_conjugated(layer, generator(seed))
    with pytest.MonkeyPatch.context() as patched:
        numbers = heads * layer.d_model * layer.d_head
        patched.setattr("headalgebra.algebra.operators.STRIP_NUMBERS", numbers)
        assert len(layer.strips(layer.d_model * layer.d_head)) == -(-layer.n_heads // heads)
        in_strips = haar_conjugated(layer, generator(seed))
        norms = HeadOperators(layer.query_matrix, layer.key_matrix, layer.key_of_head).norms()
    scale = float(whole.query_matrix.abs().max())
    torch.testing.assert_close(
        in_strips.query_matrix, whole.query_matrix, rtol=0, atol=1e-12 * scale
    )
    assert torch.equal(in_strips.key_matrix, whole.key_matrix)
    torch.testing.assert_close(norms, layer.norms(), rtol=1e-13, atol=0)


@given(layers(), SEEDS)
def test_conjugation_keeps_every_spectrum_and_norm(layer, seed):
    drawn = haar_conjugated(layer, generator(seed))
    sigma = layer.singular_values()
    scale = float(sigma.max())
    torch.testing.assert_close(drawn.singular_values(), sigma, rtol=0, atol=1e-12 * scale)
    for power in (1, 2, 3):
        torch.testing.assert_close(
            power_traces(drawn, power),
            power_traces(layer, power),
            rtol=0,
            atol=1e-11 * scale**power,
        )
    assert drawn.key_of_head.tolist() == layer.key_of_head.tolist()
    assert drawn.keys.shape == layer.keys.shape


@pytest.mark.parametrize("columns", [range(6), range(10, 16), [0, 3, 7, 9, 12, 15]])
def test_conjugation_keeps_spectra_where_columns_vanish_and_few_directions_are_left(columns):
    """With d - r < r directions outside the keys, and queries whose columns depend on others."""
    layer = gaussian_heads(0, heads=2, d=24, r=16)
    queries = layer.queries.clone()
    queries[0][:, list(columns)] = 0
    queries[1][:, list(columns)] = queries[1][:, [1]]
    layer = HeadOperators.from_factors(queries, layer.keys)
    sigma = layer.singular_values()
    drawn = haar_conjugated(layer, generator(0)).singular_values()
    torch.testing.assert_close(drawn, sigma, rtol=0, atol=1e-12 * float(sigma.max()))


def test_conjugation_is_by_an_orthogonal_matrix():
    """The pair (A, Aᵀ) keeps the traces of all its words, not those of each alone."""
    layer = gaussian_heads(0, 1, 7, 3)
    A, B = to_matrices(layer)[0], to_matrices(haar_conjugated(layer, generator(0)))[0]
    for word in ("AAt", "AAAt", "AAtAAAt", "AAAtAtAAt"):
        traces = []
        for X in (A, B):
            product = torch.eye(7, dtype=torch.float64)
            for letter in word.replace("At", "t"):
                product = product @ (X if letter == "A" else X.T)
            traces.append(float(product.trace()))
        assert traces[1] == pytest.approx(traces[0], rel=1e-11)
    assert float((A - B).norm()) > 0.5 * float(A.norm())


@pytest.mark.parametrize("d, r", [(8, 2), (5, 3), (3, 4)])
def test_conjugated_pairs_have_the_closed_forms_mean(d, r):
    """Own keys: E||[A, UBUᵀ]||² over independent rotations is the Haar formula."""
    layer = gaussian_heads(3, heads=3, d=d, r=r)
    stream = generator(d, r)
    squares = torch.stack([pairs_of(haar_conjugated(layer, stream)).norm ** 2 for _ in range(1500)])
    error = squares.std(0) / math.sqrt(len(squares))
    z = (squares.mean(0) - pairs_of(layer).haar ** 2) / error
    assert float(z.abs().max()) < 4
    # Control: the heads as they are, or a formula 5 % off, would be seen.
    assert float(((1.05**2 - 1) * pairs_of(layer).haar ** 2 / error).min()) > 4


def test_frames_have_no_direction():
    """E U A Uᵀ = (tr A / d) 1, whatever signs the QR prefers."""
    layer = gaussian_heads(0, 1, 4, 2)
    stream = generator(1)
    draws = torch.stack([to_matrices(haar_conjugated(layer, stream))[0] for _ in range(4000)])
    expected = torch.eye(4, dtype=torch.float64) * to_matrices(layer)[0].trace() / 4
    z = (draws.mean(0) - expected) / (draws.std(0) / math.sqrt(len(draws)))
    assert float(z.abs().max()) < 4.5


def test_conjugation_forgets_the_orientation():
    """Control: heads that share a space commute less than chance, and no longer after the draw."""
    layer = aligned_heads(0)
    pairs = pairs_of(layer)
    assert abs(pairs.epsilon / pairs.epsilon_haar - 1) > 0.1
    stream = generator(0)
    mean = np.mean([pairs_of(haar_conjugated(layer, stream)).epsilon for _ in range(40)])
    assert mean == pytest.approx(pairs.epsilon_haar, rel=0.05)


def test_shared_keys_stay_shared_and_keep_their_overlaps():
    """Within a group the parts of the queries along the key's span keep their inner products."""
    layer = gaussian_heads(0, 4, 20, 3, [0, 0, 1, 1])
    drawn = haar_conjugated(layer, generator(0))
    inner = [x.queries.mT @ x.keys[x.key_of_head] for x in (layer, drawn)]
    torch.testing.assert_close(inner[1], inner[0], rtol=0, atol=1e-12 * float(inner[0].abs().max()))
    # The rest of two queries of one group is independent: their overlap changes.
    overlap = [x.queries[0].T @ x.queries[1] for x in (layer, drawn)]
    assert float((overlap[1] - overlap[0]).norm()) > 0.1 * float(overlap[0].norm())


@given(layers(), SEEDS)
def test_gaussian_factors_keep_the_norms_alone(layer, seed):
    drawn = gaussian_factors(layer, generator(seed))
    torch.testing.assert_close(drawn.norms(), layer.norms(), rtol=1e-10, atol=0)
    assert drawn.key_of_head.tolist() == layer.key_of_head.tolist()
    if layer.d_model > 3 and layer.d_head > 1:
        sigma = layer.singular_values()
        assert not torch.allclose(drawn.singular_values(), sigma, rtol=1e-3, atol=0)


def test_initial_factors_have_their_widths():
    layer = gaussian_heads(0, 8, 60, 10, [0, 0, 1, 1, 2, 2, 3, 3])
    drawn = initial_factors(layer, generator(0), query_std=0.3, key_std=0.02)
    for factor, std in ((drawn.queries, 0.3), (drawn.keys, 0.02)):
        n = factor.numel()
        assert float(factor.mean()) == pytest.approx(0, abs=4 * std / math.sqrt(n))
        assert float(factor.std()) == pytest.approx(std, rel=4 / math.sqrt(2 * n))
    centred = initial_factors(layer, generator(0), query_std=0.3, key_std=0.02, query_centred=True)
    assert float(centred.queries.sum(1).abs().max()) < 1e-13
    assert float(drawn.queries.sum(1).abs().max()) > 0.1
    assert torch.equal(centred.keys, drawn.keys)


def test_zero_heads_stay_zero():
    layer = gaussian_heads(0, 3, 8, 2)
    queries = layer.queries.clone()
    queries[1] = 0
    layer = HeadOperators.from_factors(queries, layer.keys)
    for draw in (haar_conjugated, gaussian_factors):
        norms = draw(layer, generator(0)).norms()
        assert norms[1] == 0
        assert (norms[[0, 2]] > 0).all()


@given(layers(min_heads=2), SEEDS)
def test_foreign_heads_take_the_norms_of_their_places(layer, seed):
    other = gaussian_heads(
        seed, layer.n_heads, layer.d_model, layer.d_head, layer.key_of_head.tolist()
    )
    scaled = with_norms_of(layer, other)
    torch.testing.assert_close(scaled.norms(), layer.norms(), rtol=1e-10, atol=0)
    directions = [to_matrices(x) / x.norms()[:, None, None] for x in (scaled, other)]
    torch.testing.assert_close(*directions, rtol=1e-9, atol=1e-12)


@given(st.integers(2, 9), st.integers(1, 12), SEEDS)
def test_foreign_groups_are_spread_evenly_and_never_repeated(n_layers, n_groups, seed):
    own = seed % n_layers
    drawn = draw_foreign_groups(own, range(n_layers), n_groups, generator(seed))
    assert len(drawn) == len(set(drawn)) == n_groups
    counts = Counter(layer for layer, _ in drawn)
    assert own not in counts
    every = [counts[layer] for layer in range(n_layers) if layer != own]
    assert max(every) - min(every) <= 1
    assert all(0 <= group < n_groups for _, group in drawn)


def test_every_foreign_layer_and_group_is_as_likely_in_every_place():
    """Otherwise the first layers' heads would stand for all others where there are many layers."""
    own, n_layers, n_groups, n_draws = 2, 7, 4, 600
    layers, groups = np.zeros((n_groups, n_layers)), np.zeros((n_groups, n_groups))
    for seed in range(n_draws):
        drawn = draw_foreign_groups(own, range(n_layers), n_groups, generator(seed))
        for place, (layer, group) in enumerate(drawn):
            layers[place, layer] += 1
            groups[place, group] += 1
    others = np.delete(layers, own, axis=1)
    for counts in (others, groups):
        p = 1 / counts.shape[1]
        # Five standard deviations of a binomial count.
        bound = 5 * math.sqrt(n_draws * p * (1 - p))
        np.testing.assert_allclose(counts, n_draws * p, rtol=0, atol=bound)


def test_a_single_layer_has_no_foreign_heads():
    with pytest.raises(ValueError, match="layer 3 is the only one"):
        draw_foreign_groups(3, [3], 2, generator(0))


@pytest.mark.parametrize("draw", [haar_conjugated, gaussian_factors])
def test_draws_are_seeded(draw):
    layer = gaussian_heads(0, 4, 12, 3, [0, 0, 1, 1])
    first, again, other = (draw(layer, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.query_matrix, again.query_matrix)
    assert torch.equal(first.key_matrix, again.key_matrix)
    assert not torch.equal(first.query_matrix, other.query_matrix)


@given(layers(min_heads=3, min_d=4))
def test_compared_numbers_are_those_of_the_stages(layer):
    found = compared_with_chance(layer, max_dim=layer.n_heads)
    assert tuple(found) == QUANTITIES
    expected = numbers_of(layer)
    for name in ("epsilon", "epsilon_relative", "rho3"):
        assert found[name] == expected[name] or (
            math.isnan(found[name]) and math.isnan(expected[name])
        )


def test_every_guard_reaches_the_stages_that_heed_it(monkeypatch):
    """And the condition number reaches those whose rounding it multiplies."""
    told = {}
    for name in ("gram_blocks", "pair_commutators", "orthonormal_basis", "structure_constants"):
        stage = getattr(chance, name)

        def noted(*operands, stage=stage, name=name, **guards):
            told[name] = guards
            return stage(*operands, **guards)

        monkeypatch.setattr(chance, name, noted)

    def ratio(f, kappa, *, gram_floor):
        told["jacobiator_ratio"] = {"gram_floor": gram_floor}
        assert kappa == pytest.approx(kappa_used, rel=1e-12)
        return 0.5

    monkeypatch.setattr(chance, "jacobiator_ratio", ratio)
    layer = gaussian_heads(0, 4, 16, 3)
    kappa_used = basis_of(layer, 3).kappa_used
    guards = {
        "balance_above": 2e6,
        "cancellation_below": 3e-4,
        "rank_cutoff": 4e-8,
        "gram_floor": 5e-8,
        "well_below": 60.0,
    }
    assert compared_with_chance(layer, max_dim=3, **guards)["rho3"] == 0.5

    def of(*names):
        return {name: guards[name] for name in names}

    assert told["structure_constants"].pop("kappa_used") == pytest.approx(kappa_used, rel=1e-12)
    assert told == {
        "gram_blocks": of("balance_above"),
        "pair_commutators": of("cancellation_below"),
        "orthonormal_basis": of("rank_cutoff", "gram_floor") | {"max_dim": 3},
        "structure_constants": of("well_below", "cancellation_below"),
        "jacobiator_ratio": of("gram_floor"),
    }


def test_compared_numbers_heed_the_truncation():
    layer = gaussian_heads(0, 6, 20, 4)
    whole, cut = (compared_with_chance(layer, max_dim=n) for n in (6, 4))
    assert whole["epsilon"] == cut["epsilon"]
    assert whole["rho3"] != cut["rho3"]


@pytest.mark.parametrize(
    "n, d, r, mean, sd, draws", [(6, 384, 32, 1.11, 0.08, 12), (12, 384, 32, 1.361, 0.028, 6)]
)
def test_ratio_of_gaussian_heads_is_the_reference(n, d, r, mean, sd, draws):
    shape = gaussian_heads(0, n, d, r)
    stream = generator(n)
    found = [
        compared_with_chance(gaussian_factors(shape, stream), max_dim=n)["rho3"]
        for _ in range(draws)
    ]
    assert np.mean(found) == pytest.approx(mean, abs=4 * sd / math.sqrt(draws))


@pytest.mark.parametrize("layer", range(6))
def test_conjugated_minilm_has_the_reference_ratio(minilm_layer, layer):
    """1.28 to 1.36, where the trained layers have 0.29 to 1.23."""
    operators = minilm_layer(layer)
    stream = generator(layer)
    found = [compared_with_chance(haar_conjugated(operators, stream), max_dim=12) for _ in range(4)]
    # Between the ends of the reference, four standard errors of 0.04/√4 on either side.
    assert 1.28 - 0.08 <= np.mean([f["rho3"] for f in found]) <= 1.36 + 0.08
    epsilon = [f["epsilon"] for f in found]
    assert np.mean(epsilon) == pytest.approx(pairs_of(operators).epsilon_haar, rel=0.01)
    trained = compared_with_chance(operators, max_dim=12)
    assert trained["closure_isotropy"] > 4 * max(f["closure_isotropy"] for f in found)


def test_rounding_of_badly_scaled_factors_stays_small():
    """A gauge of condition 1e5 on the factors changes no operator, nor what is kept of it."""
    layer = gaussian_heads(0, 3, 10, 3)
    gauge = torch.diag(torch.tensor([1e5, 1.0, 1e-5], dtype=torch.float64))
    scaled = HeadOperators.from_factors(layer.queries @ gauge, layer.keys @ gauge.inverse())
    torch.testing.assert_close(scaled.norms(), layer.norms(), rtol=64 * U * 1e10, atol=0)
    drawn = haar_conjugated(scaled, generator(0))
    torch.testing.assert_close(drawn.norms(), layer.norms(), rtol=64 * U * 1e10, atol=0)
