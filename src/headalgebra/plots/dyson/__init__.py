"""Figures of what the Dyson paper speaks of: tables in, `matplotlib.figure.Figure` out."""

from headalgebra.plots.dyson._growth import growth_by_depth
from headalgebra.plots.dyson._orders import orders_by_depth
from headalgebra.plots.dyson._pseudospectra import pseudospectra
from headalgebra.plots.dyson._resummation import resummation_by_terms
from headalgebra.plots.dyson._saturation import saturation_by_depth
from headalgebra.plots.dyson._symmetric_share import symmetric_share_by_depth

__all__ = [
    "growth_by_depth",
    "orders_by_depth",
    "pseudospectra",
    "resummation_by_terms",
    "saturation_by_depth",
    "symmetric_share_by_depth",
]
