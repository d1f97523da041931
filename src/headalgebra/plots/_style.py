"""How figures look: what the caller chooses, and what is the same in all of them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import ListedColormap

from headalgebra.algebra.phases import PHASES

INK = "0.15"
"""Grey of everything that stands for no model: null curves, legends, outlines."""

NARROWEST = 3.0
"""Inches below which one panel, its tick labels and the legend no longer fit side by side."""

READABLE_SHARE = 0.85
"""Share of a sequential colour map, from its dark end, that shows as a line on white paper."""

LIGHTEST_LINE = 0.37
"""Relative luminance of a line whose contrast with white paper is 2.5 to 1."""

MARKERS = "osD^XPp*<"
"""Of models, one after another; ▽ is not among them, for it stands for zeros."""

SIDE_BY_SIDE_FROM = 5.0
"""Inches from which two panels with axes of their own fit beside one another."""

TRAINED_LINE, INITIAL_LINE = "-", (0, (3.5, 1.5))
"""Lines of trained and of initialised models, where they share a panel."""

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class FigureStyle:
    """What a reader of the figures may choose.

    Attributes
    ----------
    phase_colours
        A colour such as ``#dcedf8`` for each of the phases I, II and III, light enough for
        curves to be read on it.
    model_palette
        A seaborn palette; the models take its colours in the order of the table, darkened where
        they are too light for lines.
    map_colours
        A sequential matplotlib colour map whose dark end comes first.
    dpi
        Dots per inch of bitmaps.
    width_inches
        Width of a figure, at least 3; heights follow from the number of panels.
    quantised
        How the weights of a model are stored, such as ``Q4_1``, if that rounds them.

    Raises
    ------
    ValueError
        When a phase has no colour or the width is under 3 inches.
    """

    phase_colours: Mapping[str, str]
    model_palette: str
    map_colours: str
    dpi: int
    width_inches: float
    quantised: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what would fail in the middle of a figure."""
        if set(self.phase_colours) != set(PHASES):
            raise ValueError(
                f"phase_colours has the keys {sorted(self.phase_colours)}; "
                f"give a colour to each of {', '.join(PHASES)}"
            )
        if not self.width_inches >= NARROWEST:
            raise ValueError(
                f"width_inches is {self.width_inches}; give at least {NARROWEST:g}, "
                "narrower panels have no room for their labels"
            )

    def called(self, model: str) -> str:
        """What a model goes by in a figure, with how its weights are stored."""
        return f"{model} ({self.quantised[model]})" if model in self.quantised else model

    def model_colours(self, table: pd.DataFrame) -> dict[str, Colour]:
        """A colour for each value of the table's ``model`` column, in the order of its rows."""
        models = [str(model) for model in table["model"].unique()]
        palette = sns.color_palette(self.model_palette, len(models))
        return {model: darkened(colour) for model, colour in zip(models, palette, strict=True)}

    def model_markers(self, table: pd.DataFrame) -> dict[str, str]:
        """A marker for each model: another than the one before, and than those of its colour."""
        seen: dict[Colour, set[str]] = {}
        markers: dict[str, str] = {}
        for index, (model, colour) in enumerate(self.model_colours(table).items()):
            taken = seen.setdefault(colour, set())
            turn = [MARKERS[(index + step) % len(MARKERS)] for step in range(len(MARKERS))]
            markers[model] = next((mark for mark in turn if mark not in taken), turn[0])
            taken.add(markers[model])
        return markers

    def depth_colours(self) -> ListedColormap:
        """The sequential map without the end that is too light for lines."""
        shades = mpl.colormaps[self.map_colours](np.linspace(0, READABLE_SHARE, 256))
        return ListedColormap(shades, name=f"{self.map_colours}_lines")


def darkened(colour: Colour) -> Colour:
    """The same hue, no lighter than a line on paper may be (luminance as sRGB defines it)."""
    encoded = np.array(colour)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    linear *= LIGHTEST_LINE / max(luminance, LIGHTEST_LINE)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = encoded.tolist()
    return red, green, blue


@contextmanager
def paper_style() -> Iterator[None]:
    """Matplotlib's settings for print, whatever the user's own are, and these back afterwards.

    The font is the one matplotlib carries, so that a figure does not depend on the machine.
    """
    settings = {
        "font.family": "DejaVu Sans",
        "mathtext.fontset": "dejavusans",
        "font.size": 7,
        "axes.titlesize": 7,
        "axes.labelsize": 7,
        "figure.titlesize": 8,
        "figure.labelsize": 7,
        "xtick.labelsize": 6,
        "ytick.labelsize": 6,
        "legend.fontsize": 6.5,
        "legend.title_fontsize": 6.5,
        "legend.frameon": False,
        "legend.handlelength": 2.4,
        "axes.linewidth": 0.6,
        "axes.edgecolor": INK,
        "axes.titlepad": 3,
        "axes.labelpad": 2,
        "lines.linewidth": 1.0,
        "lines.markersize": 3.2,
        "lines.markeredgewidth": 0.6,
        "patch.linewidth": 0.5,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "ytick.minor.width": 0.4,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "ytick.minor.size": 1.5,
        "xtick.major.pad": 2,
        "ytick.major.pad": 2,
        "svg.fonttype": "path",
        "svg.hashsalt": "headalgebra",
    }
    with matplotlib.style.context([sns.axes_style("ticks"), settings], after_reset=True):
        yield
