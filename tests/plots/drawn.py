"""What a figure shows, read back from it: curves, zeros, and texts with their places."""

import itertools

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from headalgebra.plots import FigureStyle

STYLE = FigureStyle(
    phase_colours={"I": "#dcedf8", "II": "#fbf0b4", "III": "#eebd9b"},
    model_palette="colorblind",
    map_colours="cividis",
    dpi=100,
    width_inches=7.0,
)
OTHER_STYLE = FigureStyle(
    phase_colours={"I": "#ffffff", "II": "#dddddd", "III": "#bbbbbb"},
    model_palette="husl",
    map_colours="magma",
    dpi=100,
    width_inches=3.0,
)


def zeros_drawn(axes):
    """Horizontal places of the triangles on the lower edge."""
    lines = [line for line in axes.lines if line.get_marker() == "v"]
    assert all(line.get_transform() == axes.get_xaxis_transform() for line in lines)
    return sorted(x for line in lines for x in line.get_xdata())


def drawn_as(line: Line2D, x, y) -> bool:
    """Whether a line has exactly the positive points, and gaps for all others."""
    y = np.where(np.isfinite(y) & (np.asarray(y) > 0), y, np.nan)
    drawn = np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)
    return np.array_equal(drawn[0], x) and np.array_equal(drawn[1], y, equal_nan=True)


def lay_out(figure: Figure) -> None:
    """Put everything in its place; the layout, which takes longest, is made once for a figure."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def visible_texts(figure: Figure):
    """Every text that is drawn, with its box in pixels."""
    lay_out(figure)
    texts = [*figure.texts]
    legends = [*figure.legends]
    for axes in figure.axes:
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        legends += [axes.get_legend()] if axes.get_legend() else []
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            texts += [tick.label1 for tick in ticks if low <= tick.get_loc() <= high]
    texts += [text for legend in legends for text in (*legend.get_texts(), legend.get_title())]
    if figure.get_suptitle():
        texts.append(figure._suptitle)
    texts = list(dict.fromkeys(text for text in texts if text.get_visible() and text.get_text()))
    return [(text.get_text(), text.get_window_extent()) for text in texts]


def find_collisions(figure: Figure):
    """Pairs of texts that overlap, and texts that leave the canvas."""
    boxes = visible_texts(figure)
    width, height = figure.bbox.size
    outside = [
        text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > width or box.y1 > height
    ]
    overlapping = [
        (first, second)
        for (first, a), (second, b) in itertools.combinations(boxes, 2)
        # Half a pixel: boxes are rounded up to whole pixels.
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 0.5
    ]
    return outside + overlapping


def find_cut_off(figure: Figure):
    """What leaves the page, and points and bars that lie beyond the limits of their axes."""
    lay_out(figure)
    # A pixel: boxes are rounded up.
    page = figure.bbox.expanded(1 + 2 / figure.bbox.width, 1 + 2 / figure.bbox.height)
    drawn = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    found = []
    if not (page.x0 <= drawn.x0 and drawn.x1 <= page.x1 and page.y0 <= drawn.y0 <= drawn.y1):
        found.append(("beyond the page", drawn))
    if drawn.y1 > page.y1:
        found.append(("above the page", drawn))
    for axes in figure.axes:
        points = [
            line.get_xydata()
            for line in axes.lines
            if line.get_marker() not in ("None", "", None)
            and line.get_transform() == axes.transData
        ]
        for bars in axes.collections:
            if isinstance(bars, LineCollection) and bars.get_transform() == axes.transData:
                points += [segment for segment in bars.get_segments() if len(segment)]
        if not points:
            continue
        places = np.concatenate(points)
        places = places[np.isfinite(places).all(axis=1)]
        for ends, values in zip((axes.get_xlim(), axes.get_ylim()), places.T, strict=True):
            low, high = sorted(ends)
            slack = 1e-9 * max(abs(low), abs(high))
            found += [(axes.get_title(), v) for v in values if not low - slack <= v <= high + slack]
    return found


def find_empty_panels(figure: Figure):
    return [
        axes.get_title()
        for axes in figure.axes
        if not (axes.texts or axes.images or axes.collections or axes.lines)
    ]
