"""Each method is exact where theory has it so, and never infinite."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.dyson.resummation import (
    METHODS,
    anderson,
    borel,
    mixing_weights,
    reduced_rank,
    resum,
    vector_epsilon,
)

SEEDS = st.integers(0, 99)


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rre(sequence: Tensor) -> Tensor:
    return reduced_rank(sequence, mixing_weights(sequence)[0])


def mixed(sequence: Tensor) -> Tensor:
    return anderson(sequence, mixing_weights(sequence)[0])


def epsilon(sequence: Tensor) -> Tensor:
    *_, (estimate, _) = vector_epsilon(sequence)
    return estimate


def borel_sum(sequence: Tensor) -> Tensor:
    terms = torch.cat([sequence[:1], sequence.diff(dim=0)])
    *_, (estimate, _) = borel(terms, nodes=48)
    return estimate


EXTRAPOLATIONS = [rre, mixed, epsilon]
MODES = [-1.7, 0.55, -0.4, 1.3]
"""Growing and decaying, far enough apart that rounding is not amplified much."""


def exponentials(terms: int, k: int, n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    """A limit plus k exponentials with vectors of their own, in n sequences."""
    limit, vectors = normal(seed, n, d), normal(seed + 1, k, n, d)
    powers = torch.tensor(MODES[:k], dtype=torch.float64) ** torch.arange(terms)[:, None]
    return limit + torch.einsum("ik,knd->ind", powers, vectors), limit


@given(k=st.integers(1, 4), extra=st.integers(0, 3), seed=SEEDS)
def test_reduced_rank_is_exact_from_two_terms_more_than_modes(
    k: int, extra: int, seed: int
) -> None:
    sequence, limit = exponentials(k + 2 + extra, k, 3, 7, seed)
    for method in (rre, mixed):
        torch.testing.assert_close(method(sequence), limit, rtol=0, atol=1e-9)
    if not extra:
        assert (rre(sequence[:-1]) - limit).norm(dim=-1).min() > 1e-3


@given(seed=SEEDS)
def test_a_complex_pair_counts_as_two_modes(seed: int) -> None:
    turn = 0.9 * torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    frame, limit, state = normal(seed, 2, 5), normal(seed + 1, 5), normal(seed + 2, 2)
    sequence = []
    for _ in range(5):
        sequence.append(limit + state @ frame)
        state = turn @ state
    stacked = torch.stack(sequence)[:, None]
    torch.testing.assert_close(rre(stacked[:4])[0], limit, rtol=0, atol=1e-10)
    assert (rre(stacked[:3])[0] - limit).norm() > 1e-3
    torch.testing.assert_close(epsilon(stacked)[0], limit, rtol=0, atol=1e-10)


@given(k=st.integers(1, 4), extra=st.integers(0, 3), seed=SEEDS)
def test_epsilon_is_exact_from_twice_the_modes_and_one(k: int, extra: int, seed: int) -> None:
    sequence, limit = exponentials(2 * k + 1 + extra, k, 3, 7, seed)
    torch.testing.assert_close(epsilon(sequence), limit, rtol=0, atol=1e-7)
    if not extra:
        assert (epsilon(sequence[:-1]) - limit).norm(dim=-1).min() > 1e-4


@given(y=st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_three_numbers_give_aitkens(y: list[float]) -> None:
    a, b, c = y
    curvature = (c - b) - (b - a)
    if min(abs(c - b), abs(b - a), abs(curvature)) < 1e-3:
        return
    expected = torch.tensor([[c - (c - b) ** 2 / curvature]], dtype=torch.float64)
    for method in EXTRAPOLATIONS:
        sequence = torch.tensor(y, dtype=torch.float64)[:, None, None]
        torch.testing.assert_close(method(sequence), expected, rtol=1e-8, atol=1e-8)


def test_borels_own_series() -> None:
    terms = torch.tensor([(-1.0) ** k * math.factorial(k) for k in range(9)], dtype=torch.float64)
    estimates = [float(estimate) for estimate, _ in borel(terms[:, None, None], nodes=48)]
    # 1 − t is no function that 1/(1 + t) is: exact from three terms on.
    assert abs(estimates[1] - 0.596347362323194) > 0.1
    for estimate in estimates[2:]:
        assert estimate == pytest.approx(0.596347362323194, abs=1e-10)


@given(terms=st.integers(2, 6), seed=SEEDS)
def test_a_borel_sum_of_a_polynomial_in_one_term_is_that_term(terms: int, seed: int) -> None:
    sequence = normal(seed, 3, 4).expand(terms, 3, 4)
    torch.testing.assert_close(borel_sum(sequence), sequence[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", [*EXTRAPOLATIONS, borel_sum])
@given(
    terms=st.integers(2, 7),
    factor=st.sampled_from([1e-30, 0.3, -2.0, 1e40]),
    seed=SEEDS,
)
def test_scaling_and_rotating_the_terms_scales_and_rotates_the_estimate(
    method: Callable[[Tensor], Tensor], terms: int, factor: float, seed: int
) -> None:
    # More dimensions than terms, so that every minimiser is the only one.
    sequence = normal(seed, terms, 3, 8)
    frame = torch.linalg.qr(normal(seed + 1, 8, 8))[0]
    expected = factor * method(sequence) @ frame
    found = method(factor * sequence @ frame)
    torch.testing.assert_close(found / factor, expected / factor, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", EXTRAPOLATIONS)
@given(terms=st.integers(2, 7), seed=SEEDS)
def test_moving_the_terms_moves_the_estimate(
    method: Callable[[Tensor], Tensor], terms: int, seed: int
) -> None:
    sequence, by = normal(seed, terms, 3, 8), normal(seed + 1, 3, 8)
    torch.testing.assert_close(method(sequence + by), method(sequence) + by, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", [*EXTRAPOLATIONS, borel_sum])
@given(
    entries=st.lists(
        st.sampled_from([0.0, 1.0, -1.0, 2.0, 1e-200, 1e200, 1 + 1e-15]), min_size=16, max_size=16
    )
)
def test_nothing_is_infinite(method: Callable[[Tensor], Tensor], entries: list[float]) -> None:
    sequence = torch.tensor(entries, dtype=torch.float64).view(8, 1, 2)
    assert method(sequence).isfinite().all()


def test_a_vanishing_difference_leaves_the_value_reached_and_is_counted() -> None:
    constant = torch.ones(5, 1, 2, dtype=torch.float64)
    moving = normal(0, 5, 1, 2)
    # The third term repeats the second, from where on the table of that token is cut.
    repeating = moving.clone()
    repeating[2] = repeating[1]
    sequence = torch.cat([constant, moving, repeating], dim=1)
    assert mixing_weights(sequence)[1].tolist() == [True, False, True]
    found = [broken.tolist() for _, broken in vector_epsilon(sequence)]
    assert found[0] == found[1] == [False] * 3
    assert found[2] == [True, False, True]
    assert torch.equal(epsilon(sequence)[0], constant[0, 0])
    *_, (third, _) = vector_epsilon(repeating[:3])
    assert torch.equal(third, repeating[2])
    torch.testing.assert_close(rre(repeating[:3]), repeating[1])
    # A constant odd column, arithmetic in one dimension: no limit, and no infinity.
    steady = torch.arange(3, dtype=torch.float64).view(3, 1, 1)
    *_, (estimate, broken) = vector_epsilon(steady)
    assert float(estimate) == 2 and bool(broken)


def rows_of(sequence: Tensor, x_L: Tensor, **keywords: object) -> dict:
    rows = resum(sequence, x_L, nodes=8, **keywords)  # type: ignore[arg-type]
    return {(row.m, row.method): row for row in rows}


@given(seed=SEEDS)
def test_rows_are_quartiles_of_every_methods_errors(seed: int) -> None:
    sequence, x_L = normal(seed, 6, 9, 20), normal(seed + 1, 9, 20)
    rows = rows_of(sequence, x_L, lengths=[5, 1, 3])
    assert [*rows] == [(m, method) for m in (1, 3, 5) for method in METHODS]
    estimates = {
        "last": lambda y: y[-1],
        "linear": lambda y: 2 * y[-1] - y[-2],
        "rre": rre,
        "anderson": mixed,
        "epsilon": epsilon,
    }
    for (m, method), row in rows.items():
        assert row.q1 <= row.median <= row.q3 and row.broken == 0 and row.cross_entropy is None
        if method == "borel":
            *_, (estimate, _) = borel(
                torch.cat([sequence[:1], sequence[: m + 1].diff(dim=0)]), nodes=8
            )
        else:
            estimate = estimates[method](sequence[: m + 1])
        error = (estimate - x_L).norm(dim=-1) / x_L.norm(dim=-1)
        assert row.median == pytest.approx(float(error.median()), rel=1e-6)
        assert row.q1 == pytest.approx(float(error.quantile(0.25)), rel=1e-6)


def test_cross_entropy_is_that_of_the_estimates_through_the_head() -> None:
    sequence, head = normal(0, 4, 6, 10), normal(1, 10, 12)
    following = torch.tensor([3, 1, -100, 0, 11, 5])
    rows = rows_of(
        sequence, sequence[-1], lengths=[2, 3], logits=lambda x: x @ head, next_tokens=following
    )
    kept = following >= 0
    for m in (2, 3):
        found = (sequence[m] @ head).log_softmax(-1)[kept]
        expected = -found[torch.arange(5), following[kept]].mean()
        assert rows[m, "last"].cross_entropy == pytest.approx(float(expected), rel=1e-12)
    # The last term of all is the last state itself.
    assert rows[3, "last"].median < 1e-14


def test_what_cannot_be_summed_is_refused_in_a_line() -> None:
    sequence = normal(0, 4, 2, 3)
    for lengths in ([0], [4]):
        with pytest.raises(ValueError, match=r"lengths must lie in 1\.\.3"):
            resum(sequence, sequence[-1], lengths=lengths)
    with pytest.raises(ValueError, match="zero"):
        resum(sequence, 0 * sequence[-1], lengths=[1])
    with pytest.raises(ValueError, match="go together"):
        resum(sequence, sequence[-1], lengths=[1], logits=lambda x: x)


def test_an_ill_conditioned_sequence_has_the_same_digits_at_every_call() -> None:
    # Wherever the sequence lies in memory.
    decaying = normal(3, 30, 64, 40) * 10.0 ** -torch.arange(0, 15, 0.5)[:, None, None].double()
    sequence = decaying.cumsum(0)
    first = mixing_weights(sequence)[0]
    for elsewhere in range(1, 6):
        moved = torch.empty(sequence.numel() + elsewhere, dtype=torch.float64)[elsewhere:]
        again = mixing_weights(moved.view_as(sequence).copy_(sequence))[0]
        assert torch.equal(again, first)
