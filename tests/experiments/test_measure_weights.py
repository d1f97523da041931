"""Numbers of a layer's weights are those of the tables, and change as they should."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import headalgebra as ha
from headalgebra.algebra.basis import basis_elements
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf import extract_dense
from headalgebra.algebra.nulls import pooled_factors
from headalgebra.algebra.operators import HeadOperators
from headalgebra.experiments.measures.loops import deviation_over_haar
from headalgebra.experiments.measures.weights import (
    DRAWS,
    WEIGHTS,
    course_of_weights,
    weight_numbers,
    weight_values,
)
from headalgebra.experiments.run import Run
from headalgebra.measurement.basis import decompose_basis
from headalgebra.seeds import layer_seed
from heads import SEEDS, gaussian_heads, orthogonal, unchecked_shapes


def layer(seed: int, heads: int = 5) -> HeadOperators:
    return gaussian_heads(seed, heads, 12, 3)


def dense_obstruction(operators: HeadOperators, dimension: int) -> float:
    blocks = gram_blocks(operators)
    basis, _, _ = decompose_basis(0, blocks, max_dim=dimension)
    return extract_dense(basis_elements(blocks.operators, basis.coefficients)).obstruction_rms


def test_numbers_are_those_of_the_table_of_layers(usual: Run) -> None:
    """With as many draws of the null."""
    table = ha.measure(usual.trained.folder / "60", nulls=DRAWS, seed=usual.seed)
    expected = {
        "epsilon": table["epsilon"],
        "epsilon_over_haar": table["epsilon"] / table["epsilon_haar"],
        "kappa": table["kappa"],
        "obstruction": table["obstruction_rms"],
        "rho3": table["rho3"],
        "rho3_over_null": table["rho3"] / table["rho3_null"],
    }
    found = course_of_weights(usual)[60]
    for name, column in expected.items():
        assert [numbers[name] for numbers in found] == pytest.approx([*column], rel=1e-9), name


@pytest.mark.parametrize("dimension", [5, 4])
def test_the_obstruction_is_held_against_that_of_pooled_heads(dimension: int) -> None:
    """Whose basis is cut where that of the layer ends: two of its heads may be one."""
    queries, keys = layer(3).queries.clone(), layer(3).keys.clone()
    queries[dimension:], keys[dimension:] = 2 * queries[0], keys[0]
    operators = HeadOperators.from_factors(queries, keys)
    drawn = [
        dense_obstruction(pooled_factors(operators, np.random.default_rng(stream)), dimension)
        for stream in layer_seed(7, "pooled_null", 2).spawn(DRAWS)
    ]
    expected = dense_obstruction(operators, dimension) / np.mean(drawn)
    assert weight_numbers(operators, 2, 7)["obstruction_over_null"] == pytest.approx(expected)
    # The layer and the seed are part of the draw.
    for of_layer, seed in ((1, 7), (2, 8)):
        other = weight_numbers(operators, of_layer, seed)["obstruction_over_null"]
        assert other != pytest.approx(expected, rel=1e-6)


@settings(max_examples=5)
@given(SEEDS, st.integers(-3, 3))
def test_only_epsilon_has_a_scale_and_nothing_a_basis(seed: int, exponent: int) -> None:
    operators, turn, scale = layer(seed), orthogonal(seed + 9, 12), 10.0**exponent
    turned = HeadOperators(
        scale * turn @ operators.query_matrix, turn @ operators.key_matrix, operators.key_of_head
    )
    before, after = (weight_numbers(it, 0, 0) for it in (operators, turned))
    after["epsilon"] /= scale**2
    assert after == pytest.approx(before, rel=1e-7)
    assert weight_numbers(layer(seed + 1), 0, 0) != pytest.approx(before, rel=1e-3)


@settings(max_examples=5)
@given(SEEDS, st.permutations(range(5)))
def test_heads_have_no_order(seed: int, order: list[int]) -> None:
    operators = layer(seed)
    other = HeadOperators.from_factors(operators.queries[order], operators.keys[order])
    before, after = (weight_numbers(it, 0, 0) for it in (operators, other))
    for name in ("epsilon", "epsilon_over_haar", "kappa", "rho3", "obstruction"):
        assert after[name] == pytest.approx(before[name], rel=1e-7), name


def test_independent_heads_are_as_chance_has_them() -> None:
    with unchecked_shapes():
        found = [weight_numbers(gaussian_heads(seed, 6, 24, 4), seed, 0) for seed in range(12)]
        loops = np.array([deviation_over_haar(layer(seed), seed, 0) for seed in range(12)])
    for name in ("epsilon_over_haar", "rho3_over_null", "obstruction_over_null"):
        values = np.array([numbers[name] for numbers in found])
        assert abs(values.mean() - 1) < 5 * values.std() / len(values) ** 0.5, name
    assert abs(loops.mean() - 1) < 5 * loops.std() / len(loops) ** 0.5


def test_heads_that_commute_are_far_from_chance() -> None:
    frame = orthogonal(0, 12).view(12, 4, 3).permute(1, 0, 2)
    operators = HeadOperators.from_factors(frame, frame)
    found = weight_numbers(operators, 0, 0)
    assert found["epsilon_over_haar"] < 1e-12
    assert found["obstruction_over_null"] < 1e-12
    assert math.isnan(found["rho3"]) and math.isnan(found["rho3_over_null"])
    assert found["kappa"] == pytest.approx(1)
    # Projections onto orthogonal subspaces: all loops are 1.
    assert deviation_over_haar(operators, 0, 0) < 1e-12


def test_a_layer_of_one_head_has_few_numbers() -> None:
    found = weight_numbers(layer(0, heads=1), 0, 0)
    assert {name for name, value in found.items() if not math.isnan(value)} == {"kappa"}


def test_layers_are_summed_up_by_the_median_of_those_that_have_the_quantity() -> None:
    numbers = [3.0, 1.0, math.nan, 7.0, 2.0]
    course = {5: [dict.fromkeys(WEIGHTS, number) for number in numbers]}
    found = {(it.quantity, it.layer): it for it in weight_values(course)}
    assert len(found) == len(WEIGHTS) * 6
    for quantity in WEIGHTS:
        assert found[quantity, None].value == 2.5
        assert [found[quantity, it].value for it in range(5)] == [3.0, 1.0, None, 7.0, 2.0]
    assert {it.step for it in found.values()} == {5}


def test_changed_weights_are_seen(usual: Run, tmp_path: Path) -> None:
    (operators, *_) = usual.operators(60)
    queries = operators.queries.clone()
    queries[1] *= 1.01
    other = HeadOperators.from_factors(queries, operators.keys)
    before, after = (weight_numbers(it, 0, 0) for it in (operators, other))
    assert all(
        after[name] != pytest.approx(before[name], rel=1e-9) for name in ("epsilon", "kappa")
    )
    assert torch.equal(operators.queries[0], queries[0])
