"""The page of all layers: the axis of the figure, and nothing beside the file."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from headalgebra.pages.axis import Scale
from headalgebra.pages.layers import COLUMNS, SHOWN, layers_page
from headalgebra.plots import FigureStyle
from headalgebra.plots._style import MARKERS
from headalgebra.plots.linf import epsilon_by_depth

STYLE = FigureStyle(
    phase_colours={"I": "#dcedf8", "II": "#fbf0b4", "III": "#eebd9b"},
    model_palette="colorblind",
    map_colours="cividis",
    dpi=300,
    width_inches=7.0,
)
EMBEDDED_BYTES = 1_500_000
"""Above which a page stays blank inside a report."""

NO_NULLS = pd.DataFrame(columns=["model", "layer", "quantity", "null", "mean"])
PHASES = {"weak_below": 0.1, "topological_above": 1.0}


def layers_of(n_models: int, n_layers: int, name: str = "model-of-a-long-name") -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(
        [(f"{name}-{i:02d}", layer) for i in range(n_models) for layer in range(n_layers)],
        columns=["model", "layer"],
    )
    for column, _, _ in SHOWN:
        rows[column] = generator.lognormal(-5, 3, len(rows))
    rows["epsilon_null"] = rows["epsilon"] * 1.1
    return rows.assign(phase="II", route="sampled", basis_dim=16, note="not shown")


def page_of(layers: pd.DataFrame, style: FigureStyle = STYLE, **other: Any) -> str:
    named: dict[str, Any] = {"title": "A study", "initialised": [], "nulls": NO_NULLS}
    named |= PHASES | other
    return layers_page(layers, named.pop("nulls"), style, **named)


def test_a_page_of_four_thousand_layers_is_not_too_large_for_a_report() -> None:
    assert len(page_of(layers_of(40, 100)).encode()) < EMBEDDED_BYTES


def test_the_page_needs_no_other_file_and_is_the_same_each_time() -> None:
    layers = layers_of(2, 3)
    page = page_of(layers)
    assert not re.findall(r'(?:src|href)="https?:', page)
    assert page == page_of(layers)


@pytest.mark.parametrize("epsilon", [[0.2, 0.3], [1e-5, 454.0], [3e-6, 2e-5], [0.05, 4e5]], ids=str)
def test_the_axis_is_that_of_the_figure(epsilon: list[float]) -> None:
    layers = layers_of(1, 2).assign(epsilon=epsilon, epsilon_null=np.nan)
    figure = epsilon_by_depth(layers, NO_NULLS, STYLE, initialised=[], **PHASES)
    scale = Scale.of(figure.axes[0])
    assert scale.limits == figure.axes[0].get_ylim()
    assert len(scale.ticks) > 1
    for place, label in scale.ticks.items():
        assert scale.limits[0] <= place <= scale.limits[1]
        assert "$" not in label and "{" not in label
        written = re.sub(r"^10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)$", r"1e\1", label)
        plain = written.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        assert float(plain) == pytest.approx(place)
    page = page_of(layers)
    for end in scale.limits:
        assert f"? {float(end)!r} : null" in page


def test_a_model_is_called_with_how_its_weights_are_stored() -> None:
    stored = replace(STYLE, quantised={"model-01": "Q4_1"})
    page = page_of(layers_of(2, 3, name="model"), stored)
    assert page.count("model-01 (Q4_1)") == page.count("model-01") > 3
    assert page.count("model-00") == page.count("model-01")


def test_missing_numbers_and_hostile_names_stay_data() -> None:
    layers = layers_of(2, 3, name='</script><script>alert("x")')
    layers.loc[0, "rho3"] = np.nan
    page = page_of(layers, title='A "title", </script> and all')
    # Nothing in the data ends the script that holds it.
    assert page.count("</script>") == page_of(layers_of(1, 1)).count("</script>")
    assert "NaN" not in page.split("vegaEmbed(")[-1]


@pytest.mark.parametrize("lost", [*COLUMNS, "epsilon_null"])
def test_a_table_without_a_column_is_refused(lost: str) -> None:
    with pytest.raises(ValueError, match=lost):
        page_of(layers_of(1, 2).drop(columns=lost))


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        page_of(layers_of(1, 2).head(0))


def test_a_study_of_layers_without_any_number_says_why_it_has_no_chart() -> None:
    page = page_of(layers_of(1, 2).assign(epsilon=np.nan, epsilon_null=np.nan))
    assert "Nothing is drawn: " in page
    assert "vega" not in page.partition("</style>")[2]


def test_every_marker_of_the_figures_has_a_shape_here() -> None:
    layers = layers_of(len(MARKERS), 1)
    page = page_of(layers)
    assert len(set(STYLE.model_markers(layers).values())) == len(MARKERS)
    (shown,) = set(re.findall(r'"range": ?\[("circle"[^]]*)\]', page))
    shapes = re.findall(r'"([^"]+)"', shown)
    assert len(set(shapes)) == len(MARKERS)
