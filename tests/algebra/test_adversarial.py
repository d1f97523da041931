"""Layers made to be hard: dense and sampled agree on them, and no number depends on a frame."""

import math
from dataclasses import astuple
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from algebras import unit
from headalgebra.algebra.hochschild import obstruction
from headalgebra.algebra.linf import (
    all_triples,
    census,
    extract_dense,
    literal_jacobiator,
    probed_words,
    sphere_probes,
    weighted_triples,
)
from headalgebra.algebra.operators import HeadOperators
from heads import (
    basis_of,
    blocks_of,
    complete_directions,
    elements_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    heavy_tailed,
    largest_relative_change,
    numbers_of,
    of_condition,
    orthogonal,
    pairs_of,
    rescaled,
    unchecked_shapes,
    words_of,
)
from thresholds import U

N_SEEDS, N_CENSUSES, N_PROBES, N_DRAWN = 500, 2000, 64, 200

ESTIMATORS = {
    "census": lambda words: all_triples(census(words)),
    "weighted": lambda words: weighted_triples([words], 300, seed_of(1)),
}
BY_ESTIMATOR = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)


def seed_of(*entropy):
    return np.random.SeedSequence(entropy)


def turned(layer, rotation):
    return HeadOperators.from_factors(
        rotation @ layer.queries, rotation @ layer.keys, layer.key_of_head
    )


def one_triple(seed, n=6):
    """Of all triples, [h,[h,e]] alone is not zero: h and e in a corner, the others far from it."""
    d = n
    h = (unit(d, 0, 0) - unit(d, 1, 1)) / math.sqrt(2)
    others = [unit(d, k, k) for k in range(2, n)]
    # Of different norms, so that the basis is these matrices and no mixture of them.
    norms = torch.linspace(2, 1, n, dtype=torch.float64)[:, None, None]
    return turned(
        from_matrices(norms * torch.stack([h, unit(d, 0, 1), *others])), orthogonal(seed, d)
    )


def equal_singular_values(seed):
    """Heads that are orthonormal already: any rotation of them is as good a basis."""
    return from_matrices(elements_of(gaussian_heads(seed, 5, 10, 3)))


def near_dependent(seed, distance):
    """The last head is its neighbour but for so much."""
    layer = gaussian_heads(seed, 5, 10, 3)
    queries, keys = layer.queries.clone(), layer.keys.clone()
    queries[4] = queries[3] + distance * gaussian(seed + 2, 10, 3)
    keys[4] = keys[3] + distance * gaussian(seed + 3, 10, 3)
    return HeadOperators.from_factors(queries, keys)


def grouped(seed):
    return gaussian_heads(seed, 6, 10, 3, [0, 0, 0, 1, 1, 2])


def badly_scaled(layer, condition, seed=0):
    """The same operators from Q G and K G^-T, another G for every key factor."""
    queries, keys = layer.queries.clone(), layer.keys.clone()
    for k in range(len(keys)):
        G = of_condition(seed + 2 * k, layer.d_head, condition)
        keys[k] = torch.linalg.solve(G, keys[k].T).T
        queries[layer.key_of_head == k] = queries[layer.key_of_head == k] @ G
    return HeadOperators.from_factors(queries, keys, layer.key_of_head)


LAYERS = {
    "Gaussian": lambda seed: gaussian_heads(seed, 5, 10, 3),
    "heavy-tailed": heavy_tailed,
    "one triple": one_triple,
    "equal singular values": equal_singular_values,
    "near-dependent 1e-3": lambda seed: near_dependent(seed, 1e-3),
    "near-dependent 1e-6": lambda seed: near_dependent(seed, 1e-6),
    "grouped keys": grouped,
    "badly scaled 1e6": lambda seed: badly_scaled(gaussian_heads(seed, 5, 10, 3), 1e6),
    "badly scaled 1e10": lambda seed: badly_scaled(gaussian_heads(seed, 5, 10, 3), 1e10),
    "grouped, badly scaled 1e10": lambda seed: badly_scaled(grouped(seed), 1e10),
}
NAMES = pytest.mark.parametrize("name", LAYERS)


@NAMES
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_complete_directions_are_exact(name, seed):
    """Triple by triple, for the unit vectors and for any rotation of them."""
    layer = LAYERS[name](seed)
    E, d = elements_of(layer), layer.d_model
    triples = [(b, a, c) for b in range(len(E)) for a, c in combinations(range(len(E)), 2)]
    squares = torch.stack([obstruction(E[a], E[b], E[c]).square().sum() for b, a, c in triples])
    truth = extract_dense(E).obstruction_rms
    # Elements are combinations of heads with coefficients up to κ: u κ each.
    rounding = 16 * U * basis_of(layer).kappa
    for directions in (complete_directions(d), orthogonal(seed, d) * math.sqrt(d)):
        squared = census(words_of(layer, directions))
        assert float((squared.mean(1).sqrt() - squares.sqrt()).abs().max()) <= rounding
        assert all_triples(squared).value == pytest.approx(truth, rel=rounding)
    # Control: with one direction missing it is another number.
    missing = census(words_of(layer, directions[:, 1:]))
    assert all_triples(missing).value != pytest.approx(truth, rel=1e-5 + rounding)


@NAMES
def test_complete_directions_leave_the_interval_to_the_draws(name):
    """The weighted estimate is of the same number: within its interval, and close."""
    layer = LAYERS[name](1)
    truth = extract_dense(elements_of(layer)).obstruction_rms
    directions = complete_directions(layer.d_model)
    estimate = weighted_triples([words_of(layer, directions)], 2000, seed_of(0))
    assert estimate.low <= truth <= estimate.high
    assert abs(estimate.value / truth - 1) < 0.15


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_triple_by_hand(seed):
    """[h,[h,e]] = 2e with h, e of norm 1: the sum of squares is 4, whatever n."""
    for n in (4, 6):
        layer = one_triple(seed, n)
        n_triples = n * math.comb(n, 2)
        dense = extract_dense(elements_of(layer))
        assert dense.n_triples == n_triples
        assert dense.obstruction_rms == pytest.approx(2 / math.sqrt(n_triples), rel=1e-13)
        squared = census(words_of(layer, complete_directions(n))).mean(1)
        assert float(squared.max() / squared.sum()) == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_draws_in_proportion_have_no_variance(seed):
    """Of a nilpotent and its transpose both triples are alike, and so are their weights."""
    x, y = orthogonal(seed, 5)[:2]
    layer = from_matrices(torch.stack([2 * torch.outer(x, y), torch.outer(y, x)]))
    truth = extract_dense(elements_of(layer)).obstruction_rms
    assert truth == pytest.approx(2, rel=1e-13)
    words = words_of(layer, complete_directions(5))
    # Power iteration has to have converged, which on rank one it does at once.
    values = [weighted_triples([words], 50, seed_of(k)).value for k in range(3)]
    assert values == pytest.approx([truth] * 3, rel=1e-12)
    # Control: the weights of another layer's triples vary, and so do its estimates.
    other = words_of(gaussian_heads(seed, 3, 5, 2), complete_directions(5))
    assert len({round(weighted_triples([other], 50, seed_of(k)).value, 6) for k in range(3)}) > 1


@pytest.mark.parametrize("condition", [1e6, 1e10])
@pytest.mark.parametrize("name", ["Gaussian", "grouped keys"])
def test_scaling_of_the_factors_changes_no_estimate(name, condition):
    """What is lost is what forming Q G and K G^-T loses."""
    layer = LAYERS[name](3)
    changed, probes = badly_scaled(layer, condition), sphere_probes(10, N_PROBES, seed_of(0))
    unavoidable = 100 * condition * U
    for estimator in ESTIMATORS.values():
        estimate, reference = (estimator(words_of(x, probes)) for x in (changed, layer))
        assert astuple(estimate) == pytest.approx(astuple(reference), rel=unavoidable)
    assert largest_relative_change(numbers_of(changed), numbers_of(layer)) <= unavoidable
    # Control: G on the queries alone is another layer.
    half = HeadOperators(changed.query_matrix, layer.key_matrix, layer.key_of_head)
    assert largest_relative_change(numbers_of(half), numbers_of(layer)) > 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shared_keys_are_repeated_keys(seed):
    layer, probes = grouped(seed), sphere_probes(10, N_PROBES, seed_of(seed))
    repeated = HeadOperators.from_factors(layer.queries, layer.keys[layer.key_of_head])
    shared, own = census(words_of(layer, probes)), census(words_of(repeated, probes))
    torch.testing.assert_close(shared, own, rtol=0, atol=1e-12 * float(own.max()))
    assert largest_relative_change(numbers_of(layer), numbers_of(repeated)) <= 1e-11
    # Control: another map of heads to the same keys is another layer.
    crossed = HeadOperators(layer.query_matrix, layer.key_matrix, layer.key_of_head.flip(0))
    assert largest_relative_change(numbers_of(crossed), numbers_of(layer)) > 0.01


@BY_ESTIMATOR
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_estimates_do_not_depend_on_order_and_scale(seed, estimator):
    layer, probes = gaussian_heads(seed, 5, 10, 3), sphere_probes(10, N_PROBES, seed_of(seed))
    order = torch.tensor([3, 0, 4, 1, 2])
    reordered = HeadOperators.from_factors(7 * layer.queries[order], layer.keys[order])
    estimate, reference = (estimator(words_of(x, probes)) for x in (reordered, layer))
    assert astuple(estimate) == pytest.approx(astuple(reference), rel=1e-11)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_census_turns_with_the_layer_and_its_probes(seed):
    layer, probes = gaussian_heads(seed, 5, 10, 3), sphere_probes(10, N_PROBES, seed_of(seed))
    rotation = orthogonal(seed, 10)
    moved, reference = turned(layer, rotation), census(words_of(layer, probes))
    rounding = 1e-12 * float(reference.max())
    together = census(words_of(moved, rotation @ probes))
    torch.testing.assert_close(together, reference, rtol=0, atol=rounding)
    # Control: the probes left where they were.
    alone = census(words_of(moved, probes))
    assert not torch.allclose(alone, reference, rtol=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tables_of_pairs_and_directions_follow_the_heads(seed):
    """Every row of them, and the literal Jacobiator's expected rounding, which is a number too."""
    layer = gaussian_heads(seed, 5, 10, 3)
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = turned(layer, orthogonal(seed, 10))
    moved = rescaled(HeadOperators.from_factors(moved.queries[order], moved.keys[order]), 4.0)
    pairs, changed = pairs_of(layer), pairs_of(moved)
    row = {(int(i), int(j)): k for k, (i, j) in enumerate(zip(pairs.i, pairs.j, strict=True))}
    where = [
        row[tuple(sorted((int(order[i]), int(order[j]))))]
        for i, j in zip(changed.i, changed.j, strict=True)
    ]
    assert where != sorted(where)
    for column, scale in (("norm", 16), ("haar", 16), ("relative", 1)):
        expected = scale * getattr(pairs, column)
        torch.testing.assert_close(getattr(changed, column), expected[where], rtol=1e-12, atol=0)
        # Control: not in the order they were in.
        assert not torch.allclose(getattr(changed, column), expected, rtol=1e-3)
    basis, other = basis_of(layer), basis_of(moved)
    torch.testing.assert_close(other.singular_values, 4 * basis.singular_values, rtol=1e-12, atol=0)
    assert other.rank == basis.rank
    literal, moved_literal = (
        literal_jacobiator(blocks_of(x).operators, basis_of(x).coefficients, 10, seed_of(0))
        for x in (layer, moved)
    )
    assert moved_literal.noise == pytest.approx(literal.noise, rel=1e-11, abs=0)
    assert moved_literal.bound == pytest.approx(literal.bound, rel=1e-11, abs=0)


def misses(estimates, truths, lower=1.0, upper=1.0):
    """How many intervals lie above the truth and below it, each side stretched in the logarithm."""
    above = below = 0
    for e, truth in zip(estimates, truths, strict=True):
        above += truth < e.value * (e.low / e.value) ** lower
        below += truth > e.value * (e.high / e.value) ** upper
    return above, below


def are_of_95_percent(missed, trials):
    """Whether 95 % intervals would miss so often, in all and on either side of the truth.

    Each count is one that a binomial law gives but for one time in a thousand.
    """

    def likely(count, share):
        low, high = stats.binom.ppf([0.0005, 0.9995], trials, share)
        return low <= count <= high

    return likely(sum(missed), 0.05) and all(likely(count, 0.025) for count in missed)


def census_estimates(layer, seeds, stream=0):
    """One block of independent directions, cut into one independent estimate a seed."""
    probes = sphere_probes(layer.d_model, N_PROBES * seeds, seed_of(stream))
    return [all_triples(part) for part in census(words_of(layer, probes)).split(N_PROBES, dim=1)]


def weighted_estimates(layer, seeds, stream=0):
    operators, coefficients = blocks_of(layer).operators, basis_of(layer).coefficients
    estimates = []
    with unchecked_shapes():
        for k in range(seeds):
            probes = sphere_probes(layer.d_model, N_PROBES, seed_of(stream, k, 0))
            words = probed_words(operators, coefficients, probes)
            estimates.append(weighted_triples([words], N_DRAWN, seed_of(stream, k, 1)))
    return estimates


def assert_calibrated(estimates, truths):
    """And neither intervals of half or double the width, nor those of one such side, would be."""
    trials = len(truths)
    assert trials >= N_SEEDS
    assert are_of_95_percent(misses(estimates, truths), trials)
    for stretch in ({"lower": 0.5, "upper": 0.5}, {"lower": 2, "upper": 2}):
        assert not are_of_95_percent(misses(estimates, truths, **stretch), trials)
    for side in ("lower", "upper"):
        for stretch in (0.5, 2):
            assert not are_of_95_percent(misses(estimates, truths, **{side: stretch}), trials)


def near_rank_one(seed):
    """Heads that share one large direction of queries and one of keys."""
    decay = 0.1 ** torch.arange(4, dtype=torch.float64)
    shared, own = gaussian(seed, 2, 1, 16, 4), gaussian(seed + 1, 2, 6, 16, 4)
    return HeadOperators.from_factors(*((shared + 0.1 * own) * decay))


HARD = {
    "Gaussian": gaussian_heads(0, 6, 16, 4),
    "heavy-tailed": heavy_tailed(0),
    "near rank one": near_rank_one(0),
}


@pytest.mark.parametrize("layer", HARD.values(), ids=HARD)
def test_intervals_of_all_triples_cover_and_miss_evenly(layer):
    """95 ± 1 % of 2,000 seeds, and on neither side more than twice the misses of the other."""
    truth = [extract_dense(elements_of(layer)).obstruction_rms] * N_CENSUSES
    estimates = census_estimates(layer, N_CENSUSES)
    assert_calibrated(estimates, truth)
    above, below = misses(estimates, truth)
    assert abs((above + below) / N_CENSUSES - 0.05) <= 0.01
    assert max(above, below) <= 2 * min(above, below)


@pytest.mark.parametrize("layer", HARD.values(), ids=HARD)
def test_intervals_of_weighted_triples_cover(layer):
    truth = extract_dense(elements_of(layer)).obstruction_rms
    assert_calibrated(weighted_estimates(layer, N_SEEDS), [truth] * N_SEEDS)


@pytest.mark.parametrize("estimates_of", [census_estimates, weighted_estimates])
def test_intervals_cover_over_many_layers(estimates_of):
    """Two layers of every kind, the same share of the seeds to each."""
    layers = [make(10 * k + s) for k, make in enumerate(LAYERS.values()) for s in (200, 300)]
    seeds = -(-N_SEEDS // len(layers))
    estimates, truths = [], []
    for k, layer in enumerate(layers):
        estimates += estimates_of(layer, seeds, k)
        truths += [extract_dense(elements_of(layer)).obstruction_rms] * seeds
    assert_calibrated(estimates, truths)


def test_the_band_of_a_coverage_is_two_sided():
    even = N_SEEDS * 0.025
    assert are_of_95_percent((even, even), N_SEEDS)
    for missed in ((2 * even, 2 * even), (0, 0), (0, 2 * even), (0, even), (even, 2.5 * even)):
        assert not are_of_95_percent(missed, N_SEEDS)
