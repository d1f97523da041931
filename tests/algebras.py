"""Exact matrix algebras with known brackets, and small associative algebras."""

from itertools import permutations, product

import torch
from torch import Tensor


def unit(d: int, i: int, j: int) -> Tensor:
    matrix = torch.zeros(d, d, dtype=torch.float64)
    matrix[i, j] = 1
    return matrix


def so3() -> Tensor:
    """Rotations of R^3: [L_1, L_2] = L_3 and cyclic."""
    return torch.stack(
        [
            unit(3, 2, 1) - unit(3, 1, 2),
            unit(3, 0, 2) - unit(3, 2, 0),
            unit(3, 1, 0) - unit(3, 0, 1),
        ]
    )


def su2() -> Tensor:
    """Half the imaginary units of the quaternions, acting on R^4 from the left."""
    i = unit(4, 1, 0) - unit(4, 0, 1) + unit(4, 3, 2) - unit(4, 2, 3)
    j = unit(4, 2, 0) - unit(4, 0, 2) + unit(4, 1, 3) - unit(4, 3, 1)
    return torch.stack([i, j, i @ j]) / 2


def heisenberg() -> Tensor:
    """[X, Y] = Z, and Z central."""
    return torch.stack([unit(3, 0, 1), unit(3, 1, 2), unit(3, 0, 2)])


def sl2() -> Tensor:
    """[H, E] = 2E, [H, F] = -2F, [E, F] = H."""
    return torch.stack([unit(2, 0, 0) - unit(2, 1, 1), unit(2, 0, 1), unit(2, 1, 0)])


def special_linear(d: int) -> Tensor:
    """Traceless matrices: the units off the diagonal, and e_ii - e_{i+1,i+1}."""
    off = [unit(d, i, j) for i in range(d) for j in range(d) if i != j]
    return torch.stack([*off, *(unit(d, i, i) - unit(d, i + 1, i + 1) for i in range(d - 1))])


def skew_symmetric(d: int) -> Tensor:
    """so(d): e_ij - e_ji."""
    return torch.stack([unit(d, i, j) - unit(d, j, i) for i in range(d) for j in range(i)])


def direct_sum(left: Tensor, right: Tensor) -> Tensor:
    """Both sets of matrices, on the two halves of a space."""
    return torch.cat(
        [
            torch.stack([torch.block_diag(x, torch.zeros_like(right[0])) for x in left]),
            torch.stack([torch.block_diag(torch.zeros_like(left[0]), x) for x in right]),
        ]
    )


def structure_tensor(matrices: Tensor, bracket: Tensor) -> Tensor:
    """Coordinates of bracket[a, b] in linearly independent matrices."""
    n = len(matrices)
    columns = matrices.reshape(n, -1).T
    return torch.linalg.lstsq(columns, bracket.reshape(n * n, -1).T).solution.T.reshape(n, n, n)


def commutators(matrices: Tensor) -> Tensor:
    products = matrices[:, None] @ matrices[None]
    return products - products.transpose(0, 1)


def in_other_basis(constants: Tensor, basis: Tensor) -> Tensor:
    """Structure constants in the basis whose elements are the rows of a matrix."""
    return torch.einsum("ai,bj,ijk,kc->abc", basis, basis, constants, torch.linalg.inv(basis))


def _multiplication_table(n: int, table: dict[tuple[int, int], tuple[int, int]]) -> Tensor:
    """Structure constants from ``(i, j) -> (sign, k)`` where e_i e_j = sign e_k is not zero."""
    constants = torch.zeros(n, n, n, dtype=torch.float64)
    for (i, j), (sign, k) in table.items():
        constants[i, j, k] = sign
    return constants


def truncated_polynomials(degree: int = 3) -> Tensor:
    """R[x]/x^degree in 1, x, x², …"""
    powers = product(range(degree), repeat=2)
    return _multiplication_table(degree, {(i, j): (1, i + j) for i, j in powers if i + j < degree})


def upper_triangular() -> Tensor:
    """The upper triangular 2×2 matrices in e_11, e_12, e_22."""
    return _multiplication_table(
        3, {(0, 0): (1, 0), (0, 1): (1, 1), (1, 2): (1, 1), (2, 2): (1, 2)}
    )


def quaternions() -> Tensor:
    """1, i, j, k over R."""
    table = {(0, a): (1, a) for a in range(4)} | {(a, 0): (1, a) for a in range(4)}
    table |= {(a, a): (-1, 0) for a in (1, 2, 3)}
    for a, b, c in ((1, 2, 3), (2, 3, 1), (3, 1, 2)):
        table[a, b], table[b, a] = (1, c), (-1, c)
    return _multiplication_table(4, table)


def symmetric_group() -> Tensor:
    """The group algebra of S_3 in its six permutations."""
    group = list(permutations(range(3)))
    return _multiplication_table(
        6,
        {
            (i, j): (1, group.index(tuple(group[i][group[j][x]] for x in range(3))))
            for i, j in product(range(6), repeat=2)
        },
    )
