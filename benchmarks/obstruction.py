"""Time the obstruction over every triple of one layer against what a user would write.

All in one run, float64, the same Gaussian heads, one size after another:

dense     Algorithm 4.1: every [E_b, [E_c, E_a]] as a d×d matrix
exact     headalgebra: every triple exactly, through what the heads see of each bracket
probes    headalgebra: every triple on p directions, through the factors
single    the same in float32
uniform   the paper's estimator as a user would write it: triples drawn uniformly, each dense
floor     the products with the query and key factors that the probes cannot avoid

Errors are relative to dense. The last line printed with --json is one JSON object, by size.
"""

import argparse
import json
import math
from itertools import combinations
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from headalgebra.algebra.basis import basis_elements, orthonormal_basis
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf import (
    all_triples,
    census,
    extract_dense,
    probed_words,
    sphere_probes,
    triple_squares,
    triple_squares_flops,
)
from headalgebra.algebra.operators import HeadOperators
from timing import seconds


def uniform_dense(elements: Tensor, n_drawn: int, seed: np.random.SeedSequence) -> float:
    """Root mean square over triples drawn uniformly with repetition, four products each."""
    n = len(elements)
    pairs = list(combinations(range(n), 2))
    total = 0.0
    for index in np.random.default_rng(seed).integers(n * len(pairs), size=n_drawn):
        b, (a, c) = elements[index // len(pairs)], elements[list(pairs[index % len(pairs)])]
        bracket = c @ a - a @ c
        total += float(torch.linalg.matrix_norm(b @ bracket - bracket @ b) ** 2)
    return math.sqrt(total / n_drawn)


def compare(d: int, heads: int, p: int, n_drawn: int, repeats: int) -> dict[str, float]:
    """Time and compare the routes on one layer."""
    generator = torch.Generator().manual_seed(0)
    queries, keys = (
        torch.randn(heads, d, d // heads, dtype=torch.float64, generator=generator)
        for _ in range(2)
    )
    blocks = gram_blocks(HeadOperators.from_factors(queries, keys), balance_above=1e6)
    operators = blocks.operators
    coefficients = orthonormal_basis(blocks, rank_cutoff=1e-8, gram_floor=1e-8).coefficients
    probes = sphere_probes(d, p, np.random.SeedSequence(0))
    n, draw = len(coefficients), np.random.SeedSequence(1)
    # 1 + n + n² products with the keys, n + n² + n C(n, 2) with the queries.
    columns = (1 + 2 * n + 2 * n**2 + n * n * (n - 1) // 2) * p
    left = operators.query_matrix
    block = torch.randn(left.shape[1], min(columns, 4096), dtype=torch.float64, generator=generator)

    def through_factors() -> float:
        return all_triples(census(probed_words(operators, coefficients, probes))).value

    def in_single() -> float:
        words = probed_words(operators.rounded(torch.float32), coefficients.float(), probes.float())
        return all_triples(census(words)).value

    def exactly() -> float:
        return math.sqrt(float(triple_squares(operators, coefficients).mean()))

    probes_s = seconds(through_factors, repeats)
    single_s = seconds(in_single, repeats)
    exact_s = seconds(exactly, repeats)
    square = torch.randn(2, 1024, 1024, dtype=torch.float64, generator=generator)
    flops_per_second = 2 * 1024**3 / seconds(lambda: square[0] @ square[1], repeats)
    exact_flops = triple_squares_flops(d=d, heads=heads, keys=heads, r=d // heads, n=n)
    floor_s = seconds(lambda: left @ block, repeats) * columns / block.shape[1]
    elements = basis_elements(operators, coefficients)
    start = perf_counter()
    truth = extract_dense(elements).obstruction_rms
    dense_s = perf_counter() - start
    start = perf_counter()
    uniform = uniform_dense(elements, n_drawn, draw)
    uniform_s = perf_counter() - start
    return {
        "n_triples": n * n * (n - 1) // 2,
        "n_drawn": n_drawn,
        "dense_s": dense_s,
        "probes_s": probes_s,
        "uniform_dense_s": uniform_s,
        "single_s": single_s,
        "exact_s": exact_s,
        "exact_floor_s": exact_flops / flops_per_second,
        "gemm_floor_s": floor_s,
        "dense_over_probes": dense_s / probes_s,
        "dense_over_exact": dense_s / exact_s,
        "probes_error": through_factors() / truth - 1,
        "uniform_dense_error": uniform / truth - 1,
        "single_error": in_single() / truth - 1,
        "exact_error": exactly() / truth - 1,
    }


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, nargs="+", default=[384, 1024])
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--probes", type=int, default=64)
    parser.add_argument("--tuples", type=int, default=100, help="triples drawn uniformly")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    of_size = {}
    for d in arguments.d_model:
        figures = compare(d, arguments.heads, arguments.probes, arguments.tuples, arguments.repeats)
        of_size[str(d)] = figures
        print(f"d = {d}, {arguments.heads} heads, {figures['n_triples']} triples")
        for name, time in (
            ("dense / probes", figures["dense_s"] / figures["probes_s"]),
            ("dense / uniform", figures["dense_s"] / figures["uniform_dense_s"]),
            ("dense / exact", figures["dense_s"] / figures["exact_s"]),
            ("exact / floor", figures["exact_s"] / figures["exact_floor_s"]),
            ("single / probes", figures["single_s"] / figures["probes_s"]),
            ("probes / floor", figures["probes_s"] / figures["gemm_floor_s"]),
        ):
            print(f"{name:>18} {time:8.2f}")
        for name in ("probes", "single", "uniform_dense", "exact"):
            print(f"{name.replace('_', ' ') + ' error':>22} {figures[name + '_error']:8.1e}")
    if arguments.json:
        print(json.dumps(of_size))


if __name__ == "__main__":
    main()
