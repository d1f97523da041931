"""Operator algebra of attention heads: what a trained layer's commutators do and do not carry.

    import headalgebra as ha
    layers = ha.measure("path/to/checkpoint")

Importing this takes no time: torch and transformers are imported when a measurement is asked for.
"""

from collections.abc import Sequence
from importlib.metadata import version
from os import PathLike
from typing import TYPE_CHECKING, Any

from headalgebra.defaults import NULL_DRAWS, PROBES, SEQUENCES, TOKENS

if TYPE_CHECKING:
    import pandas as pd

    from headalgebra.checkpoints import Checkpoint
    from headalgebra.checkpoints.convention import Convention
    from headalgebra.checkpoints.reading import Reading

__version__ = version("headalgebra")

__all__ = ["__version__", "measure", "open", "read"]


def open(
    source: "str | PathLike[str] | Checkpoint | Any",
    *,
    revision: str = "main",
    convention: "Convention | None" = None,
    reading: "Reading | None" = None,
) -> "Checkpoint":
    """Open a checkpoint wherever it is.

    Parameters
    ----------
    source
        A checkpoint's folder, the safetensors file in one, a GGUF file, a model of the Hugging Face
        hub such as ``"openai-community/gpt2"``, or a live `transformers` model, whose own
        parameters are read. An opened checkpoint is given back.
    revision
        Of a model of the hub: a branch, a tag or a commit.
    convention
        How operators are built from the weights; by default as the paper's Definition 1.1 has it.
    reading
        Which layers are read, and what is let pass by consent; by default all, and nothing.

    Raises
    ------
    CheckpointError
        In one line: what is wrong with the source, and the mend.
    """
    from headalgebra.checkpoints import open_checkpoint
    from headalgebra.checkpoints.convention import PAPER
    from headalgebra.checkpoints.reading import AS_IT_IS

    return open_checkpoint(
        source,
        revision=revision,
        convention=convention or PAPER,
        reading=reading or AS_IT_IS,
    )


def measure(
    source: "str | PathLike[str] | Checkpoint | Any",
    *,
    layers: Sequence[int] | None = None,
    nulls: int = NULL_DRAWS,
    probes: int = PROBES,
    seed: int = 0,
) -> "pd.DataFrame":
    """Measure every layer of a checkpoint, with a progress bar.

    Parameters
    ----------
    source
        As in `open`.
    layers
        Numbers of the layers wanted, from 0; all of them by default. Files without them are not
        opened.
    nulls
        Random layers of each kind that every layer is held against; 0 leaves the columns of chance
        empty.
    probes
        Random directions of sampled extraction, which layers of a large basis take.
    seed
        The root of every random draw.

    Returns
    -------
    DataFrame
        A row for each layer, in the columns of :data:`headalgebra.columns.LAYERS`, which
        ``results/README.md`` explains.

    Raises
    ------
    CheckpointError
        As in `open`, or when weights cannot be read.
    ValueError
        When a layer is wanted that is not there, or `nulls` or `probes` is too small.
    """
    from headalgebra.checkpoints.reading import Reading
    from headalgebra.measurement.layers import measure_layers

    opened = open(source, reading=Reading(layers=None if layers is None else (*layers,)))
    return measure_layers(opened, layers=layers, nulls=nulls, probes=probes, seed=seed)


def read(
    source: "str | PathLike[str] | Checkpoint",
    text: str = "docstrings",
    *,
    sequences: int = SEQUENCES,
    tokens: int = TOKENS,
    seed: int = 0,
) -> "pd.DataFrame":
    """Let a model read a text, and measure what its states do, layer by layer.

    Parameters
    ----------
    source
        As in `open`, but no live model; its tokenizer lies with its weights.
    text
        A file in UTF-8, or ``"docstrings"``, English prose out of installed packages.
    sequences, tokens
        How many sequences it reads, and of how many tokens each.
    seed
        Of the places in the text.

    Returns
    -------
    DataFrame
        A row for each layer, in the columns of :data:`headalgebra.columns.STATES`, which
        ``results/README.md`` explains.

    Raises
    ------
    CheckpointError
        As in `open`, or when the model or its tokenizer cannot be loaded.
    ValueError
        When the text cannot be read or is too short, or the model fails one of the checks without
        which its blocks cannot be believed.
    """
    from headalgebra.measurement.states import read_text

    return read_text(open(source), text, sequences=sequences, tokens=tokens, seed=seed)
