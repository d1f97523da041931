"""How often the 95 % interval of the probes holds the exact obstruction, and which side it misses.

Per probe z, the mean over all triples of ||[E_b,[E_c,E_a]]z||² is a quadratic form in z. Its matrix
is formed once for a layer, from dense brackets; thousands of seeds then cost one product each.
The layers: all of a checkpoint's, and three constructed ones that are hard for an interval.

    python benchmarks/coverage.py [CHECKPOINT]
"""

import argparse
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

import headalgebra
from headalgebra.algebra.basis import basis_elements, orthonormal_basis
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf import all_triples, sphere_probes
from headalgebra.algebra.operators import HeadOperators


def squared_form(operators: HeadOperators) -> Tensor:
    """The d×d matrix M with zᵀMz the mean over triples of ||[E_b,[E_c,E_a]]z||²."""
    elements = basis_elements(operators, orthonormal_basis(gram_blocks(operators)).coefficients)
    form, n = torch.zeros_like(elements[0]), len(elements)
    for a, c in combinations(range(n), 2):
        bracket = elements[c] @ elements[a] - elements[a] @ elements[c]
        nested = elements @ bracket - bracket @ elements
        form += (nested.mT @ nested).sum(0)
    return form / (n * n * (n - 1) / 2)


def misses(form: Tensor, p: int, seeds: int) -> tuple[float, float]:
    """Shares of seeds whose interval lies wholly above the exact value, and wholly below it."""
    exact = float(form.trace()) ** 0.5
    above = below = 0
    for seed in range(seeds):
        probes = sphere_probes(len(form), p, np.random.SeedSequence(seed))
        estimate = all_triples((probes * (form @ probes)).sum(0)[None])
        above += estimate.low > exact
        below += estimate.high < exact
    return above / seeds, below / seeds


def constructed() -> Iterator[tuple[str, HeadOperators]]:
    """Gaussian heads; heads near rank one; two heads of a different kind among eight."""
    generator = torch.Generator().manual_seed(0)

    def gaussian(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, generator=generator)

    queries, keys = gaussian(8, 64, 8), gaussian(8, 64, 8)
    yield "Gaussian", HeadOperators.from_factors(queries, keys)
    decay = 0.1 ** torch.arange(8, dtype=torch.float64)
    shared = gaussian(1, 64, 8)
    yield (
        "near rank one",
        HeadOperators.from_factors((shared + 0.1 * queries) * decay, (shared + 0.1 * keys) * decay),
    )
    few = torch.cat([30 * queries[:2, :, :1] * decay, 0.1 * queries[2:]])
    yield "heavy tails", HeadOperators.from_factors(few, keys)


def main() -> None:
    """Print a row for each layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", nargs="?", help="a folder or a hub's id")
    parser.add_argument("--probes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seeds", type=int, default=2000)
    arguments = parser.parse_args()
    layers = list(constructed())
    if arguments.checkpoint:
        checkpoint = headalgebra.open(arguments.checkpoint)
        for layer in range(checkpoint.n_layers):
            factors = checkpoint.read_layer(layer)
            layers.append(
                (
                    f"layer {layer}",
                    HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head),
                )
            )
    print("| layer | probes | inside | all above | all below |\n|---|---|---|---|---|")
    for name, operators in layers:
        form = squared_form(operators)
        for p in arguments.probes:
            above, below = misses(form, p, arguments.seeds)
            print(f"| {name} | {p} | {1 - above - below:.1%} | {above:.1%} | {below:.1%} |")


if __name__ == "__main__":
    main()
