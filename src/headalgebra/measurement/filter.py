"""Rows of the table `geometry` of a model: its feed-forward parts as filters."""

import numpy as np

from headalgebra.geometry.filter import filter_quantities
from headalgebra.measurement._rows import Row
from headalgebra.states import FrozenBlock


def measure_filter(block: FrozenBlock, generator: np.random.Generator) -> list[Row]:
    """What the activation of a block turns off, and how complex what it leaves is.

    Parameters
    ----------
    block
        One whose inside was looked at.
    generator
        Of the null's draws.

    Returns
    -------
    list
        A row for each quantity, with the columns layer, norm, head, quantity, value, null and note;
        norm is empty and head None.
    """
    return [
        {
            "layer": block.layer,
            "norm": "",
            "head": None,
            "quantity": found.quantity,
            "value": found.value,
            "null": found.null,
            "note": found.note,
        }
        for found in filter_quantities(block, generator)
    ]
