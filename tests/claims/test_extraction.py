"""Dense and sampled extraction, judged on any layers, whether or not a model is trained."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claim_studies import (
    AS_CLAIMED,
    NAN,
    TRAINED,
    N,
    claim,
    conditioning_table,
    evidence_of,
    feasibility_table,
    found,
    model_layers,
    of_model,
    sampled_layers,
    study_tables,
    verdict_of,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED
from headalgebra.claims.linf.extraction import COVERED

# ------ Memory


@pytest.mark.parametrize(
    ("completed", "value", "verdict"), [(True, 1, NOT_REPRODUCED), (False, 0, REPRODUCED)]
)
def test_dense_extraction_of_the_size_said_to_be_out_of_reach(
    completed: bool, value: float, verdict: str
) -> None:
    tables = of_model()
    tables["feasibility"]["completed"] = [True, True, True, completed]
    row = claim("dense-limit", tables)
    assert (row["verdict"], row["value"], row["n"]) == (verdict, value, 1)
    assert row["models"] == "random layer of n = 10 and d = 512"
    held = evidence_of("dense-limit", tables)["value"]
    assert list(held) == [0.15] * completed


def test_a_layer_of_the_study_shows_it_as_well() -> None:
    untried = feasibility_table()[:3]
    wide = {"route": "dense", "basis_dim": 10, "d_model": 512}
    row = claim("dense-limit", of_model(**wide) | {"feasibility": untried})
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, N, N)
    assert row["models"] == "m"
    for other in ({"basis_dim": 6}, {"d_model": 384}, {"route": "sampled"}):
        row = claim("dense-limit", of_model(**(wide | other)) | {"feasibility": untried})
        assert row["verdict"] == NOT_MEASURED


@pytest.mark.parametrize("unknown", [NAN, None, math.inf])
def test_a_run_that_may_not_have_completed_is_no_evidence(unknown: float | None) -> None:
    runs = feasibility_table().astype({"completed": object})
    runs.loc[3, "completed"] = unknown
    row = claim("dense-limit", of_model() | {"feasibility": runs})
    assert row["verdict"] == NOT_MEASURED
    assert "random layers: completed is not finite where n = 10" in row["note"]


# ------ Time


@pytest.mark.parametrize(
    ("dense", "triple", "value", "verdict"),
    [
        (3.0, 0.03, 1, NOT_REPRODUCED),  # 10⁶ triples in 8 hours
        (100.0, 0.0003, 1, NOT_REPRODUCED),  # in 5 minutes
        (3.0, 0.0003, 0, NOT_REPRODUCED),
        (100.0, 0.03, 2, REPRODUCED),
    ],
)
def test_processor_times_against_the_papers_words(
    dense: float, triple: float, value: float, verdict: str
) -> None:
    row = claim("cost", of_model() | {"feasibility": feasibility_table(dense, triple)})
    assert (row["verdict"], row["value"], row["n"]) == (verdict, value, 2)
    former, latter = ("right" if holds else "not right" for holds in (dense > 60, triple > 0.0036))
    said = f"{former} as to the former and {latter} as to the latter"
    assert f"of its own method the paper is {said}" in row["note"]
    assert "probes are another method: all 450 triples of n = 10 with 16" in row["note"]


@pytest.mark.parametrize("route", ["dense", "triple", "probes"])
def test_without_a_timed_run_of_each_kind_cost_is_not_measured(route: str) -> None:
    runs = feasibility_table()
    without = runs[runs["route"] != route]
    for left in (without, runs.assign(cpu_s=NAN), runs.assign(completed=False)):
        assert verdict_of("cost", of_model() | {"feasibility": left}) == NOT_MEASURED


@settings(max_examples=20)
@given(st.permutations(range(5)))
def test_of_several_runs_the_slowest_counts_wherever_it_stands(order: list[int]) -> None:
    # A second run of each short kind, which alone would leave neither time as the paper has it.
    slow, fast = feasibility_table(100.0, 0.03), feasibility_table(3.0, 0.0003)
    runs = pd.concat([slow[:3], fast[1:3]], ignore_index=True).iloc[order]
    assert claim("cost", of_model() | {"feasibility": runs})["value"] == 2


def test_seconds_do_not_reach_the_ledger() -> None:
    slower = feasibility_table(4.1, 0.04).assign(peak_rss_bytes=9e8, wall_s=99.0)
    tables = of_model() | {"feasibility": slower}
    for table, expected in zip(found(tables), found(of_model()), strict=True):
        pd.testing.assert_frame_equal(table, expected)


# ------ Accuracy


@pytest.mark.parametrize("poor", ["dense", "sampled"])
def test_methods_that_share_their_basis_are_not_told_apart_by_its_condition(poor: str) -> None:
    tables = of_model() | {"conditioning": conditioning_table(poor)}
    row = claim("conditioning", tables)
    assert row["verdict"] == NOT_MEASURED
    assert "start from one orthonormal basis" in row["note"]
    numbers = evidence_of("conditioning", tables)["value"]
    dense = {"dense": 1e-3, "sampled": 0.5}[poor]
    assert numbers["constructed layers (poor)", "largest error, dense"] == dense
    assert numbers["constructed layers (poor)", "largest error, sampled"] == 1e-2
    assert numbers["constructed layers (well)", "largest error, dense"] == 1e-3


@pytest.mark.parametrize(
    # Of 1,000, 950 are expected; 932 or fewer have probability 0.007, in one of two layers 0.014,
    # and 929 or fewer 0.0025 and 0.005.
    ("coverages", "verdict"),
    [
        ((0.95, 0.96), REPRODUCED),
        ((0.932, 0.95), REPRODUCED),
        ((0.96, 0.929), NOT_REPRODUCED),
        ((0.95, 0.53), NOT_REPRODUCED),
    ],
)
def test_the_papers_intervals_cover_as_often_as_they_say_or_do_not(
    coverages: tuple[float, ...], verdict: str
) -> None:
    tables = of_model() | {"sampling": sampled_layers(*coverages)}
    row = claim("sampling", tables)
    assert (row["verdict"], row["value"], row["n"]) == (verdict, min(coverages), 1000)
    numbers = evidence_of("sampling", tables).loc["m"]
    assert numbers.loc[f"largest {COVERED}", "value"] == max(coverages)
    chance = row["note"].split("would have probability ")[1]
    assert (chance == "below 1e-12") == (min(coverages) == 0.53)
    probed = numbers.loc["share of layers whose interval of probes has it"]
    assert (probed["value"], probed["n"]) == (1, 2)


def test_one_model_that_covers_does_not_vouch_for_another() -> None:
    two = study_tables(model_layers("m", AS_CLAIMED), model_layers("k", AS_CLAIMED))
    sampling = pd.concat([sampled_layers(0.95, 0.95), sampled_layers(0.95, 0.5, model="k")])
    models = pd.concat([TRAINED, TRAINED.assign(model="k")], ignore_index=True)
    row = claim("sampling", two | {"sampling": sampling}, models)
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, 0.5)
    # Of models that were not trained nothing is asked.
    row = claim("sampling", two | {"sampling": sampling}, TRAINED)
    assert (row["verdict"], row["value"]) == (REPRODUCED, 0.95)


def test_the_level_of_the_test_is_a_setting() -> None:
    tables = of_model() | {"sampling": sampled_layers(0.93, 0.95)}
    assert verdict_of("sampling", tables, significance=0.05) == NOT_REPRODUCED
    assert verdict_of("sampling", tables, significance=1e-3) == REPRODUCED


@pytest.mark.parametrize(("cases", "verdict"), [(20, REPRODUCED), (19, NOT_MEASURED)])
def test_coverage_takes_cases(cases: int, verdict: str) -> None:
    row = claim("sampling", of_model() | {"sampling": sampled_layers(1.0, 1.0, repetitions=cases)})
    assert row["verdict"] == verdict
    assert ("19 draws" in row["note"]) == (cases < 20)


def test_without_known_layers_there_is_no_coverage() -> None:
    empty = sampled_layers()
    assert verdict_of("sampling", of_model() | {"sampling": empty}) == NOT_MEASURED
    without_exact = sampled_layers(0.95, 0.95).query("estimator != 'exact'")
    assert verdict_of("sampling", of_model() | {"sampling": without_exact}) == NOT_MEASURED


@pytest.mark.parametrize("known", ["dense", "exact"])
def test_layers_of_the_study_stand_beside_the_constructed_ones(known: str) -> None:
    tables = of_model() | {"sampling": sampled_layers(0.5, 0.6, known=known)}
    apart = evidence_of("conditioning", tables)
    distance = apart.loc[("the study's own layers (well)", "largest distance of the methods")]
    assert (distance["value"], distance["n"]) == (pytest.approx(0.05, rel=1e-14), 2)
