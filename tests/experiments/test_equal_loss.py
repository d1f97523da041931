"""Two trainings at the same loss, against curves whose values are known everywhere."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from experiment_tables import experiment, training, trainings, value, values
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.experiments import compare
from headalgebra.experiments.equal_loss import at_loss
from headalgebra.experiments.outcomes import LeftOut

Points = list[tuple[float, float | None]]


def curve(points: Points) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["loss", "value"], dtype=float)


FALLING = [(6.0, 0.0), (5.0, 1.0), (4.0, 3.0)]


@pytest.mark.parametrize(
    ("points", "loss", "expected"),
    [
        (FALLING, 6.0, 0.0),
        (FALLING, 5.5, 0.5),
        (FALLING, 5.0, 1.0),
        (FALLING, 4.25, 2.5),
        (FALLING, 4.0, 3.0),
        # Down to 4, up to 5.5, down to 3: the last time counts.
        ([(6.0, 0.0), (4.0, 1.0), (5.5, 2.0), (3.0, 7.0)], 5.0, 3.0),
        ([(6.0, 0.0), (4.0, 1.0), (5.5, 2.0), (3.0, 7.0)], 5.75, 0.125),
        # It stays: the last of the checkpoints with that loss.
        ([(6.0, 0.0), (4.0, 1.0), (4.0, 2.0), (3.0, 7.0)], 4.0, 2.0),
        ([(4.0, 5.0)], 4.0, 5.0),
    ],
)
def test_by_hand(points: Points, loss: float, expected: float) -> None:
    assert at_loss(curve(points), loss) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("points", "loss", "told"),
    [
        (FALLING, 6.1, "above all of the placebo's"),
        (FALLING, 3.9, "below the placebo's"),
        # It was there, but is above it in the end.
        ([(6.0, 0.0), (3.0, 1.0), (4.0, 2.0)], 3.5, "below the placebo's"),
        ([], 3.0, "above all of the placebo's"),
    ],
)
def test_outside_the_range(points: Points, loss: float, told: str) -> None:
    with pytest.raises(LeftOut, match=told):
        at_loss(curve(points), loss)


LOSSES = st.lists(st.floats(3, 6), min_size=2, max_size=10)


@given(LOSSES, st.floats(0, 1), st.floats(-3, 3), st.floats(-3, 3))
def test_what_is_linear_in_the_loss_is_found_whatever_the_course(
    losses: list[float], share: float, slope: float, shift: float
) -> None:
    loss = losses[-1] + share * (max(losses) - losses[-1])
    points: Points = [(x, slope * x + shift) for x in losses]
    assert at_loss(curve(points), loss) == pytest.approx(slope * loss + shift, abs=1e-9)


@given(LOSSES, st.floats(0, 1))
def test_the_loss_is_never_above_it_again(losses: list[float], share: float) -> None:
    loss = losses[-1] + share * (max(losses) - losses[-1])
    place = at_loss(curve([(x, float(step)) for step, x in enumerate(losses)]), loss)
    assert all(x <= loss for step, x in enumerate(losses) if step > place + 1e-9)
    assert any(x >= loss for step, x in enumerate(losses) if step >= math.floor(place))


def compared(
    curves: Mapping[tuple[str, int], Points], diverged: tuple[tuple[str, int], ...] = ()
) -> pd.Series:
    """The row of the arm ``other``, whose placebo is ``placebo``."""
    asked = experiment(
        arms=["default", "other", "placebo"],
        comparison="equal_loss",
        placebo_of={"other": "placebo"},
    )
    runs = [training(*run, diverged=1 if run in diverged else None) for run in curves]
    rows = []
    for (arm, seed), points in curves.items():
        for step, (loss, number) in enumerate(points):
            rows.append(value(arm, seed, loss, step=10 * step, quantity="validation_loss"))
            rows.append(value(arm, seed, number, step=10 * step))
            # Between two checkpoints and after them the loss is known, and the quantity is not.
            rows.append(value(arm, seed, 1.0, step=10 * step + 5, quantity="validation_loss"))
    return compare(asked, trainings(runs), values(rows), seed=0).iloc[0]


OTHER: Points = [(6.0, 0.0), (4.25, 2.0)]


def test_an_arm_less_its_placebo_at_its_own_final_loss() -> None:
    # The placebo has 2.5 at a loss of 4.25, and 2.0 at 4.5.
    row = compared(
        {
            ("other", 0): OTHER,
            ("other", 1): [(6.0, 0.0), (4.5, 2.5)],
            ("placebo", 0): FALLING,
            ("placebo", 1): FALLING,
        }
    )
    assert (row["arm"], row["control"], row["n"]) == ("other", "placebo", 2)
    assert row["effect"] == pytest.approx(np.mean([2.0 - 2.5, 2.5 - 2.0]))
    assert row["mean"] == pytest.approx(2.25)
    assert row["note"] == ""


@pytest.mark.parametrize(
    ("arm", "placebo", "told"),
    [
        ([(6.0, 0.0), (3.9, 2.0)], FALLING, "the arm's final loss is below the placebo's"),
        ([(6.5, 0.0)], FALLING, "the arm's final loss is above all of the placebo's"),
        ([(6.0, 0.0), (4.5, None)], FALLING, "q has no value at the last checkpoint"),
        ([(6.0, 0.0), (math.nan, 1.0)], FALLING, "validation_loss has no value at the last"),
        ([], FALLING, "q was not measured"),
        (OTHER, [], "q was not measured"),
        (OTHER, [(6.0, None), (4.0, None)], "the arm's final loss is above all"),
    ],
)
def test_a_pair_that_cannot_be_compared_is_left_out(
    arm: Points, placebo: Points, told: str
) -> None:
    row = compared(
        {
            ("other", 0): OTHER,
            ("other", 1): arm,
            ("placebo", 0): FALLING,
            ("placebo", 1): placebo,
        }
    )
    assert (row["n"], row["excluded"], row["diverged"]) == (1, 1, 0)
    assert f"left out, {told}" in row["note"]


def test_checkpoints_of_the_placebo_without_a_value_are_passed_over() -> None:
    gaps: Points = [(6.0, 0.0), (5.5, None), (math.nan, 9.0), (4.0, 4.0)]
    row = compared({("other", 0): OTHER, ("placebo", 0): gaps})
    assert row["effect"] == pytest.approx(2.0 - 4.0 * (6.0 - 4.25) / 2.0)


def test_diverged_pairs_are_counted() -> None:
    curves: dict[tuple[str, int], Points] = {
        (arm, seed): points
        for arm, points in (("other", OTHER), ("placebo", FALLING))
        for seed in range(3)
    }
    row = compared(curves, diverged=(("other", 0), ("placebo", 2)))
    assert (row["n"], row["diverged"], row["excluded"]) == (1, 2, 0)


def test_a_quantity_of_whole_runs_has_no_curve() -> None:
    asked = experiment(comparison="equal_loss", placebo_of={"other": "default"})
    runs = [("default", 0), ("other", 0)]
    rows = [value(*run, 1.0, quantity=name) for run in runs for name in ("q", "validation_loss")]
    row = compare(asked, trainings([training(*run) for run in runs]), values(rows), seed=0).iloc[0]
    assert row["note"] == "no run is left; left out, q was measured at no checkpoint: 1"
