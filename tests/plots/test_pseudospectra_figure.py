"""The figure of pseudospectra draws what its table says, each head in a panel of its own."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.contour import QuadContourSet
from matplotlib.patches import Circle

from headalgebra.normality.compression import Compression
from headalgebra.normality.pseudospectra import portrait
from headalgebra.plots import FigureStyle, NothingToShow, write_figure
from headalgebra.plots.dyson import pseudospectra

STYLE = FigureStyle(
    phase_colours={"I": "#dcedf8", "II": "#fbf0b4", "III": "#eebd9b"},
    model_palette="colorblind",
    map_colours="cividis",
    dpi=100,
    width_inches=7.0,
    quantised={"other": "Q4_1"},
)


def table(*heads):
    """Portraits of matrices, each a head of its own."""
    return pd.concat(
        pd.DataFrame(portrait(Compression.whole(A), points=81).rows()).assign(
            model=model, layer=layer, head=head, henrici=0.25
        )
        for (model, layer, head), A in heads
    )


@pytest.fixture(scope="module")
def drawn():
    symmetric = np.diag([1.0, -0.5, 0.25])
    shifted = np.array([[0.0, 1.0], [0.0, 0.0]])
    rows = table((("one", 3, 1), symmetric), (("other", 0, 2), shifted))
    return rows, pseudospectra(rows, STYLE)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title()]


def contour(axes, level):
    [found] = [one for one in axes.get_children() if isinstance(one, QuadContourSet)]
    return found.get_paths()[list(found.levels).index(level)].vertices


def test_a_panel_says_whose_head_it_is(drawn):
    titles = [axes.get_title() for axes in panels(drawn[1])]
    assert titles == [
        "one, layer 3, head 1\ndeparture from normality 0.25",
        "other (Q4_1), layer 0, head 2\ndeparture from normality 0.25",
    ]


def test_contours_lie_at_their_distance(drawn):
    """Around a normal head's eigenvalue at 1 a circle, around J_2's of radius (δ + δ²)^½."""
    normal, nilpotent = panels(drawn[1])
    for level in (-1.0, -0.5):
        z = contour(normal, level) @ (1, 1j)
        distances = abs(z[:, None] - np.array([1.0, -0.5, 0.25])).min(1)
        np.testing.assert_allclose(distances, 10**level, atol=0.03)
        radii = abs(contour(nilpotent, level) @ (1, 1j))
        np.testing.assert_allclose(radii, np.sqrt(10**level + 100**level), atol=0.03)
        # Both halves are drawn.
        assert contour(nilpotent, level)[:, 1].min() < -0.9 * radii.min()


def test_eigenvalues_field_and_norm_are_drawn(drawn):
    normal, nilpotent = panels(drawn[1])
    eigenvalues, field = normal.lines
    assert sorted(eigenvalues.get_xdata()) == [-0.5, 0.25, 1.0]
    # Of a symmetric head the field of values is the interval of its eigenvalues.
    assert (field.get_xdata().min(), field.get_xdata().max()) == pytest.approx((-0.5, 1))
    np.testing.assert_allclose(field.get_ydata(), 0, atol=1e-12)
    np.testing.assert_allclose(np.hypot(*nilpotent.lines[1].get_data()), 0.5)
    for axes in (normal, nilpotent):
        [circle] = [patch for patch in axes.patches if isinstance(patch, Circle)]
        assert circle.radius == 1
        assert axes.get_aspect() == 1


@pytest.mark.parametrize("width", [3.0, 7.0])
def test_titles_stand_apart(drawn, width, tmp_path):
    rows, _ = drawn
    figure = pseudospectra(rows, FigureStyle(**{**vars(STYLE), "width_inches": width}))
    write_figure(figure, tmp_path / "a.svg", tmp_path / "a.png", STYLE.dpi)
    boxes = [axes.title.get_window_extent() for axes in panels(figure)]
    assert not boxes[0].overlaps(boxes[1])
    inside = figure.bbox
    assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
    assert panels(figure)[0].get_window_extent().width > 1.2 * STYLE.dpi


def test_tables_that_cannot_be_drawn_are_refused(drawn):
    rows, _ = drawn
    with pytest.raises(ValueError, match="the table pseudospectra lacks henrici"):
        pseudospectra(rows.drop(columns="henrici"), STYLE)
    # A model whose heads are all zero has no portrait.
    with pytest.raises(NothingToShow, match=r"^no head to draw: all of them are zero$"):
        pseudospectra(rows.iloc[:0], STYLE)
