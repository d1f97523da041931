"""Numbers of rational layers and algebras against exact arithmetic."""

import itertools
import math
from functools import cache

import numpy as np
import pytest
import torch
from sympy import Matrix, Rational, Symbol, sqrt

from algebras import (
    heisenberg,
    in_other_basis,
    skew_symmetric,
    so3,
    special_linear,
    su2,
    truncated_polynomials,
    unit,
    upper_triangular,
)
from headalgebra.algebra.coherence import (
    jacobiator_ratio,
    projected_jacobiator,
    projected_jacobiator_rms,
)
from headalgebra.algebra.hochschild import (
    gerstenhaber_bracket,
    hochschild_differential,
    primitive,
    star_associator,
)
from heads import basis_of, from_matrices, numbers_of, pairs_of, structure_of
from thresholds import U

ALGEBRAS = {
    "so(4)": skew_symmetric(4),
    "sl(3)": special_linear(3),
    "gl(2)": torch.stack([unit(2, i, j) for i in range(2) for j in range(2)]),
    "so(3)": so3(),
    "su(2)": su2(),
    "Heisenberg": heisenberg(),
}
NAMES = pytest.mark.parametrize("name", ALGEBRAS)


def rational(tensor):
    """The array of the very numbers that a float64 tensor holds."""
    return np.vectorize(Rational, otypes=[object])(np.asarray(tensor))


def rounded(array):
    """Every rational rounded once."""
    return torch.from_numpy(np.array(array, dtype=object).astype(np.float64))


def inverse(array):
    return np.array(Matrix(array).inv().tolist(), dtype=object)


def quarters(seed, *shape):
    """Random multiples of 1/4, which float64 holds exactly."""
    entries = np.random.default_rng(seed).integers(-6, 7, size=shape)
    return rational(torch.from_numpy(entries / 4))


def brackets(A):
    products = A[:, None] @ A[None]
    return products - products.swapaxes(0, 1)


def contracted(tensor, form, axes):
    """A bilinear form applied along some axes."""
    for axis in axes:
        tensor = np.moveaxis(np.tensordot(form, tensor, axes=(1, axis)), 0, axis)
    return tensor


def constants(A):
    """Coordinates, in the matrices A themselves, of their projected brackets."""
    flat = A.reshape(len(A), -1)
    return np.tensordot(brackets(A), A, axes=([2, 3], [1, 2])) @ inverse(flat @ flat.T)


def exact_numbers(A):
    """The numbers reported of a layer, from the Gram matrix and brackets of its heads.

    Sums over an orthonormal basis are contractions with the inverse Gram matrix of any basis, so
    that no root is needed before the last.
    """
    n, d = A.shape[:2]
    flat = A.reshape(n, -1)
    G = flat @ flat.T
    B, f = brackets(A), constants(A)
    commutators = (B * contracted(B, inverse(G), (0, 1))).sum()
    nested = np.tensordot(f, f, axes=(2, 0))
    jacobiator = nested + nested.transpose(2, 0, 1, 3) + nested.transpose(1, 2, 0, 3)

    def squared(tensor):
        arguments = range(tensor.ndim - 1)
        return (
            tensor * contracted(contracted(tensor, inverse(G), arguments), G, [tensor.ndim - 1])
        ).sum()

    share = squared(f) / commutators
    double = A[:, None, None] @ B[None] - B[None] @ A[:, None, None]
    obstruction = (double * contracted(double, inverse(G), (0, 1, 2))).sum()
    return {
        "closure_defect": 1 - share,
        "closure_isotropy": share * d * d / n,
        "rho3": sqrt(squared(jacobiator) / squared(nested)),
        # Skew: every i < j < k stands six times.
        "jacobi_projected_rms": sqrt(squared(jacobiator) / (n * (n - 1) * (n - 2))),
        # Skew in the inner two: every a < c stands twice.
        "obstruction_rms": sqrt(obstruction / (n * n * (n - 1))),
    }


@cache
def in_rational_basis(name, seed):
    """Heads that span an algebra, neither orthonormal nor integral."""
    A = rational(ALGEBRAS[name])
    while True:
        mixing = quarters(seed, len(A), len(A))
        if abs(Matrix(mixing).det()) > Rational(1, 4):
            return np.tensordot(mixing, A, axes=1)
        seed += 100


def constants_of_heads(layer):
    """Our structure constants, carried back to the heads that the basis was made from."""
    coefficients = basis_of(layer).coefficients
    back = torch.linalg.inv(coefficients)
    return torch.einsum("ha,kb,abc,cl->hkl", back, back, structure_of(layer).f, coefficients)


@NAMES
@pytest.mark.parametrize("seed", [0, 1])
def test_structure_constants_of_a_lie_algebra(name, seed):
    A = in_rational_basis(name, seed)
    exact, layer = constants(A), from_matrices(rounded(A))
    # Closed, exactly: the projection loses nothing.
    assert (np.tensordot(exact, A, axes=1) == brackets(A)).all()
    kappa = basis_of(layer).kappa
    expected, computed = rounded(exact), constants_of_heads(layer)
    rounding = 64 * U * kappa**3 * float(expected.norm())
    assert rounding < 1e-6 * float(expected.norm())
    assert float((computed - expected).abs().max()) <= rounding
    assert abs(structure_of(layer).closure_defect) <= 64 * U * kappa**3
    # Control: the largest constant off by 1e-5.
    spoiled = expected.flatten().clone()
    spoiled[spoiled.abs().argmax()] *= 1 + 1e-5
    assert float((computed.flatten() - spoiled).abs().max()) > rounding


@pytest.mark.parametrize(
    "name, rank",
    [("so(4)", 6), ("sl(3)", 8), ("gl(2)", 3), ("so(3)", 3), ("su(2)", 3), ("Heisenberg", 0)],
)
def test_killing_form(name, rank):
    """tr(ad X ad Y), of the rank that Cartan's criterion asks of each algebra."""
    A = in_rational_basis(name, 0)
    exact, layer = constants(A), from_matrices(rounded(A))
    killing = np.tensordot(exact, exact, axes=([1, 2], [2, 1]))
    assert Matrix(killing).rank() == rank
    f = constants_of_heads(layer)
    computed = torch.einsum("hlm,kml->hk", f, f)
    rounding = 64 * U * basis_of(layer).kappa ** 4 * float(f.square().sum())
    assert float((computed - rounded(killing)).abs().max()) <= rounding


@pytest.mark.parametrize("heads, d", [(3, 3), (4, 3), (3, 4), (5, 3)])
def test_numbers_of_a_rational_layer(heads, d):
    """Of no algebra in particular: every projected number, to rounding."""
    A = quarters(heads * d, heads, d, d)
    layer = from_matrices(rounded(A))
    numbers, exact = numbers_of(layer), exact_numbers(A)
    tolerance = 64 * U * basis_of(layer).kappa ** 3
    assert tolerance < 1e-10
    for name, value in exact.items():
        assert numbers[name] == pytest.approx(float(value), rel=tolerance)
    # Control: a quarter more in one entry of one head is another layer, by every number.
    A = A.copy()
    A[0, 0, 1] += Rational(1, 4)
    for name, value in exact_numbers(A).items():
        assert numbers[name] != pytest.approx(float(value), rel=1e-6)


def test_a_bracket_that_is_not_lie_by_hand():
    """[x,y] = z/2, [y,z] = x/3 + z/5, [z,x] = y/7.

    [[x,y],z] = [z,z]/2 = 0; [[y,z],x] = [z,x]/5 = y/35; [[z,x],y] = 0: J(x,y,z) = y/35.
    """
    f = np.full((3, 3, 3), Rational(0))
    f[0, 1, 2], f[1, 2, 0], f[1, 2, 2], f[2, 0, 1] = (Rational(1, k) for k in (2, 3, 5, 7))
    f = f - f.swapaxes(0, 1)
    nested = np.tensordot(f, f, axes=(2, 0))
    J = nested + nested.transpose(2, 0, 1, 3) + nested.transpose(1, 2, 0, 3)
    assert J[0, 1, 2].tolist() == [0, Rational(1, 35), 0]
    computed = projected_jacobiator(rounded(f))
    torch.testing.assert_close(computed, rounded(J), rtol=0, atol=8 * U)
    assert projected_jacobiator_rms(rounded(f)) == pytest.approx(1 / 35, rel=1e-14)
    ratio = sqrt((J * J).sum() / (nested * nested).sum())
    assert jacobiator_ratio(rounded(f)) == pytest.approx(float(ratio), rel=1e-14)
    # Control: without the z/5 it is a Lie bracket, so(3) in stretched axes.
    f[1, 2, 2] = f[2, 1, 2] = 0
    assert projected_jacobiator_rms(rounded(f)) <= 8 * U


class RationalCochain:
    """A multilinear map on an algebra over the rationals, evaluated element by element."""

    def __init__(self, arity, function):
        self.arity, self.function = arity, function

    def __call__(self, *elements):
        return self.function(*elements)

    @classmethod
    def of(cls, tensor):
        def value(*elements):
            result = tensor
            for element in elements:
                result = np.tensordot(element, result, axes=1)
            return result

        return cls(tensor.ndim - 1, value)

    def tensor(self, n):
        units = rational(torch.eye(n, dtype=torch.float64))
        values = [self(*e) for e in itertools.product(units, repeat=self.arity)]
        return np.array(values, dtype=object).reshape((n,) * (self.arity + 1))

    def circle(self, inner):
        p, q = self.arity, inner.arity

        def value(*a):
            return sum(
                (-1) ** (i * (q + 1)) * self(*a[:i], inner(*a[i : i + q]), *a[i + q :])
                for i in range(p)
            )

        return RationalCochain(p + q - 1, value)

    def bracket(self, other):
        sign = (-1) ** ((self.arity + 1) * (other.arity + 1))
        return RationalCochain(
            self.arity + other.arity - 1,
            lambda *a: self.circle(other)(*a) - sign * other.circle(self)(*a),
        )

    def differential(self, times):
        m = self.arity

        def value(*a):
            total = times(a[0], self(*a[1:])) + (-1) ** (m + 1) * times(self(*a[:m]), a[m])
            for i in range(1, m + 1):
                total = total + (-1) ** i * self(*a[: i - 1], times(a[i - 1], a[i]), *a[i + 1 :])
            return total

        return RationalCochain(m + 1, value)


def rational_algebra():
    """The upper triangular 2×2 matrices in a basis of quarters."""
    T, S = rational(upper_triangular()), quarters(3, 3, 3)
    moved = contracted(T, S, (0, 1)) @ inverse(S)
    return S, moved


def test_differential_squares_to_zero_in_rationals():
    S, product = rational_algebra()
    torch.testing.assert_close(
        rounded(product), in_other_basis(upper_triangular(), rounded(S)), rtol=1e-10, atol=1e-10
    )
    times = RationalCochain.of(product)
    for m in (1, 2):
        form = quarters(m, *(3,) * (m + 1))
        once = RationalCochain.of(form).differential(times)
        assert not once.differential(times).tensor(3).any()
        exact = rounded(once.tensor(3))
        computed = hochschild_differential(rounded(form), rounded(product))
        scale = float(rounded(form).norm() * rounded(product).norm())
        assert float((computed - exact).abs().max()) <= 16 * U * scale
        # Control: one structure constant a quarter off, and δ² is not zero.
        spoiled = product.copy()
        spoiled[0, 1, 2] += Rational(1, 4)
        off = RationalCochain.of(spoiled)
        assert RationalCochain.of(form).differential(off).differential(off).tensor(3).any()


@pytest.mark.parametrize("arities", [(1, 2, 2), (1, 1, 3), (1, 1, 2), (0, 2, 2)])
def test_graded_jacobi_in_rationals(arities):
    tensors = [quarters(k + 10, *(3,) * (m + 1)) for k, m in enumerate(arities)]
    forms = [RationalCochain.of(tensor) for tensor in tensors]
    totals = {}
    for signed in (True, False):
        total = 0
        for k in range(3):
            x, y, z = (forms[(k + s) % 3] for s in range(3))
            sign = (-1) ** ((x.arity + 1) * (z.arity + 1)) if signed else 1
            total = total + sign * x.bracket(y.bracket(z)).tensor(3)
        totals[signed] = total
    assert not totals[True].any()
    # Control: without signs only where they are all the same, as they are but for two even arities.
    assert totals[False].any() == (sum(m % 2 == 0 for m in arities) == 2)
    x, y, z = forms
    exact = rounded(x.bracket(y.bracket(z)).tensor(3))
    floats = [rounded(tensor) for tensor in tensors]
    computed = gerstenhaber_bracket(floats[0], gerstenhaber_bracket(floats[1], floats[2]))
    scale = math.prod(float(form.norm()) for form in floats)
    assert float((computed - exact).abs().max()) <= 64 * U * scale


def test_distance_to_the_coboundaries_in_rationals():
    """A cocycle of R[x]/x³ with a nonzero class, in a basis where it is orthogonal to nothing."""
    S = quarters(5, 3, 3)
    product = contracted(rational(truncated_polynomials()), S, (0, 1)) @ inverse(S)
    cocycle = np.full((3, 3, 3), Rational(0))
    cocycle[1, 2, 0] = cocycle[2, 1, 0] = cocycle[2, 2, 1] = Rational(1)
    cocycle = contracted(cocycle, S, (0, 1)) @ inverse(S)
    times = RationalCochain.of(product)
    assert not RationalCochain.of(cocycle).differential(times).tensor(3).any()
    columns = []
    for k in range(9):
        e = np.full(9, Rational(0))
        e[k] = Rational(1)
        columns.append(RationalCochain.of(e.reshape(3, 3)).differential(times).tensor(3).flatten())
    image = Matrix(np.array(columns)).T
    independent = image[:, list(image.rref()[1])]
    phi = Matrix(cocycle.flatten())
    projection = independent * (independent.T * independent).LUsolve(independent.T * phi)
    squared = (phi - projection).dot(phi - projection) / phi.dot(phi)
    assert 0 < squared < 1
    found = primitive(rounded(cocycle), rounded(product))
    assert found.residual == pytest.approx(math.sqrt(float(squared)), rel=1e-10)


def test_boettcher_wenzel_pair():
    """||[N,N^T]|| = √2 ||N|| ||N^T||, exactly, also in the frame of a 3-4-5 triangle."""
    turn = Matrix([[3, -4], [4, 3]]) / 5
    N = turn * Matrix([[0, 1], [0, 0]]) * turn.T
    C = N * N.T - N.T * N
    ratio = C.norm() / (N.norm() * N.T.norm())
    assert ratio == sqrt(2)
    nilpotent = torch.stack([unit(2, 0, 1), unit(2, 1, 0)])
    assert pairs_of(from_matrices(nilpotent)).epsilon_relative == math.sqrt(2)
    turned = torch.stack([rounded(N.tolist()), rounded(N.T.tolist())])
    assert pairs_of(from_matrices(turned)).epsilon_relative == pytest.approx(
        float(ratio), abs=8 * U
    )
    # Control: a pair that is not extremal.
    other = torch.stack([unit(2, 0, 1), unit(2, 1, 0) + unit(2, 0, 0)])
    assert pairs_of(from_matrices(other)).epsilon_relative < 1.3


def test_associator_against_t_as_a_polynomial():
    """(a ⋆ b) ⋆ c - a ⋆ (b ⋆ c) with t a symbol: (t + t²) [b,[c,a]], entry by entry."""
    t = Symbol("t")
    a, b, c = (Matrix(quarters(k, 3, 3)) for k in range(3))

    def star(x, y):
        return x * y + t * (x * y - y * x)

    nested = b * (c * a - a * c) - (c * a - a * c) * b
    associator = star(star(a, b), c) - star(a, star(b, c))
    assert (associator - (t + t**2) * nested).expand() == Matrix.zeros(3, 3)
    assert (associator - (t - t**2) * nested).expand() != Matrix.zeros(3, 3)
    for value in (Rational(1, 2), Rational(-5, 4)):
        exact = rounded(associator.subs(t, value).tolist())
        computed = star_associator(*(rounded(x.tolist()) for x in (a, b, c)), float(value))
        torch.testing.assert_close(computed, exact, rtol=0, atol=1e-12)
