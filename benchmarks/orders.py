"""Time all Dyson orders of a stack of frozen blocks against what they are made of, and paths.

All in one run and one precision, on random blocks of the shape of frozen GPT-2 blocks (attention
probabilities, norm scales and activation ratios held):

orders    headalgebra
bare      as many applications of the same blocks, L(L + 1)/2, and nothing else
paths     the sum over all choices of k blocks, k = 0 … L, each path applied block by block

The last line printed with --json is one JSON object.
"""

import argparse
import json
from functools import partial
from itertools import combinations
from time import perf_counter

import torch
from torch import Tensor

from headalgebra.dyson import dyson_orders
from timing import seconds


class FrozenBlock:
    """A pre-norm block with attention of H heads and a feed-forward part four times as wide."""

    def __init__(self, n: int, tokens: int, d: int, heads: int, generator: torch.Generator) -> None:
        def normal(*sizes: int) -> Tensor:
            return torch.randn(sizes, dtype=torch.float64, generator=generator)

        mask = torch.ones(tokens, tokens).triu(1).bool()
        scores = normal(n, heads, tokens, tokens).masked_fill(mask, -torch.inf)
        self.patterns = scores.softmax(-1)
        self.values, self.output = (0.3 * normal(d, d) / d**0.5 for _ in range(2))
        self.up, self.down = 0.3 * normal(d, 4 * d) / d**0.5, 0.3 * normal(4 * d, d) / d**0.5
        self.scales = normal(2, n, tokens, 1).exp()
        self.ratios = torch.rand((n, tokens, 4 * d), dtype=torch.float64, generator=generator)
        self.offset = 0.1 * normal(n, tokens, d)

    def linear(self, x: Tensor) -> Tensor:
        """M x: no offset, nothing that depends on x but in proportion."""
        n, heads, tokens, _ = self.patterns.shape
        values = (self._norm(x, 0) @ self.values).view(n, tokens, heads, -1).transpose(1, 2)
        mixed = (self.patterns @ values).transpose(1, 2).reshape_as(x)
        x = x + mixed @ self.output
        return x + ((self._norm(x, 1) @ self.up) * self.ratios) @ self.down

    def _norm(self, x: Tensor, place: int) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) * self.scales[place]


def bare(blocks: list[FrozenBlock], x: Tensor) -> None:
    """As many applications as the orders take."""
    for number, block in enumerate(blocks, start=1):
        for _ in range(number):
            block.linear(x)


def paths(blocks: list[FrozenBlock], x_0: Tensor) -> list[Tensor]:
    """Every order as the sum of its paths."""
    orders = []
    for k in range(len(blocks) + 1):
        order = torch.zeros_like(x_0)
        for path in combinations(blocks, k):
            x, constant = x_0, True
            for block in path:
                x = block.linear(x) - x + (block.offset if constant else 0)
                constant = False
            order += x
        orders.append(order)
    return orders


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", type=int, nargs="+", default=[6, 8, 10, 12])
    parser.add_argument("--sequences", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--d-model", type=int, default=128)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    shape = (arguments.sequences, arguments.tokens, arguments.d_model)
    generator = torch.Generator().manual_seed(arguments.seed)
    x_0 = torch.randn(shape, dtype=torch.float64, generator=generator)
    figures = {}
    print(f"{'L':>4} {'orders / bare':>14} {'paths / orders':>15} {'relative error':>15}")
    for depth in arguments.depths:
        blocks = [FrozenBlock(*shape, arguments.heads, generator) for _ in range(depth)]
        orders_s = seconds(partial(dyson_orders, blocks, x_0), arguments.repeats)
        bare_s = seconds(partial(bare, blocks, x_0), arguments.repeats)
        start = perf_counter()
        reference = paths(blocks, x_0)
        paths_s = perf_counter() - start
        error = max(
            float(torch.linalg.vector_norm(one - other) / torch.linalg.vector_norm(other))
            for one, other in zip(dyson_orders(blocks, x_0), reference, strict=True)
        )
        figures[str(depth)] = {
            "orders_s": orders_s,
            "bare_s": bare_s,
            "paths_s": paths_s,
            "relative_error": error,
        }
        ratios = (orders_s / bare_s, paths_s / orders_s)
        print(f"{depth:>4} {ratios[0]:>14.2f} {ratios[1]:>15.1f} {error:>15.1e}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
