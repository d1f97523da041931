"""Partial rank correlations against scipy's and a regression, and simulated runs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from headalgebra.experiments import ranks
from headalgebra.experiments.effects import Effect
from headalgebra.experiments.ranks import partial_rank_correlation, rank_effect

Cloud = np.ndarray


@st.composite
def clouds(draw: st.DrawFn, k: int = 1) -> Cloud:
    """Two quantities and k given ones of some runs, with ties; none of them constant."""
    n = draw(st.integers(k + 4, 20))
    seed = draw(st.integers(0, 2**32 - 1))
    cloud = np.random.default_rng(seed).integers(0, draw(st.integers(4, 50)), (2 + k, n))
    cloud[:, 0], cloud[:, 1] = -1, 60
    return cloud.astype(float)


@given(clouds(k=0))
def test_with_nothing_given_it_is_spearmans(cloud: Cloud) -> None:
    x, y = cloud
    expected = stats.spearmanr(x, y).statistic
    assert partial_rank_correlation(x, y) == pytest.approx(expected, abs=1e-12)
    assert partial_rank_correlation(x, y, np.empty((len(x), 0))) == partial_rank_correlation(x, y)


@given(clouds(k=1))
def test_with_one_given_it_is_the_textbooks(cloud: Cloud) -> None:
    x, y, z = cloud
    xy, xz, yz = (stats.spearmanr(a, b).statistic for a, b in ((x, y), (x, z), (y, z)))
    if max(abs(xz), abs(yz)) < 1 - 1e-6:
        expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
        assert partial_rank_correlation(x, y, z[:, None]) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("k", [2, 3])
def test_with_more_given_it_is_of_residuals(k: int) -> None:
    cloud = np.random.default_rng(k).normal(size=(2 + k, 15))
    ranked = stats.rankdata(cloud, axis=1)
    given_ranks = np.column_stack([np.ones(15), ranked[2:].T])
    fitted = given_ranks @ np.linalg.lstsq(given_ranks, ranked[:2].T, rcond=None)[0]
    left = ranked[:2].T - fitted
    expected = np.corrcoef(left.T)[0, 1]
    found = partial_rank_correlation(cloud[0], cloud[1], cloud[2:].T)
    assert found == pytest.approx(expected, abs=1e-12)


@given(clouds(k=2), st.randoms(use_true_random=False))
def test_only_the_ranks_of_runs_count(cloud: Cloud, random: object) -> None:
    x, y, *rest = cloud
    taken = np.transpose(rest)
    plain = partial_rank_correlation(x, y, taken)
    order = list(range(len(x)))
    random.shuffle(order)  # type: ignore[attr-defined]
    same = {
        "rising": partial_rank_correlation(np.exp(x / 10), y**3, np.arctan(taken)),
        "exchanged": partial_rank_correlation(y, x, taken[:, ::-1]),
        "shuffled": partial_rank_correlation(x[order], y[order], taken[order]),
        "falling given": partial_rank_correlation(x, y, -taken),
        "given twice": partial_rank_correlation(x, y, np.hstack([taken, taken])),
    }
    for name, found in same.items():
        assert found == pytest.approx(plain, abs=1e-8, nan_ok=True), name
    turned = partial_rank_correlation(-x, y, taken)
    assert turned == pytest.approx(-plain, abs=1e-8, nan_ok=True)


def test_a_common_cause_is_taken_out() -> None:
    rng = np.random.default_rng(0)
    cause = rng.normal(size=2_000)
    x, y = cause + rng.normal(size=2_000), cause + rng.normal(size=2_000)
    assert partial_rank_correlation(x, y) > 0.4
    # Ranks of sums are not sums of ranks: a little is left, beside 1/√2000 of chance.
    assert abs(partial_rank_correlation(x, y, cause[:, None])) < 0.1


@pytest.mark.parametrize(
    ("x", "y", "taken"),
    [
        ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0], None),
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0], [10.0, 20.0, 30.0, 40.0]),
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0], [-1.0, -2.0, -3.0, -4.0]),
        ([1.0, 2.0], [2.0, 1.0], [1.0, 2.0]),
        ([1.0], [2.0], None),
        ([], [], None),
    ],
)
def test_where_nothing_is_left_there_is_none(
    x: list[float], y: list[float], taken: list[float] | None
) -> None:
    given_ones = None if taken is None else np.array(taken)[:, None]
    assert math.isnan(partial_rank_correlation(x, y, given_ones))
    effect = rank_effect(x, y, given_ones, bound=0.0, side="above", seed=0)
    assert effect.n == len(x)
    assert np.isnan([effect.value, effect.low, effect.high, effect.p, effect.detectable]).all()


@pytest.mark.parametrize(
    ("x", "y", "taken"),
    [([1.0, 2.0], [1.0], None), ([1.0, 2.0], [1.0, 2.0], [[1.0]]), ([1.0, math.nan], [1, 2], None)],
)
def test_corrupted_numbers_are_refused(x: list[float], y: list[float], taken: object) -> None:
    with pytest.raises(ValueError, match=r"not as many|not finite"):
        partial_rank_correlation(x, y, taken)  # type: ignore[arg-type]


def test_a_perfect_order_has_no_interval() -> None:
    effect = rank_effect(np.arange(8.0), np.arange(8.0) ** 2, bound=0.0, side="above", seed=0)
    assert effect.value == 1
    assert np.isnan([effect.low, effect.high, effect.p, effect.detectable]).all()


def test_three_runs_have_no_interval_and_few_a_wide_one() -> None:
    rng = np.random.default_rng(0)
    three = rank_effect([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], bound=0.0, side="above", seed=0)
    assert math.isnan(three.low)
    x, y = rng.normal(size=(2, 5))
    five = rank_effect(x, y, bound=0.0, side="above", seed=0)
    assert five.high - five.low > 1.5


def of(cloud: Cloud, bound: float = -0.3, seed: int = 0, side: str = "below") -> Effect:
    x, y, *rest = cloud
    taken = np.transpose(rest) if rest else None
    return rank_effect(x, y, taken, bound=bound, side=side, seed=seed)


def normal_cloud(rng: np.random.Generator, n: int, k: int, rho: float) -> Cloud:
    """x and y with a correlation beside what k common causes give them."""
    causes, (one, other) = rng.normal(size=(k, n)), rng.normal(size=(2, n))
    common = 0.7 * causes.sum(axis=0)
    return np.vstack([one + common, rho * one + math.sqrt(1 - rho**2) * other + common, causes])


def test_interval_test_and_power_are_of_one_error() -> None:
    cloud = normal_cloud(np.random.default_rng(1), 45, 1, -0.6)
    effect = of(cloud)
    z, low, high, at = np.arctanh([effect.value, effect.low, effect.high, -0.3])
    error = (high - low) / 2 / stats.norm.ppf(0.975)
    assert z == pytest.approx((low + high) / 2, abs=1e-9)
    assert effect.p == pytest.approx(2 * stats.norm.sf(abs(z - at) / error), rel=1e-6)
    # One who finds at the distance what it promises, by the same normal z.
    there = math.atanh(-0.3 - effect.detectable)
    found = stats.norm.sf(stats.norm.ppf(0.975) - (at - there) / error)
    assert found == pytest.approx(0.8, abs=1e-6)
    # A bound at the end of the interval is the one with p = .05.
    assert of(cloud, bound=effect.high).p == pytest.approx(0.05, rel=1e-6)
    above = of(cloud, side="above")
    assert (above.low, above.high, above.p) == (effect.low, effect.high, effect.p)
    assert above.detectable > effect.detectable


def test_the_error_is_about_fishers_for_normal_quantities() -> None:
    cloud = normal_cloud(np.random.default_rng(2), 400, 1, 0.4)
    effect = of(cloud)
    error = (math.atanh(effect.high) - math.atanh(effect.low)) / 2 / stats.norm.ppf(0.975)
    assert error == pytest.approx(math.sqrt(1.06 / (400 - 1 - 3)), rel=0.15)


def test_the_seed_decides_and_turning_turns() -> None:
    cloud = normal_cloud(np.random.default_rng(3), 20, 1, 0.3)
    assert of(cloud) == of(cloud)
    assert of(cloud).low != of(cloud, seed=1).low
    assert of(cloud).low == pytest.approx(of(cloud, seed=1).low, abs=0.03)
    plain = of(cloud)
    turned = of(cloud * np.array([[-1], [1], [1]]), bound=0.3, side="above")
    assert (turned.low, turned.high) == pytest.approx((-plain.high, -plain.low), abs=1e-9)
    assert (turned.p, turned.detectable) == pytest.approx((plain.p, plain.detectable), rel=1e-6)


@pytest.mark.parametrize(("n", "k", "least", "most"), [(16, 2, 0.93, 1.0), (45, 1, 0.92, 0.98)])
def test_as_many_intervals_cover_as_promised(
    n: int, k: int, least: float, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many runs, and given quantities, as the experiments have.
    monkeypatch.setattr(ranks, "RESAMPLES", 400)
    rng = np.random.default_rng(4)
    true = partial_rank_correlation(*_split(normal_cloud(rng, 100_000, k, -0.6)))
    effects = [of(normal_cloud(rng, n, k, -0.6)) for _ in range(300)]
    covered = np.mean([effect.low <= true <= effect.high for effect in effects])
    # Three standard errors of a share of 300 are .04; few runs have too wide an interval.
    assert least <= covered <= most


def test_as_many_effects_are_found_as_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "RESAMPLES", 400)
    rng = np.random.default_rng(5)
    at = 0.0
    # Chosen so that ρ lies as far from 0 as such runs promise to find.
    rho = -0.455
    true = partial_rank_correlation(*_split(normal_cloud(rng, 100_000, 1, rho)))
    effects = [of(normal_cloud(rng, 45, 1, rho), bound=at) for _ in range(300)]
    promised = np.median([effect.detectable for effect in effects])
    found = np.mean([effect.p < 0.05 for effect in effects])
    assert abs(true) == pytest.approx(promised, abs=0.03)
    assert found == pytest.approx(0.8, abs=0.1)


def _split(cloud: Cloud) -> tuple[Cloud, Cloud, Cloud]:
    return cloud[0], cloud[1], cloud[2:].T
