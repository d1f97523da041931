"""The tables `head_normality` and `pseudospectra` of a layer: how far its heads are from normal."""

import math

from headalgebra.algebra.operators import HeadOperators
from headalgebra.measurement._rows import Row
from headalgebra.normality.compression import compress_heads
from headalgebra.normality.heads import head_quantities
from headalgebra.normality.pseudospectra import portrait


def measure_normality(layer: int, operators: HeadOperators) -> list[Row]:
    """Spectra, numerical radii and pseudospectral radii of the heads of a layer.

    Returns
    -------
    list
        Rows of :data:`headalgebra.columns.NORMALITY`, without those quantities that do not exist.
    """
    return [
        {"layer": layer, "operator": f"head {head}", "quantity": quantity, "value": value}
        for head, quantities in enumerate(head_quantities(operators))
        for quantity, value in quantities.items()
        if not math.isnan(value)
    ]


def draw_portrait(layer: int, head: int, henrici: float, operators: HeadOperators) -> list[Row]:
    """Pseudospectra of a head on a grid, in the columns of :data:`headalgebra.columns.PORTRAIT`."""
    drawn = portrait(compress_heads(operators)[head])
    return [{"layer": layer, "head": head, "henrici": henrici, **row} for row in drawn.rows()]
