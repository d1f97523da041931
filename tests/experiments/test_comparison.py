"""Rows of experiments against scipy on the same runs, and runs that are lost or corrupted."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from experiment_tables import (
    experiment,
    found,
    numbered,
    training,
    trainings,
    value,
    values,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from headalgebra import columns
from headalgebra.csv_files import read_csv
from headalgebra.experiments import Experiment, compare, corrected
from headalgebra.experiments.effects import detectable_distance

NUMBERS = ["mean", "effect", "low", "high", "p", "detectable"]
A = [1.0, 2.0, 4.0, 3.5, 2.5]
B = [0.5, 2.5, 3.0, 2.0, 1.0]
PAIRS = numbered("default", A) | numbered("other", B)


def test_paired_is_a_test_of_differences() -> None:
    row = found(experiment(), PAIRS).iloc[0]
    oracle = stats.ttest_rel(B, A)
    interval = oracle.confidence_interval(0.95)
    assert (row["statistic"], row["arm"], row["control"]) == ("q", "other", "default")
    assert row["n"] == 5
    assert row["mean"] == pytest.approx(np.mean(B))
    assert row["effect"] == pytest.approx(np.mean(B) - np.mean(A))
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["p"] == pytest.approx(oracle.pvalue)
    sd = np.std(np.subtract(B, A), ddof=1)
    assert row["detectable"] == pytest.approx(detectable_distance(sd, 5))
    assert row["note"] == ""


def test_mean_has_a_row_for_each_arm() -> None:
    asked = experiment(comparison="mean", bound=0.5, side="above", needs="any")
    rows = found(asked, PAIRS)
    assert rows["arm"].tolist() == ["default", "other"]
    assert rows["control"].tolist() == ["", ""]
    for (_, row), numbers in zip(rows.iterrows(), (A, B), strict=True):
        assert row["effect"] == row["mean"] == pytest.approx(np.mean(numbers))
        assert row["p"] == pytest.approx(stats.ttest_1samp(numbers, 0.5).pvalue)
        assert (row["bound"], row["side"], row["needs"]) == (0.5, "above", "any")


def test_ratio_is_of_logarithms_and_told_as_a_change() -> None:
    row = found(experiment(comparison="ratio", bound=0.01), PAIRS).iloc[0]
    logs = np.log(B) - np.log(A)
    oracle = stats.ttest_1samp(logs, math.log(1.01))
    interval = oracle.confidence_interval(0.95)
    assert row["effect"] == pytest.approx(stats.gmean(B) / stats.gmean(A) - 1)
    assert row["low"] == pytest.approx(math.exp(interval.low) - 1)
    assert row["high"] == pytest.approx(math.exp(interval.high) - 1)
    assert row["p"] == pytest.approx(oracle.pvalue)
    assert row["bound"] == 0.01
    distance = detectable_distance(float(logs.std(ddof=1)), 5)
    assert row["detectable"] == pytest.approx(1.01 * (1 - math.exp(-distance)))
    above = found(experiment(comparison="ratio", bound=0.01, side="above"), PAIRS).iloc[0]
    assert above["detectable"] == pytest.approx(1.01 * (math.exp(distance) - 1))


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_a_number_without_a_logarithm_is_left_out(wrong: float) -> None:
    row = found(experiment(comparison="ratio"), PAIRS | {("other", 2): wrong}).iloc[0]
    assert (row["n"], row["excluded"]) == (4, 1)
    assert row["note"] == "left out, q is not above 0, and has no logarithm: 1"


@given(st.lists(st.floats(-10, 10), min_size=5, max_size=5), st.floats(-100, 100))
def test_pairs_forget_what_both_arms_share(shared: list[float], shift: float) -> None:
    moved = {
        (arm, seed): number + shared[seed] + shift
        for (arm, seed), number in PAIRS.items()
        if number is not None
    }
    plain, same = found(experiment(), PAIRS).iloc[0], found(experiment(), moved).iloc[0]
    for name in ("effect", "low", "high", "p", "detectable"):
        assert same[name] == pytest.approx(plain[name], abs=1e-9)


@given(st.floats(0.1, 10))
def test_ratios_forget_the_unit(unit: float) -> None:
    asked = experiment(comparison="ratio")
    scaled = {run: unit * number for run, number in PAIRS.items() if number is not None}
    plain, same = found(asked, PAIRS).iloc[0], found(asked, scaled).iloc[0]
    assert same["mean"] == pytest.approx(unit * plain["mean"])
    for name in ("effect", "low", "high", "p", "detectable"):
        assert same[name] == pytest.approx(plain[name], abs=1e-9)


def of_ranks(**changed: Any) -> Experiment:
    asked: dict[str, Any] = {
        "comparison": "partial_rank",
        "quantity": "q",
        "against": ["r"],
        "bound": -0.3,
    }
    return experiment(**asked | changed)


def cloud(asked: Experiment, numbers: dict[str, dict[tuple[str, int], float]]) -> pd.DataFrame:
    """What is found of runs with several quantities each."""
    runs = dict.fromkeys(run for of in numbers.values() for run in of)
    rows = [
        value(*run, number, quantity=name)
        for name, of in numbers.items()
        for run, number in of.items()
    ]
    return compare(asked, trainings([training(*run) for run in runs]), values(rows), seed=0)


def drawn(names: str, seeds: int = 12) -> dict[str, dict[tuple[str, int], float]]:
    rng = np.random.default_rng(0)
    return {
        name: {(arm, seed): rng.normal() for arm in ("default", "other") for seed in range(seeds)}
        for name in names
    }


def test_ranks_are_of_all_runs_together() -> None:
    numbers = drawn("qrs")
    rows = cloud(of_ranks(against=["r", "s"]), numbers)
    assert rows["statistic"].tolist() == ["q ~ r", "q ~ s"]
    assert rows["arm"].tolist() == rows["control"].tolist() == ["", ""]
    for (_, row), name in zip(rows.iterrows(), "rs", strict=True):
        expected = stats.spearmanr(list(numbers["q"].values()), list(numbers[name].values()))
        assert row["effect"] == pytest.approx(expected.statistic)
        assert row["low"] < row["effect"] < row["high"]
        assert row["n"] == 24
        assert row["mean"] == pytest.approx(np.mean(list(numbers["q"].values())))
    assert rows["excluded"].tolist() == [0, 0]


def test_what_is_given_is_taken_out() -> None:
    numbers = drawn("qrs")
    plain = cloud(of_ranks(), numbers).iloc[0]
    row = cloud(of_ranks(given=["s"]), numbers).iloc[0]
    q, r, s = (list(numbers[name].values()) for name in "qrs")
    qr, qs, rs = (stats.spearmanr(a, b).statistic for a, b in ((q, r), (q, s), (r, s)))
    expected = (qr - qs * rs) / math.sqrt((1 - qs**2) * (1 - rs**2))
    assert row["effect"] == pytest.approx(expected)
    assert row["effect"] != plain["effect"]
    # Of what is given, a quantity in which each run follows from the other leaves nothing.
    row = cloud(of_ranks(given=["s"]), numbers | {"s": numbers["q"]}).iloc[0]
    assert math.isnan(row["effect"])
    assert row["note"].startswith("a quantity is constant, or no more than what is given")


def test_cells_are_means_over_seeds() -> None:
    arms = [f"w{place}" for place in range(6)]
    rng = np.random.default_rng(1)
    numbers = {
        name: {(arm, seed): rng.normal() for arm in arms for seed in range(3)} for name in "qr"
    }
    row = cloud(of_ranks(arms=arms, control=None, cells=True), numbers).iloc[0]
    means = [
        [np.mean([numbers[name][arm, seed] for seed in range(3)]) for arm in arms] for name in "qr"
    ]
    assert row["n"] == 6
    assert row["effect"] == pytest.approx(stats.spearmanr(*means).statistic)


def test_a_run_without_one_of_the_quantities_is_left_out() -> None:
    numbers = drawn("qr")
    numbers["r"]["other", 3] = math.nan
    del numbers["r"]["default", 5]
    row = cloud(of_ranks(), numbers).iloc[0]
    assert (row["n"], row["excluded"]) == (22, 2)
    assert "left out, r was not measured: 1" in row["note"]
    assert "left out, r has no value (not reached, or not defined): 1" in row["note"]


def test_a_diverged_run_leaves_with_its_pair() -> None:
    row = found(experiment(), PAIRS, diverged={("default", 1): 40, ("other", 3): 7}).iloc[0]
    kept = [0, 2, 4]
    oracle = stats.ttest_rel(np.take(B, kept), np.take(A, kept))
    assert (row["n"], row["diverged"], row["excluded"]) == (3, 2, 0)
    assert row["p"] == pytest.approx(oracle.pvalue)
    assert row["mean"] == pytest.approx(np.mean(np.take(B, kept)))
    assert row["note"] == "diverged: 2"
    both = found(experiment(), PAIRS, diverged={("default", 1): 40, ("other", 1): 7}).iloc[0]
    assert (both["n"], both["diverged"]) == (4, 2)


@pytest.mark.parametrize("comparison", ["mean", "paired", "ratio"])
def test_an_arm_whose_runs_all_diverged_has_a_row_without_an_effect(comparison: str) -> None:
    lost = {("other", seed): 3 for seed in range(5)}
    row = found(experiment(comparison=comparison), PAIRS, diverged=lost).iloc[-1]
    assert (row["arm"], row["n"], row["diverged"]) == ("other", 0, 5)
    assert row[NUMBERS].isna().all()
    assert row["note"] == "no run is left; diverged: 5"
    assert row["bound"] == 0


def test_ranks_of_diverged_runs() -> None:
    lost = {run: 3 for run in PAIRS}
    row = found(of_ranks(), PAIRS, diverged=lost).iloc[0]
    assert (row["n"], row["diverged"]) == (0, 10)
    assert row["note"] == "no run is left; diverged: 10"


def test_a_censored_run_is_left_out_and_told() -> None:
    row = found(experiment(), PAIRS | {("other", 0): None, ("default", 2): math.inf}).iloc[0]
    assert (row["n"], row["excluded"], row["diverged"]) == (3, 2, 0)
    assert row["note"] == "left out, q has no value (not reached, or not defined): 2"


def test_a_run_that_was_not_measured_or_has_no_partner_is_left_out() -> None:
    runs = trainings([training(*run) for run in PAIRS] + [training("other", 9)])
    rows = values([value(*run, n) for run, n in PAIRS.items() if run != ("default", 0)])
    row = compare(experiment(), runs, rows, seed=0).iloc[0]
    assert (row["n"], row["excluded"]) == (4, 2)
    assert "left out, q was not measured: 1" in row["note"]
    assert "left out, no run of the same seed to pair with: 1" in row["note"]


RUN_STATES = st.sampled_from(["fine", "diverged", "empty", "absent"])


@given(st.lists(st.tuples(RUN_STATES, RUN_STATES), min_size=1, max_size=8))
def test_every_seed_is_used_or_counted(states: list[tuple[str, str]]) -> None:
    numbers: dict[tuple[str, int], float | None] = {}
    lost = {}
    for seed, of_seed in enumerate(states):
        for arm, state in zip(("default", "other"), of_seed, strict=True):
            if state != "absent":
                numbers[arm, seed] = 1.0 + seed if state == "fine" else None
            if state == "diverged":
                lost[arm, seed] = 1
    row = found(experiment(), numbers, diverged=lost).iloc[0]
    assert row["n"] == states.count(("fine", "fine"))
    assert row["diverged"] == len(lost)
    apart = sum("diverged" in of_seed for of_seed in states)
    nothing = states.count(("absent", "absent"))
    assert row["n"] + row["excluded"] + apart + nothing == len(states)


def test_one_seed_and_alike_seeds() -> None:
    one = found(experiment(), {("default", 0): 1.0, ("other", 0): 3.0}).iloc[0]
    assert (one["n"], one["effect"], one["note"]) == (1, 2.0, "one pair: no interval")
    assert one[["low", "high", "p", "detectable"]].isna().all()
    alike = found(experiment(), numbered("default", A) | numbered("other", A)).iloc[0]
    assert (alike["low"], alike["high"], alike["p"]) == (0, 0, 1)
    assert alike["note"] == "all pairs give the same: an interval without width"


@pytest.mark.parametrize(
    "asked",
    [
        experiment(),
        experiment(comparison="mean", control=None),
        experiment(comparison="ratio"),
        experiment(comparison="equal_loss", placebo_of={"other": "default"}),
        of_ranks(),
        of_ranks(given=["s"], cells=True),
    ],
)
def test_empty_tables_give_rows_without_numbers(asked: Experiment) -> None:
    rows = compare(asked, trainings([]), values([]), seed=0)
    untyped = compare(
        asked,
        pd.DataFrame(columns=list(columns.TRAININGS)),
        pd.DataFrame(columns=list(columns.TRAINING_VALUES)),
        seed=0,
    )
    pd.testing.assert_frame_equal(rows, untyped)
    assert len(rows) == (2 if asked.comparison == "mean" else 1)
    assert (rows["note"] == "no runs").all()
    assert rows[[*NUMBERS, "parameters"]].isna().all(axis=None)
    assert (rows[["n", "diverged", "excluded", "above_floor"]] == 0).all(axis=None)
    assert corrected(rows)["p_holm"].isna().all()


def test_arms_that_are_not_judged_only_describe() -> None:
    numbers = PAIRS | numbered("third", [2.0, 2.5, 4.0, 3.0, 1.5])
    asked = {"arms": ["default", "third", "other"], "comparison": "paired"}
    every = found(experiment(**asked), numbers)
    rows = found(experiment(**asked, judged=["other"]), numbers)
    assert rows["arm"].tolist() == ["third", "other"]
    pd.testing.assert_series_equal(rows.iloc[1], every.iloc[1])
    described = rows.iloc[0]
    same = ["mean", "effect", "low", "high", "n"]
    assert described[same].tolist() == every.iloc[0][same].tolist()
    assert described[["bound", "p", "detectable"]].isna().all()
    assert (described["side"], described["needs"]) == ("", "")
    assert described["note"] == "not judged"
    assert corrected(rows)["p_holm"].isna().tolist() == [True, False]
    assert corrected(rows)["p_holm"].iloc[1] == rows["p"].iloc[1]


def test_runs_above_the_floor_are_counted_of_the_control() -> None:
    losses = {("default", 0): 4.0, ("default", 1): 4.1, ("default", 2): 3.9, ("other", 0): 9.0}
    row = found(experiment(), PAIRS, test_loss=losses).iloc[0]
    # One that is at the floor is not below it.
    assert row["above_floor"] == 2
    every = found(experiment(comparison="mean", control=None), PAIRS, test_loss=losses)
    assert every["above_floor"].tolist() == [3, 3]
    lost = found(experiment(), PAIRS, test_loss={("default", 0): None}).iloc[0]
    assert lost["above_floor"] == 1
    diverged = {"test_loss": {("default", 0): None}, "diverged": {("default", 0): 9}}
    assert found(experiment(), PAIRS, **diverged).iloc[0]["above_floor"] == 0


def test_parameters_are_of_the_largest_model() -> None:
    rows = found(experiment(), PAIRS, parameters={("other", 3): 1_234_567})
    assert rows["parameters"].tolist() == [1_234_567]


def test_a_quantity_of_checkpoints_counts_at_the_end() -> None:
    runs = trainings([training("default", seed) for seed in range(3)])
    steps = [
        value("default", seed, seed + step, step=step) for seed in range(3) for step in (9, 0, 100)
    ]
    asked = experiment(comparison="mean", control=None)
    assert compare(asked, runs, values(steps), seed=0).iloc[0]["mean"] == 101
    whole = [value("default", seed, 7.0) for seed in range(3)]
    assert compare(asked, runs, values(whole + steps), seed=0).iloc[0]["mean"] == 7
    # Of a layer is not of the run.
    layers = [value("default", seed, 1.0, layer=0) for seed in range(3)]
    row = compare(asked, runs, values(layers), seed=0).iloc[0]
    assert (row["n"], row["note"]) == (0, "no run is left; left out, q was not measured: 3")


def test_the_test_loss_is_of_the_training_itself() -> None:
    losses = {("default", 0): 3.0, ("other", 0): 2.0, ("default", 1): 3.0, ("other", 1): 2.5}
    runs = trainings([training(*run, test_loss=loss) for run, loss in losses.items()])
    row = compare(experiment(quantity="test_loss"), runs, values([]), seed=0).iloc[0]
    assert (row["n"], row["effect"], row["mean"]) == (2, -0.75, 2.25)
    again = [value(*run, 9.0, quantity="test_loss") for run in losses]
    same = compare(experiment(quantity="test_loss"), runs, values(again), seed=0).iloc[0]
    pd.testing.assert_series_equal(row, same)
    missing = trainings([training(*run, test_loss=None) for run in losses])
    row = compare(experiment(quantity="test_loss"), missing, values([]), seed=0).iloc[0]
    assert (row["n"], row["excluded"]) == (0, 2)


def test_other_experiments_are_passed_over() -> None:
    runs = [training(*run) for run in PAIRS]
    rows = [value(*run, number) for run, number in PAIRS.items()]
    others = [row | {"experiment": "f", "arm": "unknown"} for row in runs]
    other_values = [row | {"experiment": "f", "arm": "unknown", "value": 1e9} for row in rows]
    pd.testing.assert_frame_equal(
        compare(experiment(), trainings(runs), values(rows), seed=0),
        compare(experiment(), trainings(others + runs), values(rows + other_values), seed=0),
    )


@settings(max_examples=4)
@given(st.randoms(use_true_random=False))
def test_order_of_rows_is_nothing(random: Any) -> None:
    numbers = drawn("qrs", seeds=4)
    runs = [training(*run) for run in numbers["q"]]
    rows = [
        value(*run, number, quantity=name)
        for name, of in numbers.items()
        for run, number in of.items()
    ]
    for asked in (experiment(), of_ranks(given=["s"])):
        plain = compare(asked, trainings(runs), values(rows), seed=0)
        random.shuffle(runs)
        random.shuffle(rows)
        pd.testing.assert_frame_equal(
            plain, compare(asked, trainings(runs), values(rows), seed=0), check_exact=True
        )


def test_text_stays_text(tmp_path: Any) -> None:
    """Also of arms that read as numbers or as nothing, of empty columns and of empty tables."""
    asked = experiment(name="1", claim="2", arms=["1.10", "NA", "none"], control="1.10")
    runs = [training(arm, 0, experiment="1") for arm in asked.arms]
    rows = [value(arm, 0, 1.0, experiment="1") for arm in asked.arms]
    for given_rows in ((runs, rows), ([], [])):
        got = compare(asked, trainings(given_rows[0]), values(given_rows[1]), seed=0)
        assert list(got) == list(columns.EXPERIMENTS)
        for name in got:
            text = pd.api.types.is_string_dtype(got[name])
            assert text == (name in columns.TEXT), name
        path = tmp_path / "experiments.csv"
        got.to_csv(path, index=False, float_format=columns.FLOAT_FORMAT)
        back = read_csv(path)
        assert back["arm"].tolist() == ["NA", "none"]
        assert back["control"].tolist() == ["1.10", "1.10"]
        assert back["claim"].tolist() == ["2", "2"]


def test_holm_is_over_the_tests_of_all_rows() -> None:
    p = [0.01, math.nan, 0.04, 0.03, math.nan, 0.005]
    rows = [{"p": number, "arm": str(place)} for place, number in enumerate(p)]
    filled = corrected(pd.DataFrame(rows, columns=list(columns.EXPERIMENTS)))
    expected = [0.03, math.nan, 0.06, 0.06, math.nan, 0.02]
    assert filled["p_holm"].tolist() == pytest.approx(expected, nan_ok=True)
    assert filled["arm"].tolist() == [row["arm"] for row in rows]
    assert list(filled) == list(columns.EXPERIMENTS)
    with pytest.raises(ValueError, match="not between 0 and 1"):
        corrected(pd.DataFrame({"p": [1.5]}))


RUNS_OF_PAIRS = [training(*run) for run in PAIRS]
VALUES_OF_PAIRS = [value(*run, number) for run, number in PAIRS.items()]


@pytest.mark.parametrize(
    ("runs", "rows", "told"),
    [
        (
            trainings(RUNS_OF_PAIRS).drop(columns="bigram"),
            values(VALUES_OF_PAIRS),
            "trainings lacks bigram",
        ),
        (
            trainings(RUNS_OF_PAIRS),
            values(VALUES_OF_PAIRS).drop(columns=["step", "layer"]),
            "training_values lacks step, layer",
        ),
        (
            trainings([*RUNS_OF_PAIRS, training("third", 0)]),
            values(VALUES_OF_PAIRS),
            "e: runs of 'third', which is none of its arms",
        ),
        (
            trainings([*RUNS_OF_PAIRS, training("other", 3, run="again")]),
            values(VALUES_OF_PAIRS),
            "e: arm 'other', seed 3 is there twice",
        ),
        (
            trainings(RUNS_OF_PAIRS),
            values([*VALUES_OF_PAIRS, value("other", 9, 1.0)]),
            "e: values of arm 'other', seed 9, which is no run",
        ),
        (
            trainings(RUNS_OF_PAIRS),
            values([*VALUES_OF_PAIRS, value("other", 3, 77.0)]),
            "e: two values of q of arm 'other', seed 3",
        ),
    ],
)
def test_corrupted_tables_are_refused_in_one_line(
    runs: pd.DataFrame, rows: pd.DataFrame, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        compare(experiment(), runs, rows, seed=0)
    assert "\n" not in str(refused.value)


def test_a_value_that_is_there_twice_counts_once() -> None:
    rows = compare(
        experiment(), trainings(RUNS_OF_PAIRS), values(VALUES_OF_PAIRS + VALUES_OF_PAIRS), seed=0
    )
    pd.testing.assert_frame_equal(rows, found(experiment(), PAIRS))
