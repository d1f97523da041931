"""Holm's correction against a calculation by hand, another definition, and its laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.experiments.multiplicity import holm

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_by_hand() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1: .02, .03, .06, .04, the last raised to .06.
    found = holm([0.01, 0.04, 0.03, 0.005])
    assert found == pytest.approx([0.03, 0.06, 0.06, 0.02], rel=1e-14)


@given(P_VALUES, st.floats(1e-6, 1))
def test_it_rejects_what_holms_procedure_does(p_values: list[float], level: float) -> None:
    p, m = np.array(p_values), len(p_values)
    corrected = holm(p)
    rejected = np.zeros(m, dtype=bool)
    for step, place in enumerate(np.argsort(p, kind="stable")):
        # Stop at the first that is not below its share of the level.
        if p[place] * (m - step) > level:
            break
        rejected[place] = True
    assert ((corrected <= level) == rejected).all()


@given(P_VALUES)
def test_it_is_no_smaller_at_most_one_and_keeps_the_order(p_values: list[float]) -> None:
    p = np.array(p_values)
    corrected = holm(p)
    assert (corrected >= p).all()
    assert (corrected <= 1).all()
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()
    # No larger than Bonferroni's.
    assert (corrected <= np.minimum(1, len(p) * p)).all()


@given(P_VALUES, st.randoms(use_true_random=False))
def test_it_goes_with_the_order_of_tests(p_values: list[float], random: object) -> None:
    order = list(range(len(p_values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    p = np.array(p_values)
    assert (holm(p[order]) == holm(p)[order]).all()


def test_of_one_and_of_none() -> None:
    assert holm([0.03]).tolist() == [0.03]
    assert holm([]).shape == (0,)


@pytest.mark.parametrize("wrong", [-0.01, 1.01, math.nan])
def test_what_is_no_p_value_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="not between 0 and 1"):
        holm([0.5, wrong])
