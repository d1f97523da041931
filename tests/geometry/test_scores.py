"""Scores by head against every pair one by one, and against heads of known scores."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from headalgebra.geometry.scores import INITIAL_WIDTHS, HeadScores, head_scores, initial_scores

T, R = 7, 4
ALL = torch.ones(T, T, dtype=torch.bool)
MASKS = {"all": ALL, "causal": ALL.tril(), "window": ALL.tril() & ~ALL.tril(-3)}
near = pytest.approx


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_by_one(q: Tensor, k: Tensor, visible: Tensor) -> dict[str, float]:
    """Of one head, pair after pair."""
    pairs = [
        (q[n, i].numpy(), k[n, j].numpy())
        for n in range(len(q))
        for i in range(q.shape[1])
        for j in range(q.shape[1])
        if visible[i, j]
    ]
    scores = np.array([a @ b for a, b in pairs])
    cosines = np.array([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs])
    a, b = (np.array(vectors) for vectors in zip(*pairs, strict=True))
    independent = (a**2).mean(0) @ (b**2).mean(0) - (a.mean(0) ** 2) @ (b.mean(0) ** 2)
    lengths = [np.linalg.norm(x.reshape(-1, R).numpy(), axis=1) for x in (q, k)]
    return {
        "std": scores.std() / R**0.5,
        "variance_ratio": scores.var() / independent,
        "cosine_r2": np.corrcoef(scores, cosines)[0, 1] ** 2,
        "query_variation": lengths[0].std(ddof=1) / lengths[0].mean(),
        "key_variation": lengths[1].std(ddof=1) / lengths[1].mean(),
        "beyond_one": (np.abs(scores) > 1).mean(),
    }


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("first_token", [0, 1])
def test_scores_are_those_of_every_pair(mask: str, first_token: int) -> None:
    visible = MASKS[mask]
    query, key = normal(0, 3, 4, T, R) + 0.5, normal(1, 3, 2, T, R) - 0.2
    found = head_scores(query, key, visible, first_token=first_token)
    later = slice(first_token, None)
    for head in range(4):
        expected = one_by_one(
            query[:, head, later], key[:, head // 2, later], visible[later, later]
        )
        for name, value in expected.items():
            assert float(getattr(found, name)[head]) == near(value, rel=1e-11), name
    # With a mask, or a grouping, of another kind they are others.
    other = head_scores(query, key.flip(1), visible, first_token=first_token)
    assert not torch.allclose(found.std, other.std)


@given(seed=st.integers(0, 99), lengths=st.tuples(st.floats(0.1, 9), st.floats(0.1, 9)))
def test_direction_explains_all_where_lengths_are_constant(
    seed: int, lengths: tuple[float, float]
) -> None:
    query, key = (
        length * torch.nn.functional.normalize(normal(seed + i, 2, 3, T, R), dim=-1)
        for i, length in enumerate(lengths)
    )
    found = head_scores(query, key, MASKS["causal"])
    assert found.cosine_r2.tolist() == near([1.0] * 3, abs=1e-12)
    assert found.query_variation.tolist() == near([0.0] * 3, abs=1e-12)
    query[:, :, 0] *= 3
    worse = head_scores(query, key, MASKS["causal"])
    assert (worse.cosine_r2 < 1 - 1e-3).all()
    assert (worse.query_variation > 0.1).all()
    assert worse.key_variation.tolist() == found.key_variation.tolist()


@given(seed=st.integers(0, 99), factor=st.sampled_from([1e-5, 3.0, 1e5]))
def test_scores_scale_and_their_shares_do_not(seed: int, factor: float) -> None:
    query, key = normal(seed, 2, 3, T, R), normal(seed + 1, 2, 3, T, R)
    found = head_scores(query, key, ALL)
    scaled = head_scores(factor * query, key, ALL)
    torch.testing.assert_close(scaled.std, factor * found.std, rtol=1e-12, atol=0)
    for name in ("variance_ratio", "cosine_r2", "query_variation", "key_variation"):
        torch.testing.assert_close(
            getattr(scaled, name), getattr(found, name), rtol=1e-9, atol=1e-12
        )
    # A rotation of queries and keys, as positions are, changes neither lengths nor angles.
    frame = torch.linalg.qr(normal(seed + 2, R, R)).Q
    turned = head_scores(query @ frame, key @ frame, ALL)
    for name in ("std", "cosine_r2", "query_variation", "key_variation", "beyond_one"):
        torch.testing.assert_close(getattr(turned, name), getattr(found, name), rtol=1e-9, atol=0)


def test_independent_coordinates_have_the_ratio_1_and_equal_ones_r() -> None:
    query, key = normal(0, 1, 20, 300, R), normal(1, 1, 20, 300, R)
    visible = torch.ones(300, 300, dtype=torch.bool)
    assert float(head_scores(query, key, visible).variance_ratio.mean()) == near(1, abs=0.02)
    alike = [x[..., :1].expand(-1, -1, -1, R) for x in (query, key)]
    assert head_scores(*alike, visible).variance_ratio.tolist() == near([R] * 20, rel=1e-2)


def test_scores_that_are_all_alike_have_no_share() -> None:
    one = torch.ones(2, 3, T, R, dtype=torch.float64)
    found = head_scores(one, 2 * one, ALL)
    assert found.std.tolist() == near([0.0] * 3, abs=1e-7)
    assert found.cosine_r2.isnan().all()
    assert found.beyond_one.tolist() == [1.0] * 3
    nothing = head_scores(0 * one, one, ALL)
    assert nothing.std.tolist() == [0.0] * 3
    assert nothing.cosine_r2.isnan().all() and nothing.query_variation.isnan().all()


def test_single_precision_is_summed_in_double() -> None:
    query, key = normal(0, 2, 3, T, R).float(), normal(1, 2, 3, T, R).float()
    found, expected = head_scores(query, key, ALL), head_scores(query.double(), key.double(), ALL)
    assert isinstance(found, HeadScores)
    for name in vars(found):
        assert torch.equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize("width", INITIAL_WIDTHS)
def test_before_training_the_ratio_is_1_and_the_std_d_times_the_variance(width: int) -> None:
    d, deviation = 384, 0.02
    std, ratio = initial_scores(d, width, deviation, np.random.default_rng(width))
    assert ratio == near(1, abs=0.1)
    assert std == near(d * deviation**2, rel=0.1)
    # So the root of r restores 1 for one variance of the weights.
    restored, same = initial_scores(d, width, 1 / math.sqrt(d), np.random.default_rng(width))
    assert restored == near(1, abs=0.1)
    assert same == near(ratio, rel=1e-9)
    assert restored == near(std / (d * deviation**2), rel=1e-9)
