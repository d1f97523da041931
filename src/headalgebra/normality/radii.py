"""Numerical and pseudospectral radii, found to rounding and certified from above."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from headalgebra.defaults import CERTIFIED_WITHIN
from headalgebra.normality.compression import Compression
from headalgebra.normality.departure import SchurSpectrum, schur_spectrum
from headalgebra.normality.touching import Touching, outermost_touching

SMALL_STEP = 1e-6
"""The most, relative to the radius, that polishing may move it by."""

FIRST_STEP_OUT = 1e-2
"""Share of the least possible radius by which the search starts beyond it."""


def numerical_radius(
    operator: Compression,
    spectrum: SchurSpectrum | None = None,
    *,
    margin: float = CERTIFIED_WITHIN,
) -> Touching:
    r"""Largest modulus in the field of values, :math:`\max_θ λ_{\max}(\mathrm{Re}\,e^{-iθ}A)`.

    It lies between half the operator norm and the norm, and not below the spectral radius.

    Parameters
    ----------
    spectrum
        That of the operator, if it is known.
    margin
        Relative distance of the certified upper bound.

    Raises
    ------
    ValueError
        When the operator is zero.
    """
    norm, unit = _unit(operator)
    spectrum = spectrum or schur_spectrum(operator)
    low = max(spectrum.radius / norm, 0.5)
    angle = float(np.angle(spectrum.eigenvalues[0]))
    family = FieldFamily(unit)
    found = outermost_touching(family, low * (1 + FIRST_STEP_OUT), angle, low, 1.0, margin)
    return Touching(norm * found.radius, found.angle, norm * found.upper, found.evaluations)


def pseudospectral_radius(
    operator: Compression,
    delta: float,
    spectrum: SchurSpectrum | None = None,
    *,
    margin: float = CERTIFIED_WITHIN,
) -> Touching:
    r"""Largest modulus in the δ-pseudospectrum, :math:`\max\{|z| : σ_{\min}(z - A) \le δ\}`.

    It is what the spectral radius can become under a perturbation of norm δ: ρ + δ for a normal
    operator, more for any other.

    Parameters
    ----------
    delta
        Absolute size of the perturbation.
    spectrum
        That of the operator, if it is known.
    margin
        Relative distance of the certified upper bound.

    Raises
    ------
    ValueError
        When the operator is zero or δ is not positive.
    """
    if not delta > 0:
        raise ValueError(f"delta is {delta}; a perturbation has a positive size")
    norm, unit = _unit(operator)
    spectrum = spectrum or schur_spectrum(operator)
    size = delta / norm
    # At t = δ itself the Schur complement does not exist.
    low = max(spectrum.radius / norm + size, size * (1 + 8 * np.finfo(float).eps))
    high = 1 + size
    angle = float(np.angle(spectrum.eigenvalues[0]))
    start = min(low * (1 + FIRST_STEP_OUT), high)
    found = outermost_touching(ResolventFamily(unit, size), start, angle, low, high, margin)
    radius = _polish(unit, size, found)
    return Touching(norm * radius, found.angle, norm * found.upper, found.evaluations)


def _unit(operator: Compression) -> tuple[float, Compression]:
    norm = operator.norm
    if not norm > 0:
        raise ValueError("the operator is zero: its radii say nothing of normality")
    return norm, operator.scaled(1 / norm)


@dataclass(frozen=True)
class FieldFamily:
    """H of the numerical radius: positive definite where the field of values stays below t."""

    operator: Compression

    def constant(self, t: float) -> Inexact[np.ndarray, "k k"]:
        """F(t)."""
        D = self.operator.outer
        return t * np.eye(len(D)) - D @ D.conj().T / (4 * t)

    def constant_slope(self, t: float) -> Inexact[np.ndarray, "k k"]:
        """dF/dt."""
        D = self.operator.outer
        return np.eye(len(D)) + D @ D.conj().T / (4 * t**2)

    def reach(self, t: float) -> tuple[float, float]:
        """f(t) and df/dt."""
        return 1.0, 0.0


@dataclass(frozen=True)
class ResolventFamily:
    """H of a pseudospectral radius: positive definite where the resolvent's norm is below 1/δ."""

    operator: Compression
    delta: float

    def constant(self, t: float) -> Inexact[np.ndarray, "k k"]:
        """F(t)."""
        B, D = self.operator.inner, self.operator.outer
        beyond = t**2 - self.delta**2
        F = beyond * np.eye(len(B)) + B @ B.conj().T
        return F - self.delta**2 / beyond * (D @ D.conj().T) if D.size else F

    def constant_slope(self, t: float) -> Inexact[np.ndarray, "k k"]:
        """dF/dt."""
        D = self.operator.outer
        slope = 2 * t * np.eye(len(D))
        if not D.size:
            return slope
        beyond = t**2 - self.delta**2
        return slope + 2 * t * (self.delta / beyond) ** 2 * (D @ D.conj().T)

    def reach(self, t: float) -> tuple[float, float]:
        """f(t) and df/dt."""
        return 2 * t, 2.0


def _polish(operator: Compression, delta: float, found: Touching) -> float:
    """The radius by one Newton step along its ray on σ_min, whose square has half the digits."""
    turn = np.exp(1j * found.angle)
    C = operator.matrix
    left, sigma, right = np.linalg.svd(found.radius * turn * np.eye(len(C)) - C)
    slope = float((turn * (left[:, -1].conj() @ right[-1].conj())).real)
    step = (delta - float(sigma[-1])) / slope if slope > 0 else 0.0
    # Where σ_min is double its slope may be another's; beyond rounding no step is due.
    return found.radius + step if abs(step) <= SMALL_STEP * found.radius else found.radius
