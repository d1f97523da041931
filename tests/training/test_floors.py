"""N-gram floors are what counting by hand gives, and of probabilities."""

from collections import Counter, defaultdict
from fractions import Fraction
from math import exp, log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.training import ngram_floors

V = 5


def sequences(seed: int, n: int, length: int) -> Tensor:
    """Random tokens, some of them rare."""
    draws = np.random.default_rng(seed)
    return torch.from_numpy(draws.choice(V, (n, length), p=[0.6, 0.3, 0.06, 0.04, 0.0]))


def brute_force(train: Tensor, test: Tensor) -> list[float]:
    """The recursion as it is written, a token at a time, in exact numbers."""
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for row in train.tolist():
        for place, token in enumerate(row):
            for length in range(min(place, 2) + 1):
                counts[tuple(row[place - length : place])][token] += 1

    def probability(context: tuple[int, ...], token: int) -> Fraction:
        shorter = probability(context[1:], token) if context else Fraction(1, V)
        found = counts[context]
        if not found:
            return shorter
        return (found[token] + len(found) * shorter) / (sum(found.values()) + len(found))

    floors = []
    for longest in range(3):
        terms = [
            -log(probability(tuple(row[max(place - longest, 0) : place]), row[place]))
            for row in test.tolist()
            for place in range(1, len(row))
        ]
        floors.append(sum(terms) / len(terms))
    return floors


@given(st.integers(0, 999), st.integers(1, 6), st.integers(2, 9), st.integers(2, 9))
def test_floors_are_those_of_the_recursion(seed: int, n: int, length: int, tested: int) -> None:
    train, test = sequences(seed, n, length), sequences(seed + 1, 3, tested)
    found = ngram_floors(train, test, V)
    expected = brute_force(train, test)
    assert [found.unigram, found.bigram, found.trigram] == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 999), st.lists(st.integers(0, V - 1), min_size=2, max_size=2))
def test_probabilities_sum_to_one(seed: int, context: list[int]) -> None:
    """After a context of one or two tokens, seen or not."""
    train = sequences(seed, 3, 8)
    bigrams, trigrams = 0.0, 0.0
    after_one = ngram_floors(train, torch.tensor([context]), V)
    for token in range(V):
        bigrams += exp(-ngram_floors(train, torch.tensor([[context[1], token]]), V).bigram)
        # The mean of the second token's and the third's.
        both = ngram_floors(train, torch.tensor([[*context, token]]), V)
        trigrams += exp(after_one.bigram - 2 * both.trigram)
    assert bigrams == pytest.approx(1, rel=1e-12)
    assert trigrams == pytest.approx(1, rel=1e-12)


def test_what_the_text_is_made_by_is_found() -> None:
    """A chain of order k is foretold by k tokens, and no better by k + 1."""
    draws = np.random.default_rng(0)
    noise = draws.integers(0, 2, (3000, 20))
    chain = noise.cumsum(1) % V
    floors = ngram_floors(torch.from_numpy(chain[:2800]), torch.from_numpy(chain[2800:]), V)
    assert floors.unigram == pytest.approx(log(V), abs=0.01)
    assert floors.bigram == pytest.approx(log(2), abs=0.01)
    assert floors.trigram == pytest.approx(log(2), abs=0.01)
    chain[:, 2:] = 0
    for place in range(2, 20):
        chain[:, place] = (chain[:, place - 2] + noise[:, place]) % V
    floors = ngram_floors(torch.from_numpy(chain[:2800]), torch.from_numpy(chain[2800:]), V)
    assert floors.bigram > floors.trigram + 0.5
