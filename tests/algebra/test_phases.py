"""Phases by depth: the thresholds belong to the middle, and the table keeps the study's order."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headalgebra import columns
from headalgebra.algebra.phases import PHASES, phase
from headalgebra.tables import phase_table

BANDS = {"weak_below": 0.1, "topological_above": 1.0}


@pytest.mark.parametrize(
    "epsilon, name",
    [
        (0.0, "I"),
        (math.nextafter(0.1, 0), "I"),
        (0.1, "II"),
        (0.5, "II"),
        (1.0, "II"),
        (math.nextafter(1.0, 2), "III"),
        (math.inf, "III"),
        (math.nan, ""),
    ],
)
def test_bands(epsilon, name):
    assert phase(epsilon, **BANDS) == name


@given(st.floats(0, 10), st.floats(0, 10))
def test_phases_rise_with_epsilon(one, other):
    low, high = sorted((one, other))
    assert PHASES.index(phase(low, **BANDS)) <= PHASES.index(phase(high, **BANDS))


def layer_table(rows):
    table = pd.DataFrame(rows, columns=["model", "layer", "epsilon", "jacobi_rms", "rho3"])
    table["phase"] = [phase(epsilon, **BANDS) for epsilon in table["epsilon"]]
    return table


def test_table():
    table = phase_table(
        layer_table(
            [
                ("zeta", 0, 2.0, 1e-17, 1.0),
                ("zeta", 1, 0.05, 2e-17, 0.5),
                ("zeta", 2, 0.02, 4e-17, math.nan),
                ("zeta", 3, math.nan, math.nan, math.nan),
                ("alpha", 0, 0.5, 1e-17, 1.5),
            ]
        )
    )
    assert list(table.columns) == list(columns.PHASES)
    assert table.to_numpy().tolist() == [
        ["zeta", "I", 2, 1, 2, 0.02, 0.05, 4e-17, 0.5],
        ["zeta", "III", 1, 0, 0, 2.0, 2.0, 1e-17, 1.0],
        ["alpha", "II", 1, 0, 0, 0.5, 0.5, 1e-17, 1.5],
    ]


def test_every_layer_with_a_phase_is_counted_once():
    rows = [("m", layer, 0.03 * 1.5**layer, 1e-17, 1.0) for layer in range(12)]
    layers = layer_table([*rows, ("n", 0, math.nan, math.nan, math.nan)])
    table = phase_table(layers)
    assert table["n_layers"].sum() == 12
    assert set(table["model"]) == {"m"}


def test_no_phase_no_row():
    table = phase_table(layer_table([("m", 0, math.nan, math.nan, math.nan)]))
    assert len(table) == 0
    assert list(table.columns) == list(columns.PHASES)
