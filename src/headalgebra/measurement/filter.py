"""Rows of the table `geometry`: feed-forward parts as filters."""

import numpy as np

from headalgebra.geometry.filter import filter_quantities
from headalgebra.measurement._geometry import geometry_row
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed
from headalgebra.states import FrozenBlock


class Filters:
    """What activations turn off, and how complex what they leave is.

    Parameters
    ----------
    seed
        Of the nulls.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rows: list[Row] = []

    def add(self, block: FrozenBlock) -> None:
        """Measure the feed-forward part of the next block."""
        generator = np.random.default_rng(layer_seed(self._seed, "gaussian_units", block.layer))
        self._rows += [
            geometry_row(block.layer, found.quantity, found.value, null=found.null, note=found.note)
            for found in filter_quantities(block, generator)
        ]

    def rows(self) -> list[Row]:
        """A row for each quantity of every block."""
        return self._rows
