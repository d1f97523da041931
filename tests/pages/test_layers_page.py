"""The page of all layers."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from headalgebra.pages.layers import COLUMNS, SHOWN, layer_explorer
from headalgebra.plots import FigureStyle

STYLE = FigureStyle(
    phase_colours={"I": "#dcedf8", "II": "#fbf0b4", "III": "#eebd9b"},
    model_palette="colorblind",
    map_colours="cividis",
    dpi=300,
    width_inches=7.0,
)
EMBEDDED_BYTES = 1_500_000
"""Above which a page stays blank inside a report."""


def layers_of(n_models: int, n_layers: int, name: str = "model-of-a-long-name") -> pd.DataFrame:
    generator = np.random.default_rng(0)
    rows = pd.DataFrame(
        [(f"{name}-{i:02d}", layer) for i in range(n_models) for layer in range(n_layers)],
        columns=["model", "layer"],
    )
    for column, _, _ in SHOWN:
        rows[column] = generator.lognormal(-5, 3, len(rows))
    return rows.assign(phase="II", route="sampled", basis_dim=16, note="not shown")


def test_a_page_of_four_thousand_layers_is_not_too_large_for_a_report() -> None:
    page = layer_explorer(layers_of(40, 100), STYLE, title="Many")
    assert len(page.encode()) < EMBEDDED_BYTES


def test_the_page_needs_no_other_file_and_is_the_same_each_time() -> None:
    layers = layers_of(2, 3)
    page = layer_explorer(layers, STYLE, title="Twice")
    assert not re.findall(r'(?:src|href)="https?:', page)
    assert page == layer_explorer(layers, STYLE, title="Twice")


def test_a_model_is_called_with_how_its_weights_are_stored() -> None:
    layers = layers_of(2, 3, name="model")
    stored = replace(STYLE, quantised={"model-01": "Q4_1"})
    page = layer_explorer(layers, stored, title="One of two")
    assert page.count("model-01 (Q4_1)") == page.count("model-01") > 3
    assert page.count("model-00") == page.count("model-01")


def test_missing_numbers_and_hostile_names_stay_data() -> None:
    layers = layers_of(2, 3, name='</script><script>alert("x")')
    layers.loc[0, "rho3"] = np.nan
    page = layer_explorer(layers, STYLE, title='A "title", </script> and all')
    # Nothing in the data ends the script that holds it.
    assert page.count("</script>") == layer_explorer(layers_of(1, 1), STYLE, title="").count(
        "</script>"
    )
    assert "NaN" not in page.split("vegaEmbed(")[-1]


@pytest.mark.parametrize("lost", COLUMNS)
def test_a_table_without_a_column_is_refused(lost: str) -> None:
    with pytest.raises(ValueError, match=lost):
        layer_explorer(layers_of(1, 2).drop(columns=lost), STYLE, title="None")


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        layer_explorer(layers_of(1, 2).head(0), STYLE, title="None")
