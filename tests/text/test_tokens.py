"""Sequences are of one length, apart from one another, and the tokenizer's own."""

import hashlib
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from headalgebra.text import Corpus, TextError, tokenise

TEXT = "".join(
    f"Line {n} has a sentence. It has another one, too! And why not?\n" for n in range(200)
)
CORPUS = Corpus("lines", TEXT, {})


def tokenizer(*, special: bool) -> Any:
    """A token for each character of the text; and two of its own if special."""
    vocabulary = {it: n for n, it in enumerate(["[CLS]", "[SEP]", "?", *sorted({*TEXT} - {"?"})])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    if special:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 0), ("[SEP]", 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made)


PLAIN, WRAPPED = tokenizer(special=False), tokenizer(special=True)
SIZE = len(PLAIN)


def characters(ids: torch.Tensor) -> str:
    known = {number: it for it, number in PLAIN.get_vocab().items()}
    return "".join(known[int(number)] for number in ids)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(8, 250), st.integers(0, 2**32), st.booleans())
def test_sequences_are_text_from_a_sentence_on(
    sequences: int, tokens: int, seed: int, special: bool
) -> None:
    """Exactly so many tokens each, special ones among them, and none overlaps another."""
    made = tokenise(
        CORPUS,
        WRAPPED if special else PLAIN,
        vocabulary=SIZE,
        sequences=sequences,
        tokens=tokens,
        seed=seed,
    )
    assert made.ids.shape == (sequences, tokens)
    assert made.ids.dtype == torch.int64
    inner = made.ids
    if special:
        assert (made.ids[:, 0] == 0).all()
        assert (made.ids[:, -1] == 1).all()
        inner = made.ids[:, 1:-1]
    for row, place in zip(inner, made.places, strict=True):
        assert characters(row) == TEXT[place : place + len(row)]
        assert place == 0 or TEXT[place - 1] == "\n" or TEXT[place - 2] in ".?!"
        assert not TEXT[place].isspace()
    assert all(one + inner.shape[1] <= other for one, other in pairwise(made.places))


def test_the_seed_alone_decides() -> None:
    asked: dict[str, Any] = {"vocabulary": SIZE, "sequences": 5, "tokens": 40}
    made = tokenise(CORPUS, PLAIN, **asked, seed=3)
    torch.manual_seed(1)
    assert torch.equal(tokenise(CORPUS, PLAIN, **asked, seed=3).ids, made.ids)
    assert tokenise(CORPUS, PLAIN, **asked, seed=4).places != made.places


def test_every_sentence_can_be_drawn() -> None:
    """Of the first part of the text, by some seed."""
    asked: dict[str, Any] = {"vocabulary": SIZE, "sequences": 100, "tokens": 8}
    drawn = {tokenise(CORPUS, PLAIN, **asked, seed=seed).places[0] for seed in range(60)}
    first = TEXT[: len(TEXT) // 100]
    assert drawn == {0, *(n + 2 for n in range(len(first) - 8) if first[n] in ".?!")}


def test_digests_say_what_was_read() -> None:
    asked: dict[str, Any] = {"vocabulary": SIZE, "sequences": 2, "tokens": 9}
    made = tokenise(CORPUS, PLAIN, **asked)
    assert made.text == hashlib.sha256(TEXT.encode()).hexdigest()
    ids = b"".join(int(number).to_bytes(8, "little") for number in made.ids.flatten())
    assert made.digest == hashlib.sha256(ids).hexdigest()
    wrapped = tokenise(CORPUS, WRAPPED, **asked)
    longer = tokenise(replace(CORPUS, text=TEXT + "More."), PLAIN, **asked)
    assert wrapped.tokenizer != made.tokenizer == longer.tokenizer
    assert longer.text != made.text == wrapped.text


def test_the_tokenizers_own_length_has_no_say() -> None:
    """Many files of tokenizers cut at 128 tokens."""
    cut = tokenizer(special=False)
    cut.backend_tokenizer.enable_truncation(8)
    asked: dict[str, Any] = {"vocabulary": SIZE, "sequences": 2, "tokens": 40}
    made = tokenise(CORPUS, cut, **asked)
    expected = tokenise(CORPUS, PLAIN, **asked)
    assert torch.equal(made.ids, expected.ids)
    assert made.tokenizer == expected.tokenizer


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokens": 7_000}, "the text is too short: from no line or sentence on has part 1 of 3"),
        ({"tokens": 129, "positions": 128}, "sequences of 129 tokens, where the model takes 128"),
        ({"tokens": 2}, "sequences of 2 tokens, of which the tokenizer adds 2 itself"),
        ({"vocabulary": 10}, "and the model knows 10 tokens"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"vocabulary": SIZE, "sequences": 3, "tokens": 128} | changed
    with pytest.raises(TextError, match=message) as refused:
        tokenise(CORPUS, WRAPPED, **asked)
    assert str(refused.value).startswith("lines: ")
    assert "\n" not in str(refused.value)


def test_a_text_of_just_enough_is_enough() -> None:
    corpus = Corpus("x", "a" * 30 + "\n", {})
    assert tokenise(corpus, PLAIN, vocabulary=SIZE, sequences=1, tokens=30).ids.shape == (1, 30)
    with pytest.raises(TextError, match="too short"):
        tokenise(corpus, PLAIN, vocabulary=SIZE, sequences=1, tokens=32)


def test_a_tokenizer_that_fails_on_the_text_is_refused() -> None:
    class Panics:
        def __getattr__(self, name: str) -> Any:
            return getattr(PLAIN, name)

        def __call__(self, *_: Any, **__: Any) -> Any:
            raise type("PanicException", (BaseException,), {})("no entry found for key")

    class Interrupted(Panics):
        def __call__(self, *_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(TextError, match=r"lines: the tokenizer cannot read it .*: no entry found"):
        tokenise(CORPUS, Panics(), vocabulary=SIZE, sequences=1, tokens=4)
    with pytest.raises(KeyboardInterrupt):
        tokenise(CORPUS, Interrupted(), vocabulary=SIZE, sequences=1, tokens=4)
