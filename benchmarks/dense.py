"""Time quantities of heads, blocks and attention against the dense code that a user would write.

All in one run, in float64, each pair on the same input and in agreement:

head       spectral radius and Henrici's departure of W_q W_kᵀ: from the factors; and by scipy's
           complex Schur form of the d×d matrix
block      largest singular value and spectral radius of a frozen block on T tokens: by Lanczos and
           Arnoldi; and from the (Td)×(Td) matrix, formed by Td applications
tangent    the derivative of a block along one direction after another, on 32 tokens: by the adjoint
           of its adjoint; and by forward mode, which runs the block for each
attention  share of log P within rows that depends on the lag alone, for every head: from sums over
           diagonals; and by numpy's least squares on indicators of rows and lags

The last line printed with --json is one JSON object.
"""

import argparse
import json
from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators
from headalgebra.convolution.by_lag import LagModel
from headalgebra.measurement.blocks import state_map
from headalgebra.normality.compression import compress_heads
from headalgebra.normality.departure import schur_spectrum
from headalgebra.normality.maps import StateMap, norm, spectral_radius
from headalgebra.states import FrozenBlock
from headalgebra.states.recording import live_blocks
from headalgebra.states.structure import find_stack
from pseudospectra import gaussian_head
from states import random_llama, random_text
from timing import seconds

Quantities = tuple[float, ...]
"""What either route finds."""


def of_factors(operators: HeadOperators) -> Quantities:
    """Spectral radius and departure of the one head."""
    spectrum = schur_spectrum(compress_heads(operators)[0])
    return spectrum.radius, spectrum.departure


def of_dense_head(operators: HeadOperators) -> Quantities:
    """The same of the matrix."""
    form, _ = scipy.linalg.schur(operators.materialise(0).numpy(), output="complex")
    return float(abs(np.diagonal(form)).max()), float(np.linalg.norm(np.triu(form, 1)))


def first_block(d: int, heads: int, tokens: int) -> FrozenBlock:
    """Of a Llama with random weights that reads random tokens."""
    model = random_llama(d=d, layers=1, heads=heads, keys=heads, dtype=torch.float64)
    text = random_text(1, tokens)
    return next(live_blocks(find_stack(model, text), text))


def of_map(one: StateMap) -> Quantities:
    """Largest singular value and spectral radius, by applications."""
    return norm(one), spectral_radius(one)


def of_dense_map(one: StateMap) -> Quantities:
    """The same of the matrix."""
    matrix = one.dense()
    largest = scipy.linalg.svdvals(matrix)[0]
    return float(largest), float(abs(scipy.linalg.eigvals(matrix)).max())


def random_directions(block: FrozenBlock, several: int) -> Tensor:
    """Of the state that enters a block, [n, 1, T, d]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(several, *block.input.shape, dtype=torch.float64, generator=generator)


def of_adjoint(block: FrozenBlock, directions: Tensor) -> Quantities:
    """Norm of the derivative along each, as many of them are asked for."""
    return tuple(float(block.tangent(it).norm()) for it in directions)


def of_forward_mode(block: FrozenBlock, directions: Tensor) -> Quantities:
    """The same by torch's forward mode."""
    along = (torch.func.jvp(block.live, (block.input,), (it,))[1] for it in directions)
    return tuple(float(it.norm()) for it in along)


def random_patterns(heads: int, tokens: int) -> Tensor:
    """Causal attention of random scores, [H, T, T]."""
    scores = torch.randn(
        heads, tokens, tokens, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    hidden = torch.ones(tokens, tokens).triu(1).bool()
    return scores.masked_fill(hidden, -torch.inf).softmax(-1)


def of_diagonals(patterns: Tensor) -> Quantities:
    """The share of every head."""
    tokens = patterns.shape[-1]
    place = torch.arange(tokens)
    visible = torch.ones(tokens, tokens).tril().bool()
    share, _ = LagModel(place[:, None] - place, visible).fit(patterns.log()[None])
    return tuple(share.tolist())


def of_least_squares(patterns: Tensor) -> Quantities:
    """The same, head by head."""
    tokens = patterns.shape[-1]
    row, column = np.tril_indices(tokens)
    indicators = np.hstack([np.eye(tokens)[row], np.eye(tokens)[row - column]])
    shares = []
    for pattern in patterns.numpy():
        values = np.log(pattern[row, column])
        left, *_ = np.linalg.lstsq(indicators, values)
        residual = np.square(values - indicators @ left).sum()
        means = np.bincount(row, values) / np.bincount(row)
        shares.append(1 - residual / np.square(values - means[row]).sum())
    return tuple(shares)


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=768)
    parser.add_argument("--d-head", type=int, default=64)
    parser.add_argument("--block-d", type=int, default=128, help="width of the block")
    parser.add_argument("--block-tokens", type=int, default=16, help="tokens that it acts on")
    parser.add_argument("--tangent-d", type=int, default=384, help="width of the other block")
    parser.add_argument("--directions", type=int, default=50, help="of its derivative")
    parser.add_argument("--tokens", type=int, default=128, help="of an attention pattern")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    options = parser.parse_args()
    torch.set_num_threads(1)
    head = gaussian_head(options.d_model, options.d_head, seed=0)
    block = first_block(options.block_d, options.heads, options.block_tokens)
    frozen = state_map(block, block.linear, block.adjoint)
    wide = first_block(options.tangent_d, options.heads, tokens=32)
    directions = random_directions(wide, options.directions)
    patterns = random_patterns(options.heads, options.tokens)
    routes: dict[str, tuple[Callable[[], Quantities], Callable[[], Quantities]]] = {
        "head": (lambda: of_factors(head), lambda: of_dense_head(head)),
        "block": (lambda: of_map(frozen), lambda: of_dense_map(frozen)),
        "tangent": (
            lambda: of_adjoint(wide, directions),
            lambda: of_forward_mode(wide, directions),
        ),
        "attention": (lambda: of_diagonals(patterns), lambda: of_least_squares(patterns)),
    }
    figures = {}
    print(f"{'':>10} {'ours, s':>10} {'dense, s':>10} {'dense / ours':>13} {'difference':>11}")
    for name, (ours, dense) in routes.items():
        own, theirs = np.array(ours()), np.array(dense())
        error = float(abs(own / theirs - 1).max())
        own_s, dense_s = seconds(ours, options.repeats), seconds(dense, options.repeats)
        figures[name] = {"ours_s": own_s, "dense_s": dense_s, "relative_error": error}
        print(f"{name:>10} {own_s:10.4f} {dense_s:10.3f} {dense_s / own_s:13.1f} {error:11.0e}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
