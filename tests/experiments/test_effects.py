"""A mean over runs against scipy's own test, closed forms, and simulated runs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from headalgebra.experiments.effects import Effect, detectable_distance, mean_effect

RUNS = st.lists(st.floats(-100, 100), min_size=3, max_size=12).filter(lambda x: np.std(x) > 1e-3)
NUMBERS = ("value", "low", "high", "p", "detectable")


def numbers(effect: Effect) -> list[float]:
    return [getattr(effect, name) for name in NUMBERS]


@given(RUNS, st.floats(-100, 100))
def test_interval_and_test_are_students(values: list[float], bound: float) -> None:
    effect = mean_effect(values, bound)
    oracle = stats.ttest_1samp(values, bound)
    interval = oracle.confidence_interval(0.95)
    assert effect.n == len(values)
    assert effect.value == pytest.approx(np.mean(values), abs=1e-11)
    assert effect.p == pytest.approx(oracle.pvalue, rel=1e-7)
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high), abs=1e-9)


@given(RUNS, st.floats(-100, 100))
def test_the_interval_leaves_out_the_bound_where_the_test_says_so(
    values: list[float], bound: float
) -> None:
    effect = mean_effect(values, bound)
    if abs(effect.p - 0.05) > 1e-9:
        assert (effect.p < 0.05) == (not effect.low <= bound <= effect.high)


def test_two_runs_have_the_interval_of_cauchy() -> None:
    # With one degree of freedom t is Cauchy's: its quantile is tan(.475 π), p is 1 − 2 atan(t)/π.
    effect = mean_effect([1.0, 3.0], 0.0)
    half = math.tan(0.475 * math.pi)
    assert (effect.low, effect.high) == pytest.approx((2 - half, 2 + half), rel=1e-12)
    assert effect.p == pytest.approx(1 - 2 * math.atan(2) / math.pi, rel=1e-12)


@given(RUNS, st.floats(-50, 50), st.floats(-100, 100), st.floats(0.1, 10))
def test_shift_and_scale(values: list[float], bound: float, shift: float, scale: float) -> None:
    x = np.array(values)
    plain = mean_effect(x, bound)
    moved = mean_effect(scale * x + shift, scale * bound + shift)
    expected = [scale * plain.value + shift, scale * plain.low + shift, scale * plain.high + shift]
    assert [moved.value, moved.low, moved.high] == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert moved.p == pytest.approx(plain.p, rel=1e-5)
    assert moved.detectable == pytest.approx(scale * plain.detectable, rel=1e-7)


@given(RUNS, st.floats(-50, 50))
def test_turned_round(values: list[float], bound: float) -> None:
    plain, turned = mean_effect(values, bound), mean_effect(-np.array(values), -bound)
    assert [turned.value, turned.low, turned.high] == [-plain.value, -plain.high, -plain.low]
    assert (turned.p, turned.detectable) == (plain.p, plain.detectable)


@given(RUNS, st.randoms(use_true_random=False))
def test_order_of_runs_is_nothing(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = numbers(mean_effect(values, 0.5)), numbers(mean_effect(shuffled, 0.5))
    assert one == pytest.approx(other, rel=1e-8, abs=1e-10)


def test_no_run_has_nothing() -> None:
    assert np.isnan(numbers(mean_effect([], 0.0))).all()
    assert mean_effect([], 0.0).n == 0


def test_one_run_has_a_value_alone() -> None:
    effect = mean_effect([0.3], 0.0)
    assert (effect.value, effect.n) == (0.3, 1)
    assert np.isnan(numbers(effect)[1:]).all()


@pytest.mark.parametrize("n", [2, 3, 7, 8])
def test_runs_that_are_alike_have_an_interval_without_width(n: int) -> None:
    # The mean of seven times .1 is not .1 in floating point.
    assert numbers(mean_effect([0.1] * n, 0.0)) == [0.1, 0.1, 0.1, 0.0, 0.0]
    assert numbers(mean_effect([0.1] * n, 0.1)) == [0.1, 0.1, 0.1, 1.0, 0.0]


def test_it_is_the_limit_of_a_small_spread() -> None:
    near = numbers(mean_effect(1 + 1e-12 * np.arange(8.0), 0.0))
    assert near == pytest.approx(numbers(mean_effect([1.0] * 8, 0.0)), abs=1e-10)


def test_without_a_bound_there_is_no_test() -> None:
    effect = mean_effect([1.0, 2.0, 4.0], None)
    judged = mean_effect([1.0, 2.0, 4.0], 0.0)
    assert numbers(effect)[:3] == numbers(judged)[:3]
    assert math.isnan(effect.p)
    assert math.isnan(effect.detectable)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="leave the run out"):
        mean_effect([1.0, wrong], 0.0)


@pytest.mark.parametrize(("n", "expected"), [(3, 3.26), (8, 1.16), (34, 0.495)])
def test_detectable_distances_of_the_tables(n: int, expected: float) -> None:
    # Cohen's tables: 34 pairs find half a standard deviation in 80 % of cases.
    assert detectable_distance(1.0, n) == pytest.approx(expected, abs=0.006)


def test_of_many_runs_it_is_the_normal_one() -> None:
    n = 100_000
    normal = special.ndtri(0.975) + special.ndtri(0.8)
    assert detectable_distance(2.0, n) * math.sqrt(n) / 2 == pytest.approx(normal, rel=1e-4)


@given(st.floats(0, 1e3), st.integers(2, 100))
def test_it_goes_with_the_spread_and_falls_with_the_runs(sd: float, n: int) -> None:
    one = detectable_distance(1.0, n)
    assert detectable_distance(sd, n) == pytest.approx(sd * one, rel=1e-12)
    assert detectable_distance(1.0, n + 1) < one
    assert detectable_distance(1.0, n, power=0.9) > one > detectable_distance(1.0, n, level=0.1)


def test_of_one_run_there_is_none() -> None:
    assert math.isnan(detectable_distance(1.0, 1))
    assert detectable_distance(0.0, 2) == 0


@pytest.mark.parametrize(("power", "level"), [(0.04, 0.05), (1.0, 0.05), (0.8, 0.0)])
def test_a_power_that_no_distance_has_is_refused(power: float, level: float) -> None:
    with pytest.raises(ValueError, match="rise from 0 to 1"):
        detectable_distance(1.0, 8, power=power, level=level)


REPETITIONS = 20_000


def shares(n: int, at: float) -> tuple[float, float]:
    """How often the interval of n normal runs about ``at`` holds it, and leaves out 0."""
    runs = np.random.default_rng(n).normal(at, 1.0, (REPETITIONS, n))
    # Of a few, by the function; of all, by its formula on the same runs.
    half = stats.t.ppf(0.975, n - 1) * runs.std(axis=1, ddof=1) / math.sqrt(n)
    for row in range(20):
        effect = mean_effect(runs[row], 0.0)
        assert (effect.high - effect.low) / 2 == pytest.approx(half[row], rel=1e-9)
    off = np.abs(runs.mean(axis=1) - at)
    return float((off <= half).mean()), float((np.abs(runs.mean(axis=1)) > half).mean())


@pytest.mark.parametrize("n", [2, 3, 8])
def test_as_many_intervals_cover_and_effects_are_found_as_promised(n: int) -> None:
    covered, found = shares(n, detectable_distance(1.0, n))
    # Five standard errors of a share of 20,000.
    assert covered == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / REPETITIONS))
    assert found == pytest.approx(0.8, abs=5 * math.sqrt(0.8 * 0.2 / REPETITIONS))
