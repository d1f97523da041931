"""All tensors of a checkpoint in safetensors or pickled files, as transformers takes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headalgebra.checkpoints._config import CONFIG, read_json
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._holdings import find_holdings
from headalgebra.checkpoints._lookup import weights_files
from headalgebra.checkpoints._pickled import PickledFile
from headalgebra.checkpoints._reads import FETCH_AGAIN
from headalgebra.checkpoints._stored import StoredCheckpoint


def stored_configuration(checkpoint: StoredCheckpoint) -> dict[str, Any]:
    """Its config.json, without the keys that were to be passed over."""
    files = checkpoint.held
    content = read_json(files.path(CONFIG), files.where(CONFIG))
    return {key: it for key, it in content.items() if key not in checkpoint.reading.ignore_config}


def stored_state(checkpoint: StoredCheckpoint) -> Mapping[str, Any]:
    """Its tensors by name, of which those in safetensors files are read when they are used.

    Raises
    ------
    CheckpointError
        If a file is missing or cannot be read.
    """
    files = checkpoint.held
    state: dict[str, Any] = {}
    holdings = find_holdings(files, checkpoint.reading)
    if holdings.absent:
        raise CheckpointError(
            files.origin, f"{holdings.absent[0]} is missing", "fetch the whole checkpoint"
        )
    for name in sorted(weights_files(files, holdings)):
        if name.endswith(".bin"):
            PickledFile(files.path(name), files.where(name))  # refuses what would run code
            state |= torch.load(files.path(name), map_location="cpu", weights_only=True)
        elif not name.endswith(".json"):
            state |= _slices(files.path(name), files.where(name))
    return state


def _slices(path: Path, where: str) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
        return {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(where, f"not read: {error}", FETCH_AGAIN) from error
