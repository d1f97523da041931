"""The table `convolution` of a model: what it shares with a linear time-invariant system."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from headalgebra.convolution import (
    fit_convolution,
    gradient_alignment,
    impulse_response,
    impulse_share,
    linearity,
    state_gradients,
)
from headalgebra.defaults import (
    EFFECT_SEQUENCES,
    GRADIENT_SEQUENCES,
    IMPULSE_DRAWS,
    IMPULSE_POSITIONS,
    RIDGE_FOLDS,
)
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed
from headalgebra.states import Recording
from headalgebra.states.recording import live_blocks
from headalgebra.states.resume import next_token_loss


def measure_convolution(
    recording: Recording,
    *,
    pattern_sequences: int,
    gradient_sequences: int = GRADIENT_SEQUENCES,
    effect_sequences: int = EFFECT_SEQUENCES,
    impulse_positions: int = IMPULSE_POSITIONS,
    seed: int = 0,
) -> list[Row]:
    """Convolution shares of every head, impulse response, linearity, and the gradient's direction.

    Parameters
    ----------
    pattern_sequences
        Sequences whose attention patterns are held against a convolution. The impulse response is
        that of the first one.
    gradient_sequences
        Sequences whose loss is held against the updates.
    effect_sequences
        Sequences of them on which the attention of one layer after another is replaced by the
        convolutions that are nearest to it.
    impulse_positions
        Tokens of it that are perturbed, one at a time.

    Returns
    -------
    list
        Rows of :data:`headalgebra.columns.CONVOLUTION`. The share of the impulse response is of the
        whole depth, and stands in the row of the last layer.
    """
    rows: list[Row] = []
    patterns: list[Tensor] = []
    for layer, block in enumerate(recording.blocks(slice(0, pattern_sequences))):
        generator = np.random.default_rng(layer_seed(seed, "patterns", layer))
        fitted = fit_convolution(block.probabilities, generator)
        patterns.append(fitted.pattern)
        rows += [
            _row(layer, "convolution_share", share, head=head, null=chance)
            for head, (share, chance) in enumerate(
                zip(fitted.share.tolist(), fitted.chance.tolist(), strict=True)
            )
        ]
    rows += _effect(recording, patterns, effect_sequences)
    rows.append(_impulse(recording, impulse_positions, seed))
    rows += _linearity(recording)
    if recording.stack.predicts:
        rows += _gradient(recording, slice(0, gradient_sequences), seed)
    return rows


def _effect(recording: Recording, patterns: Sequence[Tensor], sequences: int) -> Iterator[Row]:
    """Rise of the loss, in nats a token, or relative change of the last state of an encoder."""
    stack, tokens = recording.stack, recording.tokens[:sequences]
    blocks = list(live_blocks(stack, tokens))
    last = blocks[-1].output

    with torch.no_grad():
        before = next_token_loss(stack, last, tokens) if stack.predicts else 0.0
        for layer, pattern in enumerate(patterns):
            state = blocks[layer].attending(pattern, blocks[layer].input)
            for block in blocks[layer + 1 :]:
                state = block.live(state)
            if stack.predicts:
                yield _row(
                    layer, "convolved_loss_rise", next_token_loss(stack, state, tokens) - before
                )
            else:
                change = torch.linalg.vector_norm(state - last) / torch.linalg.vector_norm(last)
                yield _row(layer, "convolved_change", float(change))


def _impulse(recording: Recording, positions: int, seed: int) -> Row:
    one = slice(0, 1)
    x_0 = recording.state(0, one)
    chosen = np.linspace(0, x_0.shape[1] - 1, positions + 2).round().astype(int)[1:-1]
    places = sorted(set(chosen.tolist()))
    draws = [np.random.default_rng(stream) for stream in layer_seed(seed, "impulses", 0).spawn(2)]
    tangents = (block.tangents for block in recording.blocks(one))
    response = impulse_response(tangents, x_0, draws[0], positions=places, draws=IMPULSE_DRAWS)
    share, chance = impulse_share(response, draws[1], positions=places)
    return _row(recording.n_blocks - 1, "impulse_share", share, null=chance)


def _linearity(recording: Recording) -> list[Row]:
    rows: list[Row] = []
    before = recording.state(0)
    for layer in range(recording.n_blocks):
        after = recording.state(layer + 1)
        # The first token of each sequence may have most of the variance, which it alone explains.
        for first, where in enumerate(("", "_without_first")):
            x, y = (state[:, first:].flatten(0, 1) for state in (before, after))
            found = linearity(x, y, folds=RIDGE_FOLDS)
            if found.state is not None:
                rows.append(_row(layer, f"state_r2{where}", found.state))
                rows.append(_row(layer, f"update_r2{where}", found.update))
        before = after
    return rows


def _gradient(recording: Recording, sequences: slice, seed: int) -> list[Row]:
    stack, tokens = recording.stack, recording.tokens[sequences]
    gradients = state_gradients(stack.model, stack.blocks, tokens)
    rows: list[Row] = []
    before = recording.state(0, sequences)
    for layer, gradient in enumerate(gradients):
        after = recording.state(layer + 1, sequences)
        generator = np.random.default_rng(layer_seed(seed, "exchanged_updates", layer))
        found = gradient_alignment(before, after, gradient, generator)
        rows.append(_row(layer, "gradient_cosine", found.cosine, null=found.chance))
        rows.append(_row(layer, "gradient_cosine_se", found.cosine_error))
        rows.append(_row(layer, "gradient_cosine_chance_sd", found.chance_spread))
        rows.append(_row(layer, "gradient_sequences", float(len(tokens))))
        rows.append(_row(layer, "gradient_first_order", found.change))
        rows.append(_row(layer, "gradient_first_order_se", found.change_error))
        before = after
    return rows


def _row(
    layer: int,
    quantity: str,
    value: float | None,
    *,
    head: int | None = None,
    null: float | None = None,
) -> Row:
    return {"layer": layer, "head": head, "quantity": quantity, "value": value, "null": null}
