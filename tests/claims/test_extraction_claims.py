"""The methods of section 4, judged each way."""

import pandas as pd
import pytest

from claim_studies import (
    NAN,
    conditioning_table,
    evidence,
    feasibility_table,
    found,
    judged,
    of_model,
)
from headalgebra import columns
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED


def test_dense_extraction_of_the_size_said_to_be_out_of_reach() -> None:
    tables = of_model()
    runs = tables["feasibility"]
    assert judged(tables)["dense-limit"] == NOT_REPRODUCED
    failed = runs.assign(completed=[True, True, False], cpu_s=[0.5, 3.0, NAN])
    assert judged(tables | {"feasibility": failed})["dense-limit"] == REPRODUCED
    assert judged(tables | {"feasibility": runs[:2]})["dense-limit"] == NOT_MEASURED
    # A layer of the study, trained or not, shows it as well.
    wide = of_model(route="dense", basis_dim=10, d_model=512)
    assert judged(wide | {"feasibility": runs[:2]})["dense-limit"] == NOT_REPRODUCED
    for other in ({"basis_dim": 6}, {"d_model": 384}, {"route": "sampled"}):
        tables = of_model(**{"route": "dense", "basis_dim": 10, "d_model": 512, **other})
        assert judged(tables | {"feasibility": runs[:2]})["dense-limit"] == NOT_MEASURED


def test_wall_times_against_the_papers_words() -> None:
    for dense, probes, verdict in (
        (3.0, 0.5, NOT_REPRODUCED),
        (100.0, 0.5, NOT_REPRODUCED),  # 10⁶ triples in 19 minutes
        (3.0, 2.0, NOT_REPRODUCED),  # in 74
        (100.0, 2.0, REPRODUCED),
    ):
        tables = of_model() | {"feasibility": feasibility_table(dense, probes)}
        assert judged(tables)["cost"] == verdict
    runs = feasibility_table()
    for left in (runs[:1], runs[1:], runs.assign(cpu_s=NAN)):
        assert judged(of_model() | {"feasibility": left})["cost"] == NOT_MEASURED


def test_seconds_do_not_reach_the_ledger() -> None:
    slower = of_model() | {"feasibility": feasibility_table(4.1, 0.7)}
    slower["feasibility"] = slower["feasibility"].assign(peak_rss_bytes=9e8, wall_s=99.0)
    pd.testing.assert_frame_equal(found(of_model()), found(slower))


def test_the_band_tells_the_better_method_or_does_not() -> None:
    assert judged(of_model())["conditioning"] == REPRODUCED
    tables = of_model() | {"conditioning": conditioning_table(poor="dense")}
    assert judged(tables)["conditioning"] == NOT_REPRODUCED
    cases = conditioning_table()
    for lost in (cases[cases["conditioning"] != "poor"], cases.assign(n=12), cases[:0]):
        table = found(of_model() | {"conditioning": lost})
        assert table.loc["conditioning", "verdict"] == NOT_MEASURED
    undefined = cases.assign(dense_error=NAN)
    assert judged(of_model() | {"conditioning": undefined})["conditioning"] == NOT_MEASURED


def both_ways(n: int, uniform_inside: bool = True) -> pd.DataFrame:
    """Layers extracted both ways, the probes 5 % off and the interval wide enough."""
    rows = []
    for layer in range(n):
        low = 0.9 if uniform_inside else 1.1
        rows += [
            ("m", layer, "dense", 90, 0, 1.0, 1.0, 1.0),
            ("m", layer, "probes", 90, 16, 1.05, 0.9, 1.2),
            ("m", layer, "uniform", 200, 16, 1.0, low, 1.2),
        ]
    return pd.DataFrame(rows, columns=list(columns.MODEL_SAMPLING))


def test_layers_of_the_study_stand_beside_the_constructed_ones() -> None:
    tables = of_model() | {"sampling": both_ways(6, uniform_inside=False)}
    table = found(tables)
    assert (table.loc["sampling", "value"], table.loc["sampling", "n"]) == (0.95, 40)
    numbers = evidence(tables, "conditioning")
    distance = numbers["the study's own layers (well)", "largest distance of the methods"]
    assert distance == pytest.approx(0.05, rel=1e-12)
    numbers = evidence(tables, "sampling")
    inside = "share of values inside the intervals of "
    assert numbers["constructed layers", inside + "probes"] == 1
    assert numbers["the study's own layers", inside + "probes"] == 1
    assert numbers["the study's own layers", inside + "uniform tuples with norms by probes"] == 0


@pytest.mark.parametrize(
    # Of 40, 38 are expected; that 33 or fewer are inside has probability 0.0034.
    ("inside", "verdict"),
    [(40, REPRODUCED), (38, REPRODUCED), (33, NOT_REPRODUCED)],
)
def test_the_papers_intervals_cover_as_often_as_they_say_or_do_not(
    inside: int, verdict: str
) -> None:
    tables = of_model() | {"conditioning": conditioning_table(uniform_inside=inside)}
    assert judged(tables)["sampling"] == verdict


def test_without_cases_there_is_no_coverage() -> None:
    tables = of_model() | {"conditioning": conditioning_table()[:0]}
    assert judged(tables)["sampling"] == NOT_MEASURED
    assert judged(tables)["conditioning"] == NOT_MEASURED
