"""The C* level: norms and spectra of the operators."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks


@dataclass(frozen=True)
class OperatorSpectra:
    """Spectra of every head.

    Attributes
    ----------
    singular_values
        ``[H, k]``, largest first, k = min(d, r); the first is the operator norm.
    eigenvalues
        ``[H, r]``, those of ``M_hh``, by decreasing modulus: the nonzero eigenvalues of ``A_h``.
    """

    singular_values: Float[Tensor, "H k"]
    eigenvalues: Complex[Tensor, "H r"]

    @property
    def spectral_radii(self) -> Float[Tensor, "H"]:
        """Largest modulus of an eigenvalue of each head."""
        return self.eigenvalues[:, 0].abs()

    @property
    def departures_from_normality(self) -> Float[Tensor, "H"]:
        r"""Henrici's :math:`(1 - \\sum|λ|^2/||A||_F^2)^{1/2}`: 0 for a normal operator, at most 1.

        Not a number for a zero head.
        """
        normal = self.eigenvalues.abs().square().sum(1) / self.singular_values.square().sum(1)
        return (1 - normal).clamp(min=0).sqrt()


def operator_spectra(blocks: GramBlocks) -> OperatorSpectra:
    """Singular values and nonzero eigenvalues of every head, from r×r blocks."""
    eigenvalues = torch.linalg.eigvals(blocks.diagonal_M())
    order = eigenvalues.abs().argsort(dim=1, descending=True, stable=True)
    return OperatorSpectra(blocks.operators.singular_values(), eigenvalues.gather(1, order))
