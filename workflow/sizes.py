"""How large the weights of a model are, as far as that can be told without opening it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import demand_training
from content import files_read

SMALL = 32e6
"""Bytes. Of so small a model one job saves the starts of a dozen."""

BYTES = 4
"""Of a number, as weights are initialised and trained."""

WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
"""What config.json calls them, by architecture."""


def in_one_job(model: Mapping[str, Any]) -> bool:
    """Whether one job works on all stages of a model."""
    if model["id"] is not None:
        # Fetched before, where there is a network; the job may be where there is none.
        return False
    if model["one_job"] is not None:
        return bool(model["one_job"])
    size = weight_bytes(model)
    return size is not None and size < SMALL and model["layers_per_job"] is None


def weight_bytes(model: Mapping[str, Any]) -> float | None:
    """Bytes of the weights; None where only the hub or the file itself could tell."""
    match model:
        case {"source": "train", "train": training}:
            return BYTES * demand_training.parameters(training)
        case {"source": "init", "config": dict(config)}:
            return _of_architecture(config)
    files = [Path(path) for path in files_read(model)]
    return float(sum(path.stat().st_size for path in files)) if files else None


def _of_architecture(config: Mapping[str, Any]) -> float | None:
    width, depth = (
        next((config[key] for key in keys if isinstance(config.get(key), int)), None)
        for keys in (WIDTHS, DEPTHS)
    )
    if width is None or depth is None:
        return None
    vocabulary = config.get("vocab_size")
    tokens = vocabulary if isinstance(vocabulary, int) else 0
    return float(BYTES * (12 * depth * width**2 + tokens * width))
