"""A correlation that was planted is found, and none where there is none."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from trained_runs import SIZE, STEPS

from headalgebra.experiments.measures import stability
from headalgebra.experiments.measures.stability import (
    following,
    gradient_stability,
    halfway,
    long_intervals,
    moving_together,
    unsteadiness,
)
from headalgebra.experiments.measures.weights import course_of_weights
from headalgebra.experiments.run import Run
from heads import unchecked_shapes

SEEDS = st.integers(0, 2**32 - 1)


def whole_numbers(seed: int, layers: int = 3, intervals: int = 9) -> np.ndarray:
    """Sums and differences of which are exact, so that ranks are."""
    return np.random.default_rng(seed).integers(-(10**6), 10**6, (layers, intervals)).astype(float)


def all_follow(intervals: int = 9) -> np.ndarray:
    return np.ones(intervals - 1, dtype=bool)


def metrics(norms: np.ndarray) -> pd.DataFrame:
    """Of gradient norms, ``[steps, layers]``, from step 1 on."""
    empty = np.full((1, norms.shape[1]), np.nan)
    columns = [f"gradient_query_key_{layer}" for layer in range(norms.shape[1])]
    table = pd.DataFrame(np.concatenate([empty, norms]), columns=columns)
    return table.assign(step=range(len(table)))


@given(SEEDS)
def test_what_moves_together_does_so_whatever_the_trends_of_layers(seed: int) -> None:
    values = whole_numbers(seed)
    # Linear in the interval, so that differences gain a number of the layer's.
    trend = 8 * whole_numbers(seed + 1, intervals=1) * np.arange(9) + whole_numbers(seed + 2)[:, :1]
    assert moving_together(values, 2 * values + trend, all_follow()) == pytest.approx(1)
    assert moving_together(values, trend - values, all_follow()) == pytest.approx(-1)


@given(SEEDS)
def test_it_is_spearmans_rho_of_differences_less_their_layers_mean(seed: int) -> None:
    x, y = whole_numbers(seed), whole_numbers(seed + 1)
    pairs = []
    for layer in range(3):
        of_layer = [
            (x[layer, k + 1] - x[layer, k], y[layer, k + 1] - y[layer, k]) for k in range(8)
        ]
        means = np.mean(of_layer, axis=0)
        pairs += [(a - means[0], b - means[1]) for a, b in of_layer]
    expected = stats.spearmanr(*zip(*pairs, strict=True)).statistic
    assert moving_together(x, y, all_follow()) == pytest.approx(expected)
    order = np.random.default_rng(seed).permutation(3)
    assert moving_together(x[order], y[order], all_follow()) == pytest.approx(expected)


def test_walks_of_their_own_do_not_move_together() -> None:
    """Though their levels do, as trends."""
    found, levels = [], []
    for seed in range(200):
        x, y = (whole_numbers(seed + it).cumsum(1) for it in (0, 1000))
        found.append(moving_together(x, y, all_follow()))
        levels.append(stats.spearmanr(x[0], y[0]).statistic)
    assert abs(np.mean(found)) < 5 * np.std(found) / 200**0.5
    # Of 24 differences less three means.
    assert np.std(found) == pytest.approx(1 / 20**0.5, rel=0.25)
    assert np.std(levels) > 1.5 * np.std(found)


@given(SEEDS)
def test_only_intervals_that_follow_are_held_against_one_another(seed: int) -> None:
    x = whole_numbers(seed)
    y = x.copy()
    y[:, 4:] += 10**8 * np.arange(1, 4)[:, None]
    follows = all_follow()
    follows[3] = False
    assert moving_together(x, y, follows) == pytest.approx(1)
    shifted = np.roll(x, 1, axis=1)
    assert moving_together(x, shifted, all_follow()) < 0.9


def test_what_does_not_exist_is_left_out() -> None:
    x = whole_numbers(0)
    y = x.copy()
    x[0, 3], y[1, :], y[2, 0] = np.nan, np.nan, -np.inf
    assert moving_together(x, y, all_follow()) == pytest.approx(1)
    assert math.isnan(moving_together(np.full_like(x, np.nan), x, all_follow()))
    few = whole_numbers(0, layers=1, intervals=3)
    assert math.isnan(moving_together(few, few, all_follow(3)))


def test_intervals_are_long_enough_and_follow() -> None:
    assert long_intervals(STEPS) == [(8, 16), (16, 31), (31, 60)]
    assert following(long_intervals(STEPS)).all()
    apart = long_intervals((0, 9, 10, 20, 28))
    assert apart == [(0, 9), (10, 20), (20, 28)]
    assert following(apart).tolist() == [False, True]
    assert long_intervals((0, 1, 2)) == []
    assert following([]).shape == (0,)
    ends = np.array([[1.0, 3.0, 7.0, 9.0, 0.0]])
    assert halfway(ends, (0, 9, 10, 20, 28), apart).tolist() == [[2.0, 8.0, 4.5]]


@given(SEEDS)
def test_unsteadiness_is_of_the_steps_of_an_interval(seed: int) -> None:
    logs = np.random.default_rng(seed).standard_normal((30, 2))
    intervals = [(0, 8), (8, 20), (20, 30)]
    found = unsteadiness(metrics(np.exp(logs)), intervals, layers=2)
    expected = [np.std(logs[start:end], axis=0, ddof=1) for start, end in intervals]
    assert found == pytest.approx(np.array(expected).T)
    # Of any scale.
    assert unsteadiness(metrics(7 * np.exp(logs)), intervals, layers=2) == pytest.approx(found)
    # Step 8 is the last of the first interval.
    logs[7] += 5
    changed = unsteadiness(metrics(np.exp(logs)), intervals, layers=2) - found
    assert (np.abs(changed[:, 0]) > 0.1).all()
    assert changed[:, 1:] == pytest.approx(0)
    # No logarithm, no standard deviation.
    norms = np.exp(logs)
    norms[10, 1] = 0
    lost = np.isnan(unsteadiness(metrics(norms), intervals, layers=2))
    assert lost.tolist() == [[False] * 3, [False, True, False]]


@pytest.fixture(scope="module")
def course(usual: Run) -> dict[int, list[dict[str, float]]]:
    with unchecked_shapes():
        return course_of_weights(usual)


@pytest.mark.parametrize(
    ("quantity", "name"),
    [
        ("kappa", "gradient_stability"),
        ("rho3", "gradient_stability_rho3"),
        ("obstruction", "gradient_stability_obstruction"),
    ],
)
def test_gradients_that_follow_a_quantity_are_found_to(
    usual: Run,
    course: dict[int, list[dict[str, float]]],
    monkeypatch: pytest.MonkeyPatch,
    quantity: str,
    name: str,
) -> None:
    """Gradients swing in every interval as far as the quantity is halfway through it."""
    monkeypatch.setattr(stability, "course_of_weights", lambda _: course)
    steps = np.arange(1, 61)
    logs = np.zeros((60, SIZE.layers))
    for start, end in pairwise((8, 16, 31, 60)):
        inside = (steps > start) & (steps <= end)
        swing = np.where(steps % 2, 1.0, -1.0)[inside]
        swing /= swing.std(ddof=1)
        for layer in range(SIZE.layers):
            ends = np.array([course[step][layer][quantity] for step in (start, end)])
            size = (np.log(ends) if quantity == "kappa" else ends).mean()
            logs[inside, layer] = size * swing
    planted = replace(usual)
    planted.__dict__["metrics"] = metrics(np.exp(logs))
    found = {it.quantity: it.value for it in gradient_stability(planted) if it.step is None}
    assert found[name] == pytest.approx(1)
    assert sum(value == pytest.approx(1) for value in found.values()) == 1
    # With the layers of the one exchanged, it is lost.
    planted.__dict__["metrics"] = metrics(np.exp(np.roll(logs, 1, axis=1)))
    found = {it.quantity: it.value for it in gradient_stability(planted) if it.step is None}
    assert found[name] != pytest.approx(1)
