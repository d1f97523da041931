"""Figures of a study: tables in, `matplotlib.figure.Figure` out.

Nothing here touches pyplot or leaves a matplotlib setting changed.
"""

from headalgebra.plots._associator import associator_by_parameter
from headalgebra.plots._chance import ratios_to_chance
from headalgebra.plots._commutators import commutator_maps
from headalgebra.plots._conditioning import conditioning_by_depth
from headalgebra.plots._epsilon import epsilon_by_depth
from headalgebra.plots._gpt2_medium import gpt2_medium_intervals
from headalgebra.plots._jacobiator import jacobiator_by_precision
from headalgebra.plots._nulls import beside_chance
from headalgebra.plots._obstruction import obstruction_by_depth
from headalgebra.plots._phase_counts import phase_counts
from headalgebra.plots._phase_diagram import phase_diagram
from headalgebra.plots._singular_values import singular_values
from headalgebra.plots._size import epsilon_by_size
from headalgebra.plots._style import FigureStyle
from headalgebra.plots._tower import tower_by_depth
from headalgebra.plots._training import epsilon_over_training
from headalgebra.plots._write import write_figure

__all__ = [
    "FigureStyle",
    "associator_by_parameter",
    "beside_chance",
    "commutator_maps",
    "conditioning_by_depth",
    "epsilon_by_depth",
    "epsilon_by_size",
    "epsilon_over_training",
    "gpt2_medium_intervals",
    "jacobiator_by_precision",
    "obstruction_by_depth",
    "phase_counts",
    "phase_diagram",
    "ratios_to_chance",
    "singular_values",
    "tower_by_depth",
    "write_figure",
]
