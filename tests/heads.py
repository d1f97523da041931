"""Layers of heads to test on, and the numbers of a layer under the default thresholds."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from hypothesis import strategies as st
from jaxtyping import config
from torch import Tensor

from headalgebra.algebra.basis import OperatorBasis, basis_elements, orthonormal_basis
from headalgebra.algebra.coherence import (
    StructureConstants,
    jacobiator_ratio,
    projected_jacobiator_rms,
    structure_constants,
)
from headalgebra.algebra.commutators import PairCommutators, pair_commutators
from headalgebra.algebra.gram import GramBlocks, gram_blocks
from headalgebra.algebra.linf import ProbedWords, extract_dense, probed_words
from headalgebra.algebra.operators import HeadOperators

SEEDS = st.integers(0, 2**32 - 1)


def gaussian(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def gaussian_heads(
    seed: int, heads: int, d: int, r: int, key_of_head: list[int] | None = None
) -> HeadOperators:
    groups = heads if key_of_head is None else max(key_of_head) + 1
    return HeadOperators.from_factors(
        gaussian(seed, heads, d, r),
        gaussian(seed + 1, groups, d, r),
        None if key_of_head is None else torch.tensor(key_of_head),
    )


@st.composite
def layers(
    draw: st.DrawFn, min_heads: int = 1, max_heads: int = 5, min_d: int = 2
) -> HeadOperators:
    """Gaussian heads, some of them sharing keys, of any scale that squares four times over."""
    heads = draw(st.integers(min_heads, max_heads))
    d = draw(st.integers(min_d, 12))
    r = draw(st.integers(1, min(d, 4)))
    groups = draw(st.integers(1, heads))
    key_of_head = [h * groups // heads for h in range(heads)]
    layer = gaussian_heads(draw(SEEDS), heads, d, r, key_of_head)
    return rescaled(layer, 10.0 ** draw(st.integers(-6, 6)))


def rescaled(layer: HeadOperators, factor: float) -> HeadOperators:
    return HeadOperators(factor * layer.query_matrix, layer.key_matrix, layer.key_of_head)


def from_matrices(matrices: Tensor) -> HeadOperators:
    """Heads that are given matrices: the matrix is the query, the identity is everyone's key."""
    identity = torch.eye(matrices.shape[-1], dtype=torch.float64)
    return HeadOperators.from_factors(
        matrices, identity[None], torch.zeros(len(matrices), dtype=torch.int64)
    )


def heavy_tailed(seed: int, n: int = 7, d: int = 8) -> HeadOperators:
    """Two heads that do not commute at all, and others that nearly commute with one another."""
    turn = orthogonal(seed, d)
    spike = torch.outer(turn[0], turn[1])
    signs = gaussian(seed + 1, n - 2, d).sign()
    mild = turn.T @ torch.diag_embed(signs) @ turn / math.sqrt(d)
    noise = 0.3 * gaussian(seed + 2, n, d, d) / d
    return from_matrices(torch.cat([spike[None], spike.T[None], mild]) + noise)


def to_matrices(layer: HeadOperators) -> Tensor:
    return layer.queries @ layer.keys[layer.key_of_head].mT


def orthogonal(seed: int, d: int) -> Tensor:
    Q, R = torch.linalg.qr(gaussian(seed, d, d))
    return Q * R.diagonal().sign()


def of_condition(seed: int, r: int, condition: float) -> Tensor:
    """An r×r matrix whose singular values run geometrically around 1."""
    exponents = torch.linspace(0.5, -0.5, r, dtype=torch.float64)
    return orthogonal(seed, r) * condition**exponents @ orthogonal(seed + 1, r)


def blocks_of(layer: HeadOperators) -> GramBlocks:
    return gram_blocks(layer)


def pairs_of(layer: HeadOperators) -> PairCommutators:
    return pair_commutators(blocks_of(layer))


def basis_of(layer: HeadOperators, max_dim: int | None = None) -> OperatorBasis:
    return orthonormal_basis(blocks_of(layer), max_dim=max_dim)


def elements_of(layer: HeadOperators) -> Tensor:
    """Its orthonormal basis as dense operators."""
    return basis_elements(blocks_of(layer).operators, basis_of(layer).coefficients)


@contextmanager
def unchecked_shapes() -> Iterator[None]:
    """Without the checks of every call, which are most of the time of many small estimates."""
    checked = not config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        config.update("jaxtyping_disable", not checked)


def complete_directions(d: int) -> Tensor:
    """Probes that see every column alike: their mean square is the Frobenius norm, exactly."""
    return math.sqrt(d) * torch.eye(d, dtype=torch.float64)


def words_of(layer: HeadOperators, probes: Tensor) -> ProbedWords:
    return probed_words(blocks_of(layer).operators, basis_of(layer).coefficients, probes)


def structure_of(layer: HeadOperators) -> StructureConstants:
    basis = basis_of(layer)
    return structure_constants(blocks_of(layer), basis.coefficients, kappa_used=basis.kappa_used)


def numbers_of(layer: HeadOperators) -> dict[str, float]:
    """What is reported of a layer and depends on its operators alone."""
    pairs, basis, structure = pairs_of(layer), basis_of(layer), structure_of(layer)
    return {
        "epsilon": pairs.epsilon,
        "epsilon_relative": pairs.epsilon_relative,
        "epsilon_haar": pairs.epsilon_haar,
        "kappa": basis.kappa,
        "obstruction_rms": extract_dense(elements_of(layer)).obstruction_rms,
        "closure_defect": structure.closure_defect,
        "closure_isotropy": structure.closure_isotropy,
        "jacobi_projected_rms": projected_jacobiator_rms(structure.f),
        "rho3": jacobiator_ratio(structure.f),
    }


def largest_relative_change(numbers: dict[str, float], reference: dict[str, float]) -> float:
    assert numbers.keys() == reference.keys()
    changes = [abs(numbers[name] / reference[name] - 1) for name in reference]
    return math.nan if any(map(math.isnan, changes)) else max(changes)
