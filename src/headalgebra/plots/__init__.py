"""Figures of a study: tables in, `matplotlib.figure.Figure` out, a package for each paper.

Nothing here touches pyplot or leaves a matplotlib setting changed. A figure that has nothing to
show is not drawn: its function raises `NothingToShow` with the reason.
"""

from headalgebra.plots._nothing import NothingToShow
from headalgebra.plots._style import FigureStyle
from headalgebra.plots._write import write_figure

__all__ = ["FigureStyle", "NothingToShow", "write_figure"]
