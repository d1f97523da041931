"""Linear maps on a sphere in its shadow's coordinates: the paper's, and any, by regression."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reading_models import reading_model, some_tokens
from torch import Tensor

from headalgebra.checkpoints import open_checkpoint
from headalgebra.checkpoints.convention import PAPER
from headalgebra.geometry.intrinsic import beyond_affine, read_by_attention, share_beyond_affine
from headalgebra.geometry.moments import Moments
from headalgebra.states import record

near = pytest.approx
SHADOW = torch.eye(3, dtype=torch.float64)[:, :2]
UP = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)


def normal(seed: int, *sizes: int) -> Tensor:
    return torch.randn(sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shear(s: float) -> Tensor:
    """x ↦ x + s z, for rows, and the shadow of the image."""
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[2, 0] = s
    return matrix @ SHADOW


def on_a_sphere(seed: int, n: int, d: int, *, centred: bool) -> Tensor:
    """Normalised vectors around a direction."""
    states = normal(seed, n, d) + 2 * normal(seed + 1, d)
    if centred:
        states -= states.mean(1, keepdim=True)
    return torch.nn.functional.normalize(states, dim=1) * d**0.5


@given(s=st.floats(-9, 9))
def test_the_sheared_sphere_of_the_paper(s: float) -> None:
    """On a hemisphere the height is uniform: var z = 1/12, var x = var y = 1/3."""
    covariance = torch.diag(torch.tensor([1 / 3, 1 / 3, 1 / 12], dtype=torch.float64))
    found = share_beyond_affine(covariance, UP, shear(s), centred=False)
    assert float(found) == near(s**2 / (8 + s**2), rel=1e-13, abs=1e-15)


def test_the_sheared_sphere_by_its_points() -> None:
    points = torch.nn.functional.normalize(normal(0, 200_000, 3), dim=1)
    points[:, 2] = points[:, 2].abs()
    moments = Moments(3)
    moments.add(points)
    found = beyond_affine(moments, torch.stack([shear(s) for s in (0.5, 1.0, 3.0)]), centred=False)
    assert found.tolist() == near([0.25 / 8.25, 1 / 9, 9 / 17], rel=0.02)
    # A map that turns the sphere about the pole is linear in the shadow as well, and the height is
    # in no coordinate of it.
    frame = torch.block_diag(torch.linalg.qr(normal(1, 2, 2)).Q, torch.eye(1, dtype=torch.float64))
    turned = beyond_affine(moments, (frame @ SHADOW)[None], centred=False)
    assert float(turned) == near(0, abs=1e-4)


@given(seed=st.integers(0, 99), centred=st.booleans())
def test_it_is_what_regression_on_the_shadow_leaves(seed: int, *, centred: bool) -> None:
    d, n = 5, 60
    z, maps = on_a_sphere(seed, n, d, centred=centred), normal(seed + 2, 3, d, 4)
    moments = Moments(d)
    moments.add(z)
    pole = torch.nn.functional.normalize(moments.mean, dim=0)
    away = torch.cat([pole[:, None], torch.ones(d, int(centred), dtype=torch.float64)], 1)
    away, _ = torch.linalg.qr(away)
    shadow = z - z @ away @ away.T
    design = torch.cat([torch.ones(n, 1, dtype=torch.float64), shadow], 1).numpy()
    expected = []
    for map_ in maps:
        image = (z @ map_).numpy()
        fit, *_ = np.linalg.lstsq(design, image, rcond=1e-10)
        left = image - design @ fit
        expected.append(left.var(0).sum() / image.var(0).sum())
    found = share_beyond_affine(moments.covariance, pole, maps, centred=centred)
    assert found.tolist() == near(expected, rel=1e-9)
    corrected = beyond_affine(moments, maps, centred=centred)
    freedoms = n - d + centred
    assert corrected.tolist() == near([e * (n - 1) / freedoms for e in expected], rel=1e-9)
    # Where the pole is another, so is the shadow.
    other = torch.nn.functional.normalize(pole + 0.5 * (z[0] - z[1]) / d**0.5, dim=0)
    moved = share_beyond_affine(moments.covariance, other, maps, centred=centred)
    assert not np.allclose(moved, expected, rtol=1e-3)


def test_few_states_leave_as_much_as_many() -> None:
    d, map_ = 12, normal(1, 1, 12, 3)
    many = on_a_sphere(0, 40_000, d, centred=True)
    whole = Moments(d)
    whole.add(many)
    expected = float(beyond_affine(whole, map_, centred=True))
    few, plain = [], []
    for part in many[:20_000].split(3 * d):
        moments = Moments(d)
        moments.add(part)
        few.append(float(beyond_affine(moments, map_, centred=True)))
        pole = torch.nn.functional.normalize(moments.mean, dim=0)
        share = share_beyond_affine(moments.covariance, pole, map_, centred=True)
        plain.append(float(share))
    assert np.mean(few) == near(expected, rel=0.1)
    assert np.mean(plain) < 0.8 * expected


def test_what_has_no_answer_is_refused() -> None:
    moments = Moments(4)
    moments.add(normal(0, 3, 4))
    with pytest.raises(ValueError, match="3 states are too few for 4 dimensions"):
        beyond_affine(moments, normal(1, 1, 4, 2), centred=False)
    both = Moments(4)
    states = normal(0, 9, 4)
    both.add(states)
    both.add(-states)
    both._mean *= 0
    with pytest.raises(ValueError, match="has no direction"):
        beyond_affine(both, normal(1, 1, 4, 2), centred=False)


@pytest.mark.parametrize("family", ["gpt2", "bert", "llama", "olmo2"])
def test_queries_are_made_from_the_norm_that_is_said_to_be_read(
    family: str, tmp_path: Path
) -> None:
    model = reading_model(family)
    recording = record(model, some_tokens(), tmp_path)
    weights = open_checkpoint(model, convention=PAPER)
    before, found = None, []
    for block in recording.blocks(looking_inside=True):
        assert block.inside is not None
        read = read_by_attention(block, before)
        found.append(read and read[0])
        if read is not None:
            _, seen = read
            # Rotary positions leave the first token as it is, and biases cancel.
            y = seen.held(seen.given)[:, 0]
            query = block.inside.attention[0].query[:, :, 0]
            queries = weights.read_layer(block.layer, "float64").queries
            expected = torch.einsum("nd,hdr->nhr", y - y[0], queries)
            torch.testing.assert_close(query - query[0], expected, rtol=1e-6, atol=1e-6)
            wrong = torch.einsum("nd,hdr->nhr", (y - y[0]) / seen.held.gain, queries)
            assert not torch.allclose(wrong, expected, rtol=1e-3, atol=1e-3)
        before = block.inside.norms[-1]
    assert (
        found
        == {
            "gpt2": [0, 1],
            "bert": [None, 0],
            "llama": [0, 1],
            "olmo2": [None, None],
        }[family]
    )
