"""The table `block_normality` of a model: how far whole blocks are from normal operators."""

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from headalgebra.defaults import BLOCK_LAYERS, BLOCK_TOKENS, GROWTH_DRAWS
from headalgebra.measurement._rows import Row
from headalgebra.normality.growth import perturbation_growth
from headalgebra.normality.maps import (
    StateMap,
    departure,
    norm,
    numerical_abscissa,
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
        eigenvalues of its tokens on their own; of the tangent map these are not formed, so that it
        has no spectral radius there.
    """
    read = recording.tokens[:1, :tokens]
    last = recording.n_blocks - 1
    chosen = set(np.linspace(0, last, min(layers, last + 1)).round().astype(int).tolist())
    rows: list[Row] = []
    blocks: list[Callable[[Tensor], Tensor]] = []
    x_0: Tensor | None = None
    for layer, block in enumerate(live_blocks(recording.stack, read)):
        x_0 = block.input if x_0 is None else x_0
        blocks.append(block.live)
        if layer in chosen:
            rows += _of_block(layer, block, seed)
    assert x_0 is not None

    def run(state: Tensor) -> Iterator[Tensor]:
        for onward in blocks:
            state = onward(state)
            yield state

    stream = int(layer_seed(seed, "perturbations", 0).generate_state(1)[0])
    grown = perturbation_growth(run, x_0, draws=draws, seed=stream)
    means = grown.log().mean((0, 1)).exp().tolist()
    return rows + [
        {"layer": layer, "operator": "growth", "quantity": "growth", "value": value}
        for layer, value in enumerate(means)
    ]


def _of_block(layer: int, block: FrozenBlock, seed: int) -> Iterator[Row]:
    shape, like = (block.input.shape[1], block.input.shape[2]), block.input
    causal = not bool(block.probabilities.triu(1).any())

    def on_one(map_: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda state: map_(state[None])[0]

    def state_map(
        linear: Callable[[Tensor], Tensor], adjoint: Callable[[Tensor], Tensor]
    ) -> StateMap:
        return StateMap(on_one(linear), on_one(adjoint), shape, like.dtype, like.device)

    frozen = state_map(block.linear, block.adjoint)
    tangent = state_map(block.tangent, block.tangent_adjoint)
    apart = state_map(block.linear_apart, block.adjoint)
    spectra = {
        "frozen block": apart if causal else frozen,
        "tangent block": None if causal else tangent,
    }
    for operator, one in (("frozen block", frozen), ("tangent block", tangent)):
        found = departure(one, layer_seed(seed, "perturbations", layer + 1))
        spectrum = spectra[operator]
        quantities = {
            "norm": norm(one),
            "radius": None if spectrum is None else spectral_radius(spectrum),
            "numerical_abscissa": numerical_abscissa(one),
            "henrici_low": found.low,
            "henrici_high": found.high,
            "frobenius_norm": found.frobenius_norm,
        }
        for quantity, value in quantities.items():
            if value is not None and np.isfinite(value):
                yield {"layer": layer, "operator": operator, "quantity": quantity, "value": value}
