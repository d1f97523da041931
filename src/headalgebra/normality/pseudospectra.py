"""The smallest singular value of z - A over the plane, for pictures."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Complex, Float

from headalgebra.defaults import PORTRAIT_POINTS
from headalgebra.normality.compression import Compression
from headalgebra.normality.departure import schur_spectrum

SHIFTS_AT_ONCE = 256
"""Right sides of 2r complex numbers that stay in a processor's cache."""

BLOCK = 16
"""Rows of a triangular system that are solved one by one; the rest is matrix products."""

LANCZOS_STEPS = 60

STEPS_BETWEEN_CHECKS = 2

LANCZOS_TOLERANCE = 1e-4
"""Relative change of σ_min over some steps, from which it is taken as found."""

BEYOND = 1.15
"""Half the width of a portrait, over the operator norm."""


@dataclass(frozen=True)
class Portrait:
    """Pseudospectra of an operator A in the upper half plane, all lengths over ‖A‖.

    A real operator's lower half plane mirrors it.

    Attributes
    ----------
    real, imaginary
        ``[X]`` and ``[Y]``, the grid.
    sigma
        ``[Y, X]``, σ_min(z - A): the distance from A to the nearest matrix with eigenvalue z.
    eigenvalues
        ``[k]``, with one 0 for all that are zero by the operator's rank.
    field
        ``[n]``, points on the boundary of the field of values, by angle.
    """

    real: Float[np.ndarray, "X"]
    imaginary: Float[np.ndarray, "Y"]
    sigma: Float[np.ndarray, "Y X"]
    eigenvalues: Complex[np.ndarray, "k"]
    field: Complex[np.ndarray, "n"]

    def rows(self) -> list[dict[str, str | float]]:
        """A row of ``kind``, ``real``, ``imaginary`` and ``value`` for each point.

        Kinds are ``grid``, whose value is σ_min, ``eigenvalue`` and ``field``.
        """
        grid: list[dict[str, str | float]] = [
            {"kind": "grid", "real": float(x), "imaginary": float(y), "value": float(sigma)}
            for y, across in zip(self.imaginary, self.sigma, strict=True)
            for x, sigma in zip(self.real, across, strict=True)
        ]
        points: list[dict[str, str | float]] = [
            {"kind": kind, "real": float(z.real), "imaginary": float(z.imag), "value": np.nan}
            for kind, found in (("eigenvalue", self.eigenvalues), ("field", self.field))
            for z in found
        ]
        return [*grid, *points]


def portrait(operator: Compression, points: int = PORTRAIT_POINTS) -> Portrait:
    """Pseudospectra, spectrum and field of values of a real operator.

    About ``points² / 2`` values of σ_min, each some ten solutions of a triangular system.

    Raises
    ------
    ValueError
        When the operator is zero or complex.
    """
    norm = operator.norm
    if not norm > 0 or np.iscomplexobj(operator.inner):
        raise ValueError("a portrait is of a real operator that is not zero")
    unit = operator.scaled(1 / norm)
    real = np.linspace(-BEYOND, BEYOND, points)
    imaginary = np.linspace(0, BEYOND, -(-points // 2))
    grid = real[None, :] + 1j * imaginary[:, None]
    sigma = smallest_singular_values(unit, grid.ravel()).reshape(grid.shape)
    eigenvalues = schur_spectrum(unit).eigenvalues
    if unit.outer.size:
        eigenvalues = np.append(eigenvalues, 0)
    return Portrait(real, imaginary, sigma, eigenvalues, field_boundary(unit))


def smallest_singular_values(
    operator: Compression, z: Complex[np.ndarray, "S"]
) -> Float[np.ndarray, "S"]:
    """σ_min(z - A) at many z, by inverse Lanczos iteration on one Schur form (Lui 1997).

    Relative errors are 1e-4 at the most, as a rule far less.
    """
    T_inner, V = scipy.linalg.schur(operator.inner, output="complex")
    k, m = operator.outer.shape
    T = np.zeros((k + m, k + m), np.complex128)
    T[:k, :k], T[:k, k:] = T_inner, V.conj().T @ operator.outer
    # A zero on the diagonal would stop the iteration; so small a change of z does not show.
    nudge = np.finfo(float).eps * max(float(np.linalg.norm(T)), np.finfo(float).tiny)
    chunks = [z[i : i + SHIFTS_AT_ONCE] for i in range(0, len(z), SHIFTS_AT_ONCE)]
    return np.concatenate([np.zeros(0), *(_inverse_lanczos(T, chunk, nudge) for chunk in chunks)])


def _inverse_lanczos(
    T: Complex[np.ndarray, "n n"], z: Complex[np.ndarray, "S"], nudge: float
) -> Float[np.ndarray, "S"]:
    """σ_min(z - T) for upper triangular T: by the largest eigenvalue of ((z - T)(z - T)*)⁻¹."""
    n, S = len(T), len(z)
    pivots = z[None, :] - np.diagonal(T)[:, None]
    pivots = np.where(abs(pivots) < nudge, nudge, pivots)
    above = np.triu(T, 1)
    start = np.random.default_rng(0).standard_normal(n)
    q = np.repeat((start / np.linalg.norm(start))[:, None], S, axis=1).astype(np.complex128)
    before, beta = np.zeros_like(q), np.zeros(S)
    alphas: list[np.ndarray] = []
    betas: list[np.ndarray] = []
    largest = np.zeros(S)
    for step in range(1, LANCZOS_STEPS + 1):
        x = _solve_lower(above, pivots, _solve_upper(above, pivots, q))
        alpha = (q.conj() * x).sum(0).real
        x -= alpha * q + beta * before
        beta = np.linalg.norm(x, axis=0)
        alphas.append(alpha)
        betas.append(beta)
        before, q = q, x / np.maximum(beta, np.finfo(float).tiny)
        if step % STEPS_BETWEEN_CHECKS == 0 or step == n:
            found = _largest_eigenvalues(np.array(alphas), np.array(betas))
            settled = abs(found - largest) <= LANCZOS_TOLERANCE * found
            largest = found
            if settled.all() or step >= n:
                break
    return 1 / np.sqrt(largest)


def _solve_upper(
    above: Complex[np.ndarray, "n n"],
    pivots: Complex[np.ndarray, "n S"],
    right: Complex[np.ndarray, "n S"],
) -> Complex[np.ndarray, "n S"]:
    """(z - T) x = b for every shift, rows by blocks and all shifts at once."""
    x = right.copy()
    for first in range((len(x) - 1) // BLOCK * BLOCK, -1, -BLOCK):
        last = min(first + BLOCK, len(x))
        x[first:last] += above[first:last, last:] @ x[last:]
        for i in range(last - 1, first - 1, -1):
            x[i] = (x[i] + above[i, i + 1 : last] @ x[i + 1 : last]) / pivots[i]
    return x


def _solve_lower(
    above: Complex[np.ndarray, "n n"],
    pivots: Complex[np.ndarray, "n S"],
    right: Complex[np.ndarray, "n S"],
) -> Complex[np.ndarray, "n S"]:
    """(z - T)* x = b for every shift."""
    x = right.copy()
    below, pivots = above.conj().T, pivots.conj()
    for first in range(0, len(x), BLOCK):
        last = min(first + BLOCK, len(x))
        x[first:last] += below[first:last, :first] @ x[:first]
        for i in range(first, last):
            x[i] = (x[i] + below[i, first:i] @ x[first:i]) / pivots[i]
    return x


def _largest_eigenvalues(
    alphas: Float[np.ndarray, "j S"], betas: Float[np.ndarray, "j S"]
) -> Float[np.ndarray, "S"]:
    """Of the tridiagonal matrices of some Lanczos iterations."""
    j, S = alphas.shape
    tridiagonal = np.zeros((S, j, j))
    steps = np.arange(j)
    tridiagonal[:, steps, steps] = alphas.T
    tridiagonal[:, steps[1:], steps[:-1]] = betas[:-1].T
    return np.linalg.eigvalsh(tridiagonal)[:, -1]


def field_boundary(operator: Compression, angles: int = 91) -> Complex[np.ndarray, "n"]:
    """Points on the boundary of a real operator's field of values, by angle (Johnson 1978).

    Each is v*Cv for the top eigenvector v of the symmetric part of C turned by an angle from 0 to
    π; the others mirror them in the real axis.
    """
    C = operator.matrix
    upper = np.zeros(angles, np.complex128)
    for place, angle in enumerate(np.linspace(0, np.pi, angles)):
        turned = np.exp(-1j * angle) * C
        v = np.linalg.eigh((turned + turned.conj().T) / 2).eigenvectors[:, -1]
        upper[place] = v.conj() @ C @ v
    return np.concatenate([upper, upper[-2:0:-1].conj()])
