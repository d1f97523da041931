"""Spectrum, departure from normality and symmetry of one matrix."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from jaxtyping import Complex, Inexact

from headalgebra.normality.compression import Compression


@dataclass(frozen=True)
class SchurSpectrum:
    """What the Schur form of a matrix says.

    Attributes
    ----------
    eigenvalues
        ``[k]``, those of the block B, largest modulus first; all others are zero.
    departure
        Frobenius norm of the strict upper triangle of the (complex) Schur form: Henrici's
        departure from normality, :math:`(||A||_F^2 - \\sum |λ|^2)^{1/2}`.
    """

    eigenvalues: Complex[np.ndarray, "k"]
    departure: float

    @property
    def radius(self) -> float:
        """Spectral radius."""
        return float(abs(self.eigenvalues[0]))


def schur_spectrum(operator: Compression) -> SchurSpectrum:
    """Eigenvalues and departure from normality, without a difference of large numbers.

    Notes
    -----
    LAPACK's real Schur form has 2×2 blocks :math:`((a, b), (c, a))` with :math:`bc < 0` for pairs
    of complex eigenvalues :math:`a ± i\\sqrt{-bc}`. Such a block's own departure is
    :math:`|b + c|`, since :math:`2a^2 + b^2 + c^2 - 2(a^2 - bc) = (b + c)^2`.
    """
    T, _ = scipy.linalg.schur(operator.inner)
    eigenvalues = np.diagonal(T).astype(np.complex128)
    upper = np.triu(T, 1)
    if not np.iscomplexobj(T):
        first = np.flatnonzero(np.diagonal(T, -1))
        above, below = T[first, first + 1], T[first + 1, first]
        eigenvalues[first] += 1j * np.sqrt(-above * below)
        eigenvalues[first + 1] -= 1j * np.sqrt(-above * below)
        upper[first, first + 1] += below
    order = np.argsort(-abs(eigenvalues), kind="stable")
    departure = np.hypot(np.linalg.norm(upper), np.linalg.norm(operator.outer))
    return SchurSpectrum(eigenvalues[order], float(departure))


def symmetric_share(matrix: Inexact[np.ndarray, "n n"]) -> float:
    r""":math:`||(A + A^*)/2||_F^2 / ||A||_F^2`: 1 if symmetric, 0 if skew.

    By chance it is ½ + 1/(2d) for an operator of width d. Not a number for a zero matrix.
    """
    total = np.linalg.norm(matrix) ** 2
    return float(np.linalg.norm((matrix + matrix.conj().T) / 2) ** 2 / total) if total else np.nan
