"""Figures of what the Dyson paper speaks of: tables in, `matplotlib.figure.Figure` out."""

from headalgebra.plots.dyson._pseudospectra import pseudospectra

__all__ = ["pseudospectra"]
