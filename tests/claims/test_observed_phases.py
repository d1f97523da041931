"""What section 5 observes, judged each way."""

from collections.abc import Iterable

import pytest

from claim_studies import (
    GPT2_EPSILON,
    GPT2_MEDIUM,
    GPT2_MEDIUM_ID,
    NAN,
    described,
    found,
    judged,
    model_layers,
    study_tables,
    trained,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED


def gpt2_study(
    epsilon: Iterable[float] = GPT2_EPSILON,
    source: str = "hub",
    id_: str = GPT2_MEDIUM_ID,
    model: str = "gpt2-medium",
    **shape: int,
) -> tuple[str, str]:
    rows = model_layers(model, epsilon, **(GPT2_MEDIUM | shape))
    rows = [row for row in rows if row["epsilon"] != -1]
    table = found(study_tables(rows), described(trained(model, "gpt2", source, id_)))
    return tuple(table.loc["eps-gpt2-medium", ["verdict", "note"]])


def test_gpt2_medium_is_judged_on_its_own_weights() -> None:
    assert gpt2_study()[0] == REPRODUCED
    assert gpt2_study(id_="gpt2-medium", model="mine")[0] == REPRODUCED
    for place in (0, 8, 23):
        off = list(GPT2_EPSILON)
        off[place] = 3.0
        assert gpt2_study(off)[0] == NOT_REPRODUCED


@pytest.mark.parametrize("source", ["init", "path", "package"])
def test_a_stand_in_for_gpt2_medium_is_not_judged(source: str) -> None:
    verdict, note = gpt2_study(source=source)
    assert verdict == NOT_MEASURED
    assert "not given" in note and "gpt2-medium is not that" in note


@pytest.mark.parametrize(
    "shape", [{"n_layers": 12}, {"n_heads": 4}, {"d_model": 64}, {"d_head": 16}]
)
def test_another_shape_under_its_id_is_not_judged(shape: dict[str, int]) -> None:
    verdict, note = gpt2_study(**shape)
    assert verdict == NOT_MEASURED
    assert next(iter(shape)) in note


def test_gpt2_medium_needs_every_layer() -> None:
    # -1 stands for a layer that the study leaves out, NaN for one without ε.
    for gap in (-1.0, NAN):
        lost = list(GPT2_EPSILON)
        lost[5] = gap
        verdict, note = gpt2_study(lost)
        assert verdict == NOT_MEASURED
        assert "layers 5" in note


def test_gpt2_medium_read_otherwise_is_not_judged() -> None:
    rows = model_layers("gpt2-medium", GPT2_EPSILON, **GPT2_MEDIUM, scale=True)
    models = described(("gpt2-medium", "hub", GPT2_MEDIUM_ID, "gpt2", True, True))
    assert judged(study_tables(rows), models)["eps-gpt2-medium"] == NOT_MEASURED


def sizes(*epsilon: tuple[float, ...], widths: tuple[int, ...] = (64, 128, 256)) -> str:
    """Models of one family, smallest first."""
    rows = [
        model_layers(f"m{width}", values, d_model=width)
        for width, values in zip(widths, epsilon, strict=True)
    ]
    models = described(*((f"m{width}", "hub", "x/y", "gpt2", True, True) for width in widths))
    return judged(study_tables(*rows), models)["eps-size"]


def test_larger_models_reach_higher_with_sharper_steps() -> None:
    small, middle, large = (0.1, 0.2, 0.3), (0.1, 0.4, 0.5), (0.1, 0.9, 1.0)
    assert sizes(small, middle, large) == REPRODUCED
    assert sizes(large, middle, small) == NOT_REPRODUCED
    # Higher, but in ever gentler steps.
    assert sizes((0.1, 0.9, 1.0), (0.8, 1.1, 1.2), (1.1, 1.2, 1.3)) == NOT_REPRODUCED
    # Sharper, but no higher.
    assert sizes((0.9, 1.0, 1.3), (0.5, 1.0, 1.2), (0.1, 1.0, 1.1)) == NOT_REPRODUCED


def test_sizes_that_show_no_order() -> None:
    small, large = (0.1, 0.2, 0.3), (0.1, 0.9, 1.0)
    assert sizes(small, large, widths=(64, 128)) == NOT_MEASURED
    assert sizes(small, large, small, widths=(64, 128, 128)) == NOT_MEASURED  # named alike
    assert sizes(small, small, small) == NOT_MEASURED
    assert sizes(small, (NAN, 0.2, 0.3), large) == NOT_MEASURED  # a layer lost


def test_one_family_against_is_enough() -> None:
    up, down = [(0.1, x, x + 0.1) for x in (0.2, 0.4, 0.9)], [(0.1, x) for x in (0.9, 0.4, 0.2)]
    rows, models = [], []
    for family, runs in (("gpt2", up), ("bert", down)):
        for index, values in enumerate(runs):
            name = f"{family}{index}"
            rows.append(model_layers(name, values, d_model=64 * (index + 1)))
            models.append(trained(name, family))
    table = found(study_tables(*rows), described(*models))
    assert table.loc["eps-size", "verdict"] == NOT_REPRODUCED
    assert "gpt2 (gpt20, gpt21, gpt22)" in table.loc["eps-size", "models"]
