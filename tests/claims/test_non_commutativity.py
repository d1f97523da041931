"""ε by depth: by thirds, and its growth."""

import math

import pytest

from claim_studies import (
    AS_CLAIMED,
    NAN,
    N,
    claim,
    described,
    evidence_of,
    model_layers,
    of_model,
    study_tables,
    together,
    verdict_of,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED


@pytest.mark.parametrize(
    ("epsilon", "value", "verdict"),
    [
        (AS_CLAIMED, 1, REPRODUCED),
        ((0.05, 0.5, 0.6, 1.2, 1.3, 1.9), 0.5, NOT_REPRODUCED),  # an early layer below
        ((0.2, 0.5, 0.2, 1.2, 1.3, 1.9), 0.5, NOT_REPRODUCED),  # a middle one
        ((0.2, 0.5, 0.6, 1.2, 1.0, 0.9), 0, NOT_REPRODUCED),  # deep ones at 1, not above
        ((0.8, 0.1, 0.3, 1.5, 9.0, 9.0), 1, REPRODUCED),  # ends belong to the ranges
        ((0.2, 0.6), NAN, NOT_MEASURED),  # no third layer
        ((NAN, NAN, 0.6, 1.2, 1.3, 1.9), NAN, NOT_MEASURED),
        ((0.2, 0.5, 0.6, 1.2, 1.3, math.inf), NAN, NOT_MEASURED),
    ],
)
def test_thirds_of_depth(epsilon: tuple[float, ...], value: float, verdict: str) -> None:
    row = claim("eps-depth", of_model(epsilon))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, abs=0, nan_ok=True)


def test_a_share_of_a_third_is_enough() -> None:
    tables = of_model([0.5, 0.5, 0.5, 0.5, 0.05] + [0.5] * 5 + [1.5] * 5)
    row = claim("eps-depth", tables)
    assert (row["verdict"], row["value"], row["n"]) == (REPRODUCED, 0.8, 5)
    # Clopper and Pearson's interval of 4 of 5, from tables of the beta distribution.
    assert (row["low"], row["high"]) == pytest.approx((0.2836, 0.9949), abs=5e-5)
    assert claim("eps-depth", tables, share=0.9)["verdict"] == NOT_REPRODUCED


def test_layers_of_a_single_head_are_not_counted() -> None:
    tables = of_model((0.2, NAN, 0.6, 1.2, 1.3, 1.9))
    assert claim("eps-depth", tables)["note"] == "m: epsilon is not finite in layers 1"
    tables["layers"].loc[1, "n_heads"] = 1
    numbers = evidence_of("eps-depth", tables)
    assert numbers.loc[("m", "share of the early third's layers inside"), "n"] == 1
    for statistic, value in (("smallest ε", 0.2), ("largest ε", 1.9)):
        assert tuple(numbers.loc[("m", statistic), ["value", "n"]]) == (value, 5)


@pytest.mark.parametrize(
    ("epsilon", "value", "verdict"),
    [
        (AS_CLAIMED, 1, REPRODUCED),
        (AS_CLAIMED[::-1], -1, NOT_REPRODUCED),
        ((0.2,) * N, NAN, NOT_MEASURED),  # constant: no rank correlation
        ((0.2, 0.5, 0.6), NAN, NOT_MEASURED),  # which lie in order once in six times
        (AS_CLAIMED[:7], NAN, NOT_MEASURED),
        (AS_CLAIMED[:8], 1, REPRODUCED),
        ((NAN,) * N, NAN, NOT_MEASURED),
    ],
)
def test_growth_with_depth(epsilon: tuple[float, ...], value: float, verdict: str) -> None:
    row = claim("eps-monotone", of_model(epsilon))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, rel=1e-14, nan_ok=True)


def test_the_threshold_of_growth_belongs_to_it() -> None:
    # Neighbours changed over in nine layers, three times: ρ = 1 − 6·6/720 = 0.95.
    tables = of_model((0.2, 0.1, 0.4, 0.3, 0.6, 0.5, 0.7, 0.8, 0.9))
    assert claim("eps-monotone", tables)["value"] == pytest.approx(0.95, rel=1e-14)
    assert verdict_of("eps-monotone", tables, rank_correlation=0.94) == REPRODUCED
    assert verdict_of("eps-monotone", tables, rank_correlation=0.96) == NOT_REPRODUCED


def test_an_order_that_chance_may_give_is_no_growth() -> None:
    # ρ = 1 − 6·22/504 is 0.74, which chance gives eight layers once in fifty times.
    tables = of_model((0.4, 0.2, 0.3, 0.1, 0.6, 0.5, 0.8, 0.7))
    row = claim("eps-monotone", tables, significance=0.05)
    assert (row["verdict"], row["value"]) == (REPRODUCED, pytest.approx(1 - 6 * 22 / 504))
    row = claim("eps-monotone", tables)
    assert row["verdict"] == NOT_REPRODUCED
    assert "by chance" in row["note"]


def test_the_fewest_layers_of_an_order_are_a_setting() -> None:
    six = of_model(AS_CLAIMED[:6])
    assert claim("eps-monotone", six)["note"] == "m: 6 layers, and an order is judged from 8 on"
    # Nor are the numbers lost, of which none decides: ρ, and its chance of one order in 720.
    beside = evidence_of("eps-monotone", six)["value"]["m"]
    assert beside["Spearman's ρ of ε and layer"] == 1
    assert beside["probability by chance of such a ρ of ε and layer"] == pytest.approx(1 / 720)
    assert verdict_of("eps-monotone", six, layers=6) == REPRODUCED


def test_one_model_against_is_enough() -> None:
    models = together(described("a"), described("b", source="hub"))
    tables = study_tables(model_layers("a"), model_layers("b", AS_CLAIMED[::-1]))
    row = claim("eps-monotone", tables, models)
    assert (row["verdict"], row["models"]) == (NOT_REPRODUCED, "a, b")
    assert (row["value"], row["n"]) == (pytest.approx(-1), N)
    numbers = evidence_of("eps-monotone", tables, models)
    for model, rho in (("a", 1), ("b", -1)):
        measured = numbers.loc[(model, "Spearman's ρ of ε and layer")]
        assert (measured["value"], measured["n"]) == (pytest.approx(rho), N)


def test_a_model_that_cannot_be_judged_is_named_beside_those_that_can() -> None:
    models = together(described("a"), described("flat"))
    tables = study_tables(model_layers("a"), model_layers("flat", (0.2,) * N))
    row = claim("eps-monotone", tables, models)
    assert (row["verdict"], row["models"]) == (REPRODUCED, "a")
    assert "flat: " in row["note"]


def test_phases_of_early_and_deep_layers_stand_beside() -> None:
    numbers = evidence_of("eps-monotone", of_model((0.05, 1.2, 0.5, 0.5, 0.5, 1.9)))
    for statistic in (
        "share of early layers in phase I or II",
        "share of deep layers in phase III",
    ):
        assert tuple(numbers.loc[("m", statistic), ["value", "n"]]) == (0.5, 2)
