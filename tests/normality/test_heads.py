"""What is said of heads from their factors is what their dense operators say."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matrices import criss_cross, gaussian, jordan, normal

from headalgebra.algebra.operators import HeadOperators
from headalgebra.normality.compression import Compression, compress_heads
from headalgebra.normality.departure import schur_spectrum, symmetric_share
from headalgebra.normality.heads import (
    head_quantities,
    numerical_rank,
    operator_quantities,
    own_block_shares,
    reading_overlaps,
)
from headalgebra.normality.radii import pseudospectral_radius
from heads import SEEDS, from_matrices, gaussian_heads, layers, orthogonal, rescaled, to_matrices
from thresholds import U


@given(layers())
def test_compressed_heads_have_the_singular_values_and_eigenvalues_of_dense_ones(layer):
    for A, head in zip(to_matrices(layer).numpy(), compress_heads(layer), strict=True):
        scale = np.linalg.norm(A)
        dense = np.linalg.svd(A, compute_uv=False)[: len(head.inner)]
        np.testing.assert_allclose(head.singular_values, dense, rtol=0, atol=64 * U * scale)
        assert len(head.matrix) == min(2 * layer.d_head, layer.d_model)
        traces = [np.trace(np.linalg.matrix_power(A / scale, p)) for p in (1, 2, 3)]
        eigenvalues = schur_spectrum(head).eigenvalues / scale
        np.testing.assert_allclose([(eigenvalues**p).sum() for p in (1, 2, 3)], traces, atol=1e-13)


@given(layers())
def test_henrici_and_symmetry_are_those_of_dense_operators(layer):
    for A, head in zip(to_matrices(layer).numpy(), compress_heads(layer), strict=True):
        T, _ = scipy.linalg.schur(A, output="complex")
        expected = np.linalg.norm(np.triu(T, 1))
        assert schur_spectrum(head).departure == pytest.approx(
            expected, abs=1e-13 * np.linalg.norm(A)
        )
        assert symmetric_share(head.matrix) == pytest.approx(symmetric_share(A), abs=1e-14)


@pytest.mark.parametrize("r", [2, 8, 24])
@pytest.mark.parametrize("d", [24, 33, 64])
def test_radii_of_heads_are_those_of_dense_operators(d, r):
    layer = gaussian_heads(d + r, 1, d, r)
    A = layer.materialise(0).numpy()
    [quantities] = head_quantities(layer)
    norm = np.linalg.norm(A, 2)
    assert quantities["norm"] == pytest.approx(norm, rel=1e-13)
    for k in (1, 2, 3):
        found = quantities[f"pseudospectral_radius_{k}"]
        assert found * norm == pytest.approx(criss_cross(A, norm / 10**k), rel=1e-6)
    angles = np.linspace(0, np.pi, 721)
    rotations = np.exp(-1j * angles)[:, None, None] * A
    field = np.linalg.eigvalsh((rotations + rotations.conj().mT) / 2)[:, -1].max() / norm
    assert field <= quantities["numerical_radius_over_norm"] * (1 + 1e-12)
    assert quantities["numerical_radius_over_norm"] <= field / math.cos(math.pi / 1440)


@given(SEEDS, st.integers(2, 9))
def test_henrici_of_a_normal_matrix_is_rounding_and_of_a_nilpotent_one_all(seed, n):
    A = normal(seed, n)
    assert schur_spectrum(Compression.whole(A)).departure <= 64 * n * U * np.linalg.norm(A)
    nilpotent = np.triu(gaussian(seed, n, n), 1)
    strict = Compression.whole(nilpotent)
    assert schur_spectrum(strict).departure == pytest.approx(strict.frobenius_norm, rel=1e-14)


def test_henrici_keeps_its_digits_near_normality():
    """A rotation block stretched by 1e-12, where the difference of squares has no digit left."""
    A = np.array([[1.0, 2.0 + 1e-12], [-2.0, 1.0]])
    assert schur_spectrum(Compression.whole(A)).departure == pytest.approx(1e-12, rel=1e-3, abs=0)
    difference = np.linalg.norm(A) ** 2 - (abs(np.linalg.eigvals(A)) ** 2).sum()
    assert math.sqrt(abs(difference)) != pytest.approx(1e-12, rel=0.5, abs=0)


def test_henrici_of_a_jordan_block_is_one():
    for n in (2, 5, 8):
        quantities = operator_quantities(Compression.whole(jordan(n)), margin=1e-2)
        assert quantities["henrici"] == 1.0
        assert quantities["radius_over_norm"] == 0
        assert math.isnan(quantities["numerical_radius_over_radius"])


def test_symmetric_share_of_the_two_kinds_and_of_chance():
    A = gaussian(0, 40, 40)
    assert symmetric_share(A + A.T) == 1.0
    assert symmetric_share(A - A.T) == 0.0
    assert math.isnan(symmetric_share(np.zeros((3, 3))))
    shares = [symmetric_share(gaussian(seed, 40, 40)) for seed in range(40)]
    # Chance is ½ + 1/(2d) ± .7/d.
    assert np.mean(shares) == pytest.approx(0.5 + 1 / 80, abs=4 * 0.7 / 40 / math.sqrt(40))


def test_chance_of_gaussian_factors():
    layer = gaussian_heads(1, 8, 256, 32)
    chance = head_quantities(layer)
    shares, radii, departures = (
        np.array([head[name] for head in chance])
        for name in ("own_block_share", "radius_over_norm", "henrici")
    )
    assert chance[0]["own_block_chance"] == 1 / 64
    assert np.mean(shares) == pytest.approx(1 / 64, rel=0.1)
    # Published figures of Gaussian pairs at r = 32.
    assert ((radii > 0.2) & (radii < 0.32)).all() and ((departures > 0.93) & (departures < 1)).all()
    overlaps = [head["query_overlap"] for head in chance]
    assert np.mean(overlaps) == pytest.approx(chance[0]["overlap_chance"], rel=0.05)


@settings(max_examples=8)
@given(layers(), st.floats(1e-3, 1e3))
def test_nothing_but_the_norm_has_a_scale(layer, scale):
    before, after = (head_quantities(one, margin=1e-3) for one in (layer, rescaled(layer, scale)))
    for head, scaled in zip(before, after, strict=True):
        assert scaled.pop("norm") == pytest.approx(scale * head.pop("norm"), rel=1e-12)
        for name, value in head.items():
            if not name.startswith("certificate"):
                assert scaled[name] == pytest.approx(value, rel=1e-8, abs=1e-12, nan_ok=True)


@settings(max_examples=5)
@given(SEEDS)
def test_a_rotation_of_the_stream_shows_in_the_axes_alone(seed):
    layer, turn = gaussian_heads(seed, 3, 12, 4, [0, 0, 1]), orthogonal(seed + 5, 12)
    rotated = HeadOperators.from_factors(turn @ layer.queries, turn @ layer.keys, layer.key_of_head)
    for head, moved in zip(head_quantities(layer), head_quantities(rotated), strict=True):
        for name, value in head.items():
            if name == "own_block_share":
                assert abs(moved[name] - value) > 1e-6
            elif not name.startswith("certificate"):
                assert moved[name] == pytest.approx(value, rel=1e-7)


def test_rank_holds_its_share():
    values = np.array([1.0, 0.7, 0.2, 0.08, 1e-3])
    operator = Compression.whole(np.diag(values))
    held = np.cumsum(values**2) / (values**2).sum()
    for share in (0.5, 0.9, 0.99, 0.999):
        rank = numerical_rank(operator, share)
        assert held[rank - 1] >= share > (held[rank - 2] if rank > 1 else 0)
    assert numerical_rank(Compression.whole(np.eye(7)), 0.99) == 7


def test_own_blocks_by_hand():
    A = torch.zeros(2, 4, 4, dtype=torch.float64)
    Q, K = torch.zeros(2, 4, 2, dtype=torch.float64), torch.zeros(2, 4, 2, dtype=torch.float64)
    Q[0, :2], K[0, :2] = torch.eye(2), torch.eye(2)
    Q[1, :2], K[1, 2:] = torch.eye(2), torch.eye(2)
    assert own_block_shares(HeadOperators.from_factors(Q, K)).tolist() == [1.0, 0.0]
    dense = gaussian_heads(3, 3, 7, 2)
    A = to_matrices(dense)
    for head, share in enumerate(own_block_shares(dense)):
        own = A[head, 2 * head : 2 * head + 2, 2 * head : 2 * head + 2]
        assert float(share) == pytest.approx(float(own.square().sum() / A[head].square().sum()))
    assert own_block_shares(from_matrices(A)).isnan().all()


def test_overlaps_by_hand():
    """The same space overlaps fully, a perpendicular one not at all."""
    factors = torch.zeros(3, 6, 2, dtype=torch.float64)
    factors[0, :2] = factors[1, :2] = torch.tensor([[1.0, 2], [3, 4]])
    factors[2, 2:4] = torch.eye(2)
    np.testing.assert_allclose(reading_overlaps(factors), [0.5, 0.5, 0.0], atol=1e-15)
    assert reading_overlaps(factors[:1]).isnan().all()


def test_overlaps_are_squared_cosines_between_bases():
    operators = gaussian_heads(0, 3, 18, 4)
    for side, factors in (("query", operators.queries), ("key", operators.keys)):
        bases = torch.linalg.qr(factors).Q
        for head, found in enumerate(head_quantities(operators, margin=1e-3)):
            others = [i for i in range(3) if i != head]
            cosines = [float((bases[head].T @ bases[i]).square().sum()) / 4 for i in others]
            assert found[f"{side}_overlap"] == pytest.approx(np.mean(cosines), rel=1e-12)
            assert found["overlap_chance"] == pytest.approx(4 / 18)


def test_heads_on_blocks_of_their_own_share_no_space():
    axes = torch.eye(12, dtype=torch.float64).view(3, 4, 12).mT
    for head in head_quantities(HeadOperators.from_factors(axes, axes), margin=1e-3):
        values = [head[name] for name in ("own_block_share", "query_overlap", "key_overlap")]
        assert values == pytest.approx([1, 0, 0], abs=1e-14)


def test_a_zero_head_has_no_radii():
    layer = gaussian_heads(0, 2, 8, 2)
    queries = layer.queries.clone()
    queries[0] = 0
    zero, other = head_quantities(HeadOperators.from_factors(queries, layer.keys))
    assert set(zero) == set(other)
    assert zero["norm"] == 0 and math.isnan(zero["henrici"]) and math.isnan(zero["rank_99"])
    assert math.isnan(zero["pseudospectral_radius_1"]) and math.isnan(zero["own_block_share"])
    assert not any(math.isnan(value) for value in other.values())


def test_heads_of_a_trained_encoder(minilm_layer):
    """The published ranges of all-MiniLM-L6-v2, and certificates of a hundred factorisations."""
    heads = head_quantities(minilm_layer(5))
    assert np.mean([head["radius_over_norm"] for head in heads]) == pytest.approx(0.42, abs=5e-3)
    assert np.mean([head["henrici"] for head in heads]) == pytest.approx(0.94, abs=5e-3)
    for head in heads:
        for k in (1, 2, 3):
            found = head[f"pseudospectral_radius_{k}"]
            assert found < head[f"pseudospectral_radius_upper_{k}"] <= found * (1 + 1.01e-6)
            assert head[f"pseudospectral_excess_{k}"] > 1
            assert head[f"certificate_evaluations_{k}"] < 300


def test_delta_of_a_head_is_relative_to_its_norm():
    [head] = compress_heads(gaussian_heads(2, 1, 16, 4))
    found = pseudospectral_radius(head, 0.01 * head.norm).radius / head.norm
    assert operator_quantities(head)["pseudospectral_radius_2"] == pytest.approx(found, rel=1e-10)
