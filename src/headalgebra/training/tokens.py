"""A tokenizer made of what is trained on, and the sequences of tokens that training reads."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from headalgebra.defaults import (
    TEST_SEQUENCES,
    TRAINING_TOKENS,
    TRAINING_VOCABULARY,
    VALIDATION_SEQUENCES,
)
from headalgebra.text import Split, TextError
from headalgebra.text.tokens import tokenizer_digest

END_OF_TEXT = "<|endoftext|>"
"""The token after each text, with the id 0."""


def make_tokenizer(
    split: Split, *, vocabulary: int = TRAINING_VOCABULARY
) -> PreTrainedTokenizerFast:
    """Byte-level byte-pair encoding, from the training part alone.

    Parameters
    ----------
    split
        The texts.
    vocabulary
        Tokens of it: the end of a text, the 256 bytes, and the most frequent pairs of others.

    Raises
    ------
    TextError
        If the training part has not so many pairs that occur twice.
    """
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        split.train.values(),
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            min_frequency=2,
            special_tokens=[END_OF_TEXT],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    if (found := made.get_vocab_size()) < vocabulary:
        raise TextError(
            split.name,
            f"the training part is too small: its pairs make {found} tokens of {vocabulary}",
            "give more text",
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT
    )


PARTS = ("train", "validation", "test")
"""Of the texts."""

SEQUENCES = "sequences.safetensors"
"""Name of the file of all parts."""


@dataclass(frozen=True)
class TrainingTokens:
    """What a decoder is trained on and judged by.

    Attributes
    ----------
    train, validation, test
        Sequences of T tokens, each sequence once.
    tokenizer
        That they are of.
    text
        SHA-256, in hex, of the texts.
    """

    train: Int64[Tensor, "n T"] = field(repr=False)
    validation: Int64[Tensor, "v T"] = field(repr=False)
    test: Int64[Tensor, "u T"] = field(repr=False)
    tokenizer: PreTrainedTokenizerFast = field(repr=False)
    text: str

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the tokenizer and of the ids as little-endian int64."""
        found = hashlib.sha256(tokenizer_digest(self.tokenizer).encode())
        for part in (self.train, self.validation, self.test):
            found.update(f" {len(part)} {part.shape[1]} ".encode())
            found.update(part.numpy().astype("<i8").tobytes())
        return found.hexdigest()


def save_tokens(tokens: TrainingTokens, folder: str | PathLike[str]) -> None:
    """Write the sequences as safetensors, the tokenizer beside them as transformers has it."""
    tokens.tokenizer.save_pretrained(str(folder))
    parts = {part: getattr(tokens, part).contiguous() for part in PARTS}
    save_file(parts, Path(folder) / SEQUENCES, {"text": tokens.text})


def load_tokens(folder: str | PathLike[str]) -> TrainingTokens:
    """What `save_tokens` wrote."""
    with safe_open(Path(folder) / SEQUENCES, "pt") as file:
        train, validation, test = (file.get_tensor(part) for part in PARTS)
        text = file.metadata()["text"]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder))
    return TrainingTokens(train, validation, test, tokenizer, text)


def tokenise_split(
    split: Split,
    tokenizer: PreTrainedTokenizerFast,
    *,
    train: int,
    validation: int = VALIDATION_SEQUENCES,
    test: int = TEST_SEQUENCES,
    tokens: int = TRAINING_TOKENS,
) -> TrainingTokens:
    """Cut each part into sequences of T tokens.

    The texts of a part are joined in its order, each followed by the token that ends a text, until
    there are enough tokens; a sequence begins where the one before ends.

    Parameters
    ----------
    split
        The texts.
    tokenizer
        As `make_tokenizer` gives it.
    train, validation, test
        How many sequences to take of each part.
    tokens
        T.

    Raises
    ------
    TextError
        If a part is too small.
    """
    parts = {
        "training": (split.train, train),
        "validation": (split.validation, validation),
        "test": (split.test, test),
    }
    rows = {
        part: _rows(split.name, part, texts.values(), tokenizer, wanted, tokens)
        for part, (texts, wanted) in parts.items()
    }
    return TrainingTokens(
        rows["training"], rows["validation"], rows["test"], tokenizer, split.digest
    )


def _rows(
    name: str,
    part: str,
    texts: Iterable[str],
    tokenizer: PreTrainedTokenizerFast,
    wanted: int,
    tokens: int,
) -> Int64[Tensor, "n T"]:
    # In code about language models stands the end of a text as well, and there it ends none.
    made = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    made.encode_special_tokens = True
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    ids = np.empty(wanted * tokens, dtype=np.int64)
    filled = 0
    for text in texts:
        if filled == len(ids):
            break
        new = np.array([*made.encode(text).ids, end])[: len(ids) - filled]
        ids[filled : filled + len(new)] = new
        filled += len(new)
    if filled < len(ids):
        raise TextError(
            name,
            f"the {part} part is too small: it has {filled // tokens} sequences of {tokens} tokens "
            f"where {wanted} are wanted",
            "give more text, or ask for fewer sequences",
        )
    return torch.from_numpy(ids).view(wanted, tokens)
