"""The Jacobiator is rounding, and what then holds of any matrices."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claim_studies import (
    GPT2_MEDIUM,
    GPT2_MEDIUM_EPSILON,
    GPT2_MEDIUM_ID,
    NAN,
    PUBLISHED,
    N,
    claim,
    described,
    evidence_of,
    model_layers,
    of_model,
    precision_rows,
    study_tables,
    together,
    verdict_of,
)
from headalgebra import columns
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    TRUE_OF_ANYTHING,
)

JACOBI = ["jacobi-range", "jacobi-phase"]


@pytest.mark.parametrize("id", JACOBI)
def test_a_jacobiator_below_its_bound_is_rounding(id: str) -> None:
    tables = of_model()
    tables["layers"].loc[2, "jacobi_rms"] = 2e-17
    row = claim(id, tables)
    assert (row["verdict"], row["value"], row["n"]) == (CONTRADICTED, 2e-17, N)
    numbers = evidence_of(id, tables)
    assert numbers.loc[("m", "largest bound of rounding"), "value"] == 1e-13
    for operand in ("raw", "basis"):
        slope = numbers.loc[("m", f"slope of ‖J‖ in the unit roundoff, {operand} operands")]
        assert slope["value"] == pytest.approx(0.93, rel=1e-12)
        assert slope["n"] == 1


@pytest.mark.parametrize("id", JACOBI)
def test_a_jacobiator_above_its_bound_is_no_evidence_of_an_identity(id: str) -> None:
    tables = of_model()
    tables["layers"].loc[2, "jacobi_rms"] = 1e-3
    row = claim(id, tables)
    assert (row["verdict"], row["value"]) == (NOT_MEASURED, 1e-3)
    assert "failed its own check" in row["note"] and "in layers 2" in row["note"]
    # What speaks against the computation is shown as any other number is.
    assert row["value"] in set(evidence_of(id, tables)["value"])


@pytest.mark.parametrize("id", JACOBI)
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.5])
def test_a_jacobiator_that_does_not_follow_the_roundoff_is_not_rounding(
    id: str, slope: float
) -> None:
    tables = of_model() | {"precision": pd.DataFrame(precision_rows("m", slope))}
    assert verdict_of(id, tables) == NOT_MEASURED


@pytest.mark.parametrize("id", JACOBI)
def test_without_precisions_or_triples_there_is_no_evidence(id: str) -> None:
    precision = pd.DataFrame(precision_rows("m"))
    for left in (precision[:0], precision.assign(jacobi_mean=NAN), precision.query("layer > 0")):
        assert verdict_of(id, of_model() | {"precision": left}) == NOT_MEASURED
    two = precision[precision["unit_roundoff"] > 1e-4]
    assert verdict_of(id, of_model() | {"precision": two}) == NOT_MEASURED
    # The slope of the one kind of operand says nothing of the other.
    for operand in ("raw", "basis"):
        one = precision[precision["operand"] == operand]
        assert verdict_of(id, of_model() | {"precision": one}) == NOT_MEASURED
    row = claim(id, of_model(jacobi_rms=NAN, jacobi_bound=NAN))
    assert row["verdict"] == NOT_MEASURED
    assert pd.isna(row["value"])


@pytest.mark.parametrize("id", JACOBI)
@pytest.mark.parametrize("first", ["a", "b"])
def test_the_slope_of_one_model_does_not_vouch_for_another(id: str, first: str) -> None:
    tables = study_tables(model_layers("a"), model_layers("b"))
    models = together(described(first), described("b" if first == "a" else "a"))
    assert verdict_of(id, tables, models) == CONTRADICTED
    alone = tables["precision"].query("model == 'a'")
    row = claim(id, tables | {"precision": alone}, models)
    assert row["verdict"] == NOT_MEASURED
    assert "b: no Jacobiator in several precisions" in row["note"] and "a: " not in row["note"]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0.5, 1.5), st.floats(-20, 5)), min_size=1, max_size=4))
def test_the_slope_is_the_mean_of_the_layers_slopes(layers: list[tuple[float, float]]) -> None:
    # Powers of u, each with a slope and a factor of its own: in logarithms the mean is linear.
    precision = pd.DataFrame(
        [
            row | {"layer": layer, "jacobi_mean": math.exp(offset) * row["unit_roundoff"] ** slope}
            for layer, (slope, offset) in enumerate(layers)
            for row in precision_rows("m")
        ]
    )
    mean = sum(slope for slope, _ in layers) / len(layers)
    numbers = evidence_of("jacobi-range", of_model() | {"precision": precision})
    for operand in ("raw", "basis"):
        slope = numbers.loc[("m", f"slope of ‖J‖ in the unit roundoff, {operand} operands")]
        assert (slope["value"], slope["n"]) == (pytest.approx(mean, rel=1e-9), len(layers))


def test_the_largest_jacobiator_is_that_of_all_models_over_all_layers() -> None:
    models = together(described("a"), described("b"))
    tables = study_tables(model_layers("a"), model_layers("b", (0.1, 0.2), jacobi_rms=3e-17))
    row = claim("jacobi-range", tables, models)
    assert (row["models"], row["value"], row["n"]) == ("a, b", 3e-17, N + 2)


@pytest.mark.parametrize(
    ("residual", "verdict"), [(1e-16, TRUE_OF_ANYTHING), (1e-3, NOT_MEASURED), (NAN, NOT_MEASURED)]
)
def test_higher_brackets_vanish_where_the_relations_hold(residual: float, verdict: str) -> None:
    row = claim("higher-small", of_model(coherence_residual=residual))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(residual, abs=0, nan_ok=True)


@pytest.mark.parametrize(
    ("rms", "verdict"),
    [
        (1e-17, TRUE_OF_ANYTHING),
        (1e-5, NOT_REPRODUCED),
        # Of two triples the larger residual may be √2 times their root mean square.
        (0.8e-6, NOT_REPRODUCED),
        (0.7e-6, TRUE_OF_ANYTHING),
        (NAN, NOT_MEASURED),
    ],
)
def test_the_literal_relations_hold_of_anything_or_not_at_all(rms: float, verdict: str) -> None:
    tables = of_model(jacobi_rms=rms)
    assert claim("coherence", tables)["verdict"] == verdict
    if verdict != NOT_MEASURED:
        largest = evidence_of("coherence", tables).loc[("m", "largest residual")]
        assert (largest["value"], largest["n"]) == (pytest.approx(2**0.5 * rms, rel=1e-15), N)


@pytest.mark.parametrize(
    ("residual", "verdict"), [(1e-17, TRUE_OF_ANYTHING), (1e-5, NOT_REPRODUCED)]
)
def test_dense_residuals_count_for_the_literal_relations(residual: float, verdict: str) -> None:
    dense = {"model": "m", "layer": 0, "dtype": "float64", "n_triples": 4, "residual": residual}
    literal = pd.DataFrame([dense], columns=list(columns.MODEL_LITERAL))
    tables = of_model() | {"literal": literal}
    # Of the model once, though two numbers are over its layers; 40 constructed, 2 random.
    assert claim("coherence", tables)["n"] == N + 40 + 2
    for on, changed in (
        ("m", {"literal": literal}),
        *(
            (on, {name: of_model()[name].assign(literal_residual=residual)})
            for on, name in (
                ("constructed layers", "conditioning"),
                ("random layers", "feasibility"),
            )
        ),
    ):
        tables = of_model() | changed
        assert claim("coherence", tables)["verdict"] == verdict
        measured = evidence_of("coherence", tables).loc[(on, "largest residual over every triple")]
        assert measured["value"] == residual


def test_gpt2_medium_has_a_bound_of_its_own_on_the_literal_relations() -> None:
    tables = study_tables(model_layers("m", GPT2_MEDIUM_EPSILON, **GPT2_MEDIUM, jacobi_rms=5e-6))
    assert verdict_of("coherence", tables, described(**PUBLISHED)) == TRUE_OF_ANYTHING
    for other in ({"id": "x/y"}, {"id": GPT2_MEDIUM_ID}):
        models = described(**(PUBLISHED | {"commit": "0" * 40} | other))
        assert verdict_of("coherence", tables, models) == NOT_REPRODUCED
