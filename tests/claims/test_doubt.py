"""Numbers that are not finite leave no verdict that would rest on them, and are named."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

from claim_studies import (
    GPT2_MEDIUM,
    GPT2_MEDIUM_EPSILON,
    NAN,
    PUBLISHED,
    Tables,
    claim,
    described,
    evidence_of,
    found,
    model_layers,
    of_model,
    sampled_layers,
    study_tables,
    verdict_of,
)
from headalgebra import columns
from headalgebra.claims.doubt import MADE_HERE, TEXTS
from headalgebra.claims.finding import NOT_MEASURED, REPRODUCED, TRUE_OF_ANYTHING
from headalgebra.claims.ledger import PAPERS
from headalgebra.csv_files import read_csv
from stage import write_csv

CLAIMS = {claimed.id: claimed for claimed in PAPERS["linf"] if "experiments" not in claimed.reads}
"""Those on weights; what models do on a text is in test_text_doubts, and the rest in
test_experiments_claims."""

ROWS = {"conditioning": (0, 3), "feasibility": (0, 1, 2, 3), "sampling": (0, 1, 2)}
"""The rows that are poisoned, where they are of several kinds: one of each."""

LEGITIMATE = {
    ("feasibility", "bytes"): (2, 3),
    ("feasibility", "literal_residual"): (2, 3),
    ("sampling", "coverage"): (2, 5),
}
"""Rows of the fixture that have the number at all."""


@cache
def sound() -> Tables:
    """A study whose every claim that can be judged is: GPT-2 Medium, both ways."""
    tables = study_tables(
        model_layers("m", GPT2_MEDIUM_EPSILON, basis_dim=16, rank=16, n_kv_heads=16, **GPT2_MEDIUM)
    )
    literal = [
        {"model": "m", "layer": layer, "dtype": "float64", "n_triples": 4, "residual": 1e-17}
        for layer in range(2)
    ]
    # ε grows within its thirds as well, so that no order is one of equals.
    layers = tables["layers"]
    layers["epsilon"] += 1e-3 * layers["layer"]
    return tables | {
        "sampling": sampled_layers(0.95, 0.95),
        "literal": pd.DataFrame(literal, columns=list(columns.MODEL_LITERAL)),
    }


MEDIUM = described(**PUBLISHED)


@dataclass(frozen=True)
class Place:
    """A cell that some claim is judged by."""

    table: str
    column: str
    row: int


def read_by(table: str, column: str) -> set[str]:
    """Claims that a column of a table decides."""
    return {
        id
        for id, claimed in CLAIMS.items()
        if column in claimed.reads.get(table, ())
        or (column == "layer" and table in claimed.reads and "layer" in sound()[table])
    }


def places() -> list[Place]:
    """One cell of each kind of row, of every numeric column that a claim reads."""
    found_places = []
    every = [claimed.reads for claimed in CLAIMS.values()]
    for table in dict.fromkeys(table for reads in every for table in reads):
        named = dict.fromkeys(column for reads in every for column in reads.get(table, ()))
        by_layer = ["layer"] if "layer" in sound()[table] else []
        rows = ROWS.get(table, (0, len(sound()[table]) - 1))
        for column in (*by_layer, *named):
            if column not in TEXTS:
                having = LEGITIMATE.get((table, column), rows)
                found_places += [Place(table, column, row) for row in having]
    return found_places


@cache
def verdicts() -> dict[str, str]:
    return dict(found(sound(), MEDIUM)[0].loc[list(CLAIMS), "verdict"])


def poisoned(place: Place, poison: object) -> Tables:
    table = sound()[place.table].astype({place.column: object})
    table.iloc[place.row, table.columns.get_loc(place.column)] = poison
    return sound() | {place.table: table}


def test_the_study_that_is_poisoned_has_verdicts() -> None:
    unjudged = {id for id, verdict in verdicts().items() if verdict == NOT_MEASURED}
    awaiting = {id for id, claimed in CLAIMS.items() if not claimed.reads}
    assert unjudged == awaiting | {"conditioning", "eps-size"}


@pytest.mark.parametrize("place", places(), ids=lambda p: f"{p.table}-{p.column}-{p.row}")
def test_one_poisoned_cell_leaves_no_verdict_that_would_rest_on_it(place: Place) -> None:
    row = sound()[place.table].iloc[place.row]
    if "model" in row:
        found_in = f"m: {place.column} is not finite in layers"
        key = "layer"
    else:
        made, key = MADE_HERE[place.table]
        found_in = f"{made}: {place.column} is not finite where {key} ="
    told = found_in if place.column == key else f"{found_in} {row[key]}"
    # The other claims are not shown the column: test_a_rule_reads_no_more_than_it_says.
    resting = read_by(place.table, place.column)
    assert resting
    for poison in (NAN, math.inf, -math.inf, None):
        tables = poisoned(place, poison)
        for id in resting:
            judged = claim(id, tables, MEDIUM)
            assert judged["verdict"] == NOT_MEASURED
            assert told in judged["note"]
            assert pd.isna(judged["value"])


@pytest.mark.parametrize("poison", ["nan", "NaN", "inf", "-inf", ""])
@pytest.mark.parametrize(
    ("table", "column", "id"),
    [
        ("layers", "epsilon", "eps-depth"),
        ("layers", "coherence_residual", "higher-small"),
        ("layers", "jacobi_rms", "jacobi-range"),
        ("feasibility", "completed", "dense-limit"),
        ("conditioning", "literal_residual", "coherence"),
    ],
)
def test_a_poisoned_file_leaves_none_either(
    tmp_path, table: str, column: str, id: str, poison: str
) -> None:
    path = str(tmp_path / "table.csv")
    whole = sound()[table]
    write_csv(path, whole, list(whole))
    assert verdict_of(id, sound() | {table: read_csv(path)}, MEDIUM) == verdicts()[id]
    lines = [line.split(",") for line in (tmp_path / "table.csv").read_text().splitlines()]
    lines[-1][lines[0].index(column)] = poison
    (tmp_path / "table.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    row = claim(id, sound() | {table: read_csv(path)}, MEDIUM)
    assert row["verdict"] == NOT_MEASURED
    assert f"{column} is not finite" in row["note"]


@pytest.mark.parametrize("id", [id for id, claimed in CLAIMS.items() if claimed.reads])
def test_a_rule_reads_no_more_than_it_says(id: str) -> None:
    # Whatever stands in the other columns, there or not, the finding is the same.
    reads = CLAIMS[id].reads
    kept = {
        table: rows[
            [
                name
                for name in rows
                if name in ("model", "layer", *reads.get(table, ()))
                or (table == "layers" and name in TELLING)
            ]
        ]
        for table, rows in sound().items()
    }
    of_told = {"feasibility": ("completed", "route")}
    for table, names in of_told.items():
        kept[table] = kept[table].assign(**{name: sound()[table][name] for name in names})
    pd.testing.assert_series_equal(claim(id, kept, MEDIUM), claim(id, sound(), MEDIUM))
    pd.testing.assert_frame_equal(evidence_of(id, kept, MEDIUM), evidence_of(id, sound(), MEDIUM))


TELLING = (
    *("n_heads", "rank", "basis_dim", "epsilon", "epsilon_relative"),
    *columns.CONVENTION,
)
"""What tells which numbers a layer has, and whether it is read as the paper reads it."""


@pytest.mark.parametrize(
    ("id", "absent", "basis_dim", "verdict"),
    [
        ("higher-small", "coherence_residual", 1, TRUE_OF_ANYTHING),
        ("higher-small", "coherence_residual", 2, NOT_MEASURED),
        ("obstruction-class", "hochschild_residual", 2, "contradicted by an identity"),
        ("obstruction-class", "hochschild_residual", 3, NOT_MEASURED),
        ("jacobi-range", "jacobi_rms", 2, "contradicted by an identity"),
        ("jacobi-range", "jacobi_rms", 3, NOT_MEASURED),
        ("obstruction-range", "obstruction_rms", 1, REPRODUCED),
        ("obstruction-range", "obstruction_rms", 2, NOT_MEASURED),
    ],
)
def test_what_a_small_basis_has_not_is_absent_and_no_doubt(
    id: str, absent: str, basis_dim: int, verdict: str
) -> None:
    tables = of_model()
    tables["layers"].loc[5, ["basis_dim", absent]] = [basis_dim, NAN]
    row = claim(id, tables)
    assert row["verdict"] == verdict
    if verdict == NOT_MEASURED:
        assert row["note"] == f"m: {absent} is not finite in layers 5"
    # An infinite number is no absent one, whatever the basis.
    tables["layers"].loc[5, absent] = np.inf
    assert claim(id, tables)["verdict"] == NOT_MEASURED


@pytest.mark.parametrize("id", ["obstruction-class", "higher-small"])
def test_residuals_of_heads_that_commute_are_absent(id: str) -> None:
    tables = of_model()
    residual = {"obstruction-class": "hochschild_residual", "higher-small": "coherence_residual"}
    tables["layers"].loc[5, residual[id]] = NAN
    assert verdict_of(id, tables) == NOT_MEASURED
    tables["layers"].loc[5, ["epsilon", "epsilon_relative"]] = [1e-18, 1e-16]
    assert verdict_of(id, tables) != NOT_MEASURED


def test_models_that_do_not_count_are_in_no_doubt() -> None:
    tables = study_tables(model_layers("m"), model_layers("init", epsilon=(NAN,) * 3))
    models = pd.concat([described(), described("init", source="init")], ignore_index=True)
    pd.testing.assert_series_equal(
        claim("eps-depth", tables, models), claim("eps-depth", of_model())
    )
