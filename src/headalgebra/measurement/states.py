"""The tables `runs`, `guards` and `states` of a model that has read a text."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from headalgebra import columns
from headalgebra.checkpoints import Checkpoint, load_model, load_tokenizer
from headalgebra.defaults import SEQUENCES, TOKENS
from headalgebra.measurement._rows import Row
from headalgebra.states import Guard, Recording, record
from headalgebra.states.kind import kind, norm_placement
from headalgebra.states.layers import layer_states
from headalgebra.text import docstrings, file, tokenise


def read_text(
    checkpoint: Checkpoint,
    text: str = "docstrings",
    *,
    sequences: int = SEQUENCES,
    tokens: int = TOKENS,
    seed: int = 0,
) -> pd.DataFrame:
    """Let a checkpoint's model read a text, and measure its states.

    Parameters
    ----------
    text
        A file in UTF-8, or ``"docstrings"``, English prose out of installed packages.
    sequences, tokens
        How many sequences it reads, and of how many tokens each.
    seed
        Of the places in the text.

    Returns
    -------
    DataFrame
        A row for each layer, in the columns of :data:`headalgebra.columns.STATES`.

    Raises
    ------
    CheckpointError
        If the model or its tokenizer cannot be loaded.
    TextError
        If the text cannot be read, or is too short.
    GuardError
        If the model fails a guard of :mod:`headalgebra.states.guards`.
    """
    running = load_model(checkpoint)
    read = tokenise(
        docstrings() if text == "docstrings" else file(text),
        load_tokenizer(checkpoint),
        vocabulary=running.vocabulary,
        positions=running.positions,
        sequences=sequences,
        tokens=tokens,
        seed=seed,
    )
    with TemporaryDirectory() as folder:
        recording = record(running.model, read.ids, Path(folder))
        table = pd.DataFrame(measure_states(recording, seed=seed), columns=list(columns.STATES))
    numbers = [name for name in columns.STATES if name not in ("layer", "note")]
    # What does not exist in any layer is a number that is missing, all the same.
    return table.astype(dict.fromkeys(numbers, "float64"))


def measure_states(recording: Recording, *, seed: int = 0) -> list[Row]:
    """What the states of each layer are like, and where its attention looks.

    Returns
    -------
    list
        A row of :data:`headalgebra.columns.STATES` for each layer.
    """
    return [
        {
            column: None if isinstance(value, float) and math.isnan(value) else value
            for column, value in asdict(layer).items()
        }
        for layer in layer_states(recording, seed=seed)
    ]


def guard_rows(guards: Iterable[Guard]) -> list[Row]:
    """A row of :data:`headalgebra.columns.GUARDS` for each guard, passed or not."""
    return [
        {
            "guard": found.guard,
            "value": found.value,
            "tolerance": found.tolerance,
            "passed": found.passed,
            "note": found.note,
        }
        for found in guards
    ]


def run_row(recording: Recording, *, text: str, text_sha256: str) -> Row:
    """The row of :data:`headalgebra.columns.RUNS` of a model that could be run.

    Parameters
    ----------
    text, text_sha256
        What it read: the name and the digest of the text.
    """
    sequences, tokens = recording.tokens.shape
    stack = recording.stack
    return {
        "kind": kind(recording),
        "norm_placement": norm_placement(recording),
        "text": text,
        "text_sha256": text_sha256,
        "sequences": sequences,
        "tokens": tokens,
        "parameters": stack.model.num_parameters(),
        "dtype": str(stack.dtype).removeprefix("torch."),
        "device": str(stack.device),
        "note": "",
    }


def refused_row(why: str) -> Row:
    """The row of :data:`headalgebra.columns.RUNS` of a model that could not be run, and why."""
    return {
        **dict.fromkeys(("kind", "norm_placement", "text", "text_sha256"), ""),
        **dict.fromkeys(("sequences", "tokens", "parameters")),
        **dict.fromkeys(("dtype", "device"), ""),
        "note": why,
    }
