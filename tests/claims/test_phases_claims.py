"""GPT-2 Medium, sizes, phases by two measures, and claims that only experiments can test."""

from collections.abc import Iterable

import pandas as pd
import pytest

from claim_studies import (
    GPT2_MEDIUM,
    GPT2_MEDIUM_EPSILON,
    GPT2_MEDIUM_ID,
    NAN,
    claim,
    described,
    evidence_of,
    model_layers,
    of_model,
    study_tables,
    together,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED

LEFT_OUT = -1.0
"""In place of ε: a layer that the study leaves out."""


def gpt2_study(
    epsilon: Iterable[float] = GPT2_MEDIUM_EPSILON,
    source: str = "hub",
    id: str = GPT2_MEDIUM_ID,
    model: str = "gpt2-medium",
    **other: object,
) -> pd.Series:
    rows = model_layers(model, epsilon, **(GPT2_MEDIUM | other))
    rows = [row for row in rows if row["epsilon"] != LEFT_OUT]
    models = described(model, source=source, id=id, family="gpt2")
    return claim("eps-gpt2-medium", study_tables(rows), models)


@pytest.mark.parametrize("name", [{}, {"id": "gpt2-medium", "model": "mine"}])
def test_gpt2_medium_is_judged_on_its_own_weights(name: dict[str, str]) -> None:
    row = gpt2_study(**name)
    assert (row["verdict"], row["value"], row["n"]) == (REPRODUCED, 1.0, 24)
    assert row["models"] == name.get("model", "gpt2-medium")


@pytest.mark.parametrize("layer", [0, 8, 23])
def test_a_layer_of_gpt2_medium_outside_is_enough(layer: int) -> None:
    off = list(GPT2_MEDIUM_EPSILON)
    off[layer] = 3.0
    row = gpt2_study(off)
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, 23 / 24, 24)


def test_each_range_of_gpt2_medium_is_shown() -> None:
    models = described("g", source="hub", id=GPT2_MEDIUM_ID)
    off = (0.01, *GPT2_MEDIUM_EPSILON[1:])
    numbers = evidence_of(
        "eps-gpt2-medium", study_tables(model_layers("g", off, **GPT2_MEDIUM)), models
    )["value"]
    for layers, share in (("1–8", 7 / 8), ("9–16", 1), ("17–24", 1)):
        assert numbers["g", f"share of layers {layers} inside"] == share
    assert numbers["g", "smallest ε of layers 1–8"] == 0.01
    assert numbers["g", "largest ε of layers 1–8"] == 0.1


@pytest.mark.parametrize("source", ["init", "path", "package"])
def test_a_stand_in_for_gpt2_medium_is_not_judged(source: str) -> None:
    row = gpt2_study(source=source)
    assert row["verdict"] == NOT_MEASURED
    assert GPT2_MEDIUM_ID in row["note"] and "gpt2-medium is not that" in row["note"]


@pytest.mark.parametrize(
    "shape", [{"n_layers": 12}, {"n_heads": 4}, {"d_model": 64}, {"d_head": 16}]
)
def test_another_shape_under_its_id_is_not_judged(shape: dict[str, int]) -> None:
    row = gpt2_study(**shape)
    assert row["verdict"] == NOT_MEASURED
    ((name, size),) = shape.items()
    assert f"{name} {size} for {GPT2_MEDIUM[name]}" in row["note"]


@pytest.mark.parametrize("gap", [LEFT_OUT, NAN])
def test_gpt2_medium_needs_every_layer(gap: float) -> None:
    lost = list(GPT2_MEDIUM_EPSILON)
    lost[5] = gap
    row = gpt2_study(lost)
    assert row["verdict"] == NOT_MEASURED
    assert "layers 5" in row["note"]


def test_gpt2_medium_read_otherwise_is_not_judged() -> None:
    assert gpt2_study(scale=True)["verdict"] == NOT_MEASURED


# ------ Sizes


def sizes(*epsilon: tuple[float, ...], widths: tuple[int, ...] = (64, 128, 256)) -> pd.Series:
    """The claim on models of one family, smallest first."""
    rows = [
        model_layers(f"m{width}", values, d_model=width)
        for width, values in zip(widths, epsilon, strict=True)
    ]
    models = (described(f"m{width}", source="hub", family="gpt2") for width in widths)
    return claim("eps-size", study_tables(*rows), together(*models))


SMALL, MIDDLE, LARGE = (0.1, 0.2, 0.3), (0.1, 0.4, 0.5), (0.1, 0.9, 1.0)


@pytest.mark.parametrize(
    ("epsilon", "value", "verdict"),
    [
        ((SMALL, MIDDLE, LARGE), 1, REPRODUCED),
        ((LARGE, MIDDLE, SMALL), -1, NOT_REPRODUCED),
        # Higher, but in ever gentler steps.
        (((0.1, 0.9, 1.0), (0.8, 1.1, 1.2), (1.1, 1.2, 1.3)), -1, NOT_REPRODUCED),
        # Sharper, but no higher.
        (((0.9, 1.0, 1.3), (0.5, 1.0, 1.2), (0.1, 1.0, 1.1)), -1, NOT_REPRODUCED),
    ],
)
def test_larger_models_reach_higher_with_sharper_steps(
    epsilon: tuple[tuple[float, ...], ...], value: float, verdict: str
) -> None:
    row = sizes(*epsilon)
    assert (row["verdict"], row["n"]) == (verdict, 3)
    assert row["value"] == pytest.approx(value, rel=1e-14)
    assert row["models"] == "gpt2 (m64, m128, m256)"


@pytest.mark.parametrize(
    ("epsilon", "widths"),
    [
        ((SMALL, LARGE), (64, 128)),
        ((SMALL, SMALL, SMALL), (64, 128, 256)),
        ((SMALL, (NAN, 0.2, 0.3), LARGE), (64, 128, 256)),  # a layer lost
    ],
)
def test_sizes_that_show_no_order(
    epsilon: tuple[tuple[float, ...], ...], widths: tuple[int, ...]
) -> None:
    assert sizes(*epsilon, widths=widths)["verdict"] == NOT_MEASURED


def test_models_of_one_size_are_one_size() -> None:
    models = [described(name, source="hub") for name in "abc"]
    rows = [
        model_layers(name, values, d_model=width)
        for name, values, width in zip("abc", (SMALL, MIDDLE, LARGE), (64, 128, 128), strict=True)
    ]
    row = claim("eps-size", study_tables(*rows), together(*models))
    assert row["verdict"] == NOT_MEASURED
    assert "bert 2" in row["note"]


def test_one_family_against_is_enough() -> None:
    rows, models = [], []
    for family, largest in (("gpt2", (0.2, 0.4, 0.9)), ("bert", (0.9, 0.4, 0.2))):
        for index, value in enumerate(largest):
            name = f"{family}{index}"
            rows.append(model_layers(name, (0.1, value), d_model=64 * (index + 1)))
            models.append(described(name, source="hub", family=family))
    tables, together_ = study_tables(*rows), together(*models)
    row = claim("eps-size", tables, together_)
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, pytest.approx(-1))
    numbers = evidence_of("eps-size", tables, together_)["value"]
    up = numbers["gpt2 (gpt20, gpt21, gpt22)", "Spearman's ρ of size and largest ε"]
    assert up == pytest.approx(1)


# ------ Phases, experiments

AGREE = ("m", "share of layers whose phase by ε and by projected Jacobiator agree")


def test_phases_that_agree_are_counted() -> None:
    # The last three of six layers are in phase III, where the paper has J above 0.1.
    numbers = evidence_of("jacobi-phase", of_model(jacobi_projected_rms=0.5))
    assert tuple(numbers.loc[AGREE, ["value", "n"]]) == (0.5, 6)
    assert AGREE not in evidence_of("jacobi-phase", of_model(jacobi_projected_rms=NAN)).index


@pytest.mark.parametrize(
    "id", ["stability", "expressivity", "balance", "universality", "regularise"]
)
def test_what_needs_experiments_says_which(id: str) -> None:
    row = claim(id, of_model())
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("no ")
