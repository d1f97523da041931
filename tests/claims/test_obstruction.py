"""No layer is classical, the size of the obstruction, and that it is a coboundary."""

import math

import pytest

from claim_studies import (
    NAN,
    N,
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
        (math.inf, 0.1, NAN, NOT_MEASURED),
        (0.2, math.inf, NAN, NOT_MEASURED),
    ],
)
def test_no_layer_is_classical(epsilon: float, relative: float, value: float, verdict: str) -> None:
    heads = 1 if math.isnan(epsilon) else 12
    rank = heads - math.isnan(relative)
    row = claim(
        "never-classical",
        of_model((epsilon,) * 3, epsilon_relative=relative, n_heads=heads, rank=rank),
    )
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, abs=0, nan_ok=True)


def test_a_single_classical_layer_is_enough() -> None:
    tables = of_model()
    tables["layers"].loc[3, ["epsilon", "epsilon_relative"]] = 0.0
    row = claim("never-classical", tables)
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, 0.0, N)
    assert "m: layers 3 are classical" in row["note"]


def test_layers_with_a_zero_head_are_counted_out_and_those_without_are_in_doubt() -> None:
    tables = of_model()
    tables["layers"].loc[3, "epsilon_relative"] = NAN
    row = claim("never-classical", tables)
    assert row["verdict"] == NOT_MEASURED
    assert row["note"] == "m: epsilon_relative is not finite in layers 3"
    tables["layers"].loc[3, "rank"] = 11
    row = claim("never-classical", tables)
    assert (row["verdict"], row["value"], row["n"]) == (TRUE_OF_ANYTHING, 0.1, N - 1)
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


@pytest.mark.parametrize("first", ["a", "b"])
def test_one_model_does_not_vouch_for_another(first: str) -> None:
    # Of the layers of both, nine in ten are as claimed.
    models = together(described(first), described("b" if first == "a" else "a"))
    tables = study_tables(
        model_layers("a", (1.0,) * 9), model_layers("b", (1.0, 0.1), obstruction_rms=0.5)
    )
    row = claim("obstruction-range", tables, models)
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, 0.0, 1)
    assert set(row["models"].split(", ")) == {"a", "b"}


def test_models_without_such_layers_are_named_and_count_neither_way() -> None:
    models = together(described("a"), described("low"))
    tables = study_tables(model_layers("a", (1.0,) * 9), model_layers("low", (0.1, 0.2)))
    row = claim("obstruction-range", tables, models)
    assert (row["verdict"], row["models"], row["n"]) == (REPRODUCED, "a", 9)
    assert row["note"] == "low: no layer has ε in [0.5, 2] and an obstruction; ε reaches 0.2"


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
