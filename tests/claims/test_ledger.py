"""Every claim is judged by the tables alone, and rests on trained models alone."""

from pathlib import Path

import pandas as pd
import pytest

from claim_studies import (
    AS_CLAIMED,
    GPT2_MEDIUM_ID,
    IDS,
    THRESHOLDS,
    TRAINED,
    described,
    found,
    judged,
    model_layers,
    of_model,
    study_tables,
    trained,
)
from headalgebra import columns
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
    VERDICTS,
)
from headalgebra.claims.ledger import CLAIMS, ledger
from headalgebra.tables import read_csv
from stage import write_csv


def test_the_ledger_has_every_claim_once_in_order_and_in_words() -> None:
    table, numbers = ledger(of_model(), TRAINED, THRESHOLDS)
    assert tuple(table.columns) == columns.CLAIMS
    assert tuple(numbers.columns) == columns.EVIDENCE
    assert list(table["id"]) == IDS == list(CLAIMS)
    assert set(table["paper"]) == {"linf"}
    assert set(table["verdict"]) <= set(VERDICTS)
    described_in_full = ["section", "statement", "paper_value", "criterion", "rests_on"]
    assert (table[described_in_full] != "").all().all()
    assert not table["criterion"].str.contains("[{}]").any()
    assert not table["note"].str.contains("nan").any()
    # A number says what it is, of what and over how many; what has none says why.
    has_number = table["value"].notna()
    assert ((table["statistic"] != "") == has_number).all()
    assert (table["models"] != "")[has_number].all() and table["n"][has_number].gt(0).all()
    assert (table["note"] != "")[~has_number].all()
    assert len({claim.title for claim in CLAIMS.values()}) == len(IDS)


def test_a_number_lies_in_its_interval() -> None:
    for table in ledger(of_model(), TRAINED, THRESHOLDS):
        known = table.dropna(subset=["low", "high"])
        assert len(known)
        assert (known["low"] <= known["value"]).all() and (known["value"] <= known["high"]).all()


NAMES = ["1", "NA", "null", "1e5", "None", "tiny"]


def test_the_ledger_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Twelve digits of every number, and names that look like something else."""
    layers = [model_layers(name) for name in NAMES]
    models = described(*(trained(name) for name in NAMES))
    tables = study_tables(*layers)
    for name, table, names in zip(
        ("claims", "evidence"),
        ledger(tables, models, THRESHOLDS),
        (columns.CLAIMS, columns.EVIDENCE),
        strict=True,
    ):
        path = str(tmp_path / f"{name}.csv")
        write_csv(path, table, names)
        read = read_csv(path).astype({"n": "Int64"})
        pd.testing.assert_frame_equal(read, table, rtol=1e-11, atol=0)
    path = str(tmp_path / "layers.csv")
    write_csv(path, tables["layers"], list(tables["layers"]))
    again = tables | {"layers": read_csv(path)}
    for first, second in zip(
        ledger(tables, models, THRESHOLDS), ledger(again, models, THRESHOLDS), strict=True
    ):
        pd.testing.assert_frame_equal(first, second, rtol=1e-11, atol=0)


def test_the_same_tables_give_the_same_ledger_in_any_order_of_rows() -> None:
    tables = of_model()
    shuffled = {
        name: table.sample(frac=1, random_state=0) if name in ("layers", "tower") else table
        for name, table in tables.items()
    }
    for first, second in zip(
        *(ledger(t, TRAINED, THRESHOLDS) for t in (tables, shuffled)), strict=True
    ):
        pd.testing.assert_frame_equal(first, second)


def test_a_study_as_the_paper_has_it() -> None:
    verdicts = judged(of_model())
    reproduced = {"eps-depth", "eps-monotone", "obstruction-range", "gauge"}
    reproduced |= {"conditioning", "sampling"}
    assert {name for name in IDS if verdicts[name] == REPRODUCED} == reproduced
    of_anything = {"never-classical", "coherence", "higher-small"}
    assert {name for name in IDS if verdicts[name] == TRUE_OF_ANYTHING} == of_anything
    contradicted = {"jacobi-range", "jacobi-phase", "obstruction-class"}
    assert {name for name in IDS if verdicts[name] == CONTRADICTED} == contradicted
    assert {name for name in IDS if verdicts[name] == NOT_REPRODUCED} == {"dense-limit", "cost"}


ON_TRAINED = [
    *("eps-depth", "eps-monotone", "eps-gpt2-medium", "eps-size", "never-classical"),
    *("jacobi-range", "jacobi-phase", "obstruction-range", "obstruction-class"),
    *("coherence", "higher-small", "gauge"),
]


@pytest.mark.parametrize("epsilon", [AS_CLAIMED, (0.0,) * 6, AS_CLAIMED[::-1]])
def test_a_model_at_its_initialisation_never_counts(epsilon: tuple[float, ...]) -> None:
    init = described(("m", "init", GPT2_MEDIUM_ID, "gpt2", False, True))
    table = found(of_model(epsilon), init)
    assert set(table.loc[ON_TRAINED, "verdict"]) == {NOT_MEASURED}
    assert "no trained model (m: at initialisation)" in table.loc["eps-monotone", "note"]
    both = described(
        ("m", "path", "", "bert", True, True), ("null", "init", "", "bert", False, True)
    )
    beside = study_tables(model_layers("m"), model_layers("null", epsilon))
    assert judged(beside, both) == judged(of_model())


@pytest.mark.parametrize(
    "option", [{"circuit": "ov"}, {"scale": True}, {"fold_norm": True}, {"rope_offset": 3}]
)
def test_other_operators_than_the_papers_do_not_count(option: dict[str, object]) -> None:
    table = found(of_model(**option))
    assert set(table.loc[ON_TRAINED, "verdict"]) == {NOT_MEASURED}
    assert "other operators" in table.loc["eps-depth", "note"]


def test_of_a_training_run_the_last_counts() -> None:
    rows = model_layers("run.a", AS_CLAIMED[::-1]), model_layers("run.b", AS_CLAIMED)
    both = [
        ("run.a", "hub", "x/y", "gpt_neox", True, False),
        ("run.b", "hub", "x/y", "gpt_neox", True, True),
    ]
    table = found(study_tables(*rows), described(*both))
    assert table.loc["eps-monotone", "verdict"] == REPRODUCED
    assert table.loc["eps-monotone", "models"] == "run.b"
    as_two = [(*row[:-1], True) for row in both]
    assert judged(study_tables(*rows), described(*as_two))["eps-monotone"] == NOT_REPRODUCED


@pytest.mark.parametrize(
    ("trained", "reason"),
    [
        (None, "add 'trained: true' to config/model/m.yaml"),
        (False, "not trained, as its file says"),
    ],
)
def test_a_model_that_is_not_known_to_be_trained_is_no_evidence(
    trained: bool | None, reason: str
) -> None:
    table = found(of_model(), described(("m", "path", "", "bert", trained, True)))
    assert set(table.loc[ON_TRAINED, "verdict"]) == {NOT_MEASURED}
    for claim in ("eps-depth", "jacobi-range", "coherence", "gauge"):
        assert reason in table.loc[claim, "note"]


def test_a_model_without_rows_does_not_count() -> None:
    lost = described(
        ("m", "path", "", "bert", True, True), ("lost", "path", "", "bert", True, True)
    )
    assert judged(of_model(), lost) == judged(of_model())
