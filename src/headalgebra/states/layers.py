"""What the states of each layer are like: saturation, collapse, and where attention looks."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.states.patterns import (
    attention_to_first,
    attention_to_later,
    attention_to_self,
    distance_ratio,
    entropy_share,
    induction_score,
    induction_tokens,
    visible_pairs,
)
from headalgebra.states.recording import Recording, live_blocks
from headalgebra.states.resume import logits_from
from headalgebra.states.saturation import (
    divergence,
    mean_cosine,
    stable_rank,
    token_cosine,
    token_update_ratio,
    update_ratio,
)

PREDICTED_TOKENS = 128
"""About so many tokens have their next-token distribution computed in every layer."""


@dataclass(frozen=True)
class LayerStates:
    """Measures of one block and of the state that it leaves; those that do not exist are NaN.

    Attributes
    ----------
    layer
        From 0.
    update_ratio, update_ratio_without_first, cosine
        How much the block changes the state.
    norm_before, norm
        Frobenius norms of the states that enter and leave it.
    stable_rank, stable_rank_without_first, mean_cosine
        Of the state that leaves it.
    kl_to_last
        From the model's next-token distribution to the one that this state gives, in nats.
    attention_distance, attention_distance_without_first, attention_to_first, attention_to_self,
    attention_to_later, attention_entropy
        Where its attention looks.
    induction
        Mean over heads.
    note
        What does not exist, and why.
    """

    layer: int
    update_ratio: float
    update_ratio_without_first: float
    norm_before: float
    norm: float
    cosine: float
    stable_rank: float
    stable_rank_without_first: float
    mean_cosine: float
    kl_to_last: float
    attention_distance: float
    attention_distance_without_first: float
    attention_to_first: float
    attention_to_self: float
    attention_to_later: float
    attention_entropy: float
    induction: float
    note: str


def layer_states(recording: Recording, *, seed: int = 0) -> Iterator[LayerStates]:
    """Measure every layer, a block at a time.

    Parameters
    ----------
    recording
        Of the text.
    seed
        Of the random sequence on which induction is measured.

    Raises
    ------
    GuardError
        If a block does not give what was recorded again.
    """
    induction, why_no_induction = _induction(recording, seed)
    sequences = slice(0, -(-PREDICTED_TOKENS // recording.tokens.shape[1]))
    last = _early_logits(recording, recording.n_blocks, sequences)
    notes = [why_no_induction, "" if last is not None else "no head predicts the next token"]
    attention = _attention(recording)
    x = recording.state(0)
    for layer in range(recording.n_blocks):
        y = recording.state(layer + 1)
        early = _early_logits(recording, layer + 1, sequences)
        yield LayerStates(
            layer=layer,
            update_ratio=update_ratio(x, y),
            update_ratio_without_first=token_update_ratio(x, y),
            norm_before=float(torch.linalg.vector_norm(x)),
            norm=float(torch.linalg.vector_norm(y)),
            cosine=token_cosine(x, y),
            stable_rank=stable_rank(y),
            stable_rank_without_first=stable_rank(y[:, 1:]),
            mean_cosine=mean_cosine(y),
            kl_to_last=divergence(last, early)
            if last is not None and early is not None
            else float("nan"),
            **attention[layer],
            induction=induction[layer],
            note="; ".join(filter(None, notes)),
        )
        x = y


def _attention(recording: Recording) -> list[dict[str, float]]:
    """Where the attention of each layer looks.

    Every measure is a mean over sequences, or their largest value, so that of several passes it is
    the mean, or the largest, of what each gives.
    """
    found: list[dict[str, float]] = [{} for _ in range(recording.n_blocks)]
    for part in recording.passes:
        share = (part.stop - part.start) / len(recording.tokens)
        for block in recording.blocks(part):
            P, measures = block.probabilities, found[block.layer]
            visible = visible_pairs(P)
            of_part = {
                "attention_distance": distance_ratio(P, visible),
                "attention_distance_without_first": distance_ratio(P, visible, without_first=True),
                "attention_to_first": attention_to_first(P),
                "attention_to_self": attention_to_self(P),
                "attention_entropy": entropy_share(P, visible),
            }
            for name, value in of_part.items():
                measures[name] = measures.get(name, 0.0) + share * value
            later = measures.get("attention_to_later", 0.0)
            measures["attention_to_later"] = max(later, attention_to_later(P))
    return found


def _early_logits(
    recording: Recording, place: int, sequences: slice
) -> Float[Tensor, "n T V"] | None:
    if not recording.stack.predicts:
        return None
    with torch.no_grad():
        state = recording.state(place, sequences)
        return logits_from(recording.stack, state, recording.n_blocks)


def _induction(recording: Recording, seed: int) -> tuple[list[float], str]:
    tokens = induction_tokens(recording.tokens, torch.Generator().manual_seed(seed))
    nothing = [float("nan")] * recording.n_blocks
    if tokens is None:
        return nothing, "the text has too few distinct tokens for induction"
    positions = getattr(recording.stack.module.config, "max_position_embeddings", None)
    if positions is not None and positions < tokens.shape[1]:
        return nothing, f"{positions} positions are too few for induction"
    blocks = live_blocks(recording.stack, tokens)
    return [float(induction_score(block.probabilities).mean()) for block in blocks], ""
