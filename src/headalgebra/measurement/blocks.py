"""The table `block_normality` of a model: how far whole blocks are from normal operators."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from torch import Tensor

from headalgebra.defaults import BLOCK_LAYERS, BLOCK_TOKENS, GROWTH_DRAWS
from headalgebra.measurement._rows import Row
from headalgebra.measurement.depth import spread_over_depth
from headalgebra.normality.growth import (
    perturbation_growth,
    pseudospectral_radius_from_below,
)
from headalgebra.normality.maps import (
    StateMap,
    departure,
    norm,
    numerical_abscissa,
    product,
    spectral_radius,
)
from headalgebra.seeds import layer_seed
from headalgebra.states import FrozenBlock, Recording
from headalgebra.states.recording import live_blocks


def measure_blocks(
    recording: Recording,
    *,
    layers: int = BLOCK_LAYERS,
    tokens: int = BLOCK_TOKENS,
    draws: int = GROWTH_DRAWS,
    seed: int = 0,
) -> list[Row]:
    """Frozen and tangent maps of some blocks, and growth of perturbations through all of them.

    Parameters
    ----------
    layers
        Blocks to measure, spread over the depth.
    tokens
        Of the first sequence, on which they act.
    draws
        Random perturbations whose growth is followed.

    Returns
    -------
    list
        Rows of :data:`headalgebra.columns.NORMALITY`. A block under a causal mask has the
        eigenvalues of its tokens on their own. Where every block is measured, what may foretell
        the growth stands beside it: the products of the blocks' spectral radii and of their
        pseudospectral radii, δ a tenth of the norm, and the norm of the product.
    """
    read = recording.tokens[:1, :tokens]
    last = recording.n_blocks - 1
    chosen = set(spread_over_depth(recording.n_blocks, layers))
    foretold = len(chosen) > last
    rows: list[Row] = []
    blocks: list[FrozenBlock] = []
    for block in live_blocks(recording.stack, read):
        blocks.append(block)
        if block.layer in chosen:
            rows += _of_block(block, seed, pseudospectrum=foretold)

    def run(state: Tensor) -> Iterator[Tensor]:
        for block in blocks:
            state = block.live(state)
            yield state

    stream = int(layer_seed(seed, "perturbations", 0).generate_state(1)[0])
    grown = perturbation_growth(run, blocks[0].input, draws=draws, seed=stream)
    means = grown.log().mean((0, 1)).exp().tolist()
    rows += [_row(layer, "growth", "growth", value) for layer, value in enumerate(means)]
    return rows + (list(_foretold(rows, blocks)) if foretold else [])


PREDICTORS = {
    "product_of_radii": "radius",
    "product_of_pseudospectral_radii": "pseudospectral_radius",
}
"""Of the growth through the first blocks: products of what each tangent map has."""


def _foretold(rows: Sequence[Row], blocks: Sequence[FrozenBlock]) -> Iterator[Row]:
    """The predictors of the growth through the first blocks, for as many as all have a number."""
    of_tangents = {
        (row["layer"], row["quantity"]): row["value"]
        for row in rows
        if row["operator"] == "tangent block"
    }
    for predictor, quantity in PREDICTORS.items():
        product_so_far = 1.0
        for layer in range(len(blocks)):
            if (layer, quantity) not in of_tangents:
                break
            product_so_far *= of_tangents[layer, quantity]
            yield _row(layer, "growth", predictor, product_so_far)
    maps = [state_map(block, block.tangent, block.tangent_adjoint) for block in blocks]
    for layer in range(len(blocks)):
        yield _row(layer, "growth", "norm_of_product", norm(product(maps[: layer + 1])))


def _of_block(block: FrozenBlock, seed: int, *, pseudospectrum: bool) -> Iterator[Row]:
    layer, causal = block.layer, block.causal
    frozen = state_map(block, block.linear, block.adjoint)
    tangent = state_map(block, block.tangent, block.tangent_adjoint)
    # Eigenvalues take no adjoint.
    frozen_apart, tangent_apart = (
        state_map(block, linear, _no_adjoint)
        for linear in (block.linear_apart, block.tangent_apart)
    )
    spectra = {
        "frozen block": frozen_apart if causal else frozen,
        "tangent block": tangent_apart if causal else tangent,
    }
    if causal and not block.takes_tokens_apart:
        del spectra["tangent block"]
    for operator, one in (("frozen block", frozen), ("tangent block", tangent)):
        found = departure(one, layer_seed(seed, "perturbations", layer + 1))
        quantities = {
            "norm": norm(one),
            "numerical_abscissa": numerical_abscissa(one),
            "henrici_low": found.low,
            "henrici_high": found.high,
            "frobenius_norm": found.frobenius_norm,
        }
        if operator in spectra:
            quantities["radius"] = spectral_radius(spectra[operator])
        if pseudospectrum and operator == "tangent block":
            quantities["pseudospectral_radius"] = pseudospectral_radius_from_below(one)
        for quantity, value in quantities.items():
            if np.isfinite(value):
                yield _row(layer, operator, quantity, value)


def state_map(
    block: FrozenBlock, linear: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]
) -> StateMap:
    """A linear map of a block's one sequence, and its adjoint, as a map of states."""

    def on_one(map_: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda state: map_(state[None])[0]

    _, tokens, d = block.input.shape
    like = block.input
    return StateMap(on_one(linear), on_one(adjoint), (tokens, d), like.dtype, like.device)


def _no_adjoint(_: Tensor) -> Tensor:
    raise NotImplementedError("tokens are taken apart in one direction only")


def _row(layer: int, operator: str, quantity: str, value: float) -> Row:
    return {"layer": layer, "operator": operator, "quantity": quantity, "value": value}
