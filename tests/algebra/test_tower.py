"""Levels of the tower: spectra, blocks of the generated *-algebra, span of heads and brackets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algebras import commutators, direct_sum, heisenberg, sl2, so3, su2
from headalgebra.algebra.operators import HeadOperators
from headalgebra.algebra.tower import generated, generated_algebra, lie_span, operator_spectra
from headalgebra.algebra.tower.lie import LIE_TOLERANCE, LieSpan
from heads import (
    SEEDS,
    blocks_of,
    from_matrices,
    gaussian,
    gaussian_heads,
    layers,
    orthogonal,
    rescaled,
    to_matrices,
)
from thresholds import U

SEED = np.random.SeedSequence(0)


def in_blocks(seed, dimensions, kernel=0, heads=3, coupling=0.0):
    """Random heads on orthogonal summands of a space, nothing on the kernel, turned at random."""
    matrices = torch.stack(
        [
            torch.block_diag(
                *(gaussian(seed + 97 * k + h, d, d) for k, d in enumerate(dimensions)),
                torch.zeros(kernel, kernel, dtype=torch.float64),
            )
            for h in range(heads)
        ]
    )
    d = matrices.shape[-1]
    turn = orthogonal(seed, d)
    return from_matrices(turn @ (matrices + coupling * gaussian(seed + 1, heads, d, d)) @ turn.T)


@given(layers())
def test_spectra_are_those_of_dense_operators(layer):
    matrices, spectra = to_matrices(layer), operator_spectra(blocks_of(layer))
    r, d = layer.d_head, layer.d_model
    singular = torch.linalg.svdvals(matrices)
    scale = float(singular.max())
    torch.testing.assert_close(spectra.singular_values, singular[:, :r], rtol=0, atol=1e-12 * scale)
    assert (singular[:, r:] <= 64 * d * U * scale).all()
    # Traces of powers fix the eigenvalues, and do not depend on how well each is conditioned.
    for power in (1, 2, 3):
        words = torch.linalg.matrix_power(matrices, power)
        traces = words.diagonal(dim1=1, dim2=2).sum(1)
        found = (spectra.eigenvalues**power).sum(1)
        atol = 1e-11 * scale**power
        torch.testing.assert_close(found.real, traces, rtol=0, atol=atol)
        assert (found.imag.abs() <= atol).all()
    moduli = spectra.eigenvalues.abs()
    assert (moduli.diff(dim=1) <= 0).all()
    torch.testing.assert_close(spectra.spectral_radii, moduli.amax(1), rtol=0, atol=0)


def test_normality_and_radius_by_hand():
    nilpotent = torch.tensor([[[0.0, 2], [0, 0]]], dtype=torch.float64)
    rotation = torch.tensor([[[0.0, -3], [3, 0]]], dtype=torch.float64)
    triangular = torch.tensor([[[1.0, 1], [0, 1]]], dtype=torch.float64)
    spectra = operator_spectra(
        blocks_of(from_matrices(torch.cat([nilpotent, rotation, triangular])))
    )
    assert spectra.spectral_radii.tolist() == pytest.approx([0, 3, 1], abs=1e-7)
    expected = [1, 0, math.sqrt(1 / 3)]
    assert spectra.departures_from_normality.tolist() == pytest.approx(expected, abs=1e-7)
    assert spectra.singular_values[0].tolist() == pytest.approx([2, 0], abs=1e-15)


@pytest.mark.parametrize(
    "dimensions, kernel",
    [((5,), 0), ((2, 3), 0), ((4, 4, 3), 2), ((1, 1, 6), 3), ((14, 17), 5), ((2, 1, 25), 0)],
)
@pytest.mark.parametrize("seed", [0, 10])
def test_blocks_and_kernel_are_found(seed, dimensions, kernel):
    """Below and above the size at which the map is decomposed whole."""
    found = generated_algebra(in_blocks(seed, dimensions, kernel), SEED)
    assert found.kernel_dimension == kernel
    assert found.block_dimensions == tuple(sorted(dimensions, reverse=True))
    if len(dimensions) > 1:
        assert found.commutant_gap < 1e-8
    else:
        assert found.commutant_gap > 1e-2


@pytest.mark.parametrize("dimensions", [(5, 4), (20, 12)])
@pytest.mark.parametrize("scale", [1e-1, 1e-2, 1e-3, 4e-4, 1e-5, 1e-6])
def test_blocks_of_other_scales_are_found_or_said_to_be_out_of_reach(dimensions, scale):
    first, second = (to_matrices(in_blocks(seed, (d,))) for seed, d in enumerate(dimensions))
    matrices = torch.stack(
        [torch.block_diag(A, scale * B) for A, B in zip(first, second, strict=True)]
    )
    turn = orthogonal(7, sum(dimensions))
    found = generated_algebra(from_matrices(turn @ matrices @ turn.T), SEED)
    if found.resolved:
        assert found.block_dimensions == dimensions
    assert found.resolved == (scale >= 4e-4)


@pytest.mark.parametrize("dimensions", [(3, 4), (14, 17)])
def test_gap_is_linear_in_the_coupling(dimensions):
    gaps = [
        generated_algebra(in_blocks(0, dimensions, coupling=eta), SEED).commutant_gap
        for eta in (1e-5, 1e-4, 1e-3)
    ]
    assert gaps[1] / gaps[0] == pytest.approx(10, rel=1e-2)
    assert gaps[2] / gaps[1] == pytest.approx(10, rel=2e-2)
    for eta in (1e-4, 1e-2):
        found = generated_algebra(in_blocks(0, dimensions, coupling=eta), SEED)
        assert found.block_dimensions == (sum(dimensions),)


@pytest.mark.parametrize("d", [3, 15])
def test_repeated_blocks_are_told_apart(d):
    """X ⊕ X: a random symmetric combination of the generators would merge the two."""
    X, turn = gaussian(0, 3, d, d), orthogonal(1, 2 * d)
    matrices = turn @ torch.stack([torch.block_diag(x, x) for x in X]) @ turn.T
    found = generated_algebra(from_matrices(matrices), SEED)
    assert found.block_dimensions == (d, d)


@pytest.mark.parametrize(
    "matrices, blocks",
    [
        (so3(), (3,)),  # skew generators: symmetric combinations of them vanish
        (su2(), (4,)),  # quaternionic type: the commutant is not commutative, but irreducible
        (sl2(), (2,)),
        (heisenberg(), (3,)),
        (direct_sum(so3(), su2()), (4, 3)),
    ],
)
def test_blocks_of_exact_algebras(matrices, blocks):
    assert generated_algebra(from_matrices(matrices), SEED).block_dimensions == blocks


def test_commuting_symmetric_heads_split_into_lines():
    turn = orthogonal(0, 6)
    layer = from_matrices(turn @ torch.diag_embed(gaussian(1, 2, 6)) @ turn.T)
    assert generated_algebra(layer, SEED).block_dimensions == (1,) * 6


def test_gap_is_the_second_singular_value_of_the_map():
    """Against the singular values of Y → ([Y, A_h]) on a basis of the symmetric matrices."""
    layer = gaussian_heads(2, heads=3, d=7, r=3)
    A = to_matrices(layer)
    A = A / torch.linalg.matrix_norm(A)[:, None, None]
    i, j = torch.triu_indices(7, 7)
    symmetric = torch.zeros(len(i), 7, 7, dtype=torch.float64)
    symmetric[range(len(i)), i, j] = symmetric[range(len(i)), j, i] = 1
    symmetric /= torch.linalg.matrix_norm(symmetric)[:, None, None]
    brackets = symmetric[:, None] @ A - A @ symmetric[:, None]
    singular = torch.linalg.svdvals(brackets.flatten(1).T)
    assert singular[-1] < 1e-14
    assert generated_algebra(layer, SEED).commutant_gap == pytest.approx(
        float(singular[-2]), rel=1e-10
    )


def test_both_ways_of_finding_the_eigenvector_agree(monkeypatch):
    layer = gaussian_heads(2, heads=3, d=14, r=5)
    whole = generated_algebra(layer, SEED)
    monkeypatch.setattr(generated, "DENSE_COMMUTANT", 20)
    assert generated_algebra(layer, SEED).commutant_gap == pytest.approx(
        whole.commutant_gap, rel=1e-4
    )


def test_what_is_not_found_is_not_reported(monkeypatch):
    monkeypatch.setattr(generated, "COMMUTANT_ITERATIONS", 1)
    with pytest.warns(UserWarning):
        assert generated_algebra(gaussian_heads(0, 3, 30, 10), SEED) is None


@given(SEEDS, st.floats(1e-6, 1e6))
def test_algebra_is_free_of_scale_and_frame(seed, scale):
    layer = in_blocks(seed % 1000, (2, 4), 1)
    turn = orthogonal(seed, 7)
    turned = HeadOperators.from_factors(
        scale * (turn @ layer.queries), turn @ layer.keys, layer.key_of_head
    )
    assert generated_algebra(turned, SEED).block_dimensions == (4, 2)
    assert generated_algebra(turned, SEED).kernel_dimension == 1


def test_zero_heads_annihilate_everything():
    zero = from_matrices(torch.zeros(2, 4, 4, dtype=torch.float64))
    found = generated_algebra(zero, SEED)
    assert (found.kernel_dimension, found.block_dimensions) == (4, ())
    assert math.isnan(found.commutant_gap)
    with_zero = torch.cat([gaussian(0, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.float64)])
    assert generated_algebra(from_matrices(with_zero), SEED).block_dimensions == (4,)


@pytest.mark.parametrize(
    "matrices, rank, elements",
    [
        (so3(), 3, 6),
        (su2(), 3, 6),
        (sl2(), 3, 6),
        (heisenberg(), 3, 4),  # two of the three brackets are zero
        (direct_sum(so3(), so3()), 6, 12),
        (so3()[:2], 3, 3),
        (torch.diag_embed(gaussian(0, 3, 5)), 3, 3),
    ],
)
def test_span_of_exact_algebras(matrices, rank, elements):
    span = lie_span(blocks_of(from_matrices(matrices)))
    assert (span.rank, span.n_elements, span.n_lost) == (rank, elements, 0)


@given(layers(min_heads=2, max_heads=4, min_d=3))
def test_span_is_the_rank_of_the_dense_elements(layer):
    matrices = to_matrices(layer)
    i, j = torch.triu_indices(len(matrices), len(matrices), offset=1)
    elements = torch.cat([matrices, commutators(matrices)[i, j]]).flatten(1)
    norms = elements.norm(dim=1)
    elements = elements[norms > 0] / norms[norms > 0, None]
    singular = torch.linalg.svdvals(elements)
    span = lie_span(blocks_of(layer))
    # No singular value in the grey zone, or either answer will do.
    if not ((singular > 1e-8) & (singular < 1e-4)).any() and span.n_lost == 0:
        assert span.rank == int((singular > 1e-6 * singular[0]).sum())


def test_span_of_generic_heads_is_full_and_of_dependent_ones_is_not():
    layer = gaussian_heads(0, heads=5, d=12, r=3)
    assert lie_span(blocks_of(layer)).rank == 15
    matrices = to_matrices(layer)
    dependent = torch.cat([matrices[:4], matrices[:2].sum(0, keepdim=True)])
    # Head 4 and its four brackets are combinations of the others.
    assert lie_span(blocks_of(from_matrices(dependent))).rank == 10


@given(SEEDS, st.floats(1e-3, 1e3))
def test_span_is_free_of_scale(seed, scale):
    layer = gaussian_heads(seed, heads=4, d=9, r=2)
    assert lie_span(blocks_of(rescaled(layer, scale))) == lie_span(blocks_of(layer))


def test_heads_that_are_zero_span_nothing():
    layer = rescaled(gaussian_heads(0, heads=3, d=6, r=2), 0.0)
    assert lie_span(blocks_of(layer)) == LieSpan(0, 0, LIE_TOLERANCE, 0)


def test_brackets_lost_to_cancellation_are_counted():
    matrices = gaussian(0, 3, 8, 8)
    matrices[2] = matrices[1] + 1e-6 * gaussian(1, 8, 8)
    span = lie_span(blocks_of(from_matrices(matrices)))
    assert (span.n_lost, span.n_elements) == (1, 5)
    matrices[2] = matrices[1] + 1e-3 * gaussian(1, 8, 8)
    near = lie_span(blocks_of(from_matrices(matrices)))
    assert (near.n_lost, near.rank) == (0, 6)
    assert near.tolerance > 1e-6
