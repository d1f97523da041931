"""No layer is classical, the size of the obstruction, and that it is a coboundary."""

import pytest

from claim_studies import (
    NAN,
    claim,
    described,
    evidence_of,
    model_layers,
    of_model,
    study_tables,
    together,
)
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
)


@pytest.mark.parametrize(
    ("epsilon", "relative", "value", "verdict"),
    [
        (0.2, 0.1, 0.1, TRUE_OF_ANYTHING),
        (0.0, 0.0, 0.0, NOT_REPRODUCED),
        (1e-20, 1e-16, 1e-16, NOT_REPRODUCED),  # rounding
        (1e-20, 1e-3, 1e-3, TRUE_OF_ANYTHING),  # small weights
        (0.0, NAN, 0.0, NOT_REPRODUCED),  # a zero head, and the others commute
        (0.2, NAN, NAN, NOT_MEASURED),
        (NAN, NAN, NAN, NOT_MEASURED),  # one head
    ],
)
def test_no_layer_is_classical(epsilon: float, relative: float, value: float, verdict: str) -> None:
    row = claim("never-classical", of_model((epsilon,) * 3, epsilon_relative=relative))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, abs=0, nan_ok=True)


def test_a_single_classical_layer_is_enough() -> None:
    tables = of_model()
    tables["layers"].loc[3, ["epsilon", "epsilon_relative"]] = 0.0
    row = claim("never-classical", tables)
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, 0.0, 6)
    assert "m: layers 3 are classical" in row["note"]


def test_layers_that_cannot_be_judged_are_counted_out() -> None:
    tables = of_model()
    tables["layers"].loc[3, "epsilon_relative"] = NAN
    row = claim("never-classical", tables)
    assert (row["verdict"], row["value"], row["n"]) == (TRUE_OF_ANYTHING, 0.1, 5)
    assert "m: 1 layers without ε̂" in row["note"]


@pytest.mark.parametrize(
    ("epsilon", "rms", "value", "verdict"),
    [
        (1.0, 0.05, 1.0, REPRODUCED),
        (1.0, 0.5, 0.0, NOT_REPRODUCED),
        (0.1, 0.05, NAN, NOT_MEASURED),  # ε is not of order one
        (1.0, NAN, NAN, NOT_MEASURED),
        (NAN, 0.05, NAN, NOT_MEASURED),
    ],
)
def test_the_obstruction_where_epsilon_is_of_order_one(
    epsilon: float, rms: float, value: float, verdict: str
) -> None:
    row = claim("obstruction-range", of_model((epsilon,) * 5, obstruction_rms=rms))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, abs=0, nan_ok=True)


def test_a_share_of_obstructions_is_enough() -> None:
    tables = of_model((1.0,) * 5)
    for layer, value, verdict in ((0, 0.8, REPRODUCED), (1, 0.6, NOT_REPRODUCED)):
        tables["layers"].loc[layer, "obstruction_rms"] = 0.5
        row = claim("obstruction-range", tables)
        assert (row["verdict"], row["value"], row["n"]) == (verdict, value, 5)
    numbers = evidence_of("obstruction-range", tables)
    assert numbers.loc[("m", "largest obstruction"), "value"] == 0.5


def test_the_share_is_of_the_layers_of_all_models() -> None:
    models = together(described("a"), described("b"))
    tables = study_tables(
        model_layers("a", (1.0,) * 9), model_layers("b", (1.0, 0.1), obstruction_rms=0.5)
    )
    row = claim("obstruction-range", tables, models)
    assert (row["verdict"], row["value"], row["n"]) == (REPRODUCED, 0.9, 10)
    assert row["models"] == "a, b"


@pytest.mark.parametrize(
    ("residual", "verdict"), [(1e-16, CONTRADICTED), (1e-3, NOT_MEASURED), (NAN, NOT_MEASURED)]
)
def test_the_obstruction_is_a_coboundary_where_the_residual_shows_it(
    residual: float, verdict: str
) -> None:
    row = claim("obstruction-class", of_model(hochschild_residual=residual))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(residual, abs=0, nan_ok=True)
    assert ("failed its own check" in row["note"]) == (residual == 1e-3)
