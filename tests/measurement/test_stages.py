"""Stages that must agree with one another, on layers of a trained and of made models."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from headalgebra import columns
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf import probed_words_flops, triple_squares, triple_squares_flops
from headalgebra.algebra.linf.words import probes_held
from headalgebra.algebra.operators import HeadOperators
from headalgebra.measurement._literal import literal_operators
from headalgebra.measurement.associator import measure_associator
from headalgebra.measurement.basis import decompose_basis
from headalgebra.measurement.coherence import verify_coherence
from headalgebra.measurement.epsilon import measure_epsilon
from headalgebra.measurement.linf_dense import extract_linf_dense
from headalgebra.measurement.linf_sampled import extract_linf_sampled
from headalgebra.measurement.precision import measure_precision
from headalgebra.measurement.tower import measure_gauge, measure_tower
from headalgebra.tables import sampling_table
from heads import from_matrices, gaussian, gaussian_heads


@pytest.mark.parametrize("layer", range(6))
def test_six_leading_directions_go_dense_and_agree_with_the_other_routes(
    minilm_layer: Callable[[int], HeadOperators], layer: int
) -> None:
    blocks = gram_blocks(minilm_layer(layer))
    basis, conditioned, _ = decompose_basis(layer, blocks, max_dim=6)
    assert (conditioned["route"], conditioned["basis_dim"]) == ("dense", 6)
    _, elsewhere, _ = decompose_basis(layer, blocks, max_dim=6, dense_max_dim=1)
    assert elsewhere["route"] == "exact"
    dense, _ = extract_linf_dense(layer, blocks, basis.coefficients)
    sampled, _ = extract_linf_sampled(layer, blocks, basis.coefficients)
    exact, estimates = extract_linf_sampled(layer, blocks, basis.coefficients, route="exact")
    for row in (dense, exact):
        assert row["obstruction_ci_low"] == row["obstruction_rms"] == row["obstruction_ci_high"]
        assert row["n_probes"] == 0
    assert exact["obstruction_rms"] == pytest.approx(dense["obstruction_rms"], rel=1e-12)
    # From 95 % to 99.9 %: p - 1 degrees of freedom, and a little for what is skewed.
    free = sampled["n_probes"] - 1
    widening = 1.2 * stats.t.ppf(0.9995, free) / stats.t.ppf(0.975, free)
    off = dense["obstruction_rms"] - sampled["obstruction_rms"]
    end = sampled["obstruction_ci_high" if off > 0 else "obstruction_ci_low"]
    assert abs(off) <= widening * abs(end - sampled["obstruction_rms"])
    rows = {row["estimator"]: row for row in estimates}
    assert list(rows) == ["exact", "probes", "uniform"]
    assert rows["probes"]["value"] == sampled["obstruction_rms"]
    assert rows["probes"]["dtype"] == "float32"
    assert 0 < rows["uniform"]["coverage"] < 1
    for column in ("n_triples", "jacobi_rms", "jacobi_noise", "hochschild_residual"):
        assert dense[column] == sampled[column]


def test_moderately_conditioned_layers_are_extracted_both_ways() -> None:
    blocks = gram_blocks(gaussian_heads(0, 4, 32, 8))
    basis, conditioned, _ = decompose_basis(0, blocks, well_below=1.01)
    assert (conditioned["route"], conditioned["conditioning"]) == ("mixed", "moderate")
    dense, literal = extract_linf_dense(0, blocks, basis.coefficients)
    _, estimates = extract_linf_sampled(0, blocks, basis.coefficients)
    frames = {
        "linf_dense": pd.DataFrame([dense], columns=list(columns.LINF)),
        "literal": pd.DataFrame([literal], columns=list(columns.LITERAL)),
        "sampling": pd.DataFrame(estimates, columns=list(columns.SAMPLING)),
        "basis": pd.DataFrame([conditioned], columns=list(columns.BASIS)),
    }
    table = sampling_table("m", frames).set_index("estimator")
    assert set(table.index) == {"probes", "uniform", "dense"}
    exact = dense["obstruction_rms"]
    assert table.loc["dense", "value"] == exact
    assert table.loc["probes", "low"] < exact < table.loc["probes", "high"]


def test_dense_extraction_in_float32_agrees_to_its_rounding() -> None:
    blocks = gram_blocks(gaussian_heads(1, 4, 64, 8))
    basis, _, _ = decompose_basis(0, blocks)
    wide, _ = extract_linf_dense(0, blocks, basis.coefficients)
    narrow, relations = extract_linf_dense(0, blocks, basis.coefficients, dtype="float32")
    assert relations["dtype"] == "float32"
    # Three products deep, of unit operators of width 64.
    difference = abs(narrow["obstruction_rms"] / wide["obstruction_rms"] - 1)
    assert 0 < difference < 20 * 64 * 2.0**-24


def test_exact_is_what_costs_no_more_than_so_many_probes() -> None:
    blocks = gram_blocks(gaussian_heads(0, 8, 32, 4))
    # 8 d³ + 2nHd² flops a pair and what comes once, against words of 8 elements on p probes.
    exactly = triple_squares_flops(d=32, heads=8, keys=8, r=4, n=8)
    one_probe = probed_words_flops(d=32, heads=8, r=4, n=8, probes=1, triples=8 * 28)
    enough = math.ceil(exactly / one_probe)
    for probes, route in ((enough, "exact"), (enough - 1, "sampled"), (0, "sampled")):
        _, conditioned, _ = decompose_basis(0, blocks, exact_up_to_probes=probes)
        assert conditioned["route"] == route
    _, conditioned, _ = decompose_basis(0, blocks, census_max_triples=8 * 28 - 1)
    assert conditioned["route"] == "sampled"


@pytest.mark.parametrize("census_max_triples", [200, 20])
def test_words_in_float32_are_refused_where_they_would_show(census_max_triples: int) -> None:
    commuting = torch.diag_embed(gaussian(0, 6, 16))
    for distance, dtype in ((1.0, "float32"), (1e-6, "float64")):
        blocks = gram_blocks(from_matrices(commuting + distance * gaussian(1, 6, 16, 16)))
        basis, _, _ = decompose_basis(0, blocks)
        linf, estimates = extract_linf_sampled(
            0, blocks, basis.coefficients, census_max_triples=census_max_triples
        )
        assert estimates[0]["dtype"] == dtype
        exact = math.sqrt(float(triple_squares(blocks.operators, basis.coefficients).mean()))
        assert linf["obstruction_ci_low"] < exact < linf["obstruction_ci_high"]


def test_blocks_of_probes_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = gram_blocks(gaussian_heads(0, 6, 24, 4))
    coefficients = decompose_basis(0, blocks)[0].coefficients
    whole, _ = extract_linf_sampled(0, blocks, coefficients, probes=17)
    with monkeypatch.context() as patched:
        patched.setattr("headalgebra.algebra.linf.words.PROBES_AT_ONCE", 17)
        together, _ = extract_linf_sampled(0, blocks, coefficients, probes=17)
    # The rounding of float32 differs with the width of a product.
    assert whole["obstruction_rms"] == pytest.approx(together["obstruction_rms"], rel=1e-6)
    assert whole["n_probes"] == together["n_probes"] == 17
    # Words of one probe alone, those of triples that are drawn too: the same triples.
    drawn = {"census_max_triples": 1, "weighted_triples": 200}
    usual = [
        extract_linf_sampled(0, blocks, coefficients, probes=16, **options)
        for options in (drawn, {})
    ]
    monkeypatch.setattr("headalgebra.algebra.linf.words.WORDS_KEPT", 6 * 17 // 2 * 24)
    assert probes_held(0, 24) > 1  # of a layer that is not sampled
    assert probes_held(6, 24) == 1 and probes_held(5, 24) == 1 and probes_held(3, 24) > 1
    for (expected, _), options in zip(usual, (drawn, {}), strict=True):
        found, _ = extract_linf_sampled(0, blocks, coefficients, probes=16, **options)
        for end in ("obstruction_rms", "obstruction_ci_low", "obstruction_ci_high"):
            assert found[end] == pytest.approx(expected[end], rel=1e-5)
        assert found["n_probes"] == 16


def test_products_are_multiplied_out_on_no_more_coordinates_than_may_be() -> None:
    """Of a wide layer on some that are drawn: as of the layer that has these coordinates alone."""
    operators = gaussian_heads(0, 4, 32, 8)
    blocks = gram_blocks(operators)
    basis, _, _ = decompose_basis(0, blocks)
    drawn = literal_operators(3, operators, max_d=24)
    rows = [int((operators.query_matrix == row).all(1).nonzero()) for row in drawn.query_matrix]
    assert rows == sorted(set(rows)) and len(rows) == 24
    torch.testing.assert_close(drawn.materialise(2), operators.materialise(2)[rows][:, rows])
    other = literal_operators(4, operators, max_d=24)
    assert not torch.equal(other.query_matrix, drawn.query_matrix)
    assert literal_operators(3, operators, max_d=32) is operators
    note = "Jacobiators on 24 of 32 coordinates"
    for extract in (extract_linf_dense, extract_linf_sampled):
        whole, _ = extract(3, blocks, basis.coefficients)
        part, _ = extract(3, blocks, basis.coefficients, literal_max_d=24)
        assert (whole["note"], part["note"]) == ("", note)
        assert part["obstruction_rms"] == whole["obstruction_rms"]
        assert 0 < part["jacobi_noise"] < whole["jacobi_noise"]
    for measure in (measure_precision, measure_associator):
        capped = measure(3, operators, basis.coefficients, literal_max_d=24)
        # The coordinates are drawn by the layer, the triples too.
        assert capped == measure(3, drawn, basis.coefficients)
        assert {row["coordinates"] for row in capped} == {24}


def test_every_row_has_the_columns_of_its_table() -> None:
    blocks = gram_blocks(gaussian_heads(2, 4, 16, 3, [0, 0, 1, 1]))
    basis, conditioned, singular_values = decompose_basis(7, blocks)
    coefficients = basis.coefficients
    epsilon, pairs = measure_epsilon(7, blocks)
    dense, literal = extract_linf_dense(7, blocks, coefficients)
    sampled, estimates = extract_linf_sampled(7, blocks, coefficients)
    tower, gauge, spectra = measure_tower(7, blocks)
    tables = {
        columns.BASIS: [conditioned],
        columns.SINGULAR_VALUES: singular_values,
        columns.EPSILON: [epsilon],
        columns.PAIRS: pairs,
        columns.LINF: [dense, sampled],
        columns.LITERAL: [literal],
        columns.SAMPLING: estimates,
        columns.COHERENCE: [verify_coherence(7, blocks, coefficients, kappa_used=2.0)],
        columns.TOWER: tower,
        columns.GAUGE: [gauge],
        columns.SPECTRA: spectra,
        columns.PRECISION: measure_precision(7, blocks.operators, coefficients),
        columns.ASSOCIATOR: measure_associator(7, blocks.operators, coefficients),
    }
    for names, rows in tables.items():
        assert rows
        for row in rows:
            assert set(row) == set(names)
            assert row["layer"] == 7
    assert measure_gauge(7, blocks) == gauge


def test_pairs_are_those_of_epsilon() -> None:
    """A column taken for another would show: each is tied to the others by the definition."""
    blocks = gram_blocks(gaussian_heads(3, 5, 12, 3))
    epsilon, pairs = measure_epsilon(0, blocks)
    table = pd.DataFrame(pairs)
    assert epsilon["epsilon"] == pytest.approx(table["commutator_norm"].mean() / 12, rel=1e-14)
    assert epsilon["epsilon_haar"] == pytest.approx(table["haar_norm"].mean() / 12, rel=1e-14)
    assert epsilon["epsilon_relative"] == pytest.approx(
        table["commutator_relative"].mean(), rel=1e-14
    )
    norms = blocks.operators.norms().numpy()
    products = norms[table["i"]] * norms[table["j"]]
    assert np.allclose(
        table["commutator_norm"], table["commutator_relative"] * products, rtol=1e-12
    )
    assert list(zip(table["i"], table["j"], strict=True)) == [
        (i, j) for i in range(5) for j in range(i + 1, 5)
    ]


def test_levels_too_large_are_left_out_with_a_note() -> None:
    blocks = gram_blocks(gaussian_heads(4, 3, 10, 2))
    limits = {"commutant_max_d": 9, "lie_max_heads": 2}
    tower, gauge, _ = measure_tower(0, blocks, **limits)
    empty = {row["level"] for row in tower if math.isnan(row["value"])}
    assert empty == {"W*", "Lie"}
    assert gauge["note"] == (
        "d = 10 above commutant_max_d = 9: no W* level; "
        "3 heads above lie_max_heads = 2: no Lie level"
    )
    assert measure_gauge(0, blocks, **limits) == gauge


@pytest.mark.parametrize(
    ("n", "of_extraction", "of_coherence"),
    [(1, "n = 1: no brackets", "n = 1: no brackets"), (2, "no three elements", "no rho3")],
)
def test_too_few_elements_are_told(n: int, of_extraction: str, of_coherence: str) -> None:
    blocks = gram_blocks(gaussian_heads(5, 2, 8, 2))
    coefficients = decompose_basis(0, blocks)[0].coefficients[:n]
    dense, _ = extract_linf_dense(0, blocks, coefficients)
    assert of_extraction in dense["note"]
    assert of_coherence in verify_coherence(0, blocks, coefficients, kappa_used=1.0)["note"]


def test_blocks_out_of_reach_are_told() -> None:
    strong, weak = (gaussian_heads(seed, 3, 12, 12) for seed in (8, 9))
    queries = torch.zeros(3, 24, 12, dtype=torch.float64)
    keys = torch.zeros(3, 24, 12, dtype=torch.float64)
    queries[:, :12], queries[:, 12:] = strong.queries, 1e-5 * weak.queries
    keys[:, :12], keys[:, 12:] = strong.keys, 1e-5 * weak.keys
    _, gauge, _ = measure_tower(0, gram_blocks(HeadOperators.from_factors(queries, keys)))
    assert "blocks may go unseen" in gauge["note"]
    _, gauge, _ = measure_tower(0, gram_blocks(strong))
    assert gauge["note"] == ""
