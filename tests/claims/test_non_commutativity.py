"""ε by depth: by thirds, and its growth."""

import pytest

from claim_studies import (
    AS_CLAIMED,
    NAN,
    claim,
    described,
    evidence_of,
    judged,
    model_layers,
    of_model,
    study_tables,
    together,
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


def test_layers_without_epsilon_are_not_counted() -> None:
    numbers = evidence_of("eps-depth", of_model((0.2, NAN, 0.6, 1.2, 1.3, 1.9)))
    assert numbers.loc[("m", "share of the early third's layers inside"), "n"] == 1
    for statistic, value in (("smallest ε", 0.2), ("largest ε", 1.9)):
        assert tuple(numbers.loc[("m", statistic), ["value", "n"]]) == (value, 5)


@pytest.mark.parametrize(
    ("epsilon", "value", "verdict"),
    [
        (AS_CLAIMED, 1, REPRODUCED),
        (AS_CLAIMED[::-1], -1, NOT_REPRODUCED),
        ((0.2,) * 6, NAN, NOT_MEASURED),  # constant: no rank correlation
        ((0.2, 0.5), NAN, NOT_MEASURED),
        ((NAN,) * 6, NAN, NOT_MEASURED),
    ],
)
def test_growth_with_depth(epsilon: tuple[float, ...], value: float, verdict: str) -> None:
    row = claim("eps-monotone", of_model(epsilon))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, rel=1e-14, nan_ok=True)


def test_the_threshold_of_growth_belongs_to_it() -> None:
    # One pair of neighbours changed over in four layers: ρ = 1 − 6·2/60 = 0.8.
    tables = of_model((0.1, 0.2, 0.4, 0.3))
    assert claim("eps-monotone", tables)["value"] == pytest.approx(0.8, rel=1e-14)
    assert judged(tables, rank_correlation=0.79)["eps-monotone"] == REPRODUCED
    assert judged(tables, rank_correlation=0.81)["eps-monotone"] == NOT_REPRODUCED


def test_one_model_against_is_enough() -> None:
    models = together(described("a"), described("b", source="hub"))
    tables = study_tables(model_layers("a"), model_layers("b", AS_CLAIMED[::-1]))
    row = claim("eps-monotone", tables, models)
    assert (row["verdict"], row["models"]) == (NOT_REPRODUCED, "a, b")
    assert (row["value"], row["n"]) == (pytest.approx(-1), 6)
    numbers = evidence_of("eps-monotone", tables, models)
    for model, rho in (("a", 1), ("b", -1)):
        measured = numbers.loc[(model, "Spearman's ρ of ε and layer")]
        assert (measured["value"], measured["n"]) == (pytest.approx(rho), 6)


def test_a_model_that_cannot_be_judged_is_named_beside_those_that_can() -> None:
    models = together(described("a"), described("flat"))
    tables = study_tables(model_layers("a"), model_layers("flat", (0.2,) * 6))
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
