"""Dense extraction against brackets taken one by one."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.hochschild import obstruction
from headalgebra.algebra.linf import dense, dense_bytes, extract_dense
from heads import SEEDS, gaussian, orthogonal
from thresholds import U

COUNTS, SIZES = st.integers(2, 5), st.integers(2, 8)


def unit_matrices(seed, n, d):
    matrices = gaussian(seed, n, d, d)
    return matrices / torch.linalg.matrix_norm(matrices)[:, None, None]


@given(SEEDS, COUNTS, SIZES)
def test_obstruction_over_every_triple(seed, n, d):
    """[b,[c,a]] for a < c, and the root mean square over all n³ that goes with it."""
    E = unit_matrices(seed, n, d)
    squares = [
        float(obstruction(E[a], E[b], E[c]).square().sum())
        for b in range(n)
        for a, c in combinations(range(n), 2)
    ]
    extraction = extract_dense(E)
    assert extraction.n_triples == len(squares) == n * math.comb(n, 2)
    assert extraction.obstruction_rms == pytest.approx(
        math.sqrt(sum(squares) / len(squares)), rel=1e-12
    )
    every = torch.stack([obstruction(a, b, c) for a in E for b in E for c in E])
    over_all = float(every.square().sum()) / n**3
    expected = extraction.obstruction_rms * math.sqrt((n - 1) / n)
    assert math.sqrt(over_all) == pytest.approx(expected, rel=1e-12)


@given(SEEDS, st.integers(3, 5), SIZES)
def test_literal_coherence_is_rounding(seed, n, d):
    E = unit_matrices(seed, n, d)
    residual = extract_dense(E).coherence_residual
    assert residual <= (12 * math.sqrt(2) * d + 22) * U
    # It is measured, not assumed: in float32 it is what float32 leaves.
    coarse = extract_dense(E.float()).coherence_residual
    assert 1e5 * U < coarse <= (12 * math.sqrt(2) * d + 22) * 2.0**-24


def test_coherence_is_relative_to_the_arguments():
    E = unit_matrices(0, 4, 6)
    scaled = extract_dense(1024 * E).coherence_residual
    assert scaled == pytest.approx(extract_dense(E).coherence_residual, rel=1e-12)


def test_every_triple_counts_for_coherence():
    """One coarse element among fine ones is found wherever it stands."""
    fine = unit_matrices(0, 4, 6)
    for i in range(4):
        spoiled = fine.clone()
        spoiled[i] *= math.nan
        assert math.isnan(extract_dense(spoiled).coherence_residual)
        assert math.isnan(extract_dense(spoiled).obstruction_rms)


@given(SEEDS)
def test_root_mean_squares_do_not_depend_on_the_basis(seed):
    E = unit_matrices(seed, 4, 6)
    mixed = torch.einsum("ab,bij->aij", orthogonal(seed, 4), E)
    turn = orthogonal(seed + 1, 6)
    reference = extract_dense(E).obstruction_rms
    assert extract_dense(mixed).obstruction_rms == pytest.approx(reference, rel=1e-12)
    assert extract_dense(turn @ E @ turn.T).obstruction_rms == pytest.approx(reference, rel=1e-12)
    # Control: an oblique mixture is another basis of the same span, with another value.
    oblique = torch.einsum("ab,bij->aij", gaussian(seed, 4, 4), E)
    assert extract_dense(oblique).obstruction_rms != pytest.approx(reference, rel=1e-3)


@pytest.mark.parametrize("n", [0, 1])
def test_without_pairs_there_is_nothing(n):
    extraction = extract_dense(gaussian(0, n, 4, 4))
    assert extraction.n_triples == 0
    assert math.isnan(extraction.obstruction_rms) and math.isnan(extraction.coherence_residual)


def test_a_pair_has_an_obstruction_and_no_coherence():
    E = unit_matrices(0, 2, 4)
    extraction = extract_dense(E)
    assert extraction.n_triples == 2
    assert extraction.obstruction_rms > 0.1
    assert math.isnan(extraction.coherence_residual)


def test_commuting_elements():
    extraction = extract_dense(torch.diag_embed(unit_matrices(0, 4, 6)[:, 0]))
    assert (extraction.obstruction_rms, extraction.coherence_residual) == (0.0, 0.0)


@given(SEEDS, st.integers(2, 6), st.integers(1, 12), st.integers(1, 4))
def test_blocks_and_chunks_do_not_show(seed, n, brackets, matrices):
    """Whether brackets are held or recomputed, and in chunks of any size."""
    E, d = unit_matrices(seed, n, 5), 5
    whole = extract_dense(E)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "BRACKET_NUMBERS", brackets * d * d)
        patch.setattr(dense, "CHUNK_NUMBERS", matrices * d * d)
        parts = extract_dense(E)
        for spoiled in range(n if n > 2 else 0):
            bad = E.clone()
            bad[spoiled] *= math.nan
            assert math.isnan(extract_dense(bad).coherence_residual)
    assert parts.n_triples == whole.n_triples
    assert parts.obstruction_rms == pytest.approx(whole.obstruction_rms, rel=20 * d * U)
    if n > 2:
        assert 0 < parts.coherence_residual <= (12 * math.sqrt(2) * d + 22) * U


def test_a_wrong_bracket_shows_in_the_coherence(monkeypatch):
    """Control: ℓ₃ is not zero by construction."""
    bracket = dense._bracket
    monkeypatch.setattr(dense, "_bracket", lambda x, stack: bracket(x, stack) + 1e-6 * stack)
    assert extract_dense(unit_matrices(0, 4, 6)).coherence_residual > 1e-8


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_bytes_where_every_bracket_is_held(dtype):
    for n, d in ((2, 3), (6, 384), (12, 384)):
        numbers = (n + math.comb(n, 2) + 2 * max(n - 2, 1)) * d * d
        assert dense_bytes(n, d, dtype) == numbers * dtype.itemsize
    assert dense_bytes(1, 8, dtype) == 64 * dtype.itemsize


def test_bytes_of_a_large_layer_are_bounded():
    """32 elements of size 4096: all brackets alone would be 66.6 GB."""
    n, d = 32, 4096
    largest = (n * d * d + dense.BRACKET_NUMBERS + 3 * dense.CHUNK_NUMBERS) * 8
    assert n * d * d * 8 < dense_bytes(n, d) <= largest < 24e9
    # One index's brackets are held whatever the bound.
    assert dense_bytes(2, 2**17) == (2 + 1 + 2) * 2**34 * 8
