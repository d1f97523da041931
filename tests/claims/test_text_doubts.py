"""Numbers of what models do on a text that are not finite, and models and tables that are not."""

import math
from dataclasses import dataclass
from functools import cache

import pandas as pd
import pytest

from claim_studies import (
    NAN,
    Tables,
    claim,
    described,
    evidence_of,
    found,
    of_model,
    together,
    verdict_of,
)
from headalgebra import columns
from headalgebra.claims.doubt import PLACES, TEXTS
from headalgebra.claims.finding import NOT_MEASURED
from headalgebra.claims.ledger import CLAIMS, PAPERS
from headalgebra.claims.study import OF_RUNS
from headalgebra.csv_files import read_csv
from stage import write_csv
from text_studies import (
    DECODER,
    ENCODER,
    MODELS,
    TABLES,
    Ran,
    as_claimed,
    changed,
    head_rows,
    text_tables,
    with_layers,
)

OURS = {
    claimed.id: claimed
    for paper in ("dyson", "geometry", "hopf")
    for claimed in PAPERS[paper]
    if "experiments" not in claimed.reads
}

FEW = {"trained_models": 4}
"""So that few models are enough for an order of them."""

REFUSAL = "guard affinity: 0.85 above 1e-10"

MAY_LACK = {
    ("dyson", "chen_residual"),
    ("dyson", "antipode_residual"),
    ("convolution", "null"),
    ("geometry", "null"),
    ("convolution", "state_r2"),
    ("convolution", "update_r2"),
    ("convolution", "update_r2_without_first"),
    ("convolution", "gradient_cosine_se"),
}
"""Numbers, by column or quantity, that a row may be without; infinite they are in doubt."""


@cache
def sound() -> Tables:
    """Two decoders, two encoders and one at its initialisation, all as claimed."""
    sizes = {"d": 1.1, "d2": 0.9, "e": 1.3, "e2": 0.7, "d-init": 1.0}
    post = {"kind": "encoder", "norm_placement": "post"}
    return with_layers(
        *(
            Ran(model=name, size=size, **(post if name.startswith("e") else {}))
            for name, size in sizes.items()
        )
    )


ALL = together(*(described(name) for name in ("d", "d2", "e", "e2")), MODELS[-1:])


@cache
def verdicts() -> dict[str, str]:
    return {id: verdict_of(id, sound(), ALL, **FEW) for id in OURS}


@dataclass(frozen=True)
class Place:
    """A cell that some claim is judged by."""

    table: str
    column: str
    row: int

    @property
    def its_row(self) -> pd.Series:
        return sound()[self.table].iloc[self.row]

    @property
    def kind(self) -> str:
        """The quantity or guard of its row, where there are many."""
        return str(self.its_row.get("quantity", self.its_row.get("guard", "")))

    @property
    def name(self) -> str:
        """What its row is called where it is of no layer."""
        if self.table == "axes":
            return f"{self.its_row['permuted']} {self.its_row['moved']}"
        return self.kind

    @property
    def may_be_empty(self) -> bool:
        return not {(self.table, self.column), (self.table, self.kind)}.isdisjoint(MAY_LACK)

    @property
    def read_by(self) -> list[str]:
        """Claims that it decides."""
        key = PLACES.get(self.table, "layer")
        return [
            id
            for id, claimed in OURS.items()
            if self.table in claimed.reads
            and self.column in (*claimed.reads[self.table], key)
            and (not claimed.quantities or not self.kind or self.kind in claimed.quantities)
        ]


def places() -> list[Place]:
    """A cell of the first model in each column that is read, and of each quantity."""
    found_places = []
    for table in TABLES:
        rows = sound()[table]
        rows = rows[rows["model"] == "d"]
        for name in ("quantity", "guard"):
            if name in rows:
                rows = rows.drop_duplicates(name)
        read = {column for claimed in OURS.values() for column in claimed.reads.get(table, ())}
        key = PLACES.get(table, "layer")
        for column in sorted(read | ({key} & set(rows))):
            if column not in TEXTS:
                having = list(rows[rows[column].notna()].index)
                of_each = {"quantity", "guard"} & set(rows)
                kept = having if of_each else having[:1]
                found_places += [Place(table, column, row) for row in kept]
    return [place for place in found_places if place.read_by]


def test_the_study_that_is_poisoned_has_verdicts() -> None:
    unjudged = {id for id, verdict in verdicts().items() if verdict == NOT_MEASURED}
    assert unjudged == {id for id, claimed in OURS.items() if not claimed.reads}


def test_every_table_and_quantity_is_poisoned() -> None:
    # No claim rests on a number of the table of runs.
    assert {place.table for place in places()} == set(TABLES) - {"runs"}
    named = {name for claimed in OURS.values() for name in claimed.quantities}
    assert named <= {place.kind for place in places()}


@pytest.mark.parametrize("place", places(), ids=lambda p: f"{p.table}-{p.column}-{p.kind}")
def test_one_poisoned_cell_leaves_no_verdict_that_would_rest_on_it(place: Place) -> None:
    for poison in (math.inf, -math.inf, *(() if place.may_be_empty else (NAN, None))):
        tables = changed(place.table, place.column, poison, tables=sound(), at=[0], **where(place))
        for id in place.read_by:
            row = claim(id, tables, ALL, **FEW)
            assert row["verdict"] == NOT_MEASURED
            assert row["note"].startswith(f"d: {place.column} is not finite")
            key = PLACES.get(place.table, "layer")
            if place.column != key and key in place.its_row:
                at = place.its_row[key]
                assert (f"({place.name})" if pd.isna(at) else f" {at:g}") in row["note"]
            assert pd.isna(row["value"])


def where(place: Place) -> dict[str, object]:
    """What tells a row from all others."""
    told = (
        *("model", "layer", "head", "operator", "quantity", "guard", "order", "m", "method"),
        *("sequence", "norm", "permuted", "moved", "offset", "place"),
    )
    return {
        name: place.its_row[name]
        for name in told
        if name in place.its_row and not pd.isna(place.its_row[name])
    }


def test_a_number_of_another_quantity_is_no_doubt() -> None:
    tables = changed("normality", "value", NAN, tables=sound(), quantity="rank_99")
    assert verdict_of("dyson-low-rank", tables, ALL) == NOT_MEASURED
    for id in ("dyson-channels", "dyson-nonhermitian", "dyson-bidirectional"):
        assert verdict_of(id, tables, ALL) == verdicts()[id]


def test_a_zero_head_has_no_share_and_is_no_doubt() -> None:
    poison = {"model": "d", "layer": 3, "operator": "head 1"}
    tables = changed("normality", "value", NAN, tables=sound(), **poison)
    assert verdict_of("dyson-nonhermitian", tables, ALL) == NOT_MEASURED
    layers = tables["layers"].copy()
    of_layer = (layers["model"] == "d") & (layers["layer"] == 3)
    layers.loc[of_layer, "rank"] = layers.loc[of_layer, "n_heads"] - 1
    row = claim("dyson-nonhermitian", tables | {"layers": layers}, ALL)
    assert row["verdict"] == verdicts()["dyson-nonhermitian"]
    alone = evidence_of("dyson-nonhermitian", tables | {"layers": layers}, ALL)["n"]
    assert (
        alone["d", "share of heads that are not Hermitian"]
        == len(head_rows(Ran(model="d")))
        / (len({row["quantity"] for row in head_rows(Ran(model="d"))}))
        - 1
    )


@pytest.mark.parametrize("id", [id for id, claimed in OURS.items() if claimed.reads])
def test_a_rule_reads_no_more_than_it_says(id: str) -> None:
    reads = OURS[id].reads
    kept = {
        table: rows[
            [name for name in rows if name in ("model", "layer", "note", *reads.get(table, ()))]
            if table != "layers"
            else list(rows)
        ]
        for table, rows in sound().items()
        if table in reads or table == "layers"
    }
    for name in reads if OURS[id].quantities else ():
        for column in {"quantity", "guard"} & set(kept[name]):
            others = ~kept[name][column].isin(OURS[id].quantities)
            kept[name] = kept[name].assign(value=kept[name]["value"].mask(others))
    pd.testing.assert_series_equal(claim(id, kept, ALL, **FEW), claim(id, sound(), ALL, **FEW))
    pd.testing.assert_frame_equal(evidence_of(id, kept, ALL), evidence_of(id, sound(), ALL))


# ------ Tables that are not there, and models that could not be run


@pytest.mark.parametrize("id", [id for id, claimed in OURS.items() if claimed.reads])
def test_a_study_without_texts_says_which_tables_it_leaves_out(id: str) -> None:
    row = claim(id, of_model())
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("the study leaves out ")
    for table in OURS[id].reads:
        assert f"{table}.csv" in row["note"]


@pytest.mark.parametrize("id", [id for id, claimed in OURS.items() if claimed.reads])
def test_a_study_without_weights_is_judged_by_its_texts(id: str) -> None:
    tables = {table: rows for table, rows in sound().items() if table in TABLES}
    expected = claim(id, sound(), ALL, **FEW)
    pd.testing.assert_series_equal(claim(id, tables, ALL, **FEW), expected)


def test_a_study_without_weights_has_no_verdict_on_them() -> None:
    tables = {table: rows for table, rows in sound().items() if table in TABLES}
    claims, _ = found(tables, ALL)
    of_weights = claims[claims["paper"] == "linf"]
    assert set(of_weights["verdict"]) == {NOT_MEASURED}
    assert of_weights.loc["eps-depth", "note"] == "the study leaves out layers.csv"


def test_claims_on_weights_are_the_same_beside_texts() -> None:
    beside = found(sound(), ALL)[0]
    without = found({name: t for name, t in sound().items() if name not in TABLES}, ALL)[0]
    of_weights = beside["paper"] == "linf"
    assert of_weights.sum() > 20
    pd.testing.assert_frame_equal(beside[of_weights], without[of_weights])


ON_TRAINED = [id for id, claimed in OURS.items() if claimed.reads]


@pytest.mark.parametrize("id", ON_TRAINED)
def test_a_model_that_could_not_be_run_is_named_and_changes_no_verdict(id: str) -> None:
    tables, refused = sound(), text_tables(Ran(model="x", refusal=REFUSAL))
    layers = sound()["layers"]
    of_x = layers[layers["model"] == "d"].assign(model="x")
    beside = tables | {"layers": pd.concat([layers, of_x])}
    for table in TABLES:
        parts = [tables[table], refused[table]]
        beside[table] = pd.concat([part for part in parts if len(part)], ignore_index=True)
    row, alone = (
        claim(id, of, models, **FEW)
        for of, models in ((beside, together(ALL, described("x"))), (tables, ALL))
    )
    pd.testing.assert_series_equal(row.drop("note"), alone.drop("note"))
    # What guards a model failed its note says; the guard itself may be of none of these claims.
    asked = [table for table in OURS[id].reads if table in OF_RUNS and table != "guards"]
    assert (f"x: not measured: {REFUSAL}" in row["note"]) == bool(asked)


def test_heads_of_a_model_that_could_not_be_run_are_judged() -> None:
    refused = Ran(model="d", refusal=REFUSAL)
    tables = with_layers(refused, ENCODER)
    heads = pd.DataFrame([{"model": "d"} | row for row in head_rows(DECODER)])
    tables |= {"normality": pd.concat([heads, tables["normality"]])}
    models = together(described("d"), described("e"))
    row = claim("dyson-nonhermitian", tables, models)
    assert (row["models"], row["note"]) == ("d, e", "")
    row = claim("dyson-bidirectional", tables, models)
    assert row["verdict"] == NOT_MEASURED  # of no known kind
    assert "no trained decoder with heads" in row["note"]
    assert f"d: not measured: {REFUSAL}" in row["note"]


@pytest.mark.parametrize("id", ON_TRAINED)
def test_where_no_model_could_be_run_the_note_says_why(id: str) -> None:
    refused = Ran(model="d", refusal=REFUSAL)
    row = claim(id, with_layers(refused), described("d"))
    assert row["verdict"] == NOT_MEASURED
    assert pd.isna(row["value"]) and row["note"]
    assert REFUSAL in row["note"] or id == "dyson-local"


@pytest.mark.parametrize("id", ON_TRAINED)
def test_models_at_their_initialisation_are_no_evidence(id: str) -> None:
    models = pd.concat([ALL.assign(source="init")], ignore_index=True)
    row = claim(id, sound(), models, **FEW)
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("no trained model (")


def test_the_tables_come_back_from_their_files(tmp_path) -> None:
    read = dict(as_claimed())
    for table, names in TABLES.items():
        write_csv(str(tmp_path / f"{table}.csv"), as_claimed()[table], list(names))
        read[table] = read_csv(str(tmp_path / f"{table}.csv"))
        assert tuple(read[table]) == names
    for id in OURS:
        row, expected = claim(id, read, MODELS), claim(id, as_claimed(), MODELS)
        assert list(row[["verdict", "note", "n"]]) == list(expected[["verdict", "note", "n"]])
        assert set(CLAIMS[id].reads) <= set(TABLES) and set(columns.CLAIMS) > set(row.index)
