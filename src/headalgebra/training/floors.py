"""What counting gets: the cross-entropy of a text under n-grams of what was trained on.

A decoder whose loss is above the bigram floor has learned nothing from more than one token back.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor

Codes = Int64[np.ndarray, "_"]
"""Contexts, or tokens."""


@dataclass(frozen=True)
class Floors:
    """Mean cross-entropy of the next token, in nats, from none, one and two tokens before it.

    Attributes
    ----------
    unigram, bigram, trigram
        In this order.
    """

    unigram: float
    bigram: float
    trigram: float


def ngram_floors(
    train: Int64[Tensor, "n T"], test: Int64[Tensor, "u S"], vocabulary: int
) -> Floors:
    """Count n-grams inside sequences, and score the tokens of others that a decoder predicts.

    Counts are smoothed by the interpolation of Witten and Bell (1991), which has no parameter:
    after a context h that was followed n(h) times, by t(h) different tokens,
    ``p(w | h) = (n(hw) + t(h) p(w | h')) / (n(h) + t(h))``, where h' is h without its first token,
    and below the unigrams every token is as probable. A decoder predicts all tokens of a sequence
    but the first; the second has one token before it, so that its trigram is its bigram.

    Parameters
    ----------
    train, test
        Sequences to count in, and to score; of at least two tokens.
    vocabulary
        Tokens that there are, V; V³ must fit 64 bits.
    """
    seen, scored = train.numpy(), test.numpy()
    targets = scored[:, 1:].ravel()
    unigram = _interpolated(
        (np.zeros(seen.size, dtype=np.int64), seen.ravel()),
        (np.zeros_like(targets), targets),
        np.full(targets.shape, 1 / vocabulary),
        vocabulary,
    )
    bigram = _interpolated(
        (seen[:, :-1].ravel(), seen[:, 1:].ravel()),
        (scored[:, :-1].ravel(), targets),
        unigram,
        vocabulary,
    )
    trigram = bigram.reshape(len(scored), -1).copy()
    trigram[:, 1:] = _interpolated(
        (_pairs(seen, vocabulary), seen[:, 2:].ravel()),
        (_pairs(scored, vocabulary), scored[:, 2:].ravel()),
        trigram[:, 1:].ravel(),
        vocabulary,
    ).reshape(len(scored), -1)
    return Floors(*(float(-np.log(p).mean()) for p in (unigram, bigram, trigram)))


def _pairs(ids: Int64[np.ndarray, "n T"], vocabulary: int) -> Codes:
    """The two tokens before each from the third on, as one number."""
    return (ids[:, :-2] * vocabulary + ids[:, 1:-1]).ravel()


def _interpolated(
    seen: tuple[Codes, Codes],
    scored: tuple[Codes, Codes],
    shorter: Float64[np.ndarray, "m"],
    vocabulary: int,
) -> Float64[np.ndarray, "m"]:
    """Probabilities of scored tokens after contexts, from those after shorter ones.

    Parameters
    ----------
    seen, scored
        Contexts and the tokens after them, to count and to score.
    shorter
        Probabilities of the scored tokens after the shorter contexts.
    vocabulary
        V.
    """
    (contexts, tokens), (asked, targets) = seen, scored
    grams, counts = np.unique(contexts * vocabulary + tokens, return_counts=True)
    before, kinds = np.unique(grams // vocabulary, return_counts=True)
    totals = np.add.reduceat(counts, np.cumsum(kinds) - kinds) if len(kinds) else kinds
    followed, different = _looked_up(before, asked, totals, kinds)
    (occurred,) = _looked_up(grams, asked * vocabulary + targets, counts)
    known = np.maximum(followed + different, 1)
    return np.where(followed > 0, (occurred + different * shorter) / known, shorter)


def _looked_up(
    keys: Int64[np.ndarray, "g"], wanted: Int64[np.ndarray, "m"], *values: Int64[np.ndarray, "g"]
) -> list[Int64[np.ndarray, "m"]]:
    """The values of sorted keys, 0 where there is no such key."""
    if not len(keys):
        return [np.zeros_like(wanted) for _ in values]
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return [np.where(keys[place] == wanted, value[place], 0) for value in values]
