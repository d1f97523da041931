"""Checkpoints are as many as wanted, and at equal ratios where numbers are large enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.training import Recipe, checkpoint_steps


@given(st.integers(1, 10_000), st.data())
def test_steps_are_distinct_and_end_with_the_last(steps: int, data: st.DataObject) -> None:
    checkpoints = data.draw(st.integers(1, min(steps, 60)))
    found = checkpoint_steps(steps, checkpoints)
    assert len(found) == checkpoints + 1
    assert found == tuple(sorted({*found}))
    assert (found[0], found[-1]) == (0, steps)


@pytest.mark.parametrize("steps", [24, 25, 500, 1952, 100_000])
def test_24_checkpoints_are_log_spaced(steps: int) -> None:
    found = np.array(checkpoint_steps(steps)[1:])
    assert len({*found}) == 24
    assert found[0] == 1
    if steps >= 500:
        ratios = found[1:] / found[:-1]
        even = ratios[found[:-1] > 20]
        # Half a step of rounding on either side.
        assert np.ptp(even) <= 2 / 20 * even.mean()


def test_more_checkpoints_than_steps_are_refused() -> None:
    for steps, checkpoints in ((23, 24), (5, 0)):
        with pytest.raises(ValueError, match=f"checkpoints: {checkpoints} of {steps} steps"):
            checkpoint_steps(steps, checkpoints)


def test_validation_is_at_checkpoints_and_regularly_besides() -> None:
    assert Recipe().validated() == {*checkpoint_steps(1952)}
    found = Recipe(validate_every=16).validated()
    assert found == {*checkpoint_steps(1952), *range(0, 1953, 16)}
