"""The front door: a checkpoint, from whatever names it."""

import re
from os import PathLike
from pathlib import Path
from typing import Any

from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._config import CONFIG
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._folders import folder_files
from headalgebra.checkpoints._holdings import CONVERSION, PICKLED, find_holdings
from headalgebra.checkpoints._live import is_live_model, live_checkpoint
from headalgebra.checkpoints._lookup import weights_files
from headalgebra.checkpoints._sources import open_folder, open_hub
from headalgebra.checkpoints.convention import PAPER, Convention
from headalgebra.checkpoints.reading import AS_IT_IS, Reading

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?", re.ASCII)
WEIGHTS = (".safetensors", ".gguf", *PICKLED)
SOURCES = (
    "give a checkpoint's folder, the weights file in one, a GGUF file, a model of the hub as "
    "owner/name, or a transformers model"
)


def open_checkpoint(
    source: "str | PathLike[str] | Checkpoint | Any",
    *,
    revision: str = "main",
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Checkpoint:
    """Open a checkpoint wherever it is.

    Parameters
    ----------
    source
        A folder as written by `save_pretrained`; the weights file in one; a GGUF file; an id of the
        Hugging Face hub, where no such folder exists; a `PreTrainedModel`, whose own parameters are
        read; or an opened checkpoint, which is given back.
    revision
        Of a model of the hub: a branch, a tag or a commit.
    convention
        How operators are built from the weights.
    reading
        What is read of a checkpoint, and what is passed over.

    Raises
    ------
    CheckpointError
        If it is none of these, cannot be read, or the convention has no meaning for it; or if a
        revision or a convention is asked of a source that has another.
    """
    path = Path(source) if isinstance(source, str | PathLike) else None
    if path and isinstance(source, str) and _names_hub_model(source):
        return _open_hub(source, revision, convention, reading)
    name = str(path or type(source).__name__)
    if revision != "main":
        raise CheckpointError(
            name, f"revision {revision!r} is asked of what is no model of the hub", "leave it out"
        )
    if path and path.suffix == ".gguf" and path.is_file():
        return open_folder(path.parent, file=path.name, convention=convention, reading=reading)
    if path:
        return open_folder(_folder_of(path, reading), convention=convention, reading=reading)
    if isinstance(source, Checkpoint):
        if convention not in (PAPER, source.convention):
            raise CheckpointError(
                source.origin,
                f"it was opened under {source.convention}, not {convention}",
                "open its source under the one that is meant",
            )
        return source
    if is_live_model(source):
        return live_checkpoint(source, convention, reading)
    raise CheckpointError(name, "nothing that a checkpoint can be opened from", SOURCES)


def _names_hub_model(source: str) -> bool:
    """Whether this has the form of a hub id, and no file or folder here has that name."""
    path = Path(source)
    return not path.exists() and path.suffix not in WEIGHTS and bool(HUB_ID.fullmatch(source))


def _open_hub(model: str, revision: str, convention: Convention, reading: Reading) -> Checkpoint:
    """A model of the hub; what goes wrong may be that a folder was meant."""
    try:
        return open_hub(model, revision, convention=convention, reading=reading)
    except CheckpointError as error:
        where, problem, mend = error.args
        raise CheckpointError(
            where, f"no such folder, and as a model of the hub: {problem}", mend
        ) from error


def _folder_of(path: Path, reading: Reading) -> Path:
    """A checkpoint's folder, or that of the weights in a file."""
    if path.is_dir():
        return path
    if not path.exists():
        raise CheckpointError(str(path), "no such folder or file, nor an id of the hub", SOURCES)
    if path.suffix in PICKLED and not reading.allow_pickle:
        raise CheckpointError(
            str(path), "pickled weights, which can run code, are not read", CONVERSION
        )
    files = folder_files(path.parent, {})
    if CONFIG not in files.names:
        raise CheckpointError(
            str(path), f"there is no {CONFIG} beside it", f"put the model's {CONFIG} there"
        )
    weights = weights_files(files, find_holdings(files, reading))
    if path.name not in weights:
        raise CheckpointError(
            str(path),
            f"not the weights of its folder, which are {', '.join(sorted(weights))}",
            "open one of them, or the folder",
        )
    return path.parent
