"""Figures of what the L∞ paper speaks of: tables in, `matplotlib.figure.Figure` out."""

from headalgebra.plots.linf._associator import associator_by_parameter
from headalgebra.plots.linf._chance import ratios_to_chance
from headalgebra.plots.linf._commutators import commutator_maps
from headalgebra.plots.linf._conditioning import conditioning_by_depth
from headalgebra.plots.linf._epsilon import epsilon_by_depth
from headalgebra.plots.linf._gpt2_medium import gpt2_medium_intervals
from headalgebra.plots.linf._jacobiator import jacobiator_by_precision
from headalgebra.plots.linf._nulls import beside_chance
from headalgebra.plots.linf._obstruction import obstruction_by_depth
from headalgebra.plots.linf._phase_counts import phase_counts
from headalgebra.plots.linf._phase_diagram import phase_diagram
from headalgebra.plots.linf._singular_values import singular_values
from headalgebra.plots.linf._size import epsilon_by_size
from headalgebra.plots.linf._tower import tower_by_depth
from headalgebra.plots.linf._training import epsilon_over_training

__all__ = [
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
]
