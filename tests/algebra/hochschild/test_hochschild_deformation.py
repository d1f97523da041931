"""The product a ⋆_t b = ab + t[a,b]: its obstruction, and its associator against t."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.hochschild import (
    ASSOCIATIVE_AT,
    associator_curve,
    commutator,
    obstruction,
    star_associator,
)
from heads import SEEDS, gaussian
from thresholds import U

TIMES = torch.linspace(-3, 2, 41, dtype=torch.float64)  # t = -1 and t = 0 among them


def integers(seed, d):
    return list(torch.randint(-9, 10, (3, d, d), generator=torch.manual_seed(seed)).double())


def size(a, b, c, t):
    """What the products of the associator are no larger than, and rounding is relative to."""
    return a.norm() * b.norm() * c.norm() * (1 + 2 * t.abs()) ** 2


@given(SEEDS, st.integers(1, 6), st.floats(-3, 3))
def test_obstruction_and_associator_on_matrices(seed, d, t):
    a, b, c = gaussian(seed, 3, d, d)
    nested = commutator(b, commutator(c, a))
    rounding = 1e3 * U * float(size(a, b, c, torch.tensor(t)))
    assert (obstruction(a, b, c) - nested).norm() <= rounding
    assert (star_associator(a, b, c, t) - (t + t * t) * nested).norm() <= rounding


@given(SEEDS, st.integers(1, 8))
def test_curve_is_the_closed_form_and_the_associator(seed, d):
    a, b, c = gaussian(seed, 3, d, d)
    curve = associator_curve(a, b, c, TIMES)
    rounding = 64 * U * size(a, b, c, TIMES)
    assert bool(((curve.norm - curve.predicted).abs() <= rounding).all())
    for k in range(0, len(TIMES), 4):
        direct = star_associator(a, b, c, float(TIMES[k])).norm()
        assert abs(curve.norm[k] - direct) <= rounding[k]
    assert torch.equal(curve.t, TIMES)


@given(SEEDS, st.integers(2, 8))
def test_there_are_two_zeros_and_no_other(seed, d):
    """Exactly, on integer matrices and dyadic t, where nothing rounds but the norm's root."""
    a, b, c = integers(seed, d)
    curve = associator_curve(a, b, c, TIMES)
    if not commutator(b, commutator(c, a)).any():
        assert not curve.norm.any()
        return
    assert tuple(TIMES[curve.norm == 0].tolist()) == ASSOCIATIVE_AT
    assert tuple(TIMES[curve.predicted == 0].tolist()) == ASSOCIATIVE_AT
    torch.testing.assert_close(curve.norm, curve.predicted, rtol=4 * U, atol=0)


@given(SEEDS, st.integers(2, 6), st.floats(-1e3, 1e3))
def test_no_other_t_is_associative(seed, d, t):
    """The measured norm keeps to |t||1 + t| times the obstruction, up to rounding."""
    a, b, c = gaussian(seed, 3, d, d)
    at = torch.tensor([t], dtype=torch.float64)
    least = abs(t) * abs(1 + t) * obstruction(a, b, c).norm()
    assert associator_curve(a, b, c, at).norm[0] >= least - 64 * U * size(a, b, c, at)[0]


@pytest.mark.parametrize("d", [2, 5])
def test_the_zeros_are_the_roots_of_the_measured_parabola(d):
    """The associator's component along [b,[c,a]] is a quadratic in t with roots -1 and 0."""
    a, b, c = gaussian(d, 3, d, d)
    nested = commutator(b, commutator(c, a))
    along = [float((star_associator(a, b, c, float(t)) * nested).sum()) for t in TIMES]
    leading, linear, constant = np.polyfit(TIMES.numpy(), along, 2) / float(nested.square().sum())
    assert (leading, linear) == pytest.approx((1, 1), rel=1e-11)
    assert sorted(np.roots([leading, linear, constant])) == pytest.approx(ASSOCIATIVE_AT, abs=1e-11)


@pytest.mark.parametrize("d", [2, 5])
def test_a_wrong_sign_is_caught(d):
    """Controls: t - t² has its zeros at 0 and 1; a product turned round has the curve of -1 - t."""
    a, b, c = integers(0, d)
    curve = associator_curve(a, b, c, TIMES)
    nested = commutator(b, commutator(c, a)).norm()
    wrong = (TIMES - TIMES**2).abs() * nested
    assert float((curve.norm - wrong).abs().max()) > 0.5 * float(nested)
    away = associator_curve(a, b, c, -TIMES)
    assert not torch.allclose(away.norm, curve.predicted, rtol=0.1)
    # The opposite product is the mirror image about t = -1/2.
    mirrored = associator_curve(a, b, c, -1 - TIMES)
    torch.testing.assert_close(mirrored.norm, curve.norm, rtol=4 * U, atol=0)


def test_another_triple_has_another_curve():
    """Control: the prediction is of this triple in this order."""
    a, b, c = gaussian(0, 3, 4, 4)
    curve, other = associator_curve(a, b, c, TIMES), associator_curve(b, a, c, TIMES)
    assert not torch.allclose(curve.norm, other.predicted, rtol=0.01)


def test_an_empty_grid_has_an_empty_curve():
    curve = associator_curve(*gaussian(0, 3, 4, 4), TIMES[:0])
    assert len(curve.t) == len(curve.norm) == len(curve.predicted) == 0
