"""GPT-2 Medium, sizes, phases by two measures, and claims that only experiments can test."""

from collections.abc import Iterable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claim_studies import (
    GPT2_MEDIUM,
    GPT2_MEDIUM_EPSILON,
    GPT2_MEDIUM_ID,
    NAN,
    PUBLISHED,
    N,
    claim,
    described,
    evidence_of,
    model_layers,
    of_model,
    study_tables,
    together,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED
from headalgebra.claims.linf.gpt2_medium import COMMIT

LEFT_OUT = -1.0
"""In place of ε: a layer that the study leaves out."""


def gpt2_study(
    epsilon: Iterable[float] = GPT2_MEDIUM_EPSILON,
    model: str = "gpt2-medium",
    *,
    scale: bool = False,
    **described_as: object,
) -> pd.Series:
    rows = model_layers(model, epsilon, **GPT2_MEDIUM, scale=scale)
    rows = [row for row in rows if row["epsilon"] != LEFT_OUT]
    models = described(model, family="gpt2", **(PUBLISHED | described_as))
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
    models = described("g", **PUBLISHED)
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
    assert GPT2_MEDIUM_ID in row["note"] and "gpt2-medium: " in row["note"]


@pytest.mark.parametrize("name", ["gpt2-medium", "mine"])
@pytest.mark.parametrize("commit", ["", "0" * 40, COMMIT[:12]])
def test_another_commit_under_its_id_and_shape_is_not_judged(name: str, commit: str) -> None:
    row = gpt2_study(model=name, commit=commit)
    assert row["verdict"] == NOT_MEASURED
    assert f"{name}: another commit, {commit[:12]}" in row["note"]


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


WIDTHS = (64, 128, 256, 512, 1024)


def sizes(*epsilon: tuple[float, ...], widths: tuple[int, ...] = WIDTHS) -> pd.Series:
    """The claim on models of one family, smallest first."""
    rows = [
        model_layers(f"m{width}", values, d_model=width)
        for width, values in zip(widths, epsilon, strict=True)
    ]
    models = (described(f"m{width}", source="hub", family="gpt2") for width in widths)
    return claim("eps-size", study_tables(*rows), together(*models))


GROWING = tuple((0.1, 0.1 + 0.1 * size, 0.2 + 0.1 * size) for size in range(1, 6))
"""ε that reaches higher, in a larger step, from size to size."""

EVER_GENTLER = tuple((size - 1 / size, size - 0.5 / size, size) for size in map(float, range(1, 6)))
EVER_SHARPER = tuple((2 - size / 10, 2 - size / 20, 2.0 - size / 100) for size in range(1, 6))


@pytest.mark.parametrize(
    ("epsilon", "value", "verdict"),
    [
        (GROWING, 1, REPRODUCED),
        (GROWING[::-1], -1, NOT_REPRODUCED),
        (EVER_GENTLER, -1, NOT_REPRODUCED),  # higher, but in ever gentler steps
        (EVER_SHARPER, -1, NOT_REPRODUCED),  # sharper, but no higher
    ],
)
def test_larger_models_reach_higher_with_sharper_steps(
    epsilon: tuple[tuple[float, ...], ...], value: float, verdict: str
) -> None:
    row = sizes(*epsilon)
    assert (row["verdict"], row["n"]) == (verdict, 5)
    assert row["value"] == pytest.approx(value, rel=1e-14)
    assert row["models"] == "gpt2 of someone (m64, m128, m256, m512, m1024)"


steps = st.lists(st.floats(0.01, 10), min_size=3, max_size=3).map(tuple)


@settings(max_examples=20)
@given(st.tuples(*[steps] * 5))
def test_a_step_down_is_as_sharp_as_a_step_up(epsilon: tuple[tuple[float, ...], ...]) -> None:
    turned = sizes(*(values[::-1] for values in epsilon))
    pd.testing.assert_series_equal(sizes(*epsilon), turned)


def test_an_order_that_chance_may_give_is_no_growth() -> None:
    # One pair of neighbours changed over in five: ρ = 0.9, which 5 of 120 orders reach.
    row = sizes(*GROWING[:3], GROWING[4], GROWING[3])
    assert row["value"] == pytest.approx(0.9, rel=1e-14)
    assert row["verdict"] == NOT_REPRODUCED
    assert "probability 0.042 by chance" in row["note"]


@pytest.mark.parametrize(
    ("epsilon", "widths"),
    [
        (GROWING[:4], WIDTHS[:4]),
        (GROWING[:1] * 5, WIDTHS),
        ((*GROWING[:4], (NAN, 0.9, 1.0)), WIDTHS),  # a layer lost
    ],
)
def test_sizes_that_show_no_order(
    epsilon: tuple[tuple[float, ...], ...], widths: tuple[int, ...]
) -> None:
    assert sizes(*epsilon, widths=widths)["verdict"] == NOT_MEASURED


def of_families(*families: str, organisations: Iterable[str] = (), up: bool = True) -> pd.Series:
    """The claim on models of these families, each larger than the last, ε growing or falling."""
    rows, models = [], []
    made_by = [*organisations] or ["someone"] * len(families)
    for index, (family, organisation) in enumerate(zip(families, made_by, strict=True)):
        size = index % 5
        values = GROWING[size if up else 4 - size]
        rows.append(model_layers(f"m{index}", values, d_model=WIDTHS[size]))
        models.append(described(f"m{index}", family=family, organisation=organisation))
    return claim("eps-size", study_tables(*rows), together(*models))


def test_a_family_is_an_architecture_of_one_organisation() -> None:
    assert of_families(*["llama"] * 5)["verdict"] == REPRODUCED
    makers = ("one", "other", "one", "other", "one")
    row = of_families(*["llama"] * 5, organisations=makers)
    assert row["verdict"] == NOT_MEASURED
    assert "llama of one 3, llama of other 2" in row["note"]
    assert of_families(*["llama", "opt"] * 2, "llama")["verdict"] == NOT_MEASURED


def test_models_that_nobody_is_known_to_have_made_are_of_no_family() -> None:
    row = of_families(*["llama"] * 5, organisations=[""] * 5)
    assert row["verdict"] == NOT_MEASURED
    assert "m0, m1, m2, m3 and 1 more: of no known organisation" in row["note"]
    row = of_families(*["llama"] * 10, organisations=["one"] * 5 + [""] * 5)
    assert (row["verdict"], row["n"]) == (REPRODUCED, 5)
    assert "m5, m6, m7, m8 and 1 more: of no known organisation" in row["note"]


def test_models_of_one_size_are_one_size() -> None:
    widths = (64, 128, 128, 128, 128)
    models = [described(name, source="hub") for name in "abcde"]
    rows = [
        model_layers(name, values, d_model=width)
        for name, values, width in zip("abcde", GROWING, widths, strict=True)
    ]
    row = claim("eps-size", study_tables(*rows), together(*models))
    assert row["verdict"] == NOT_MEASURED
    assert "bert of someone 2" in row["note"]


def test_one_family_against_is_enough() -> None:
    rows, models = [], []
    for family, order in (("gpt2", 1), ("bert", -1)):
        for index, values in enumerate(GROWING[::order]):
            name = f"{family}{index}"
            rows.append(model_layers(name, values, d_model=WIDTHS[index]))
            models.append(described(name, source="hub", family=family))
    tables, together_ = study_tables(*rows), together(*models)
    row = claim("eps-size", tables, together_)
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, pytest.approx(-1))
    numbers = evidence_of("eps-size", tables, together_)["value"]
    names = ", ".join(f"gpt2{index}" for index in range(5))
    up = numbers[f"gpt2 of someone ({names})", "Spearman's ρ of size and largest ε"]
    assert up == pytest.approx(1)


# ------ Phases

AGREE = ("m", "share of layers whose phase by ε and by projected Jacobiator agree")


def test_phases_that_agree_are_counted() -> None:
    # The last third of the layers is in phase III, where the paper has J above 0.1.
    numbers = evidence_of("jacobi-phase", of_model(jacobi_projected_rms=0.5))
    assert tuple(numbers.loc[AGREE, ["value", "n"]]) == (pytest.approx(1 / 3), N)
    # Below 0.001 it is in phase I, which no layer is by ε; between, in II, as two thirds are.
    for size, agree in ((1e-4, 0.0), (0.05, 2 / 3)):
        numbers = evidence_of("jacobi-phase", of_model(jacobi_projected_rms=size))
        assert numbers.loc[AGREE, "value"] == pytest.approx(agree)
    small = of_model(basis_dim=2, jacobi_projected_rms=NAN)
    assert AGREE not in evidence_of("jacobi-phase", small).index
