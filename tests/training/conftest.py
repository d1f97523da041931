"""A corpus of a few sentences, of which a decoder can be trained in a second."""

from pathlib import Path

import numpy as np
import pytest

from headalgebra.text import Split, split_folder
from headalgebra.training import TrainingTokens, make_tokenizer, tokenise_split

WORDS = [f"{start}{end}" for start in ("al", "be", "cor", "du", "en") for end in ("ra", "mi", "s")]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files, in which some words follow others."""
    folder = tmp_path_factory.mktemp("corpus")
    draws = np.random.default_rng(0)
    for n in range(120):
        places = draws.integers(0, 3, 150).cumsum() % len(WORDS)
        words = [WORDS[place] + "." * int(place == 0) for place in places]
        (folder / f"{n}.txt").write_text(" ".join(words) + "\n")
    return folder


@pytest.fixture(scope="session")
def split(corpus: Path) -> Split:
    return split_folder(corpus)


@pytest.fixture(scope="session")
def tokens(split: Split) -> TrainingTokens:
    """80 sequences of 16 tokens, of 280."""
    made = make_tokenizer(split, vocabulary=280)
    return tokenise_split(split, made, train=80, validation=12, test=24, tokens=16)
