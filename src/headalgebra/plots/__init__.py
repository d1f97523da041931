"""Figures of a study: tables in, `matplotlib.figure.Figure` out.

Nothing here touches pyplot or leaves a matplotlib setting changed.
"""

from headalgebra.plots._associator import associator_by_parameter
from headalgebra.plots._commutators import commutator_maps
from headalgebra.plots._epsilon import epsilon_by_depth
from headalgebra.plots._jacobiator import jacobiator_by_precision
from headalgebra.plots._nulls import beside_chance
from headalgebra.plots._obstruction import obstruction_by_depth
from headalgebra.plots._singular_values import singular_values
from headalgebra.plots._style import FigureStyle
from headalgebra.plots._tower import tower_by_depth
from headalgebra.plots._training import epsilon_over_training
from headalgebra.plots._write import write_figure

__all__ = [
    "FigureStyle",
    "associator_by_parameter",
    "beside_chance",
    "commutator_maps",
    "epsilon_by_depth",
    "epsilon_over_training",
    "jacobiator_by_precision",
    "obstruction_by_depth",
    "singular_values",
    "tower_by_depth",
    "write_figure",
]
