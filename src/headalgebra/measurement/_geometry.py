"""A row of the table `geometry`, and what takes part in the one pass over all blocks."""

import math
from collections.abc import Iterable
from typing import Protocol

from headalgebra.measurement._rows import Row
from headalgebra.states import FrozenBlock


class Part(Protocol):
    """Something that is measured of every block in one pass over all."""

    def add(self, block: FrozenBlock) -> None:
        """Measure the next block, whose inside was looked at."""

    def rows(self) -> Iterable[Row]:
        """What was found."""


def geometry_row(
    layer: int | None,
    quantity: str,
    value: float | None,
    *,
    norm: str | None = None,
    head: int | None = None,
    null: float | None = None,
    note: str = "",
    unless: str = "",
) -> Row:
    """A row; ``unless`` says why a value is no finite number, if it is none."""
    if value is not None and not math.isfinite(value):
        value, note = None, unless
    return {
        "layer": layer,
        "norm": norm,
        "head": head,
        "quantity": quantity,
        "value": value,
        "null": null,
        "note": note,
    }
