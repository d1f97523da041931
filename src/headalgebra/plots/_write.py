"""Figures to files, the same bytes every time."""

from os import PathLike

from matplotlib.figure import Figure

from headalgebra.plots._style import paper_style


def write_figure(
    figure: Figure, svg_path: str | PathLike[str], png_path: str | PathLike[str], dpi: int
) -> None:
    """Write a figure as SVG and PNG; the formats do not depend on the paths' endings.

    Equal figures give equal bytes: element ids come from a fixed salt, and neither a date nor a
    program's version is written. Text in the SVG is outlines, not characters: a browser without
    the font would replace it by one of other widths, and labels laid out here would collide.

    Parameters
    ----------
    figure
        One of this package's figures; its panels stay where this puts them.
    svg_path, png_path
        Where to; folders must exist.
    dpi
        Dots per inch of the PNG.
    """
    with paper_style():
        # Every drawing would move the panels a little further towards the solver's fixed point.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        figure.savefig(svg_path, format="svg", metadata={"Date": None, "Creator": "headalgebra"})
        figure.savefig(png_path, format="png", dpi=dpi, metadata={"Software": "headalgebra"})
