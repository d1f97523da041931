"""What an experiment may ask, and that it refuses what contradicts itself in one line."""

from typing import Any

import pytest

from headalgebra.experiments import Experiment

PAIRED: dict[str, Any] = {
    "name": "gauge-init",
    "claim": "gauge-init",
    "arms": ["default", "commuting", "opposed"],
    "control": "default",
    "quantity": "log_tokens_to_floor",
    "comparison": "paired",
    "bound": 0.0,
    "side": "below",
    "needs": "all",
}
RANKS = PAIRED | {"comparison": "partial_rank", "against": ["gap"], "given": ["log_width"]}
EQUAL_LOSS = PAIRED | {"comparison": "equal_loss", "placebo_of": {"commuting": "opposed"}}


@pytest.mark.parametrize(
    ("described", "compared"),
    [
        (PAIRED, ["commuting", "opposed"]),
        (PAIRED | {"comparison": "ratio"}, ["commuting", "opposed"]),
        (PAIRED | {"comparison": "mean"}, ["default", "commuting", "opposed"]),
        (PAIRED | {"comparison": "mean", "control": None}, ["default", "commuting", "opposed"]),
        (EQUAL_LOSS, ["commuting"]),
        (RANKS, []),
        (RANKS | {"cells": True}, []),
        (PAIRED | {"judged": ["opposed"]}, ["commuting", "opposed"]),
    ],
)
def test_an_arm_has_a_row_where_it_is_held_against_something(
    described: dict[str, Any], compared: list[str]
) -> None:
    assert list(Experiment(**described).compared) == compared


@pytest.mark.parametrize(
    ("described", "told"),
    [
        (PAIRED | {"comparison": "median"}, "comparison 'median': choose one of mean, paired"),
        (PAIRED | {"side": "beside"}, "side 'beside': choose one of above, below"),
        (PAIRED | {"needs": "most"}, "needs 'most': choose one of all, any"),
        (PAIRED | {"arms": [], "control": None}, "no arms"),
        (PAIRED | {"arms": ["default", "a", "a"]}, "arm 'a' is there twice"),
        (PAIRED | {"control": "other"}, "control names 'other', which is none of the arms"),
        (PAIRED | {"control": None}, "paired has no control"),
        (PAIRED | {"comparison": "ratio", "control": None}, "ratio has no control"),
        (PAIRED | {"arms": ["default"]}, "no arm but the control"),
        (PAIRED | {"bound": float("nan")}, "bound nan"),
        (PAIRED | {"bound": float("inf")}, "bound inf"),
        (PAIRED | {"comparison": "ratio", "bound": -1.0}, "bound -1.0"),
        (RANKS | {"bound": 1.0}, "bound 1.0"),
        (RANKS | {"bound": -1.0}, "bound -1.0"),
        (PAIRED | {"judged": []}, "judged is empty"),
        (PAIRED | {"judged": ["other"]}, "judged names 'other', which is none"),
        (PAIRED | {"judged": ["default"]}, "judged names 'default', of which paired makes no row"),
        (RANKS | {"judged": ["default"]}, "of which partial_rank makes no row"),
        (EQUAL_LOSS | {"placebo_of": {}}, "placebo_of goes with equal_loss"),
        (PAIRED | {"placebo_of": {"commuting": "opposed"}}, "placebo_of goes with equal_loss"),
        (EQUAL_LOSS | {"placebo_of": {"other": "opposed"}}, "placebo_of names 'other'"),
        (EQUAL_LOSS | {"placebo_of": {"opposed": "other"}}, "placebo_of names 'other'"),
        (EQUAL_LOSS | {"placebo_of": {"opposed": "opposed"}}, "'opposed' is its own placebo"),
        (RANKS | {"against": []}, "nothing to correlate with"),
        (RANKS | {"against": ["gap", "gap"]}, "quantity 'gap' is there twice"),
        (RANKS | {"given": ["gap"]}, "quantity 'gap' is there twice"),
        (RANKS | {"quantity": "gap"}, "quantity 'gap' is there twice"),
        (PAIRED | {"against": ["gap"]}, "go with partial_rank alone"),
        (PAIRED | {"given": ["gap"]}, "go with partial_rank alone"),
        (PAIRED | {"cells": True}, "go with partial_rank alone"),
    ],
)
def test_contradictions_are_refused_in_one_line(described: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=r"^experiment gauge-init: ") as refused:
        Experiment(**described)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
