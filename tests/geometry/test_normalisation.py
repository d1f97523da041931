"""Normalised states: which directions norms null, and moments that are merged from parts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reading_models import reading_model, some_tokens
from torch import Tensor

from headalgebra.geometry.moments import Moments, isotropic_lowest, lowest
from headalgebra.geometry.normalisation import moments_of, norm_statistics, read_moments
from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.states import FrozenBlock, record
from headalgebra.states.inside import NormSeen
from headalgebra.states.norms import HeldNorm

CENTRED = {"gpt2": True, "bert": True, "qwen3": False}
D = 6
near = pytest.approx


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seen_of(given_: Tensor, *, centred: bool, epsilon: float = 0.0) -> NormSeen:
    ones = torch.ones(given_.shape[-1], dtype=torch.float64)
    held = HeldNorm(centred, 3 * ones, ones, epsilon).held_at(given_)
    return NormSeen("norm", held, given_)


def all_normalised(seen: NormSeen) -> Tensor:
    return seen.normalised.flatten(0, -2)


@given(
    seed=st.integers(0, 99),
    parts=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    offset=st.sampled_from([0.0, 3.0, 1e6]),
)
def test_parts_merge_to_the_moments_of_all(seed: int, parts: list[int], offset: float) -> None:
    vectors = normal(seed, 2 + sum(parts), D) @ normal(seed + 1, D, D) + offset
    moments = Moments(D)
    for part in vectors.split([2, *parts]):
        moments.add(part)
    assert moments.n == len(vectors)
    # Deviations from a mean of 1e6 carry its rounding.
    tolerance = 100 * UNIT_ROUNDOFF[torch.float64] * (1 + offset)
    expected = np.cov(vectors.numpy(), rowvar=False)
    np.testing.assert_allclose(moments.covariance, expected, rtol=0, atol=100 * tolerance)
    np.testing.assert_allclose(moments.mean, vectors.numpy().mean(0), atol=tolerance)
    again = Moments(D)
    again.add(torch.cat([vectors[:1] + 1, vectors[1:]]))
    assert not np.allclose(again.covariance, expected, rtol=0, atol=100 * tolerance)


def test_vectors_of_heads_are_pooled() -> None:
    vectors = normal(0, 3, 2, 5, D)
    pooled, flat = Moments(D), Moments(D)
    pooled.add(vectors)
    flat.add(vectors.reshape(-1, D))
    assert pooled.n == 30
    assert torch.equal(pooled.covariance, flat.covariance)


@given(seed=st.integers(0, 99), more=st.integers(1, 60), epsilon=st.sampled_from([0.0, 0.3]))
def test_a_layer_norm_nulls_one_direction_and_an_rms_norm_none(
    seed: int, more: int, epsilon: float
) -> None:
    states = (3 * normal(seed, D + more, D) + normal(seed + 1, D))[None]
    for centred in (True, False):
        moments = moments_of(seen_of(states, centred=centred, epsilon=epsilon))
        found = lowest(moments.covariance)
        assert found.nulled == int(centred)
        null = torch.linalg.eigh(moments.covariance).eigenvectors[:, 0]
        assert (float(null.sum().abs()) == near(D**0.5, rel=1e-9)) == centred
        assert found.over_median[1] > 1e-6
    # The mean put back, each token's own, there is nothing that is nulled.
    moments = Moments(D)
    z = all_normalised(seen_of(states, centred=True))
    moments.add(z + 0.1 * normal(seed + 2, len(z), 1))
    assert lowest(moments.covariance).nulled == 0


@pytest.fixture(scope="module", params=CENTRED)
def blocks(request, tmp_path_factory) -> tuple[bool, list[FrozenBlock]]:
    folder = tmp_path_factory.mktemp("states")
    recording = record(reading_model(request.param), some_tokens(30), folder)
    return CENTRED[request.param], list(recording.blocks(looking_inside=True))


def test_so_do_the_norms_of_models(blocks: tuple[bool, list[FrozenBlock]]) -> None:
    centred, (*_, last) = blocks
    assert last.inside is not None
    for seen in last.inside.norms:
        assert lowest(moments_of(seen).covariance).nulled == int(centred)


def test_the_size_of_normalised_states_is_what_epsilon_leaves_of_them(
    blocks: tuple[bool, list[FrozenBlock]],
) -> None:
    """And fixes the trace of their second moment, which is no direction."""
    for block in blocks[1]:
        assert block.inside is not None
        for seen in block.inside.norms:
            found = norm_statistics(seen, of_stream=seen.given.ndim == 3)
            assert found.mean_square == near(found.shortened, rel=1e-12)
            assert found.mean_square < 1
            moments = moments_of(seen)
            spread = moments.covariance.trace() * (moments.n - 1) / moments.n
            trace = spread + moments.mean.square().sum()
            assert float(trace) == near(moments.d * found.mean_square, rel=1e-12)
            # What is not the norm's own z has another size.
            assert float(seen.held(seen.given).square().mean()) != near(found.shortened, rel=1e-3)


def test_an_epsilon_that_counts_shortens() -> None:
    states = normal(0, 2, 50, D)
    for centred in (True, False):
        found = norm_statistics(seen_of(states, centred=centred, epsilon=0.5))
        exact = norm_statistics(seen_of(states, centred=centred))
        assert exact.mean_square == near(1, rel=1e-14)
        assert exact.mean_square_sd == near(0, abs=1e-14)
        assert found.mean_square == near(found.shortened, rel=1e-13)
        assert found.mean_square < 0.8 and found.mean_square_sd > 0.01


@given(seed=st.integers(0, 99), centred=st.booleans())
def test_cosines_are_those_of_all_pairs(seed: int, *, centred: bool) -> None:
    seen = seen_of(normal(seed, 3, 4, D) + 0.5 * normal(seed + 1, D), centred=centred)
    found = norm_statistics(seen)
    z = all_normalised(seen).numpy()
    for vectors, value in ((z, found.cosine), (z - z.mean(0), found.centred_cosine)):
        units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        pairs = [units[i] @ units[j] for i in range(12) for j in range(12) if i != j]
        assert value == near(np.mean(pairs), abs=1e-13)


def test_a_large_first_token_is_seen_in_the_variation_and_can_be_left_out() -> None:
    states = normal(0, 3, 8, D)
    sizes = states.norm(dim=-1)
    plain = norm_statistics(seen_of(states, centred=False))
    assert plain.size_variation == near(float(sizes.std() / sizes.mean()), rel=1e-13)
    states[:, 0] *= 1e4
    found = norm_statistics(seen_of(states, centred=False))
    assert found.size_variation > 2
    assert found.size_variation_without_first == plain.size_variation_without_first
    heads = norm_statistics(seen_of(states, centred=False), of_stream=False)
    assert heads.size_variation_without_first is None


@pytest.mark.parametrize("family", ["gpt2", "bert", "qwen3", "modernbert"])
def test_another_reading_gives_the_moments_of_a_recorded_one(family: str, tmp_path: Path) -> None:
    tokens = some_tokens(5)
    recording = record(reading_model(family), tokens, tmp_path)
    found = read_moments(recording.stack, tokens, at_once=2)
    of_others = read_moments(recording.stack, some_tokens(6)[1:])
    seen = {
        (block.layer, norm.name): norm
        for block in recording.blocks(looking_inside=True)
        for norm in block.inside.norms
    }
    assert found.keys() == seen.keys()
    for place, moments in found.items():
        expected = moments_of(seen[place])
        assert moments.n == expected.n == seen[place].given.shape[:-1].numel()
        scale = float(expected.covariance.abs().max())
        # Families round to float32 inside.
        torch.testing.assert_close(
            moments.covariance, expected.covariance, rtol=0, atol=1e-5 * scale
        )
        other = of_others[place].covariance
        assert float((other - expected.covariance).abs().max()) > 1e-3 * scale


def test_a_block_that_is_called_several_times_has_norms_of_each_call(tmp_path: Path) -> None:
    model = reading_model("albert", inner_group_num=1, num_hidden_groups=1, num_hidden_layers=3)
    recording = record(model, some_tokens(), tmp_path)
    found = read_moments(recording.stack, some_tokens())
    assert {layer for layer, _ in found} == set(range(recording.n_blocks))
    assert len({float(moments.covariance.sum()) for moments in found.values()}) == len(found)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("per_dimension", [4, 16])
def test_the_null_is_what_isotropic_states_have(per_dimension: int, *, centred: bool) -> None:
    d, draws = 60, 60
    n = per_dimension * d
    found = isotropic_lowest(n, d, centred=centred, seed=1, draws=draws)
    drawn = []
    for seed in range(draws):
        states = normal(seed, 1, n, d)
        drawn.append(lowest(moments_of(seen_of(states, centred=centred)).covariance).over_median)
    error = np.std(drawn, axis=0) * (2 / draws) ** 0.5
    # Vectors on a sphere differ from Gaussian ones by 1/d.
    np.testing.assert_array_less(np.abs(np.mean(drawn, axis=0) - found), 4 * error + 0.01)
    assert (found[0] == 0) == centred
    if centred:
        other = isotropic_lowest(n, d, centred=False, seed=1, draws=draws)
        assert abs(np.mean(drawn, axis=0)[0] - other[0]) > 0.1


def test_the_null_at_the_size_of_a_model() -> None:
    """Near the edge of the Marčenko–Pastur law, (1 − √(d/n))², over its median."""
    assert isotropic_lowest(16 * 384, 384, centred=True, seed=0)[1] == near(0.58, abs=0.01)
    assert isotropic_lowest(4 * 384, 384, centred=True, seed=0)[1] == near(0.28, abs=0.01)
    one, other = (isotropic_lowest(800, 50, centred=True, seed=seed) for seed in (0, 1))
    assert one == isotropic_lowest(800, 50, centred=True, seed=0) != other


def test_too_few_vectors_are_said_and_half_of_a_spectrum_is_none() -> None:
    moments = Moments(D)
    moments.add(normal(0, 16 * D - 1, D))
    assert moments.too_few == "95 vectors, and a covariance matrix of dimension 6 wants 96"
    moments.add(normal(1, 1, D))
    assert moments.too_few == ""
    with pytest.raises(ValueError, match="half of the eigenvalues are 0"):
        lowest(torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0]).double()))


def test_the_scale_that_was_held_has_no_part_in_it() -> None:
    seen = seen_of(normal(0, 2, 9, D), centred=True)
    assert seen.held.scale is not None
    other = replace(seen, held=replace(seen.held, scale=2 * seen.held.scale))
    assert norm_statistics(other) == norm_statistics(seen)
