"""The pooled null keeps what all heads share, and is fair where heads share nothing else."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import stats

from headalgebra.algebra.coherence.chance import compared_with_chance
from headalgebra.algebra.nulls import haar_conjugated, pooled_factors
from headalgebra.algebra.nulls._pooled import _mixed
from headalgebra.algebra.operators import HeadOperators
from heads import SEEDS, gaussian_heads, layers, pairs_of


def generator(*entropy: int) -> np.random.Generator:
    return np.random.default_rng(entropy)


def anisotropic_layer(
    *entropy: int, heads: int = 8, d: int = 48, r: int = 6, keys: int = 8
) -> HeadOperators:
    """Heads alike in law: columns of one covariance, whose spectrum falls over two decades."""
    stream = generator(*entropy)
    scales = 10 ** np.linspace(0, -2, d)[:, None]
    queries, others = (scales * stream.standard_normal((n, d, r)) for n in (heads, keys))
    key_of_head = torch.arange(heads) * keys // heads
    return HeadOperators.from_factors(
        torch.from_numpy(queries), torch.from_numpy(others), key_of_head
    )


@given(layers(), SEEDS)
def test_norms_and_sharing_stay(layer: HeadOperators, seed: int) -> None:
    drawn = pooled_factors(layer, generator(seed))
    torch.testing.assert_close(drawn.norms(), layer.norms(), rtol=1e-10, atol=0)
    assert drawn.key_of_head.tolist() == layer.key_of_head.tolist()
    assert drawn.keys.shape == layer.keys.shape


@given(layers(), SEEDS)
def test_pooled_moments_stay(layer: HeadOperators, seed: int) -> None:
    for factors in (layer.query_matrix, layer.key_matrix):
        moments = factors @ factors.T
        mixed = _mixed(factors, generator(seed))
        # A rotation of up to some tens of columns, by a QR and one product.
        torch.testing.assert_close(
            mixed @ mixed.T, moments, rtol=0, atol=1e-13 * float(moments.abs().max())
        )


def test_columns_are_mixed_without_a_direction() -> None:
    """The mean of a mixed column is zero, and it shares nothing with the column in its place."""
    factors = anisotropic_layer(1, heads=2, d=5, r=2, keys=2).query_matrix
    stream = generator(2)
    draws = torch.stack([_mixed(factors, stream) for _ in range(4000)])
    z = draws.mean(0) / (draws.std(0) / math.sqrt(len(draws)))
    assert float(z.abs().max()) < 4.5
    for column in range(factors.shape[1]):
        along = draws[:, :, column] @ factors[:, column]
        assert abs(float(along.mean() / (along.std() / math.sqrt(len(draws))))) < 4.5


def test_a_zero_head_stays_zero() -> None:
    layer = gaussian_heads(0, 3, 8, 2)
    queries = layer.queries.clone()
    queries[1] = 0
    norms = pooled_factors(HeadOperators.from_factors(queries, layer.keys), generator(0)).norms()
    assert norms[1] == 0 and (norms[[0, 2]] > 0).all()


def test_ranks_are_even_for_heads_that_share_their_law_alone() -> None:
    """The exact law of an exchangeable draw, for a number that no norm changes."""
    draws, cases = 9, 80
    ranks = []
    for case in range(cases):
        layer = anisotropic_layer(3, case, heads=4, d=12, r=2, keys=2)
        own = pairs_of(layer).epsilon_relative
        stream = generator(4, case)
        drawn = [pairs_of(pooled_factors(layer, stream)).epsilon_relative for _ in range(draws)]
        ranks.append(sum(value < own for value in drawn))
    counts = np.bincount(ranks, minlength=draws + 1)
    assert stats.chisquare(counts).pvalue > 1e-3
    # Control: were the layer's own heads alike in pairs, it would lie among the lowest.
    assert counts.max() < cases / 3


def test_heads_that_share_more_than_their_law_are_seen() -> None:
    ranks = []
    for case in range(10):
        layer = anisotropic_layer(5, case, heads=4, d=24, r=3, keys=4)
        queries, keys = layer.queries.clone(), layer.keys.clone()
        # Two pairs of twins, which commute.
        queries[2:], keys[2:] = queries[:2], keys[:2]
        alike = HeadOperators.from_factors(queries, keys)
        own = pairs_of(alike).epsilon_relative
        stream = generator(6, case)
        drawn = [pairs_of(pooled_factors(alike, stream)).epsilon_relative for _ in range(9)]
        ranks.append(sum(value < own for value in drawn))
    assert np.mean(ranks) < 1


def test_it_is_fair_to_an_initialisation() -> None:
    """Independent normal factors as wide as the stream: closure is what the draws have."""
    ratios = []
    for case in range(8):
        layer = gaussian_heads(100 * case, heads=6, d=48, r=8)
        own = compared_with_chance(layer)["closure_isotropy"]
        stream = generator(8, case)
        drawn = [
            compared_with_chance(pooled_factors(layer, stream))["closure_isotropy"]
            for _ in range(6)
        ]
        ratios.append(math.log(own / np.mean(drawn)))
    error = np.std(ratios, ddof=1) / math.sqrt(len(ratios))
    assert abs(np.mean(ratios)) < 4 * error < 0.5


@pytest.mark.parametrize("keys", [24, 6])
def test_haar_draws_see_structure_in_a_shared_law(keys: int) -> None:
    """Heads of one anisotropic law: the pooled null has their closure and ε, Haar draws do not."""
    draws = {"pooled": pooled_factors, "haar": haar_conjugated}
    ratios: dict[tuple[str, str], list[float]] = {}
    for case in range(4):
        layer = anisotropic_layer(5, case, heads=24, keys=keys)
        own = compared_with_chance(layer)
        for null, draw in draws.items():
            stream = generator(6, case)
            drawn = [compared_with_chance(draw(layer, stream)) for _ in range(3)]
            for quantity in ("closure_isotropy", "epsilon"):
                mean = np.mean([numbers[quantity] for numbers in drawn])
                ratios.setdefault((null, quantity), []).append(math.log(own[quantity] / mean))
    centre = {name: float(np.mean(values)) for name, values in ratios.items()}
    assert abs(centre["pooled", "closure_isotropy"]) < 0.25
    assert abs(centre["pooled", "epsilon"]) < 0.05
    assert centre["haar", "closure_isotropy"] > 1
    assert centre["haar", "epsilon"] > 0.5
