"""Time the certified pseudospectral radius of a head against a dense grid of the same accuracy.

All in one run, on the same Gaussian pair in float64, to the same accuracy from above and below:

certified  headalgebra, from the factors, compression included
grid       each σ_min(z - A) a singular value decomposition of the dense d×d matrix, on a circle
schur      the same points by inverse iteration on one Schur form of the dense matrix

One circle is the least that a user of a grid must look at. σ_min changes by no more than z does,
so that a circle of radius R without a point of σ_min ≤ δ between its grid points needs spacings h
with h/2 ≤ min σ_min - δ. How many that are is counted from σ_min on the circle, spacings as wide as
each neighbourhood allows; --points of them are timed. A grid over the plane would need the square.

The last line printed with --json is one JSON object.
"""

import argparse
import json
from time import process_time

import numpy as np
import torch

from headalgebra.algebra.operators import HeadOperators
from headalgebra.normality.compression import Compression, compress_heads
from headalgebra.normality.pseudospectra import smallest_singular_values
from headalgebra.normality.radii import pseudospectral_radius

FINEST = 4096
"""Points on the half circle from which the widths of spacings are interpolated."""


def gaussian_head(d_model: int, d_head: int, seed: int) -> HeadOperators:
    """One head whose factors have independent entries of standard deviation 0.02."""
    generator = torch.Generator().manual_seed(seed)
    queries, keys = (
        0.02 * torch.randn(1, d_model, d_head, dtype=torch.float64, generator=generator)
        for _ in range(2)
    )
    return HeadOperators.from_factors(queries, keys)


def grid_points(operator: Compression, delta: float, radius: float) -> int:
    """Points that a grid on a circle needs, for spacings as wide as σ_min - δ allows."""
    angles = (np.arange(FINEST) + 0.5) * np.pi / FINEST
    sigma = smallest_singular_values(operator, radius * np.exp(1j * angles))
    spacings = 2 * np.maximum(sigma - delta, np.finfo(float).tiny)
    return int(np.ceil(radius * (np.pi / FINEST) * (1 / spacings).sum()))


def dense_seconds(matrix: np.ndarray, radius: float, points: int) -> float:
    """Mean time of one σ_min of the dense matrix at some points of a circle."""
    identity = np.eye(len(matrix))
    start = process_time()
    for angle in np.linspace(0.1, 3, points):
        np.linalg.svd(radius * np.exp(1j * angle) * identity - matrix, compute_uv=False)
    return (process_time() - start) / points


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=768)
    parser.add_argument("--d-head", type=int, default=64)
    parser.add_argument("--points", type=int, default=3, help="of the grid that are timed")
    parser.add_argument("--margin", type=float, default=1e-3, help="relative accuracy of either")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    operators = gaussian_head(arguments.d_model, arguments.d_head, arguments.seed)
    [head] = compress_heads(operators)
    matrix = operators.materialise(0).numpy()
    one_s = dense_seconds(matrix, head.norm, arguments.points)
    figures: dict[str, float] = {"dense_svd_s": one_s}
    print(
        f"{'δ/‖A‖':>8}{'certified':>12}{'factored':>10}{'grid points':>13}"
        f"{'grid':>12}{'ratio':>9}{'schur':>12}{'ratio':>9}"
    )
    for k in (1, 2, 3):
        delta = head.norm / 10**k
        best = np.inf
        for _ in range(arguments.repeats):
            start = process_time()
            [again] = compress_heads(operators)
            found = pseudospectral_radius(again, delta, margin=arguments.margin)
            best = min(best, process_time() - start)
        points = grid_points(head, delta, found.upper)
        circle = found.upper * np.exp(1j * np.linspace(0, np.pi, points))
        start = process_time()
        smallest_singular_values(Compression.whole(matrix), circle)
        schur_s = process_time() - start
        touched = found.radius * np.exp(1j * found.angle) * np.eye(len(matrix)) - matrix
        error = abs(np.linalg.svd(touched, compute_uv=False)[-1] - delta) / head.norm
        figures |= {
            f"certified_{k}_s": best,
            f"evaluations_{k}": found.evaluations,
            f"grid_points_{k}": points,
            f"ratio_{k}": points * one_s / best,
            f"schur_ratio_{k}": schur_s / best,
            f"error_{k}": float(error),
        }
        print(
            f"{10.0**-k:8g}{best:10.4f} s{found.evaluations:10d}"
            f"{points:13d}{points * one_s:10.1f} s"
            f"{points * one_s / best:9.0f}{schur_s:10.1f} s{schur_s / best:9.0f}"
        )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
