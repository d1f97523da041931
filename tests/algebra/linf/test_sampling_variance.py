"""What the spread of a sampled mean square is estimated from, and the weights of its draws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algebras import su2
from headalgebra.algebra.linf import ProbedWords, probed_words, sphere_probes, weighted_triples
from headalgebra.algebra.linf.sampled import _crossed_variance, spectral_norms
from heads import SEEDS, from_matrices, gaussian, unchecked_shapes
from thresholds import U


def pair_means(table):
    """Means of x_ij x_kl over the pairs of entries that share a row, a column, and neither."""
    m, p = table.shape
    products = torch.outer(table.flatten(), table.flatten())
    row, column = torch.arange(m).repeat_interleave(p), torch.arange(p).repeat(m)
    same_row, same_column = row[:, None] == row, column[:, None] == column
    return [
        float(products[pairs].mean())
        for pairs in (same_row & ~same_column, ~same_row & same_column, ~same_row & ~same_column)
    ]


@given(SEEDS, st.integers(2, 7), st.integers(2, 6), st.sampled_from([0.0, 0.3, 2.0]))
def test_the_variance_of_a_crossed_mean_is_that_of_its_pairs_of_entries(seed, m, p, spread):
    """Pairs that share nothing have the product μ² on average, whatever the law of the entries.

    So x̄² less their mean is an unbiased variance of x̄, without any sum of squares.
    """
    table = gaussian(seed, m, p) + spread * gaussian(seed + 1, m, 1) + gaussian(seed + 2, 1, p)
    in_a_row, _, apart = pair_means(table)
    of_rows = in_a_row - apart  # the variance that entries of a row have in common
    unbiased = float(table.mean()) ** 2 - apart
    # What the rows add is no less than zero, so that chance takes nothing off the columns' part.
    expected = unbiased - min(of_rows, 0.0) / m
    scale = float(table.square().mean())
    assert _crossed_variance(table) == pytest.approx(expected, abs=64 * m * p * U * scale)


def test_the_crossed_variance_is_unbiased_over_a_finite_population():
    """A population of triples × probes, sampled with replacement in both margins."""
    population = gaussian(0, 30, 1) + 0.1 * gaussian(1, 1, 20) + 2 * gaussian(2, 30, 20)
    generator, m, p = np.random.default_rng(0), 12, 6
    estimates, means = [], []
    with unchecked_shapes():
        for _ in range(3000):
            rows, columns = generator.integers(30, size=m), generator.integers(20, size=p)
            table = population[rows][:, columns]
            estimates.append(_crossed_variance(table))
            means.append(float(table.mean()))
    rows, columns = population.mean(1), population.mean(0)
    interaction = population - rows[:, None] - columns + population.mean()
    known = [float(part.square().mean()) for part in (rows - rows.mean(), columns - columns.mean())]
    truth = known[0] / m + known[1] / p + float(interaction.square().mean()) / (m * p)
    # The components give the variance of the mean itself: a variance of 3000 near-normal numbers.
    assert np.var(means) == pytest.approx(truth, rel=4 * math.sqrt(2 / 3000))
    error = 4 * np.std(estimates) / math.sqrt(len(estimates))
    assert error < 0.05 * truth
    # Rows that seem to vary less than their entries do are taken not to vary: a few in a hundred.
    assert np.mean(estimates) == pytest.approx(truth, abs=error + 0.02 * truth)


@pytest.mark.parametrize("n_drawn", [2, 40])
def test_draws_are_weighted_by_their_documented_product(monkeypatch, n_drawn):
    """A sum of the weights themselves is known from any draw: each counts alike.

    The elements are multiples of orthogonal matrices, whose spectral norms are the multiples.
    """
    layer, norms = from_matrices(2 * su2()), torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    words = probed_words(layer, torch.diag(norms), sphere_probes(4, 8, np.random.SeedSequence(0)))
    found = spectral_norms(layer, torch.diag(norms), np.random.default_rng(0))
    torch.testing.assert_close(found, norms, rtol=16 * U, atol=0)
    # ||[E_c, E_a]||² ||E_b||², in the order of b, a, c; of unit quaternions [E_c, E_a] = ±2 E_b'.
    pairs = [(0, 1), (0, 2), (1, 2)]
    commutators = torch.stack([16 * (norms[a] * norms[c]) ** 2 for a, c in pairs])
    torch.testing.assert_close(words.pair_squared[words.c, words.a], commutators)
    product = torch.outer(norms**2, commutators).flatten()

    def of_the_product(words, index):
        return product[index][:, None].expand(-1, words.n_probes)

    monkeypatch.setattr(ProbedWords, "drawn_squared", of_the_product)
    estimate = weighted_triples([words], n_drawn, np.random.SeedSequence(1))
    assert estimate.value == pytest.approx(float(product.mean().sqrt()), rel=64 * U)
