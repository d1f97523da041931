"""The Jacobiator and the brackets of section 3, judged each way."""

import math

import pandas as pd
import pytest

from claim_studies import (
    GPT2_EPSILON,
    GPT2_MEDIUM,
    GPT2_MEDIUM_ID,
    NAN,
    described,
    evidence,
    found,
    judged,
    model_layers,
    of_model,
    precision_rows,
    study_tables,
)
from headalgebra import columns
from headalgebra.claims.finding import (
    NOT_MEASURED,
    NOT_REPRODUCED,
    TRUE_OF_ANYTHING,
)

JACOBI = ["jacobi-range", "jacobi-phase"]


@pytest.mark.parametrize("claim", JACOBI)
def test_a_jacobiator_above_its_bound_is_no_evidence_of_an_identity(claim: str) -> None:
    tables = of_model()
    tables["layers"].loc[2, "jacobi_rms"] = 1e-3
    table = found(tables)
    assert table.loc[claim, "verdict"] == NOT_MEASURED
    assert (
        "failed its own check: m: J above the bound of rounding in layers 2"
        in (table.loc[claim, "note"])
    )


@pytest.mark.parametrize("claim", JACOBI)
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.5])
def test_a_jacobiator_that_does_not_follow_the_roundoff_is_not_rounding(
    claim: str, slope: float
) -> None:
    tables = of_model() | {"precision": pd.DataFrame(precision_rows("m", slope))}
    assert judged(tables)[claim] == NOT_MEASURED


@pytest.mark.parametrize("claim", JACOBI)
def test_without_precisions_or_triples_there_is_no_evidence(claim: str) -> None:
    precision = pd.DataFrame(precision_rows("m"))
    for left in (precision[:0], precision.assign(jacobi_mean=NAN), precision.query("layer > 0")):
        assert judged(of_model() | {"precision": left})[claim] == NOT_MEASURED
    two = precision[precision["unit_roundoff"] > 1e-4]
    assert judged(of_model() | {"precision": two})[claim] == NOT_MEASURED
    assert judged(of_model(jacobi_rms=NAN, jacobi_bound=NAN))[claim] == NOT_MEASURED


def test_phases_that_agree_are_counted() -> None:
    tables = of_model(jacobi_projected_rms=0.5)  # phase III by the paper's ranges
    statistic = "share of layers whose phase by ε and by projected Jacobiator agree"
    assert evidence(tables, "jacobi-phase")["m", statistic] == 0.5
    tables = of_model(jacobi_projected_rms=NAN)
    assert ("m", statistic) not in evidence(tables, "jacobi-phase")


@pytest.mark.parametrize(
    ("residual", "verdict"), [(1e-16, TRUE_OF_ANYTHING), (1e-3, NOT_MEASURED), (NAN, NOT_MEASURED)]
)
def test_higher_brackets_vanish_where_the_relations_hold(residual: float, verdict: str) -> None:
    table = found(of_model(coherence_residual=residual))
    assert table.loc["higher-small", "verdict"] == verdict
    zero = "ℓ_k is zero from k = 4 on" in table.loc["higher-small", "note"]
    assert zero == (verdict == TRUE_OF_ANYTHING)


def test_the_literal_relations_hold_of_anything_or_not_at_all() -> None:
    row = found(of_model()).loc["coherence"]
    assert row["verdict"] == TRUE_OF_ANYTHING
    # Of the two triples of the model's layers, whose rms is 1e-17 as that of the layers made here.
    assert row["value"] == pytest.approx(math.sqrt(2) * 1e-17, rel=1e-12, abs=0)
    assert judged(of_model(jacobi_rms=1e-5))["coherence"] == NOT_REPRODUCED
    # Of two triples the larger residual may be √2 times their root mean square.
    assert judged(of_model(jacobi_rms=0.8e-6))["coherence"] == NOT_REPRODUCED
    assert judged(of_model(jacobi_rms=0.7e-6))["coherence"] == TRUE_OF_ANYTHING
    assert judged(of_model(jacobi_rms=NAN))["coherence"] == NOT_MEASURED


def test_dense_residuals_count_for_the_literal_relations() -> None:
    for residual, verdict in ((1e-17, TRUE_OF_ANYTHING), (1e-5, NOT_REPRODUCED)):
        row = pd.DataFrame([("m", 0, "float64", 4, residual)], columns=list(columns.MODEL_LITERAL))
        assert judged(of_model() | {"literal": row})["coherence"] == verdict
        for table in ("conditioning", "feasibility"):
            tables = of_model()
            tables[table] = tables[table].assign(literal_residual=residual)
            assert judged(tables)["coherence"] == verdict


def test_gpt2_medium_has_a_bound_of_its_own_on_the_literal_relations() -> None:
    rows = model_layers("m", GPT2_EPSILON, **GPT2_MEDIUM, jacobi_rms=5e-6)
    real = described(("m", "hub", GPT2_MEDIUM_ID, "gpt2", True, True))
    other = described(("m", "hub", "x/y", "gpt2", True, True))
    assert judged(study_tables(rows), real)["coherence"] == TRUE_OF_ANYTHING
    assert judged(study_tables(rows), other)["coherence"] == NOT_REPRODUCED
