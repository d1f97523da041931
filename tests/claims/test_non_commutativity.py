"""ε by depth, as section 1 has it, judged each way."""

import pytest
from scipy import stats

from claim_studies import (
    AS_CLAIMED,
    NAN,
    described,
    evidence,
    found,
    judged,
    model_layers,
    of_model,
    study_tables,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED


@pytest.mark.parametrize(
    ("epsilon", "verdict"),
    [
        (AS_CLAIMED, REPRODUCED),
        ((0.05, 0.5, 0.6, 1.2, 1.3, 1.9), NOT_REPRODUCED),  # an early layer below
        ((0.2, 0.5, 0.2, 1.2, 1.3, 1.9), NOT_REPRODUCED),  # a middle one
        ((0.2, 0.5, 0.6, 1.2, 1.0, 1.9), NOT_REPRODUCED),  # a deep one at 1, not above
        ((0.8, 0.1, 0.3, 1.5, 9.0, 9.0), REPRODUCED),  # ends belong to the ranges
        ((0.2, 0.6), NOT_MEASURED),  # no third layer
        ((NAN, NAN, 0.6, 1.2, 1.3, 1.9), NOT_MEASURED),
    ],
)
def test_thirds_of_depth(epsilon: tuple[float, ...], verdict: str) -> None:
    assert judged(of_model(epsilon))["eps-depth"] == verdict


def test_a_share_of_a_third_is_enough() -> None:
    fifteen = [0.5, 0.5, 0.5, 0.5, 0.05] + [0.5] * 5 + [1.5] * 5
    row = found(of_model(fifteen)).loc["eps-depth"]
    assert row["verdict"] == REPRODUCED
    # Of five layers four, with the interval of Clopper and Pearson.
    assert (row["value"], row["n"]) == (0.8, 5)
    assert row["low"] == pytest.approx(stats.beta.ppf(0.025, 4, 2), rel=1e-9)
    assert row["high"] == pytest.approx(stats.beta.ppf(0.975, 5, 1), rel=1e-9)
    assert judged(of_model(fifteen), share=0.9)["eps-depth"] == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("epsilon", "verdict"),
    [
        (AS_CLAIMED, REPRODUCED),
        (AS_CLAIMED[::-1], NOT_REPRODUCED),
        ((0.2,) * 6, NOT_MEASURED),  # constant: no rank correlation
        ((0.2, 0.5), NOT_MEASURED),
        ((NAN,) * 6, NOT_MEASURED),
    ],
)
def test_growth_with_depth(epsilon: tuple[float, ...], verdict: str) -> None:
    assert judged(of_model(epsilon))["eps-monotone"] == verdict


def test_one_model_against_is_enough() -> None:
    models = described(
        ("a", "path", "", "bert", True, True), ("b", "hub", "x/y", "bert", True, True)
    )
    rows = model_layers("a"), model_layers("b", AS_CLAIMED[::-1])
    table = found(study_tables(*rows), models)
    assert table.loc["eps-monotone", "verdict"] == NOT_REPRODUCED
    row = table.loc["eps-monotone"]
    assert (row["value"], row["n"], row["models"]) == (-1, 6, "a, b")
    numbers = evidence(study_tables(*rows), "eps-monotone", models)
    statistic = "Spearman's ρ of ε and layer"
    assert (numbers["a", statistic], numbers["b", statistic]) == (1, -1)
