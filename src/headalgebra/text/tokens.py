"""Sequences of tokens of one length, from places spread over a text."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from headalgebra.defaults import SEQUENCES, TOKENS
from headalgebra.panics import panics_as_errors
from headalgebra.seeds import layer_seed
from headalgebra.text.corpora import Corpus
from headalgebra.text.errors import TextError

PLACE = re.compile(r"(?:^|\n|(?<=[.?!])[^\S\n])(?=\S)")
"""Where a line or a sentence begins."""
CHARACTERS = 8
"""Of the text that are tokenised for each token that is wanted, at first."""


@dataclass(frozen=True)
class Tokens:
    """What a model reads.

    Attributes
    ----------
    ids
        int64 [N, T]: N sequences of exactly T tokens, the special ones of the tokenizer among
        them.
    places
        The character of the text at which each sequence begins.
    text, tokenizer, digest
        SHA-256, in hex, of the text, of the tokenizer, and of the ids as little-endian int64 in the
        order of their rows.
    """

    ids: Int64[Tensor, "N T"] = field(repr=False)
    places: tuple[int, ...] = field(repr=False)
    text: str
    tokenizer: str
    digest: str


def tokenise(
    corpus: Corpus,
    tokenizer: Any,
    *,
    vocabulary: int,
    positions: int | None = None,
    sequences: int = SEQUENCES,
    tokens: int = TOKENS,
    seed: int = 0,
) -> Tokens:
    """Take N sequences of T tokens out of a text.

    The text is cut into N parts of as many characters. In each a line or sentence is drawn at
    which a sequence begins, earlier ones where the part ends before the sequence does. So no two
    sequences overlap, and they are spread over all of the text.

    Parameters
    ----------
    corpus
        The text.
    tokenizer
        Of transformers; what it adds to a sequence (as BERT's do at both ends) counts among its T
        tokens.
    vocabulary
        Tokens that the model knows.
    positions
        The longest sequence that it takes; None where that is not known.
    sequences, tokens
        N and T.
    seed
        Of the places, not negative.

    Raises
    ------
    TextError
        If the text is too short, or the model cannot read what the tokenizer makes of it.
    """
    if positions is not None and tokens > positions:
        raise TextError(
            corpus.name,
            f"sequences of {tokens} tokens, where the model takes {positions} at the most",
            f"set tokens to {positions} or less",
        )
    if (special := tokenizer.num_special_tokens_to_add()) >= tokens:
        raise TextError(
            corpus.name,
            f"sequences of {tokens} tokens, of which the tokenizer adds {special} itself",
            "set tokens to more",
        )
    draws = np.random.default_rng(layer_seed(seed, "places", 0))
    ends = [len(corpus.text) * part // sequences for part in range(sequences + 1)]
    rows, places = [], []
    for part, (start, end) in enumerate(pairwise(ends)):
        starts = [it.end() for it in PLACE.finditer(corpus.text, start, end)]
        while starts:
            chosen = int(draws.integers(len(starts)))
            row = _row(tokenizer, corpus, starts[chosen], end, tokens)
            if len(row) == tokens:
                rows.append(row)
                places.append(starts[chosen])
                break
            starts = starts[:chosen]
        else:
            raise TextError(
                corpus.name,
                f"the text is too short: from no line or sentence on has part {part + 1} of "
                f"{sequences} {tokens} tokens",
                "set sequences or tokens to less, or give a longer text",
            )
    ids = torch.tensor(rows, dtype=torch.int64)
    if (largest := int(ids.max())) >= vocabulary:
        raise TextError(
            corpus.name,
            f"the tokenizer gives the id {largest}, and the model knows {vocabulary} tokens",
            "use the tokenizer that belongs to the model",
        )
    return Tokens(
        ids,
        tuple(places),
        corpus.digest,
        tokenizer_digest(tokenizer),
        hashlib.sha256(ids.numpy().astype("<i8").tobytes()).hexdigest(),
    )


def tokenizer_digest(tokenizer: Any) -> str:
    """SHA-256, in hex, of what a tokenizer is: all of its own file, or its vocabulary."""
    if hasattr(tokenizer, "backend_tokenizer"):
        content = tokenizer.backend_tokenizer.to_str()
    else:
        known = tokenizer.get_vocab(), tokenizer.special_tokens_map
        content = json.dumps(known, sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _row(tokenizer: Any, corpus: Corpus, start: int, end: int, tokens: int) -> list[int]:
    """The first tokens of a part of the text from a place on, special ones among them."""
    text = corpus.text
    size = CHARACTERS * tokens
    while True:
        # To the end of a line, so that what comes after changes no token of it.
        stop = min(end, _after_line(text, start + size))
        try:
            with panics_as_errors():
                row = tokenizer(text[start:stop], truncation=True, max_length=tokens)["input_ids"]
        except Exception as error:  # of many libraries, made from files that anybody wrote
            raise TextError(
                corpus.name,
                f"the tokenizer cannot read it from character {start} on: {error}",
                "use another text, or mend the tokenizer's files",
            ) from error
        if len(row) >= tokens or stop == end:
            return row
        size *= 2


def _after_line(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found
