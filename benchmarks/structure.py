"""Time the structure constants of one layer against what a user would write.

All in one run, float64, the same Gaussian heads:

blocks   headalgebra: f and the squared commutators in r×r blocks
bracket  headalgebra: f alone
dense    [E_a, E_b] and its inner products with E_c, timed on the pairs of the first few elements
         and multiplied up to all C(n, 2); neither the forming of the other elements nor the inner
         products with them are counted, which flatters dense
floor    products of Hr×Hr matrices of as many flops as f takes (2 (Hr)³) and both take (3 (Hr)³)

The last line printed with --json is one JSON object.
"""

import argparse
import json
import math
from itertools import combinations
from time import perf_counter

import torch

from headalgebra.algebra.basis import basis_elements, orthonormal_basis
from headalgebra.algebra.coherence.structure import projected_bracket, structure_constants
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from timing import seconds


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=4096)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--elements", type=int, default=3, help="elements of the pairs timed")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    d, heads = arguments.d_model, arguments.heads
    generator = torch.Generator().manual_seed(0)
    queries, keys = (
        torch.randn(heads, d, d // heads, dtype=torch.float64, generator=generator)
        for _ in range(2)
    )
    blocks = gram_blocks(HeadOperators.from_factors(queries, keys), balance_above=1e6)
    basis = orthonormal_basis(blocks, rank_cutoff=1e-8, gram_floor=1e-8)
    n = basis.dimension

    floor_s = seconds(lambda: blocks.query_gram @ blocks.key_gram, arguments.repeats)
    bracket_s = seconds(lambda: projected_bracket(blocks, basis.coefficients), arguments.repeats)
    blocks_s = seconds(
        lambda: structure_constants(
            blocks,
            basis.coefficients,
            kappa_used=basis.kappa_used,
            well_below=100.0,
            cancellation_below=1e-4,
        ),
        arguments.repeats,
    )
    f = projected_bracket(blocks, basis.coefficients)
    elements = basis_elements(blocks.operators, basis.coefficients[: arguments.elements])
    pairs = list(combinations(range(len(elements)), 2))
    error = 0.0
    start = perf_counter()
    for a, b in pairs:
        bracket = elements[a] @ elements[b] - elements[b] @ elements[a]
        row = elements.flatten(1) @ bracket.flatten()
        error = max(error, float((f[a, b, : len(row)] - row).norm() / f[a, b].norm()))
    dense_s = (perf_counter() - start) * math.comb(n, 2) / len(pairs)
    figures = {
        "dense_s": dense_s,
        "dense_pairs": len(pairs),
        "blocks_s": blocks_s,
        "bracket_s": bracket_s,
        "gemm_floor_s": floor_s,
        "relative_error": error,
    }
    print(f"dense is {len(pairs)} of {math.comb(n, 2)} pairs, multiplied up")
    print(f"{'dense / blocks':>18} {dense_s / blocks_s:8.1f}")
    print(f"{'dense / bracket':>18} {dense_s / bracket_s:8.1f}")
    print(f"{'blocks / floor':>18} {blocks_s / (1.5 * floor_s):8.2f}")
    print(f"{'bracket / floor':>18} {bracket_s / floor_s:8.2f}")
    print(f"{'relative error':>18} {error:8.1e}  (largest over those pairs)")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
