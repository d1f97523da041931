r"""L∞ extraction from dense arrays (paper, Algorithm 4.1)."""

import math
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class DenseExtraction:
    """Brackets of a basis of n dense operators, computed without sampling.

    Attributes
    ----------
    obstruction_rms
        Root mean square of :math:`||[E_b,[E_c,E_a]]||_F` over the triples (b; a < c); not a number
        for n < 2.
    coherence_residual
        Largest norm, over i < j < k, of the third L∞ relation with ℓ₁ = 0, which is -ℓ₃ = J
        itself, over the product of its arguments' norms: rounding alone, since a matrix product is
        associative. Not a number for n < 3.
    n_triples
        Number of triples (b; a < c).
    """

    obstruction_rms: float
    coherence_residual: float
    n_triples: int


def commutator_tensor(elements: Float[Tensor, "n d d"]) -> Float[Tensor, "n n d d"]:
    """``C[i, j] = [E_i, E_j]``, the commutator cochain as n² dense matrices."""
    products = torch.stack([_left_products(x, elements) for x in elements])
    return products - products.transpose(0, 1)


def extract_dense(elements: Float[Tensor, "n d d"]) -> DenseExtraction:
    """Obstruction, ℓ₃ and its coherence over every triple of a basis.

    About 2 n³ d³ flops, n² d² numbers for C and C(n, 3) d² for ℓ₃; everything on the device that
    holds ``elements``.
    """
    n, d, _ = elements.shape
    pairs = list(combinations(range(n), 2))
    triples = {triple: index for index, triple in enumerate(combinations(range(n), 3))}
    if not pairs:
        return DenseExtraction(math.nan, math.nan, 0)
    a, c = torch.tensor(pairs, device=elements.device).T
    brackets = commutator_tensor(elements)[c, a]
    sum_of_squares = 0.0
    ell3 = elements.new_zeros(len(triples), d, d)
    for b, element in enumerate(elements):
        nested = _left_products(element, brackets) - brackets @ element
        sum_of_squares += float(torch.linalg.vector_norm(nested) ** 2)
        for (low, high), bracket in zip(pairs, nested, strict=True):
            if b in (low, high):
                continue
            # ℓ₃ = −J and J(i,j,k) = [k,[j,i]] + [i,[k,j]] − [j,[k,i]] for i < j < k
            sign = 1.0 if low < b < high else -1.0
            i, j, k = sorted((low, b, high))
            ell3[triples[i, j, k]] += sign * bracket
    norms = torch.linalg.matrix_norm(elements)
    arguments = norms[torch.tensor(list(triples), dtype=torch.int64).view(-1, 3)].prod(1)
    residuals = torch.linalg.matrix_norm(ell3) / arguments
    return DenseExtraction(
        obstruction_rms=math.sqrt(sum_of_squares / (n * len(pairs))),
        coherence_residual=float(residuals.max()) if len(residuals) else math.nan,
        n_triples=n * len(pairs),
    )


def _left_products(
    left: Float[Tensor, "d d"], stack: Float[Tensor, "k d d"]
) -> Float[Tensor, "k d d"]:
    # One wide GEMM instead of k square ones.
    k, d, _ = stack.shape
    return (left @ stack.transpose(0, 1).reshape(d, k * d)).view(d, k, d).transpose(0, 1)
