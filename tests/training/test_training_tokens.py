"""A tokenizer is of the training part, and sequences are the texts, each token once."""

from dataclasses import replace

import pytest
import torch

from headalgebra.text import Split, TextError
from headalgebra.text.tokens import tokenizer_digest
from headalgebra.training import TrainingTokens, make_tokenizer, tokenise_split


def test_a_tokenizer_is_the_same_every_time_and_of_the_training_part(split: Split) -> None:
    one = tokenizer_digest(make_tokenizer(split, vocabulary=280))
    assert tokenizer_digest(make_tokenizer(split, vocabulary=280)) == one
    tested = replace(split, test={path: "zyx zyx zyx " * 9 for path in split.test})
    assert tokenizer_digest(make_tokenizer(tested, vocabulary=280)) == one
    trained = replace(split, train={**split.train, "more": "zyx zyx zyx " * 999})
    assert tokenizer_digest(make_tokenizer(trained, vocabulary=280)) != one


def test_any_text_can_be_told_from_its_tokens(split: Split) -> None:
    """Of bytes, the first id being the end of a text."""
    tokenizer = make_tokenizer(split, vocabulary=280)
    assert len(tokenizer) == 280
    for text in ("Grüße, 世界\n\t  x", " two  spaces ", "alra bemi"):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("alra bemi")["input_ids"]) < len("alra bemi")
    assert (tokenizer.eos_token_id, tokenizer.bos_token_id) == (0, 0)


def test_sequences_are_the_texts_one_after_the_other(split: Split, tokens: TrainingTokens) -> None:
    for part, ids, length in (
        (split.train, tokens.train, 80),
        (split.validation, tokens.validation, 12),
        (split.test, tokens.test, 24),
    ):
        assert ids.shape == (length, 16)
        read = tokens.tokenizer.decode(ids.flatten())
        joined = "<|endoftext|>".join([*part.values(), ""])
        assert joined.startswith(read)
    assert tokens.text == split.digest


def test_the_end_of_a_text_in_a_text_is_text(split: Split) -> None:
    marked = {"x": "<|endoftext|> alra " * 50}
    tokenizer = make_tokenizer(split, vocabulary=280)
    made = tokenise_split(
        replace(split, train=marked), tokenizer, train=4, validation=1, test=1, tokens=16
    )
    assert not (made.train == 0).any()


def test_the_digest_is_of_all_ids_and_of_the_tokenizer(
    split: Split, tokens: TrainingTokens
) -> None:
    cut = replace(tokens, test=tokens.test[:-1])
    moved = replace(tokens, train=torch.cat([tokens.train, tokens.validation[:1]]))
    moved = replace(moved, validation=tokens.validation[1:])
    other = replace(tokens, tokenizer=make_tokenizer(split, vocabulary=279))
    assert len({it.digest for it in (tokens, cut, moved, other)}) == 4
    assert replace(tokens).digest == tokens.digest


def test_too_little_text_is_said_in_a_line(split: Split, tokens: TrainingTokens) -> None:
    small = replace(split, train={"x": "abc"})
    with pytest.raises(TextError, match="too small: its pairs make 257 tokens of 280") as refused:
        make_tokenizer(small, vocabulary=280)
    assert "\n" not in str(refused.value)
    for part, given in (
        ("training", {"train": 10**5}),
        ("validation", {"train": 1, "validation": 10**4}),
        ("test", {"train": 1, "validation": 1, "test": 10**4}),
    ):
        with pytest.raises(TextError, match=f"the {part} part is too small: it has") as refused:
            tokenise_split(split, tokens.tokenizer, **given)
        assert "\n" not in str(refused.value)
