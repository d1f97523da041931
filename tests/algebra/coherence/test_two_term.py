"""The two-term L∞ relations hold for every skew bracket, and fail for everything else."""

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.algebra.coherence import (
    TwoTermLinf,
    jacobiator_ratio,
    nested_bracket,
    projected_jacobiator,
    projected_jacobiator_rms,
)
from heads import SEEDS, gaussian, gaussian_heads, structure_of
from thresholds import U

ROUNDING = 64 * U
RELATIONS = {"l1_l2", "l2_l1", "l1_l3", "l3_l1", "l2_l3"}
OF_L3 = ("l1_l3", "l3_l1", "l2_l3")


def skew_bracket(seed, n):
    f = gaussian(seed, n, n, n)
    return f - f.transpose(0, 1)


def antisymmetrised(tensor):
    """Over the first three axes."""
    total = torch.zeros_like(tensor)
    for order in permutations(range(3)):
        sign = np.linalg.det(np.eye(3)[list(order)])
        total += sign * tensor.permute(*order, 3)
    return total / 6


def on_random(linf, n_tuples=200, seed=0):
    return linf.residuals_on_random(n_tuples, np.random.SeedSequence(seed))


def on_basis_and_on_random(linf):
    both = linf.residuals_on_basis(), on_random(linf)
    assert both[0].keys() == both[1].keys() == RELATIONS
    return both


@given(SEEDS, st.integers(1, 6), st.integers(-20, 20))
def test_relations_hold_for_every_skew_bracket(seed, n, exponent):
    f = 2.0**exponent * skew_bracket(seed, n)
    linf = TwoTermLinf.from_bracket(f)
    for found in on_basis_and_on_random(linf):
        if f.any():
            assert all(value <= ROUNDING for value in found.values())
        else:
            assert all(math.isnan(value) for value in found.values())


@given(SEEDS, st.integers(3, 6))
def test_projected_jacobiator_is_the_cyclic_sum(seed, n):
    f = skew_bracket(seed, n)
    x, y, z = gaussian(seed + 1, 3, n)

    def bracket(a, b):
        return torch.einsum("abc,a,b->c", f, a, b)

    cyclic = sum(bracket(bracket(a, b), c) for a, b, c in ((x, y, z), (y, z, x), (z, x, y)))
    J = projected_jacobiator(f)
    computed = torch.einsum("abce,a,b,c->e", J, x, y, z)
    torch.testing.assert_close(computed, cyclic, rtol=1e-10, atol=1e-10)
    # Totally skew: it is its own antisymmetrisation.
    torch.testing.assert_close(antisymmetrised(J), J, rtol=0, atol=1e-12 * float(J.norm()))
    torch.testing.assert_close(TwoTermLinf.from_bracket(f).l3, -J, rtol=0, atol=0)


def test_a_bracket_worked_by_hand():
    """[e1,e2] = e1, [e2,e3] = e2, [e3,e1] = e3, whence J(e1,e2,e3) = −(e1 + e2 + e3)."""
    f = torch.zeros(3, 3, 3, dtype=torch.float64)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        f[a, b, a], f[b, a, a] = 1, -1
    J = projected_jacobiator(f)
    assert J[0, 1, 2].tolist() == [-1, -1, -1]
    assert J[1, 0, 2].tolist() == [1, 1, 1]
    assert not J[0, 0, 1].any()
    # ||J||² over all tuples is 6 · 3; ||l2(l2(a,b),c)||² is 12, two of every c for six pairs.
    assert float(J.norm() ** 2) == pytest.approx(18)
    assert float(nested_bracket(f).norm() ** 2) == pytest.approx(12)
    assert jacobiator_ratio(f) == pytest.approx(math.sqrt(1.5))
    assert projected_jacobiator_rms(f) == pytest.approx(math.sqrt(3))


@pytest.mark.parametrize("n", [3, 4, 6])
@pytest.mark.parametrize(
    "change, share", [(lambda l3: -l3, 2), (lambda l3: 2 * l3, 1), (lambda l3: 0 * l3, 1)]
)
def test_a_wrong_sign_or_scale_of_l3_is_caught(n, change, share):
    """By its two defining relations, by exactly that share of it; the last is linear in ℓ₃."""
    f = skew_bracket(n, n)
    linf = TwoTermLinf.from_bracket(f)
    changed = replace(linf, l3=change(linf.l3))
    largest = float(torch.linalg.vector_norm(linf.l3, dim=-1).max() / f.norm() ** 2)
    for found in on_basis_and_on_random(changed):
        assert all(found[name] <= ROUNDING for name in ("l1_l2", "l2_l1", "l2_l3"))
    on_basis = changed.residuals_on_basis()
    for name in ("l1_l3", "l3_l1"):
        assert on_basis[name] == pytest.approx(share * largest, rel=1e-12)
        assert on_basis[name] > 1e10 * ROUNDING
        assert on_random(changed)[name] > 1e10 * ROUNDING


@pytest.mark.parametrize("n", [4, 5, 6])
def test_a_corrupted_l3_is_caught_by_all_its_relations(n):
    f = skew_bracket(n, n)
    linf = TwoTermLinf.from_bracket(f)
    noise = antisymmetrised(gaussian(1, n, n, n, n))
    noise *= 0.01 * linf.l3.norm() / noise.norm()
    changed = replace(linf, l3=linf.l3 + noise)
    largest = float(torch.linalg.vector_norm(noise, dim=-1).max() / f.norm() ** 2)
    on_basis = changed.residuals_on_basis()
    assert on_basis["l1_l3"] == pytest.approx(largest, rel=1e-9)
    assert on_basis["l3_l1"] == pytest.approx(largest, rel=1e-9)
    for found in on_basis_and_on_random(changed):
        assert all(1e-5 < found[name] < 1e-1 for name in OF_L3)


@pytest.mark.parametrize("n", [4, 5, 6])
def test_a_corrupted_bracket_with_l3_kept_is_caught_by_all_relations_of_l3(n):
    f = skew_bracket(n, n)
    linf = TwoTermLinf.from_bracket(f)
    noise = skew_bracket(n + 1, n)
    corrupted = f + 0.01 * noise * f.norm() / noise.norm()
    changed = replace(linf, l2=corrupted, l2_mixed=corrupted)
    for found in on_basis_and_on_random(changed):
        assert all(found[name] <= ROUNDING for name in ("l1_l2", "l2_l1"))
        assert all(1e-5 < found[name] < 1e-1 for name in OF_L3)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_corrupted_mixed_bracket_is_caught(n):
    """By ℓ₁ no longer being a map of brackets, by exactly the corruption."""
    f = skew_bracket(n, n)
    noise = skew_bracket(n + 1, n)
    noise *= 0.01 * f.norm() / noise.norm()
    changed = replace(TwoTermLinf.from_bracket(f), l2_mixed=f + noise)
    largest = float(torch.linalg.vector_norm(noise, dim=-1).max() / f.norm())
    on_basis = changed.residuals_on_basis()
    assert on_basis["l1_l2"] == pytest.approx(largest, rel=1e-9)
    assert on_basis["l2_l1"] <= ROUNDING
    assert on_basis["l3_l1"] > 1e-5
    assert on_basis["l1_l3"] <= ROUNDING


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_bracket_that_is_not_skew_is_caught(n):
    f = skew_bracket(n, n)
    symmetric = gaussian(1, n, n, n)
    symmetric = symmetric + symmetric.transpose(0, 1)
    symmetric *= 0.01 * f.norm() / symmetric.norm()
    changed = TwoTermLinf.from_bracket(f + symmetric)
    largest = float(torch.linalg.vector_norm(symmetric, dim=-1).max())
    size = float((f + symmetric).norm())
    assert changed.residuals_on_basis()["l2_l1"] == pytest.approx(2 * largest / size, rel=1e-9)
    assert all(found["l1_l3"] > 1e-5 for found in on_basis_and_on_random(changed))


def test_another_l1_is_caught():
    linf = TwoTermLinf.from_bracket(skew_bracket(0, 4))
    changed = replace(linf, l1=1.01 * linf.l1)
    for found in on_basis_and_on_random(changed):
        assert found["l1_l3"] > 1e-4
        assert found["l3_l1"] > 1e-4


@pytest.mark.parametrize("field", ["l1", "l2", "l2_mixed", "l3"])
def test_what_is_not_a_number_is_caught(field):
    linf = TwoTermLinf.from_bracket(skew_bracket(0, 4))
    spoiled = getattr(linf, field).clone()
    spoiled[(0, 1, 2, 3)[: spoiled.ndim]] = math.nan
    for found in on_basis_and_on_random(replace(linf, **{field: spoiled})):
        assert any(math.isnan(value) for value in found.values())
        assert not all(value <= ROUNDING for value in found.values())


def test_relations_on_the_basis_are_those_of_its_unit_vectors():
    """Tuple by tuple, for operations that satisfy none of them."""
    n = 3
    linf = TwoTermLinf(*(gaussian(k, *(n,) * axes) for k, axes in enumerate((2, 3, 3, 4))))
    tuples = torch.cartesian_prod(*[torch.arange(n)] * 4)
    w, x, y, z = torch.eye(n, dtype=torch.float64)[tuples].unbind(1)
    of_vectors = {name: r.view(n, n, n, n, n) for name, r in linf._relations(w, x, y, z)}
    # The arguments that a relation has; the others change nothing.
    expected = {
        "l1_l2": of_vectors["l1_l2"][0, :, 0],
        "l2_l1": of_vectors["l2_l1"][0, :, :, 0],
        "l1_l3": of_vectors["l1_l3"][0],
        "l3_l1": of_vectors["l3_l1"][0],
    }
    on_basis = list(linf._relations_on_basis())
    assert [name for name, _ in on_basis] == [*expected, *["l2_l3"] * n]
    in_order = [*expected.values(), *of_vectors["l2_l3"]]
    for (_, found), residual in zip(on_basis, in_order, strict=True):
        assert residual.norm() > 1
        torch.testing.assert_close(found, residual, rtol=0, atol=1e-13 * float(residual.norm()))


def test_random_tuples_are_seeded_and_of_unit_length():
    linf = TwoTermLinf.from_bracket(skew_bracket(0, 4))
    flipped = replace(linf, l3=-linf.l3)
    draws = [on_random(flipped, 20, seed) for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    # ||J(x,y,z)|| of unit vectors is at most the norm of J as a tensor.
    bound = 2 * float(linf.l3.norm() / linf.l2.norm() ** 2)
    assert on_random(flipped, 500)["l1_l3"] <= bound


@pytest.mark.parametrize("n", [0, 1, 2])
def test_below_three_dimensions_there_is_no_ratio(n):
    f = skew_bracket(0, n)
    assert math.isnan(jacobiator_ratio(f)) and math.isnan(projected_jacobiator_rms(f))


def test_what_rounding_may_make_of_a_vanishing_bracket_has_no_ratio():
    """Elements from the Gram matrix carry u κ², those of the stacked operators u κ.

    The first are taken while κ² is at most 1/gram_floor.
    """

    def has_ratio(nested, kappa, gram_floor):
        """For [e1,e2] = e3 and [e1,e3] = t e2, ||ℓ₂∘ℓ₂|| / ||ℓ₂||² is 2t / 2(1 + t²)."""
        f = torch.zeros(3, 3, 3, dtype=torch.float64)
        f[0, 1, 2], f[0, 2, 1] = 1, nested
        return not math.isnan(jacobiator_ratio(f - f.transpose(0, 1), kappa, gram_floor=gram_floor))

    for gram_floor in (1e-8, 1e-4):
        for kappa in (1.0, 10.0, 1e3, 1e5, 1e7):
            loss = kappa**2 if kappa**2 <= 1 / gram_floor else kappa * gram_floor**-0.5
            rounding = 100 * U * loss
            assert has_ratio(1.1 * rounding, kappa, gram_floor)
            assert not has_ratio(0.9 * rounding, kappa, gram_floor)


def test_ratio_is_free_of_scale():
    f = skew_bracket(0, 5)
    for scale in (1e-60, 1e-20, 1e20):
        assert jacobiator_ratio(scale * f) == pytest.approx(jacobiator_ratio(f), rel=1e-12)


def test_ratio_of_a_random_bracket():
    """√(3(n−2)/n): three independent terms, where all three arguments differ."""
    for n in (12, 24):
        ratio = jacobiator_ratio(skew_bracket(1, n))
        assert ratio == pytest.approx(math.sqrt(3 * (n - 2) / n), rel=0.06)


@pytest.mark.parametrize("n, mean, sd, draws", [(6, 1.11, 0.08, 8), (12, 1.361, 0.028, 4)])
def test_ratio_of_gaussian_heads(n, mean, sd, draws):
    """Reference values for d = 384, r = 32."""
    ratios = [
        jacobiator_ratio(structure_of(gaussian_heads(2 * s, n, 384, 32)).f) for s in range(draws)
    ]
    assert float(np.mean(ratios)) == pytest.approx(mean, abs=4 * sd / math.sqrt(draws))
    assert max(abs(ratio - mean) for ratio in ratios) < 4 * sd
