"""Every measure gives what it says, of every kind of decoder, and is what it is called."""

import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from trained_runs import RECIPE, SHORT, SIZE, STEPS, VARIANTS, trained_run

from headalgebra.experiments.measures import MEASURES, Value
from headalgebra.experiments.measures.axes import excess_along_axes
from headalgebra.experiments.measures.gap import entropy, training_loss
from headalgebra.experiments.measures.losses import log_crossing
from headalgebra.experiments.measures.measure import spearman
from headalgebra.experiments.measures.weights import weight_numbers
from headalgebra.experiments.run import Run
from headalgebra.measurement.drift import measure_drift
from headalgebra.measurement.orders import depth_orders, expand_orders
from headalgebra.measurement.states import measure_states
from headalgebra.training import Floors, TrainingTokens
from headalgebra.training.models import Start
from heads import SEEDS, gaussian, orthogonal, unchecked_shapes

BY_LAYER = {"attention_reach", "gradient_stability", "training_course"}
BY_STEP = {"gradient_stability", "obstruction_course", "training_course"}


Found = Mapping[tuple[str, int | None, int | None], float | None]


def measured(name: str, run: Run) -> Found:
    with unchecked_shapes():
        values = MEASURES[name](run)
    found = {(it.quantity, it.step, it.layer): it.value for it in values}
    assert len(found) == len(values)
    return found


@pytest.fixture(scope="module")
def of_usual(usual: Run) -> Callable[[str], Found]:
    return cache(lambda name: measured(name, usual))


def test_a_value_is_a_number_or_empty() -> None:
    assert Value.of("a", math.nan) == Value.of("a", math.inf) == Value(None, None, "a", None)
    assert Value.of("a", 0.0, step=3, layer=1) == Value(3, 1, "a", 0.0)
    with pytest.raises(ValueError, match="a: nan is no number; leave it empty"):
        Value(None, None, "a", math.nan)


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_gives_the_quantities_it_names(
    name: str, of_usual: Callable[[str], Found]
) -> None:
    measure, found = MEASURES[name], of_usual(name)
    assert {quantity for quantity, _, _ in found} == {*measure.quantities}
    assert len({*measure.quantities}) == len(measure.quantities)
    text = measure.of_run.__doc__ or ""
    # Those of several measures are documented where they are made.
    shared = name in ("training_course", "gradient_stability")
    for quantity in measure.quantities if not shared else ():
        assert f"``{quantity}``" in text or quantity == "test_loss", quantity
    assert {layer for _, _, layer in found} - {None} == {*range(3 if name in BY_LAYER else 0)}
    assert {step for _, step, _ in found} - {None} == {*(STEPS if name in BY_STEP else ())}


@pytest.mark.parametrize("name", ["attention_reach", "axis_kurtosis", "normaliser", "wilson"])
def test_a_measure_gives_the_same_again(
    name: str, usual: Run, of_usual: Callable[[str], Found], tmp_path: Path
) -> None:
    """With shapes checked, and in another folder."""
    again = MEASURES[name](replace(usual, scratch=tmp_path))
    assert {(it.quantity, it.step, it.layer): it.value for it in again} == of_usual(name)


@pytest.fixture(scope="module", params=VARIANTS)
def varied(
    request: pytest.FixtureRequest,
    tokens: TrainingTokens,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Run]:
    name: str = request.param
    return name, trained_run(tokens, tmp_path_factory.mktemp(name), name, recipe=SHORT)


def test_every_kind_of_decoder_is_measured(varied: tuple[str, Run]) -> None:
    kind, run = varied
    # Two intervals are no three differences; a start has no law, three layers have no order 4.
    missing = {"partial_error_4", "log_tokens_to_floor"}
    missing |= {f"gradient_stability{of}" for of in ("", "_rho3", "_obstruction")}
    if kind == "soft":
        missing.add("log_qk_scale_sum")
    for name, measure in MEASURES.items():
        empty = {quantity for (quantity, *_), value in measured(name, run).items() if value is None}
        assert empty <= missing, name
        assert {*missing} & {*measure.quantities} - {"log_tokens_to_floor"} <= empty, name


def test_what_diverged_is_empty(tokens: TrainingTokens, tmp_path: Path) -> None:
    """Every quantity once, though there are checkpoints, of weights beyond all reason."""
    run = trained_run(tokens, tmp_path, recipe=replace(RECIPE, learning_rate=1e37, checkpoints=30))
    assert run.trained.diverged is not None
    assert run.last > 1
    for measure in MEASURES.values():
        assert measure(run) == [Value(None, None, it, None) for it in measure.quantities]


def test_partial_errors_are_those_of_the_table_of_orders(
    usual: Run, of_usual: Callable[[str], Found]
) -> None:
    found = of_usual("training_course")
    for step in (0, 60):
        recording = usual.recording(step, 4)
        rows = expand_orders(recording, depth_orders(recording, 4), certified_sequences=1)
        for order in (1, 2):
            expected = rows[order]["partial_error"]
            assert found[f"partial_error_{order}", step, None] == pytest.approx(expected)
        assert found["partial_error_4", step, None] is None
    assert found["partial_error_1", 0, None] != found["partial_error_1", 60, None]


def test_the_course_of_the_obstruction_is_a_mean_of_logarithms(
    usual: Run, of_usual: Callable[[str], Found]
) -> None:
    found = of_usual("obstruction_course")
    losses = usual.metrics.set_index("step")["validation_loss"]
    for step in (0, 31):
        logs = [
            math.log(weight_numbers(operators, layer, usual.seed)["obstruction_over_null"])
            for layer, operators in enumerate(usual.operators(step))
        ]
        assert found["log_obstruction_over_null", step, None] == pytest.approx(np.mean(logs))
        assert found["validation_loss", step, None] == losses[step]


def test_reach_is_that_of_the_table_of_states(usual: Run, of_usual: Callable[[str], Found]) -> None:
    found = of_usual("attention_reach")
    table = pd.DataFrame(measure_states(usual.recording(60, 16)))
    course = of_usual("training_course")
    for layer in range(SIZE.layers):
        expected = table["attention_distance"][layer]
        assert found["attention_distance", None, layer] == pytest.approx(expected)
        for quantity in ("epsilon", "epsilon_over_haar"):
            assert found[quantity, None, layer] == course[quantity, 60, layer]
    columns = {
        quantity: np.array([found[quantity, None, layer] for layer in range(SIZE.layers)])
        for quantity in ("epsilon", "epsilon_over_haar", "attention_distance")
    }
    ranks = {name: column.argsort().argsort() for name, column in columns.items()}
    depth = np.arange(SIZE.layers)
    for one, other, name in (
        (ranks["epsilon"], ranks["attention_distance"], "epsilon_with_distance"),
        (ranks["epsilon"], depth, "epsilon_with_layer"),
        (ranks["epsilon_over_haar"], depth, "epsilon_over_haar_with_layer"),
    ):
        assert found[name, None, None] == pytest.approx(np.corrcoef(one, other)[0, 1]), name


def test_a_rank_correlation_needs_three_pairs_that_differ() -> None:
    nan = math.nan
    x = np.array([1.0, 2.0, 3.0, nan, 5.0])
    assert spearman(x, np.array([1.0, 8.0, 9.0, 0.0, nan])) == pytest.approx(1)
    assert math.isnan(spearman(x, np.array([1.0, 8.0, nan, 0.0, nan])))
    assert math.isnan(spearman(x, np.ones(5)))


def test_the_gap_is_between_losses_of_the_last_weights(
    usual: Run, of_usual: Callable[[str], Found]
) -> None:
    found = of_usual("generalisation")
    model = usual.model(60)
    losses = {}
    for part in ("train", "test"):
        ids = getattr(usual.tokens, part)
        with torch.no_grad():
            losses[part] = float(model(input_ids=ids, labels=ids).loss)
    # In float32.
    assert training_loss(usual) == pytest.approx(losses["train"], rel=1e-5)
    assert found["test_loss", None, None] == usual.trained.test_loss
    gap = losses["test"] - losses["train"]
    assert found["gap", None, None] == pytest.approx(gap, abs=1e-5 * losses["train"])
    assert found["phase_entropy", None, None] == 0


@given(st.lists(st.sampled_from(["I", "II", "III"]), min_size=1, max_size=9))
def test_entropy_is_of_shares(phases: list[str]) -> None:
    found = entropy(phases)
    assert -1e-12 <= found <= math.log(len({*phases})) + 1e-12
    assert entropy([*phases[::-1], ""]) == pytest.approx(found)
    assert entropy(phases * 3) == pytest.approx(found)
    other = {"I": "III", "II": "I", "III": "II"}
    assert entropy(other[it] for it in phases) == pytest.approx(found)


def test_entropy_is_largest_where_phases_are_balanced() -> None:
    assert entropy(["I", "II", "III"] * 2) == pytest.approx(math.log(3))
    assert entropy(["I", "I", "I", "II"]) == pytest.approx(
        0.25 * math.log(4) - 0.75 * math.log(0.75)
    )
    assert entropy(["II"]) == 0
    assert math.isnan(entropy([""]))


def test_the_scale_of_the_start_is_found(
    tokens: TrainingTokens, tmp_path: Path, usual: Run, of_usual: Callable[[str], Found]
) -> None:
    scales = (2.0, 9.0, 0.25)
    one_step = replace(SHORT, checkpoints=1)

    def log_scale(name: str, start: Start) -> float:
        run = trained_run(tokens, tmp_path / name, recipe=one_step, start=start)
        value = measured("generalisation", run)["log_qk_scale_sum", None, None]
        assert value is not None
        return value

    usual_scale = of_usual("generalisation")["log_qk_scale_sum", None, None]
    assert usual_scale is not None
    # The norm of 256 normal numbers, in three layers: half the sum of χ²/256 − 1.
    assert abs(usual_scale) < 5 * (3 / 512) ** 0.5
    scaled = log_scale("scaled", Start(qk_scale=scales))
    # Numbers are those of the usual start, times the scale in float32.
    assert scaled - usual_scale == pytest.approx(sum(map(math.log, scales)), abs=1e-6)
    assert log_scale("commuting", Start(orientation="commuting")) == pytest.approx(0, abs=1e-6)


@given(st.floats(1, 3), st.floats(0.1, 2), st.floats(0.5, 20))
def test_a_loss_that_falls_with_log_tokens_crosses_where_it_does(
    floor: float, slope: float, factor: float
) -> None:
    tokens = [1000 * 2**k for k in range(12)]
    losses = [floor + slope * (7.3 - math.log(count / 1000)) for count in tokens]
    found = log_crossing(tokens, losses, floor)
    if losses[-1] >= floor:
        assert found is None
        return
    assert found == pytest.approx(math.log(1000) + 7.3)
    whole = round(factor * 100)
    later = log_crossing([whole * count for count in tokens], losses, floor)
    assert later == pytest.approx(found + math.log(whole))
    # What comes after the crossing is of no account, what comes before is.
    place = next(k for k, loss in enumerate(losses) if loss < floor)
    assert log_crossing(tokens, losses[: place + 1] + [9.0] * (11 - place), floor) == found
    early = [*losses]
    early[3] = floor - 1
    assert log_crossing(tokens, early, floor) < found - 1


def test_a_crossing_at_the_start_has_no_tokens() -> None:
    assert log_crossing([0, 8, 64], [1.0, 1.0, 1.0], 2.0) is None
    assert log_crossing([0, 8, 64], [3.0, 1.0, 1.0], 2.0) == math.log(8)
    assert log_crossing([], [], 2.0) is None
    assert log_crossing([8, 64], [3.0, 2.0], 2.0) is None


def test_tokens_to_the_floor_are_read_off_the_validation(usual: Run) -> None:
    rows = usual.metrics.dropna(subset="validation_loss")
    assert len(rows) > len(STEPS)
    losses = rows["validation_loss"].to_numpy()
    for floor, crossed in ((losses.min() - 1, False), ((losses[3] + losses[9]) / 2, True)):
        floors = Floors(unigram=9.0, bigram=float(floor), trigram=0.0)
        run = replace(usual, trained=replace(usual.trained, validation_floors=floors))
        found = measured("tokens_to_floor", run)["log_tokens_to_floor", None, None]
        assert (found is not None) == crossed
        if found is not None:
            below = rows["tokens"][losses < floor].iloc[0]
            before = rows["tokens"][rows["tokens"] < below].iloc[-1]
            assert math.log(before) <= found <= math.log(below)


def test_sizes_stand_beside_the_loops(of_usual: Callable[[str], Found]) -> None:
    found = of_usual("wilson")
    assert found["log_width", None, None] == math.log(16)
    assert found["log_layers", None, None] == math.log(3)
    assert found["wilson_over_haar", None, None] > 0.1


def test_the_largest_gradient_is_of_all_blocks_at_one_step(
    usual: Run, of_usual: Callable[[str], Found]
) -> None:
    blocks = usual.metrics.filter(like="gradient_block").to_numpy()[1:]
    found = of_usual("normaliser")["largest_gradient_norm", None, None]
    assert found == pytest.approx(max(np.linalg.norm(row) for row in blocks))
    spiked = replace(usual)
    table = usual.metrics.copy()
    table.loc[40, ["gradient_block_0", "gradient_block_1", "gradient_block_2"]] = 300.0, 400.0, 0.0
    spiked.__dict__["metrics"] = table
    assert measured("normaliser", spiked)["largest_gradient_norm", None, None] == 500


def test_drift_grows_as_the_table_of_drift_has_it(
    usual: Run, of_usual: Callable[[str], Found]
) -> None:
    rows = pd.DataFrame(measure_drift(usual.recording(60, 16), sequences=16))
    last = rows[(rows["layer"] == 3) & (rows["place"] == "before")].set_index("offset")["median"]
    assert [*last.index] == [1, 2, 4]
    found = of_usual("normaliser")["drift", None, None]
    assert found == pytest.approx(last[4] / last[2])


@given(SEEDS)
def test_kurtosis_knows_axes_but_not_their_order_sign_or_scale(seed: int) -> None:
    states = gaussian(seed, 5, 8)
    found = excess_along_axes(states)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(8))
    changed = 7 * states[:, order] * gaussian(seed + 1, 8).sign()
    torch.testing.assert_close(excess_along_axes(changed), found)
    assert not torch.allclose(excess_along_axes(states @ orthogonal(seed, 8)), found, rtol=1e-3)


def test_kurtosis_is_held_against_that_of_any_basis() -> None:
    d = 8
    chance = 3 * d / (d + 2)
    along = excess_along_axes(torch.eye(d, dtype=torch.float64))
    torch.testing.assert_close(along, torch.full((d,), d - chance, dtype=torch.float64))
    assert float(excess_along_axes(torch.ones(d))) == pytest.approx(1 - chance)
    # A state in bases drawn at random.
    state = gaussian(0, d)
    turned = torch.stack([excess_along_axes(state @ orthogonal(seed, d)) for seed in range(2000)])
    assert abs(float(turned.mean())) < 5 * float(turned.std()) / 2000**0.5


def with_weights(run: Run, folder: Path, change: Mapping[str, torch.Tensor]) -> Run:
    """A copy of a run whose last weights are others."""
    shutil.copytree(run.trained.folder, folder / "training")
    file = folder / "training/60/model.safetensors"
    save_file({**load_file(file), **change}, file, {"format": "pt"})
    return Run(replace(run.trained, folder=folder / "training"), run.tokens, folder / "states")


def test_axes_of_states_are_those_of_the_weights(
    usual: Run, tmp_path: Path, of_usual: Callable[[str], Found]
) -> None:
    """Where all tokens and positions are embedded along one axis, far out, so are the states."""
    found = of_usual("axis_kurtosis")["axis_kurtosis", None, None]
    recording = usual.recording(60, 16)
    means = [excess_along_axes(recording.state(place)[:, 1:]).mean() for place in (1, 2, 3)]
    assert found == pytest.approx(float(torch.stack(means).mean()))
    spike = torch.zeros(24, 16)
    spike[:, 5] = 1e4
    run = with_weights(usual, tmp_path, {"transformer.wpe.weight": spike})
    after = measured("axis_kurtosis", run)["axis_kurtosis", None, None]
    assert after == pytest.approx(16 - 48 / 18, rel=1e-3)
