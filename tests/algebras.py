"""Exact matrix algebras with known brackets."""

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
