"""Every claim once, from the tables alone, on the models that count."""

from itertools import cycle
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import MonkeyPatch

from claim_studies import (
    AS_CLAIMED,
    GPT2_MEDIUM_ID,
    NAN,
    THRESHOLDS,
    TRAINED,
    Tables,
    claim,
    described,
    found,
    judged,
    model_layers,
    of_model,
    sampled_layers,
    study_tables,
    together,
    verdict_of,
)
from headalgebra import columns
from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
    VERDICTS,
    Evidence,
    Finding,
    largest,
    smallest,
    weakest,
)
from headalgebra.claims.ledger import CLAIMS, PAPERS, TITLES, ledger
from headalgebra.csv_files import read_csv
from stage import write_csv

IDS = [
    *("eps-depth", "eps-monotone"),
    *("never-classical", "obstruction-range", "obstruction-class"),
    *("jacobi-range", "coherence", "higher-small"),
    *("dense-limit", "cost", "conditioning", "sampling"),
    *("eps-gpt2-medium", "eps-size", "jacobi-phase"),
    *("stability", "expressivity", "balance", "universality"),
    *("regularise", "phase-design", "gauge-init", "capacity", "gauge"),
]
DYSON = [
    *("dyson-bidirectional", "dyson-local"),
    *("dyson-nonhermitian", "dyson-triangular", "dyson-saturation"),
    *("dyson-channels", "dyson-low-rank", "dyson-small", "dyson-perturbative"),
    *("dyson-product", "dyson-norm"),
    *("dyson-collapse", "dyson-resummation", "dyson-pseudospectra"),
]
GEOMETRY = [
    *("geometry-manifold", "geometry-nonlinear"),
    *("geometry-cosine", "geometry-geodesic", "geometry-sqrt-dk", "geometry-drift"),
    *("geometry-filter", "geometry-complexity"),
    *("geometry-axes", "geometry-axes-optimiser", "geometry-soft-heads", "geometry-grid"),
    *("geometry-two-nulls", "geometry-rg", "geometry-symmetriser"),
]
HOPF = [
    *("hopf-lti", "hopf-convolution", "hopf-impulse", "hopf-coherence", "hopf-gradient"),
    "hopf-building-blocks",
]
ON_TRAINED = [
    *("eps-depth", "eps-monotone", "never-classical", "obstruction-range", "obstruction-class"),
    *("jacobi-range", "coherence", "higher-small", "eps-gpt2-medium", "eps-size", "jacobi-phase"),
    *("sampling", "gauge"),
]


def test_the_ledger_has_every_claim_once_by_section() -> None:
    claims, evidence = ledger(of_model(), TRAINED, THRESHOLDS)
    assert tuple(claims.columns) == columns.CLAIMS
    assert tuple(evidence.columns) == columns.EVIDENCE
    assert list(claims["id"]) == list(CLAIMS) == [*IDS, *DYSON, *GEOMETRY, *HOPF]
    assert dict(claims.groupby("paper", sort=False).size()) == {
        "linf": len(IDS),
        "dyson": len(DYSON),
        "geometry": len(GEOMETRY),
        "hopf": len(HOPF),
    }
    assert set(TITLES) == set(PAPERS)
    for paper, of_paper in PAPERS.items():
        sections = [
            section.split(",")[0] for section in claims["section"][claims["paper"] == paper]
        ]
        assert sections == sorted(sections)
        assert len(sections) == len(of_paper)
    assert set(claims["verdict"]) <= set(VERDICTS)
    texts = claims.drop(columns=["value", "low", "high", "n", "statistic", "models", "note"])
    assert not texts.isna().any().any()
    assert (texts != "").all().all()
    assert not claims["criterion"].str.contains("[{}]").any()


def test_a_study_as_the_paper_has_it() -> None:
    verdicts = judged(of_model())
    expected = {
        REPRODUCED: {"eps-depth", "eps-monotone", "obstruction-range", "gauge", "sampling"},
        CONTRADICTED: {"jacobi-range", "jacobi-phase", "obstruction-class"},
        TRUE_OF_ANYTHING: {"coherence", "higher-small", "never-classical"},
        NOT_REPRODUCED: {"dense-limit", "cost"},
    }
    for verdict, ids in expected.items():
        assert {id for id in IDS if verdicts[id] == verdict} == ids


@pytest.mark.parametrize(
    "tables",
    [
        of_model() | {"sampling": sampled_layers(0.95, 0.95, 0.95)},
        of_model(AS_CLAIMED[::-1], hochschild_residual=1e-3, jacobi_rms=1e-3),
        of_model((0.2, 0.0, 0.3), epsilon_relative=0.0, coherence_residual=NAN),
        of_model((1.0,) * 5, jacobi_rms=NAN, jacobi_bound=NAN, obstruction_rms=NAN, basis_dim=1),
        of_model((NAN,) * 6, epsilon_relative=NAN, n_heads=1),
        of_model((NAN,) * 6, epsilon_relative=NAN),
    ],
)
def test_a_row_has_its_number_whole_and_inside_its_interval(tables: Tables) -> None:
    claims, evidence = found(tables)
    for table, on in ((claims, "models"), (evidence, "on")):
        measured = table["value"].notna()
        numbers = table[measured]
        assert len(numbers)
        assert (numbers["statistic"] != "").all() and (numbers[on] != "").all()
        assert (numbers["n"] >= 1).all()
        assert (numbers["low"].isna() == numbers["high"].isna()).all()
        bounded = numbers.dropna(subset="low")
        assert (bounded["low"] <= bounded["value"]).all()
        assert (bounded["value"] <= bounded["high"]).all()
        without = table.loc[~measured, ["low", "high", "n"]]
        assert without.isna().all().all()
    assert not evidence.duplicated(["id", "on", "statistic"]).any()
    # Where there is no number, the note says why.
    assert (claims.loc[claims["value"].isna(), "note"] != "").all()


def test_an_estimate_keeps_its_own_interval_and_an_extreme_counts_all_it_was_taken_over() -> None:
    def share(on: str, value: float, n: int) -> Evidence:
        return Evidence(on=on, statistic="s", value=value, low=value - 0.1, high=value + 0.1, n=n)

    parts = [share("a", 0.5, 10), share("b", 0.25, 7), share("b", 0.75, 3)]
    least = weakest(parts, "least")
    assert (least.on, least.statistic, least.n) == ("a, b", "least", 7)
    assert (least.value, least.low, least.high) == (0.25, 0.15, 0.35)
    for extreme, value in ((smallest(parts, "t"), 0.25), (largest(parts, "t"), 0.75)):
        assert (extreme.on, extreme.value, extreme.n) == ("a, b", value, 17)
        assert np.isnan(extreme.low) and np.isnan(extreme.high)


def test_the_same_tables_give_the_same_ledger_in_any_order_of_rows() -> None:
    tables = of_model()
    shuffled = {
        name: table.sample(frac=1, random_state=0) if name in ("layers", "tower") else table
        for name, table in tables.items()
    }
    for first, second in zip(found(tables), found(shuffled), strict=True):
        pd.testing.assert_frame_equal(first, second)


words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=20)


@st.composite
def numbers_of(draw: st.DrawFn) -> Evidence:
    """A number behind a verdict, with an interval or without."""
    finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
    low, value, high = sorted(draw(st.lists(finite, min_size=3, max_size=3, unique=True)))
    bounds = {"low": low, "high": high} if draw(st.booleans()) else {}
    return Evidence(
        on=draw(words), statistic=draw(words), value=value, n=draw(st.integers(1, 10**6)), **bounds
    )


@st.composite
def findings(draw: st.DrawFn) -> dict[str, Any]:
    """Whatever a rule might find."""
    return {
        "verdict": draw(st.sampled_from(VERDICTS)),
        "deciding": draw(st.none() | numbers_of()),
        "evidence": tuple(draw(st.lists(numbers_of(), max_size=3))),
        "note": draw(st.just("") | words),
    }


@settings(max_examples=10)
@given(st.lists(findings(), min_size=20, max_size=20))
def test_every_finding_is_read_from_the_files_as_it_was(drawn: list[dict[str, Any]]) -> None:
    rules = {id: Finding(**found) for id, found in zip(CLAIMS, cycle(drawn), strict=False)}
    made = list(rules.values())
    with TemporaryDirectory() as folder, MonkeyPatch.context() as patch:
        patch.setattr(Claim, "judge", lambda claim, _: rules[claim.id])
        written = ledger(of_model(), TRAINED, THRESHOLDS)
        paths = [f"{folder}/{name}.csv" for name in ("claims", "evidence")]
        for path, table, names in zip(
            paths, written, (columns.CLAIMS, columns.EVIDENCE), strict=True
        ):
            write_csv(path, table, names)
        claims, evidence = map(read_csv, paths)
    assert list(claims["id"]) == list(CLAIMS)
    for row, finding in zip(claims.to_dict("records"), made, strict=True):
        assert (row["verdict"], row["note"]) == (finding.verdict, finding.note)
        if finding.deciding is None:
            assert (row["statistic"], row["models"]) == ("", "")
            assert all(np.isnan(row[name]) for name in ("value", "low", "high", "n"))
        else:
            assert_the_same_number(row | {"on": row["models"]}, finding.deciding)
    every = [(id, measured) for id, finding in rules.items() for measured in finding.evidence]
    assert list(evidence["id"]) == [id for id, _ in every]
    for row, (_, measured) in zip(evidence.to_dict("records"), every, strict=True):
        assert_the_same_number(row, measured)


def assert_the_same_number(row: dict[Any, Any], measured: Evidence) -> None:
    """A row of a file, to half a unit in its twelfth digit."""
    assert (row["on"], row["statistic"], row["n"]) == (measured.on, measured.statistic, measured.n)
    for name in ("value", "low", "high"):
        expected = pytest.approx(getattr(measured, name), rel=5e-12, abs=0, nan_ok=True)
        assert row[name] == expected, name


NAMES = ("1", "NA", "null", "1e5")


def test_the_tables_come_back_from_their_files_whatever_a_model_is_called(tmp_path) -> None:
    models = together(*(described(name) for name in NAMES))
    tables = study_tables(*(model_layers(name, obstruction_rms=1 / 30) for name in NAMES))
    written = dict(zip(("claims", "evidence"), ledger(tables, models, THRESHOLDS), strict=True))
    names = {"claims": columns.CLAIMS, "evidence": columns.EVIDENCE}
    for name, table in written.items():
        path = str(tmp_path / f"{name}.csv")
        write_csv(path, table, names[name])
        read = read_csv(path)
        # Half a unit in the twelfth digit.
        expected = table.astype({"n": "float64"})
        pd.testing.assert_frame_equal(read, expected, check_dtype=False, rtol=5e-12, atol=0)
        write_csv(path, read, names[name])
        pd.testing.assert_frame_equal(read_csv(path), read)
    assert set(NAMES) <= set(written["evidence"]["on"])
    monotone = written["claims"].set_index("id").loc["eps-monotone"]
    assert monotone["models"] == ", ".join(NAMES)
    # One model alone, so that a column holds nothing but what looks like a number.
    for name in NAMES:
        alone, evidence = ledger(study_tables(model_layers(name)), described(name), THRESHOLDS)
        path = str(tmp_path / "evidence.csv")
        write_csv(path, evidence[evidence["on"] == name], columns.EVIDENCE)
        assert set(read_csv(path)["on"]) == {name}
        assert name in set(alone["models"])


# ------ Which models count


@pytest.mark.parametrize("epsilon", [AS_CLAIMED, (0.0,) * 6, AS_CLAIMED[::-1]])
def test_a_model_at_its_initialisation_never_counts(epsilon: tuple[float, ...]) -> None:
    claims, _ = found(
        of_model(epsilon), described(source="init", id=GPT2_MEDIUM_ID, family="gpt2", trained=True)
    )
    assert set(claims.loc[ON_TRAINED, "verdict"]) == {NOT_MEASURED}
    assert claims.loc["eps-monotone", "note"] == "no trained model (m: at initialisation)"
    beside = study_tables(model_layers("m"), model_layers("null", epsilon))
    both = together(TRAINED, described("null", source="init", trained=True))
    assert_same_claims(found(beside, both)[0], found(of_model())[0])


def assert_same_claims(claims: pd.DataFrame, expected: pd.DataFrame) -> None:
    """The numbers and the models, whatever the notes say of others."""
    pd.testing.assert_frame_equal(claims.drop(columns="note"), expected.drop(columns="note"))


@pytest.mark.parametrize("trained", [False, None])
def test_a_model_that_is_not_known_to_be_trained_is_no_evidence(trained: bool | None) -> None:
    tables = study_tables(model_layers("m"), model_layers("mine", AS_CLAIMED[::-1]))
    alone, evidence = found(study_tables(model_layers("mine")), described("mine", trained=trained))
    assert set(alone.loc[ON_TRAINED, "verdict"]) == {NOT_MEASURED}
    assert "mine" not in set(evidence["on"])
    both, _ = found(tables, together(TRAINED, described("mine", trained=trained)))
    assert_same_claims(both, found(of_model())[0])
    # Were it known, it would count.
    known = together(TRAINED, described("mine"))
    assert verdict_of("eps-monotone", tables, known) == NOT_REPRODUCED
    others = [id for id in IDS if id not in ON_TRAINED]
    for claims in (alone, both):
        told = claims["note"].str.contains("add 'trained: true' to config/model/mine.yaml")
        assert told[ON_TRAINED].all() == told[ON_TRAINED].any() == (trained is None)
        assert not told[others].any()


@pytest.mark.parametrize(
    "option", [{"circuit": "ov"}, {"scale": True}, {"fold_norm": True}, {"rope_offset": 3}]
)
def test_other_operators_than_the_papers_do_not_count(option: dict[str, object]) -> None:
    claims, _ = found(of_model(**option))
    assert set(claims.loc[ON_TRAINED, "verdict"]) == {NOT_MEASURED}
    assert "m: read as other operators" in claims.loc["eps-depth", "note"]


def test_of_a_training_run_the_last_counts() -> None:
    tables = study_tables(model_layers("run.a", AS_CLAIMED[::-1]), model_layers("run.b"))
    last = described("run.b", source="hub")
    row = claim(
        "eps-monotone",
        tables,
        together(described("run.a", source="hub", last_of_series=False), last),
    )
    assert (row["verdict"], row["models"], row["value"]) == (REPRODUCED, "run.b", 1.0)
    row = claim("eps-monotone", tables, together(described("run.a", source="hub"), last))
    assert (row["verdict"], row["models"], row["value"]) == (NOT_REPRODUCED, "run.a, run.b", -1.0)


BEFORE_TRAINING = ("step0", "step-0", "step_000", "stage1-step0-tokens0B", "main/step0")
AFTER_SOME = ("step1", "step10", "step1000", "step-0500", "main", "", "misstep0", "v0.step0.5")


@pytest.mark.parametrize("revision", [*BEFORE_TRAINING, *AFTER_SOME])
def test_step_zero_is_no_trained_model_whatever_its_file_says(revision: str) -> None:
    models = described("m", source="hub", revision=revision, trained=True)
    claims = found(of_model(), models)[0].loc[ON_TRAINED]
    if revision in BEFORE_TRAINING:
        assert set(claims["verdict"]) == {NOT_MEASURED}
        assert f"m: revision {revision}, before training" in claims.loc["eps-depth", "note"]
    else:
        assert claims.loc["eps-depth", "verdict"] == REPRODUCED


def test_where_a_series_begins_is_no_trained_model() -> None:
    # A series of one: its first revision is its last.
    models = described("m", source="hub", revision="a", first_of_series=True)
    claims = found(of_model(), models)[0].loc[ON_TRAINED]
    assert set(claims["verdict"]) == {NOT_MEASURED}
    assert "m: where a training run begins" in claims.loc["eps-depth", "note"]


def test_a_model_without_rows_does_not_count() -> None:
    lost = together(TRAINED, described("lost"))
    for table, expected in zip(found(of_model(), lost), found(of_model()), strict=True):
        pd.testing.assert_frame_equal(table, expected)
