"""What the job that runs a model on a text asks a cluster for: memory, time, and a GPU or none."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demand import FLOPS_PER_SECOND, MEGABYTE, START_MB, START_MINUTES
from headalgebra.defaults import FLOAT64_UP_TO

VOCABULARY = 100_000
"""Tokens that a model is taken to know, before its configuration is read."""

PARAMETERS_A_LAYER = 12
"""Of a block over d²: four projections of attention, and a feed-forward part of width 4d."""

ESTIMATES = 12
"""Early exits for each number of terms: of every method, from states and from orders."""

PERMUTED_WAYS = 8
"""Kinds of permutations of axes."""

WINDOWS = 7
"""Places of a window that slides along the text, for a hundred tokens."""

GPU_FLOPS_PER_SECOND = 2e11
"""Of a GPU on many small applications; a fifth of what an H200 does with a model of 10⁹ numbers."""

ARNOLDI = 600
"""Applications of a block, and of its adjoint, behind the spectra of one block."""


def parameters(record: Mapping[str, Any]) -> int:
    """About how many numbers a model consists of, from the provenance of its weights."""
    d = int(record["d_model"])
    return PARAMETERS_A_LAYER * int(record["n_layers"]) * d**2 + VOCABULARY * d


def wants_gpu(provenance: str) -> bool:
    """Whether a model is too large for float64, and so for a processor.

    Raises
    ------
    FileNotFoundError
        Before its weights were read, which tells Snakemake to ask again later.
    """
    return parameters(_recorded(provenance)) > FLOAT64_UP_TO


def mem_mb(
    provenance: str, text: Mapping[str, Any], settings: Mapping[str, Any], threads: int, gpus: int
) -> int:
    """Megabytes: the model as it is filled, its states, orders and early exits."""
    record = _recorded(provenance)
    count, d = parameters(record), int(record["d_model"])
    itemsize = 8 if count <= FLOAT64_UP_TO else 4
    read = text["sequences"] * text["tokens"]
    at_once = min(text["sequences"], settings["pass_sequences"])
    patterns = at_once * int(record["n_heads"]) * text["tokens"] ** 2
    orders = (int(record["n_layers"]) + 1) * settings["order_sequences"] * text["tokens"] * d
    exits = 3 * max(settings["resummed_tokens"], 256) * VOCABULARY
    numbers = 2 * count + 6 * read * d + 4 * patterns + 2 * orders + exits
    return 100 * math.ceil((START_MB + itemsize * numbers / MEGABYTE) / 100)


def runtime(
    provenance: str, text: Mapping[str, Any], settings: Mapping[str, Any], threads: int, gpus: int
) -> int:
    """Minutes that the job asks for, in steps of 5."""
    rate = GPU_FLOPS_PER_SECOND if gpus else FLOPS_PER_SECOND * threads
    seconds = flops(_recorded(provenance), text, settings) / rate
    return 5 * math.ceil((START_MINUTES + seconds / 60) / 5)


def core_seconds(
    record: Mapping[str, Any], text: Mapping[str, Any], settings: Mapping[str, Any]
) -> float:
    """Seconds of one core."""
    return flops(record, text, settings) / FLOPS_PER_SECOND


def flops(record: Mapping[str, Any], text: Mapping[str, Any], settings: Mapping[str, Any]) -> float:
    """Of a few passes, the applications of the orders, and those behind the blocks."""
    layers, d, tokens = int(record["n_layers"]), int(record["d_model"]), text["tokens"]
    grades = min(settings["hopf_grades"], layers)
    applications = layers * (layers + 1) / 2 * settings["order_sequences"] * tokens
    applications += 1.5 * layers * grades**2 / 2 * settings["certified_sequences"] * tokens
    blocks = min(settings["block_layers"], layers)
    applications += 2 * ARNOLDI * blocks * settings["block_tokens"]
    exits = ESTIMATES * settings["resummed_terms"] * settings["resummed_tokens"]
    # Norms: two a block, and half of the blocks after each.
    ablated = min(layers, settings["ablated_layers"])
    applications += ablated * layers * settings["ablated_tokens"]
    read = 10 * text["sequences"] * tokens + settings["norm_tokens"]
    read += PERMUTED_WAYS * settings["axis_permutations"] * settings["permuted_tokens"]
    read += WINDOWS * settings["drift_sequences"] * tokens
    of_blocks = applications * 2.0 * PARAMETERS_A_LAYER * d**2
    return read * 2.0 * parameters(record) + of_blocks + exits * 2.0 * VOCABULARY * d


def _recorded(provenance: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(provenance).read_text(encoding="utf-8"))
    return found
