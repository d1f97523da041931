"""Layers as deformations, section 2, judged each way."""

import pytest

from claim_studies import (
    NAN,
    found,
    judged,
    of_model,
)
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
)


@pytest.mark.parametrize(
    ("epsilon", "relative", "verdict"),
    [
        (0.2, 0.1, TRUE_OF_ANYTHING),
        (0.0, 0.0, NOT_REPRODUCED),
        (1e-20, 1e-16, NOT_REPRODUCED),  # rounding
        (1e-20, 1e-3, TRUE_OF_ANYTHING),  # small weights
        (0.0, NAN, NOT_REPRODUCED),  # a zero head, and the others commute
        (0.2, NAN, NOT_MEASURED),
        (NAN, NAN, NOT_MEASURED),  # one head
    ],
)
def test_no_layer_is_classical(epsilon: float, relative: float, verdict: str) -> None:
    tables = of_model((epsilon,) * 3, epsilon_relative=relative)
    assert judged(tables)["never-classical"] == verdict


def test_a_single_classical_layer_is_enough() -> None:
    tables = of_model()
    tables["layers"].loc[3, ["epsilon", "epsilon_relative"]] = 0.0
    table = found(tables)
    assert table.loc["never-classical", "verdict"] == NOT_REPRODUCED
    row = table.loc["never-classical"]
    assert (row["value"], row["n"]) == (0, 6)
    assert "m: layers 3 are classical" in row["note"]


JACOBI = ["jacobi-range", "jacobi-phase"]


@pytest.mark.parametrize(
    ("residual", "verdict"), [(1e-16, CONTRADICTED), (1e-3, NOT_MEASURED), (NAN, NOT_MEASURED)]
)
def test_the_obstruction_is_a_coboundary_where_the_residual_shows_it(
    residual: float, verdict: str
) -> None:
    assert judged(of_model(hochschild_residual=residual))["obstruction-class"] == verdict


@pytest.mark.parametrize(
    ("epsilon", "rms", "verdict"),
    [
        (1.0, 0.05, REPRODUCED),
        (1.0, 0.5, NOT_REPRODUCED),
        (0.1, 0.05, NOT_MEASURED),  # ε is not of order one
        (1.0, NAN, NOT_MEASURED),
        (NAN, 0.05, NOT_MEASURED),
    ],
)
def test_the_obstruction_where_epsilon_is_of_order_one(
    epsilon: float, rms: float, verdict: str
) -> None:
    tables = of_model((epsilon,) * 5, obstruction_rms=rms)
    assert judged(tables)["obstruction-range"] == verdict


def test_a_share_of_obstructions_is_enough() -> None:
    tables = of_model((1.0,) * 5)
    tables["layers"].loc[0, "obstruction_rms"] = 0.5
    row = found(tables).loc["obstruction-range"]
    assert (row["verdict"], row["value"], row["n"]) == (REPRODUCED, 0.8, 5)
    tables["layers"].loc[1, "obstruction_rms"] = 0.5
    assert judged(tables)["obstruction-range"] == NOT_REPRODUCED
