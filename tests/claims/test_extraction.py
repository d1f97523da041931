"""Dense and sampled extraction, judged on any layers, whether or not a model is trained."""

import pandas as pd
import pytest

from claim_studies import (
    NAN,
    both_ways,
    claim,
    conditioning_table,
    evidence_of,
    feasibility_table,
    found,
    judged,
    of_model,
)
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED

# ------ Memory


@pytest.mark.parametrize(
    ("completed", "value", "verdict"), [(True, 1, NOT_REPRODUCED), (False, 0, REPRODUCED)]
)
def test_dense_extraction_of_the_size_said_to_be_out_of_reach(
    completed: bool, value: float, verdict: str
) -> None:
    tables = of_model()
    tables["feasibility"]["completed"] = [True, True, completed]
    row = claim("dense-limit", tables)
    assert (row["verdict"], row["value"], row["n"]) == (verdict, value, 1)
    assert row["models"] == "random layer of n = 10 and d = 512"
    held = evidence_of("dense-limit", tables)["value"]
    assert list(held) == [0.15] * completed


def test_a_layer_of_the_study_shows_it_as_well() -> None:
    untried = feasibility_table()[:2]
    wide = {"route": "dense", "basis_dim": 10, "d_model": 512}
    row = claim("dense-limit", of_model(**wide) | {"feasibility": untried})
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, 6, 6)
    assert row["models"] == "m"
    for other in ({"basis_dim": 6}, {"d_model": 384}, {"route": "sampled"}):
        row = claim("dense-limit", of_model(**(wide | other)) | {"feasibility": untried})
        assert row["verdict"] == NOT_MEASURED


# ------ Time


@pytest.mark.parametrize(
    ("dense", "probes", "verdict"),
    [
        (3.0, 0.5, NOT_REPRODUCED),
        (100.0, 0.5, NOT_REPRODUCED),  # 10⁶ triples in 19 minutes
        (3.0, 2.0, NOT_REPRODUCED),  # in 74
        (100.0, 2.0, REPRODUCED),
    ],
)
def test_processor_times_against_the_papers_words(
    dense: float, probes: float, verdict: str
) -> None:
    tables = of_model() | {"feasibility": feasibility_table(dense, probes)}
    assert judged(tables)["cost"] == verdict


def test_without_a_timed_run_of_each_kind_cost_is_not_measured() -> None:
    runs = feasibility_table()
    for left in (runs[:1], runs[1:], runs.assign(cpu_s=NAN), runs.assign(completed=False)):
        assert judged(of_model() | {"feasibility": left})["cost"] == NOT_MEASURED


def test_seconds_do_not_reach_the_ledger() -> None:
    slower = feasibility_table(4.1, 0.7).assign(peak_rss_bytes=9e8, wall_s=99.0)
    tables = of_model() | {"feasibility": slower}
    for table, expected in zip(found(tables), found(of_model()), strict=True):
        pd.testing.assert_frame_equal(table, expected)


# ------ Accuracy


def test_the_band_tells_the_better_method() -> None:
    row = claim("conditioning", of_model())
    assert (row["verdict"], row["value"], row["n"]) == (REPRODUCED, 1.0, 10)


def test_or_it_does_not() -> None:
    tables = of_model() | {"conditioning": conditioning_table(poor="dense")}
    row = claim("conditioning", tables)
    assert (row["verdict"], row["value"], row["n"]) == (NOT_REPRODUCED, 0.0, 20)
    numbers = evidence_of("conditioning", tables)["value"]
    assert numbers["constructed layers (well)", "share in which dense is nearer"] == 1
    assert numbers["constructed layers (poor)", "share in which sampled is nearer"] == 0
    assert numbers["constructed layers (poor)", "largest error, dense"] == 1e-3
    assert numbers["constructed layers (poor)", "largest error, sampled"] == 1e-2


def test_every_band_needs_cases_of_a_small_basis_with_a_known_truth() -> None:
    cases = conditioning_table()
    for lost in (
        cases[cases["conditioning"] != "poor"],
        cases.assign(n=12),
        cases[:0],
        cases.assign(dense_error=NAN),
    ):
        row = claim("conditioning", of_model() | {"conditioning": lost})
        assert row["verdict"] == NOT_MEASURED
        assert "poor" in row["note"]


@pytest.mark.parametrize(
    # Of 40, 38 are expected; that 33 or fewer are inside has probability 0.0034.
    ("inside", "verdict"),
    [(40, REPRODUCED), (38, REPRODUCED), (33, NOT_REPRODUCED)],
)
def test_the_papers_intervals_cover_as_often_as_they_say_or_do_not(
    inside: int, verdict: str
) -> None:
    row = claim(
        "sampling", of_model() | {"conditioning": conditioning_table(uniform_inside=inside)}
    )
    assert (row["verdict"], row["value"], row["n"]) == (verdict, inside / 40, 40)


def test_the_level_of_the_test_is_a_setting() -> None:
    tables = of_model() | {"conditioning": conditioning_table(uniform_inside=33)}
    assert judged(tables, significance=1e-3)["sampling"] == REPRODUCED


def test_without_cases_there_is_no_coverage() -> None:
    verdicts = judged(of_model() | {"conditioning": conditioning_table()[:0]})
    assert verdicts["sampling"] == verdicts["conditioning"] == NOT_MEASURED


def test_layers_of_the_study_stand_beside_the_constructed_ones() -> None:
    tables = of_model() | {"sampling": both_ways(6, uniform_inside=False)}
    apart = evidence_of("conditioning", tables)
    distance = apart.loc[("the study's own layers (well)", "largest distance of the methods")]
    assert (distance["value"], distance["n"]) == (pytest.approx(0.05, rel=1e-14), 6)
    coverage = evidence_of("sampling", tables)
    of_own = coverage.loc["the study's own layers"]
    assert {name: tuple(row) for name, row in of_own[["value", "n"]].iterrows()} == {
        "share of values inside the intervals of probes": (1, 6),
        "share of values inside the intervals of uniform tuples with norms by probes": (0, 6),
    }
    by_probes = coverage.loc[
        ("constructed layers", "share of values inside the intervals of probes")
    ]
    assert (by_probes["value"], by_probes["n"]) == (1, 40)
