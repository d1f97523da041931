"""Laws of the layers that stand for a whole depth."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headalgebra.measurement.depth import spread_over_depth


@given(layers=st.integers(1, 200), at_most=st.integers(2, 200))
def test_they_go_from_the_first_to_the_last_in_even_steps(layers: int, at_most: int) -> None:
    chosen = spread_over_depth(layers, at_most)
    assert len(chosen) == min(layers, at_most)
    assert (chosen[0], chosen[-1]) == (0, layers - 1)
    steps = {later - earlier for earlier, later in pairwise(chosen)}
    assert all(step > 0 for step in steps)
    assert not steps or max(steps) - min(steps) <= 1


@given(layers=st.integers(1, 200))
def test_where_all_fit_all_are_taken(layers: int) -> None:
    assert spread_over_depth(layers, layers) == list(range(layers))


@given(layers=st.integers(1, 200))
def test_one_is_the_first(layers: int) -> None:
    assert spread_over_depth(layers, 1) == [0]
