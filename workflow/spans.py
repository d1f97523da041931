"""Which layers one job works on: a whole model, or a span of layers of a large one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Span:
    """Layers of a model that one job of a stage works on."""

    model: str
    layers: tuple[int, ...] | None
    """Layer indices; None for every layer the weights hold."""


def spans_of(model: str, settings: Mapping[str, Any]) -> dict[str, Span]:
    """Spans of a model by the path they have below the models' folder.

    A model without ``layers_per_job`` is one span named like the model; a split one has a folder
    for every span, so that whole and split models never claim the same path.
    """
    per_job, layers = settings["layers_per_job"], settings["layers"]
    if per_job is None:
        return {model: Span(model, None)}
    parts = [tuple(layers[start : start + per_job]) for start in range(0, len(layers), per_job)]
    return {f"{model}/layers/{part[0]:03d}-{part[-1]:03d}": Span(model, part) for part in parts}
