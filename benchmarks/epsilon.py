"""Time the commutator norms of every head pair of one layer against what a user would write.

All four in one run, one precision, the same Gaussian heads (the last two differ by 1e-6):

dense     each A_h formed, each commutator two d×d products
thin      each product as Q_i (K_i^T Q_j) K_j^T, then a dense difference
factored  headalgebra
floor     the three Gram products that no method in r×r blocks can avoid

The last line printed with --json is one JSON object.
"""

import argparse
import json
from itertools import combinations
from time import perf_counter

import torch
from torch import Tensor

from headalgebra.algebra.commutators import commutator_norms
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from timing import seconds

TWIN_DISTANCE = 1e-6


def gaussian_heads(heads: int, d_model: int, seed: int) -> tuple[Tensor, Tensor]:
    """Query and key factors [H, d, r] of standard deviation 0.02, the last two heads twins."""
    generator = torch.Generator().manual_seed(seed)
    shape = (heads, d_model, d_model // heads)
    queries, keys = (
        0.02 * torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    for factors in (queries, keys):
        factors[-1] = (
            factors[-2]
            + TWIN_DISTANCE
            * torch.randn(shape[1:], dtype=torch.float64, generator=generator)
            * factors[-2].std()
        )
    return queries, keys


def dense(queries: Tensor, keys: Tensor) -> Tensor:
    """Every commutator from dense operators."""
    operators = queries @ keys.mT
    return torch.stack(
        [torch.linalg.matrix_norm(a @ b - b @ a) for a, b in combinations(operators, 2)]
    )


def thin(queries: Tensor, keys: Tensor) -> Tensor:
    """Every product from factors, the difference dense."""
    norms = []
    for i, j in combinations(range(len(queries)), 2):
        forward = queries[i] @ (keys[i].T @ queries[j]) @ keys[j].T
        backward = queries[j] @ (keys[j].T @ queries[i]) @ keys[i].T
        norms.append(torch.linalg.matrix_norm(forward - backward))
    return torch.stack(norms)


def factored(queries: Tensor, keys: Tensor) -> Tensor:
    """Every commutator in r×r blocks, from the factors as a checkpoint gives them."""
    operators = HeadOperators.from_factors(queries, keys)
    norms = commutator_norms(gram_blocks(operators, balance_above=1e6), cancellation_below=1e-4)
    i, j = torch.triu_indices(len(queries), len(queries), offset=1)
    return norms[i, j]


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    queries, keys = gaussian_heads(arguments.heads, arguments.d_model, arguments.seed)
    Q, K = (f.permute(1, 0, 2).reshape(arguments.d_model, -1) for f in (queries, keys))

    floor_s = seconds(lambda: (Q.T @ Q, K.T @ K, K.T @ Q), arguments.repeats)
    factored_s = seconds(lambda: factored(queries, keys), arguments.repeats)
    thin_s = seconds(lambda: thin(queries, keys), 1)
    start = perf_counter()
    reference = dense(queries, keys)
    dense_s = perf_counter() - start
    error = ((factored(queries, keys) - reference).abs() / reference).max()
    figures = {
        "dense_s": dense_s,
        "thin_s": thin_s,
        "factored_s": factored_s,
        "gemm_floor_s": floor_s,
        "relative_error": float(error),
    }
    print(f"{'dense / factored':>18} {dense_s / factored_s:8.1f}")
    print(f"{'thin / factored':>18} {thin_s / factored_s:8.1f}")
    print(f"{'factored / floor':>18} {factored_s / floor_s:8.2f}")
    print(f"{'relative error':>18} {float(error):8.1e}  (largest over the pairs)")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
