"""Figures of what the geometry paper speaks of: tables in, `matplotlib.figure.Figure` out."""

from headalgebra.plots.geometry._ablation import ablation_by_layer
from headalgebra.plots.geometry._drift import drift_by_offset
from headalgebra.plots.geometry._filter import filter_by_layer
from headalgebra.plots.geometry._heads import head_axes_by_layer
from headalgebra.plots.geometry._norms import norms_by_layer
from headalgebra.plots.geometry._permuted import permuted_axes
from headalgebra.plots.geometry._scores import scores_by_layer

__all__ = [
    "ablation_by_layer",
    "drift_by_offset",
    "filter_by_layer",
    "head_axes_by_layer",
    "norms_by_layer",
    "permuted_axes",
    "scores_by_layer",
]
