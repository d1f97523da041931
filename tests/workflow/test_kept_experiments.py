"""Tables of experiments that took hours: they are whole, and README.md says what they say."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from findings import MARKED
from headalgebra import columns
from headalgebra.claims.ledger import CLAIMS, ledger
from headalgebra.claims.readme import findings_table
from headalgebra.csv_files import read_csv
from kept_experiments import KEPT, THRESHOLDS, kept_experiments, with_experiments

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
NAMES = sorted(path.parent.name for path in KEPT.glob("*/experiments.csv"))


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_experiment_is_whole(name: str) -> None:
    tables = {
        table: read_csv(KEPT / name / f"{table}.csv")
        for table in ("experiments", "trainings", "training_values")
    }
    for table, found in tables.items():
        assert tuple(found.columns) == getattr(columns, table.upper())
        assert set(found["experiment"]) == {name}
    assert set(tables["experiments"]["claim"]) <= CLAIMS.keys()
    runs = set(tables["trainings"]["run"])
    assert set(tables["training_values"]["run"]) <= runs
    made = json.loads((KEPT / name / "made.json").read_text(encoding="utf-8"))
    assert made["command"].startswith("snakemake --cores ")
    assert set(made["runs"]) == runs


def test_the_readme_says_what_the_kept_experiments_say() -> None:
    experiments = kept_experiments()
    models = pd.DataFrame(columns=list(columns.DESCRIBED_MODELS))
    nothing, _ = ledger({}, models, THRESHOLDS)
    table = findings_table(with_experiments(nothing, experiments))
    rows = {found[1]: found[0] for found in re.finditer(r"^\| `([\w-]+)` \|.*$", table, re.M)}
    (written,) = (text for _, name, text in MARKED.findall(README) if name == "findings")
    for claim in set(experiments["claim"]):
        assert rows[claim] in written.splitlines()


def test_an_experiment_takes_the_place_of_what_was_not_measured_and_of_nothing_else() -> None:
    models = pd.DataFrame(columns=list(columns.DESCRIBED_MODELS))
    nothing, _ = ledger({}, models, THRESHOLDS)
    row = dict.fromkeys(columns.EXPERIMENTS) | {
        "experiment": "stability",
        "claim": "stability",
        "statistic": "gradient_stability",
        "arm": "default",
        "n": 8,
        "mean": 0.0,
        "effect": 0.0,
        "low": -0.1,
        "high": 0.1,
        "bound": 0.3,
        "side": "above",
        "needs": "all",
        "p": 1e-4,
        "p_holm": 1e-4,
        "detectable": 0.1,
        "confidence": 0.95,
        "diverged": 0,
        "excluded": 0,
        "above_floor": 0,
        "parameters": 1000,
    }
    other = {
        "experiment": "soft-heads",
        "claim": "geometry-soft-heads",
        "side": "below",
        "bound": 0,
    }
    rows = pd.DataFrame([row, row | other | {"statistic": "test_loss", "control": "hard"}])
    told = with_experiments(nothing, rows).set_index("id")
    assert told.loc["stability", "verdict"] == "not reproduced"
    # Its interval is about the bound: a number, and no verdict.
    assert told.loc["geometry-soft-heads", "verdict"] == "not measured"
    assert told.loc["geometry-soft-heads", "value"] == 0
    before = nothing.set_index("id")
    assert list(told.index) == list(before.index)
    assert list(told.index[told["note"] != before["note"]]) == ["stability", "geometry-soft-heads"]
