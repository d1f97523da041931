"""Stacks of random affine blocks, and the matrices that they are."""

from collections.abc import Iterator

import torch
from torch import Tensor


class RandomBlock:
    """x ↦ x + size · (A x W) + b with A mixing tokens and W mixing dimensions."""

    def __init__(
        self, shape: tuple[int, int, int], size: float, seed: int, dtype: torch.dtype
    ) -> None:
        n, tokens, d = shape
        generator = torch.Generator().manual_seed(seed)

        def normal(*sizes: int) -> Tensor:
            return torch.randn(sizes, generator=generator, dtype=torch.float64).to(dtype)

        self.size = size
        self.mixing = normal(n, tokens, tokens) / tokens**0.5
        self.weight = normal(d, d) / d**0.5
        self.offset = 0.1 * normal(n, tokens, d)
        self.applications = 0

    def linear(self, x: Tensor) -> Tensor:
        self.applications += 1
        return x + self.size * (self.mixing @ x @ self.weight)

    def __call__(self, x: Tensor) -> Tensor:
        return self.linear(x) + self.offset

    def update(self) -> Tensor:
        """V of one sequence as a matrix on (x, 1), x flattened row by row."""
        _, tokens, d = self.offset.shape
        matrix = self.offset.new_zeros(tokens * d + 1, tokens * d + 1)
        matrix[:-1, :-1] = self.size * torch.kron(self.mixing[0], self.weight.T.contiguous())
        matrix[:-1, -1] = self.offset[0].flatten()
        return matrix


class OneAtATime:
    """A stack whose blocks are made anew whenever they are traversed, as frozen ones are."""

    def __init__(self, *arguments: object, depth: int) -> None:
        self.arguments, self.depth = arguments, depth

    def _make(self, layer: int) -> RandomBlock:
        shape, size, seed, dtype = self.arguments
        return RandomBlock(shape, size, seed + layer, dtype)  # type: ignore[arg-type,operator]

    def __iter__(self) -> Iterator[RandomBlock]:
        return map(self._make, range(self.depth))

    def __reversed__(self) -> Iterator[RandomBlock]:
        return map(self._make, reversed(range(self.depth)))


def stack(
    depth: int,
    shape: tuple[int, int, int] = (2, 3, 4),
    size: float = 1.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> tuple[list[RandomBlock], Tensor]:
    """Blocks of random updates, and a random state for the first."""
    blocks = [RandomBlock(shape, size, 100 * seed + layer, dtype) for layer in range(depth)]
    generator = torch.Generator().manual_seed(seed)
    return blocks, torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
