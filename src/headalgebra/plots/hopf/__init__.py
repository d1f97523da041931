"""Figures of what the Hopf abstract speaks of: tables in, `matplotlib.figure.Figure` out."""

from headalgebra.plots.hopf._convolution import convolution_by_head
from headalgebra.plots.hopf._gradient import gradient_by_layer

__all__ = ["convolution_by_head", "gradient_by_layer"]
