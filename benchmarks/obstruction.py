"""Time the obstruction over every triple of one layer against what a user would write.

All in one run, float64, the same Gaussian heads:

dense     Algorithm 4.1: every [E_b, [E_c, E_a]] as a d×d matrix
probes    headalgebra: every triple on p directions, through the factors
floor     the products with the query and key factors that the probes cannot avoid

The last line printed with --json is one JSON object.
"""

import argparse
import json
from time import perf_counter

import numpy as np
import torch

from headalgebra.basis import basis_elements, orthonormal_basis
from headalgebra.linf import ProbedWords, all_triples, census, extract_dense, sphere_probes
from headalgebra.operators import HeadOperators, gram_blocks
from timing import seconds


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=384)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--probes", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    d, heads, p = arguments.d_model, arguments.heads, arguments.probes
    generator = torch.Generator().manual_seed(0)
    queries, keys = (
        torch.randn(heads, d, d // heads, dtype=torch.float64, generator=generator)
        for _ in range(2)
    )
    blocks = gram_blocks(HeadOperators.from_factors(queries, keys), balance_above=1e6)
    basis = orthonormal_basis(blocks, rank_cutoff=1e-8, gram_floor=1e-8)
    probes = sphere_probes(d, p, np.random.SeedSequence(0))
    n, width = basis.dimension, blocks.operators.query_matrix.shape[1]
    # 1 + n + n² products with the keys, n + n² + n C(n, 2) with the queries.
    columns = (1 + 2 * n + 2 * n**2 + n * n * (n - 1) // 2) * p
    left = blocks.operators.query_matrix
    block = torch.randn(width, min(columns, 4096), dtype=torch.float64, generator=generator)
    probes_s = seconds(
        lambda: census(ProbedWords(blocks.operators, basis.coefficients, probes)),
        arguments.repeats,
    )
    floor_s = seconds(lambda: left @ block, arguments.repeats) * columns / block.shape[1]
    start = perf_counter()
    dense = extract_dense(basis_elements(blocks.operators, basis.coefficients))
    dense_s = perf_counter() - start
    estimate = all_triples(census(ProbedWords(blocks.operators, basis.coefficients, probes)))
    print(f"{'dense / probes':>18} {dense_s / probes_s:8.1f}")
    print(f"{'probes / floor':>18} {probes_s / floor_s:8.2f}")
    print(f"{'dense rms':>18} {dense.obstruction_rms:8.4g}")
    print(f"{'probes rms':>18} {estimate.value:8.4g}  [{estimate.low:.4g}, {estimate.high:.4g}]")
    if arguments.json:
        figures = {"dense_s": dense_s, "probes_s": probes_s, "gemm_floor_s": floor_s}
        print(json.dumps(figures | {"rms_ratio": estimate.value / dense.obstruction_rms}))


if __name__ == "__main__":
    main()
