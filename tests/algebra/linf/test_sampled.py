"""Sampled extraction: exact for complete directions, unbiased and covering for random ones."""

import math
from dataclasses import astuple
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headalgebra.algebra.hochschild import commutator, obstruction
from headalgebra.algebra.linf import (
    all_triples,
    census,
    extract_dense,
    probed_words,
    sampled,
    sphere_probes,
    triple_squares,
    uniform_coverage,
    uniform_tuples,
    weighted_triples,
)
from headalgebra.algebra.linf.sampled import spectral_norms
from heads import (
    SEEDS,
    basis_of,
    blocks_of,
    complete_directions,
    elements_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    heavy_tailed,
    layers,
    unchecked_shapes,
    words_of,
)

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("sampled")

N_SEEDS, N_PROBES, N_DRAWN = 250, 16, 400

# Four standard deviations below 95 % of the seeds.
LEAST_COVERAGE = 0.95 - 4 * math.sqrt(0.95 * 0.05 / N_SEEDS)


def seed_of(*entropy):
    return np.random.SeedSequence(entropy)


@pytest.fixture(scope="module")
def repeated_estimates():
    """The three estimators over many seeds on one heavy-tailed layer, and the truth."""
    layer = heavy_tailed(0)
    operators, coefficients = blocks_of(layer).operators, basis_of(layer).coefficients
    estimates = {"all": [], "uniform": [], "weighted": []}
    with unchecked_shapes():
        for k in range(N_SEEDS):
            probes = sphere_probes(operators.d_model, N_PROBES, seed_of(k, 0))
            words = probed_words(operators, coefficients, probes)
            squares = census(words)
            estimates["all"].append(all_triples(squares))
            estimates["uniform"].append(uniform_tuples(squares.mean(1), N_DRAWN, seed_of(k, 1)))
            estimates["weighted"].append(weighted_triples([words], N_DRAWN, seed_of(k, 2)))
    return estimates, extract_dense(elements_of(layer)).obstruction_rms


def coverage(estimates, truth):
    return float(np.mean([e.low <= truth <= e.high for e in estimates]))


def bias_in_standard_errors(estimates, truth):
    squares = np.array([e.value for e in estimates]) ** 2
    return abs(squares.mean() - truth**2) / (squares.std(ddof=1) / math.sqrt(len(squares)))


@given(SEEDS, st.integers(1, 30), st.integers(1, 40))
def test_probes_lie_on_the_sphere(seed, d, p):
    probes = sphere_probes(d, p, seed_of(seed))
    assert probes.shape == (d, p)
    torch.testing.assert_close(
        probes.norm(dim=0), torch.full((p,), math.sqrt(d), dtype=torch.float64), rtol=1e-14, atol=0
    )


def test_probes_have_no_direction():
    """Second moments of a uniform direction: E z z^T = 1."""
    probes = sphere_probes(5, 20000, seed_of(0))
    moments = probes @ probes.T / 20000
    # An entry's variance is below 2.
    assert float((moments - torch.eye(5)).abs().max()) < 5 * math.sqrt(2 / 20000)


@given(layers(min_heads=2), SEEDS)
def test_words_act_as_dense_brackets(layer, seed):
    E, d = elements_of(layer), layer.d_model
    n, probes = len(E), sphere_probes(d, 3, seed_of(seed))
    words = words_of(layer, probes)
    scale = 1e-12 * basis_of(layer).kappa ** 4 * d
    for a in range(n):
        for b in range(n):
            square = (commutator(E[b], E[a]) @ probes).square().sum(0).mean()
            assert float(words.pair_squared[b, a]) == pytest.approx(float(square), abs=scale)
    expected = [
        (obstruction(E[a], E[b], E[c]) @ probes).square().sum(0)
        for b in range(n)
        for a, c in combinations(range(n), 2)
    ]
    if expected:
        torch.testing.assert_close(census(words), torch.stack(expected), rtol=1e-9, atol=scale)


def test_the_order_of_a_triple_matters():
    """Control for the law above: [b,[c,a]] is not [a,[b,c]]."""
    layer = gaussian_heads(0, heads=3, d=8, r=3)
    E, probes = elements_of(layer), sphere_probes(8, 3, seed_of(0))
    squared = census(words_of(layer, probes))
    permuted = (obstruction(E[1], E[2], E[0]) @ probes).square().sum(0)
    assert not torch.allclose(squared[0], permuted, rtol=1e-2)


@given(layers(min_heads=2, min_d=3))
def test_a_complete_set_of_directions_is_exact(layer):
    dense = extract_dense(elements_of(layer))
    if dense.n_triples == 0:
        return
    estimate = all_triples(census(words_of(layer, complete_directions(layer.d_model))))
    assert estimate.n_triples == dense.n_triples
    rounding = 1e-12 * basis_of(layer).kappa ** 2
    assert estimate.value == pytest.approx(dense.obstruction_rms, rel=1e-9, abs=rounding)


def test_blocks_of_triples_do_not_show(monkeypatch):
    words = words_of(heavy_tailed(1), sphere_probes(8, 4, seed_of(0)))
    whole = census(words)
    monkeypatch.setattr("headalgebra.algebra.linf.words.NUMBERS_HELD", 1)
    torch.testing.assert_close(census(words), whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_blocks_of_words_do_not_show(monkeypatch, side):
    layer, probes = heavy_tailed(1), sphere_probes(8, 4, seed_of(0))
    whole = words_of(layer, probes)
    assert len(whole.coefficients) % 3 and len(whole.coefficients) > 3
    per_word = max(probes.shape[0], layer.query_matrix.shape[1]) * probes.shape[1]
    monkeypatch.setattr("headalgebra.algebra.linf.words.WORDS_HELD", side**2 * per_word)
    blocks = words_of(layer, probes)
    for name in ("keyed", "keyed_brackets", "pair_squared"):
        torch.testing.assert_close(
            getattr(blocks, name), getattr(whole, name), rtol=1e-12, atol=1e-13
        )


def test_interval_of_means_without_skewness():
    """√(T̄ ± t s/√p) with Student's t on p − 1 degrees of freedom."""
    squared = torch.tensor([[1.0, 3.0, 2.0, 6.0], [3.0, 5.0, 2.0, 2.0]], dtype=torch.float64)
    estimate = all_triples(squared)
    # Means by probe: 2, 4, 2, 4; s = 2/√3; t_3 = 3.18245.
    half = 3.182446305284263 * (2 / math.sqrt(3)) / 2
    assert astuple(estimate) == pytest.approx(
        (math.sqrt(3), math.sqrt(3 - half), math.sqrt(3 + half), 2, 4), rel=1e-12
    )


def test_interval_of_skewed_means():
    """Hall's transformation of the studentised mean is ±t at the ends, with the skewness that the
    unbiased third moment gives."""
    per_probe = np.array([1.0, 1.5, 1.2, 5.0, 2.0, 1.1])
    estimate = all_triples(torch.from_numpy(per_probe)[None])
    error = per_probe.std(ddof=1) / math.sqrt(6)
    third = stats.skew(per_probe, bias=False) * per_probe.std(ddof=1) ** 3
    a = third / 6**2 / error**3
    for end, quantile in ((estimate.low, 1), (estimate.high, -1)):
        T = (per_probe.mean() - end**2) / error
        transformed = T + a * T**2 / 3 + a**2 * T**3 / 27 + a / 6
        assert transformed == pytest.approx(quantile * stats.t.ppf(0.975, 5), rel=1e-12)
    assert estimate.high - estimate.value > 1.2 * (estimate.value - estimate.low)


@given(st.floats(-4, 4), st.floats(-3, 3))
def test_skewness_is_taken_out_smoothly(t, skewness):
    """The inverse of Hall's cubic, which is increasing whatever the skewness."""
    T = sampled._without_skewness(t, skewness)
    transformed = T + skewness * T**2 / 3 + skewness**2 * T**3 / 27 + skewness / 6
    assert transformed == pytest.approx(t, abs=1e-11)
    assert sampled._without_skewness(t + 1e-3, skewness) > T
    assert sampled._without_skewness(t, 1e-9) == pytest.approx(t, abs=1e-8)


@pytest.mark.parametrize("estimator", ["all", "uniform", "weighted"])
def test_mean_square_is_unbiased(repeated_estimates, estimator):
    estimates, truth = repeated_estimates
    assert bias_in_standard_errors(estimates[estimator], truth) < 4
    # Control: a bias of a fifth would show.
    assert bias_in_standard_errors(estimates[estimator], 1.1 * truth) > 4


@pytest.mark.parametrize("n_drawn", [60, 140])
def test_weighted_interval_covers_when_the_draws_decide(n_drawn):
    """Many probes and few draws. With repetition: even N draws do not see all N triples."""
    layer = heavy_tailed(0)
    operators, coefficients = blocks_of(layer).operators, basis_of(layer).coefficients
    truth = extract_dense(elements_of(layer)).obstruction_rms
    estimates = []
    with unchecked_shapes():
        for k in range(100):
            probes = sphere_probes(operators.d_model, 128, seed_of(k, 0))
            words = probed_words(operators, coefficients, probes)
            estimates.append(weighted_triples([words], n_drawn, seed_of(k, 2)))
    assert coverage(estimates, truth) >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / 100)


def test_uniform_tuples_cover_less(repeated_estimates):
    """The paper's interval forgets that few triples carry the sum, and that probes are random."""
    estimates, truth = repeated_estimates
    uniform = coverage(estimates["uniform"], truth)
    assert uniform < LEAST_COVERAGE - 0.05
    assert uniform < coverage(estimates["all"], truth) - 0.1


def test_weights_need_fewer_draws(repeated_estimates):
    """Beyond the probes' own variance, which both share, less is left than for uniform tuples."""
    estimates, _ = repeated_estimates
    exact = np.array([e.value for e in estimates["all"]]) ** 2
    drawn = {
        name: np.var(np.array([e.value for e in estimates[name]]) ** 2 - exact)
        for name in ("uniform", "weighted")
    }
    assert drawn["weighted"] < 0.5 * drawn["uniform"]


def test_dense_lies_in_the_interval():
    layer = gaussian_heads(3, heads=6, d=24, r=4)
    truth = extract_dense(elements_of(layer)).obstruction_rms
    words = words_of(layer, sphere_probes(24, N_PROBES, seed_of(0)))
    for estimate in (all_triples(census(words)), weighted_triples([words], 300, seed_of(1))):
        assert estimate.low < estimate.value < estimate.high
        assert estimate.low <= truth <= estimate.high
        assert (estimate.high - estimate.low) / truth < 0.5


def test_more_probes_narrow_the_interval():
    layer = gaussian_heads(3, heads=5, d=24, r=4)
    widths = []
    for p in (16, 256):
        estimate = all_triples(census(words_of(layer, sphere_probes(24, p, seed_of(0)))))
        widths.append(math.log(estimate.high / estimate.low))
    # As 1/√p, and t falls a little.
    assert 3 < widths[0] / widths[1] < 7


@pytest.mark.parametrize("estimator", ["uniform", "weighted"])
def test_the_same_seed_gives_the_same_bits(estimator):
    words = words_of(heavy_tailed(0), sphere_probes(8, 4, seed_of(0)))
    squares = census(words).mean(1)

    def estimate(seed):
        if estimator == "weighted":
            return weighted_triples([words], 50, seed)
        return uniform_tuples(squares, 50, seed)

    seed = seed_of(7)
    first = estimate(seed)
    assert estimate(seed) == first
    assert estimate(seed_of(7)) == first
    assert estimate(seed_of(8)) != first
    assert first.n_triples == 50


def test_coverage_of_uniform_tuples():
    """That of many estimates one by one; and what the normal law gives for an even population."""
    squares = triple_squares(heavy_tailed(0), basis_of(heavy_tailed(0)).coefficients).flatten()
    exact = math.sqrt(float(squares.mean()))
    one_by_one = [uniform_tuples(squares, 50, seed_of(k)) for k in range(400)]
    together = uniform_coverage(squares, 50, 4000, seed_of(0))
    assert together == pytest.approx(
        coverage(one_by_one, exact), abs=4 * math.sqrt(0.25 / 400 + 0.25 / 4000)
    )
    assert together < 0.9
    even = torch.linspace(1, 2, 500, dtype=torch.float64)
    found = uniform_coverage(even, 200, 4000, seed_of(0))
    assert found == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


@pytest.mark.parametrize("n_compared", [None, 20])
def test_rounding_is_seen_where_products_nearly_cancel(n_compared):
    errors = []
    for distance in (1.0, 1e-5):
        commuting = torch.diag_embed(gaussian(0, 4, 6))
        layer = from_matrices(commuting + distance * gaussian(1, 4, 6, 6))
        coefficients, probes = basis_of(layer).coefficients, sphere_probes(6, 4, seed_of(0))
        single = probed_words(layer.rounded(torch.float32), coefficients.float(), probes.float())
        double = probed_words(layer, coefficients, probes)
        errors.append(sampled.rounding_error([(single, double)], n_compared))
        moved = abs(all_triples(census(single)).value / all_triples(census(double)).value - 1)
        if n_compared is None:
            assert moved <= errors[-1] * (1 + errors[-1])
    assert errors[0] < 1e-5
    assert errors[1] > 1e-4


def test_probes_are_seeded():
    assert torch.equal(sphere_probes(5, 3, seed_of(1)), sphere_probes(5, 3, seed_of(1)))
    assert not torch.equal(sphere_probes(5, 3, seed_of(1)), sphere_probes(5, 3, seed_of(2)))


@given(SEEDS, st.integers(1, 4))
def test_power_iteration_approaches_the_spectral_norm_from_below(seed, heads):
    layer = gaussian_heads(seed, heads=heads, d=10, r=3)
    norms = spectral_norms(layer, basis_of(layer).coefficients, np.random.default_rng(seed))
    true = torch.linalg.matrix_norm(elements_of(layer), 2)
    assert bool((norms <= true * (1 + 1e-10)).all())
    assert bool((norms >= 0.7 * true).all())


@pytest.mark.parametrize("n, p", [(0, 4), (1, 4), (2, 0)])
def test_without_pairs_or_spread_nothing_is_sampled(n, p):
    layer = gaussian_heads(0, heads=2, d=6, r=2)
    coefficients = basis_of(layer).coefficients
    with pytest.raises(ValueError, match="two elements and a probe") as refusal:
        probed_words(layer, coefficients[:n], sphere_probes(6, p, seed_of(0)))
    assert "\n" not in str(refusal.value)
    alone = words_of(layer, sphere_probes(6, 1, seed_of(0)))
    for estimate in (
        lambda: all_triples(census(alone)),
        lambda: weighted_triples([alone], 9, seed_of(0)),
    ):
        with pytest.raises(ValueError, match="1 probe: an interval needs two"):
            estimate()
    assert all_triples(census(words_of(layer, sphere_probes(6, 2, seed_of(0))))).n_triples == 2


def test_commuting_elements_have_no_obstruction():
    layer = from_matrices(torch.diag_embed(gaussian(0, 4, 6)))
    words = words_of(layer, sphere_probes(6, 4, seed_of(0)))
    for estimate in (all_triples(census(words)), weighted_triples([words], 20, seed_of(1))):
        assert estimate.value < 1e-14
