"""Figures of a study: tables in, `matplotlib.figure.Figure` out, a package for each paper.

Nothing here touches pyplot or leaves a matplotlib setting changed.
"""

from headalgebra.plots._style import FigureStyle
from headalgebra.plots._write import write_figure

__all__ = ["FigureStyle", "write_figure"]
