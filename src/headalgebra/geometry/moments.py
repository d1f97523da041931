"""Mean and covariance of vectors that come in parts, and what isotropic ones would have."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal
from scipy.linalg.blas import dsyrk
from torch import Tensor

TOKENS_PER_DIMENSION = 16
"""A covariance matrix of dimension d is of at least so many times d vectors."""

TOKENS_FOR_RANK = 2
"""So many times d tell which directions are nulled, though not how small the others are."""

NULLED = 1e-6
"""An eigenvalue of no more than this times the median is taken for none."""

ISOTROPIC_DRAWS = 16
"""Covariance matrices of isotropic vectors, whose mean is the null."""


class Moments:
    """Mean and covariance of n vectors, in float64, of which no two parts are held at once.

    Parts are merged by their own means, so that no large mean cancels.

    Parameters
    ----------
    d
        Numbers in a vector.
    """

    def __init__(self, d: int) -> None:
        self.n = 0
        self._mean = torch.zeros(d, dtype=torch.float64)
        # Its lower triangle is the sum; what is above is of no meaning.
        self._scatter = torch.zeros(d, d, dtype=torch.float64)

    def add(self, vectors: Float[Tensor, "*n d"]) -> None:
        """Take in some more vectors, n d² flops: half of the whole product."""
        part = vectors.flatten(0, -2).double()
        k = len(part)
        mean = part.mean(0)
        deviations = part - mean
        shift = mean.to(self._mean.device) - self._mean
        self.n += k
        self._add_gram(deviations)
        self._scatter += torch.outer(shift, shift) * ((self.n - k) * k / self.n)
        self._mean += shift * (k / self.n)

    def _add_gram(self, deviations: Float[Tensor, "n d"]) -> None:
        if deviations.device.type != "cpu":
            self._scatter += (deviations.mT @ deviations).to(self._scatter.device)
            return
        # Rows of one are columns of the other: neither is copied.
        sum_, part = self._scatter.numpy().T, deviations.contiguous().numpy().T
        self._scatter = torch.from_numpy(dsyrk(1.0, part, 1.0, sum_, overwrite_c=True).T)

    @property
    def d(self) -> int:
        """Numbers in a vector."""
        return len(self._mean)

    @property
    def mean(self) -> Float[Tensor, " d"]:
        """Of all vectors."""
        return self._mean

    @property
    def covariance(self) -> Float[Tensor, "d d"]:
        """Of all vectors; n − 1 is the divisor."""
        lower = self._scatter.tril()
        return (lower + lower.tril(-1).mT) / (self.n - 1)

    @property
    def too_few(self) -> str:
        """Why the smallest eigenvalues say nothing, or empty."""
        return self._lacking(TOKENS_PER_DIMENSION)

    @property
    def too_few_for_rank(self) -> str:
        """Why not even the number of directions that are nulled is known, or empty."""
        return self._lacking(TOKENS_FOR_RANK)

    def _lacking(self, a_dimension: int) -> str:
        needed = a_dimension * self.d
        if self.n >= needed:
            return ""
        return f"{self.n} vectors, and a covariance matrix of dimension {self.d} wants {needed}"


@dataclass(frozen=True)
class Lowest:
    """The smallest eigenvalues of a covariance matrix.

    Attributes
    ----------
    over_median
        λ₁ ≤ λ₂ ≤ λ₃ over the median of all.
    nulled
        How many are up to :data:`NULLED` times the median.
    """

    over_median: tuple[float, float, float]
    nulled: int


def lowest(covariance: Float[Tensor, "d d"]) -> Lowest:
    """The smallest eigenvalues; d at least 3, and more vectors than d.

    Raises
    ------
    ValueError
        If half of the eigenvalues are none at all.
    """
    eigenvalues = torch.linalg.eigvalsh(covariance).cpu().numpy()
    median = float(np.median(eigenvalues))
    if not median > len(eigenvalues) * np.finfo(float).eps * eigenvalues[-1]:
        raise ValueError("half of the eigenvalues are 0: take more vectors, or other ones")
    ratios = eigenvalues / median
    one, two, three = map(float, ratios[:3])
    return Lowest((one, two, three), int((ratios <= NULLED).sum()))


@cache
def isotropic_lowest(
    n: int, d: int, *, centred: bool, seed: int, draws: int = ISOTROPIC_DRAWS
) -> tuple[float, float, float]:
    """λ₁, λ₂, λ₃ over the median for the covariance matrix of n isotropic Gaussian vectors.

    It is a mean over draws. An orthogonal change of basis on either side makes the n×d matrix of
    such vectors bidiagonal, with independent χ-distributed entries (Silverstein, 1985), so that no
    vector is drawn.

    Parameters
    ----------
    n, d
        Vectors, n > d, and their dimension.
    centred
        Whether every vector has the mean 0, which λ₁ = 0 shows.
    seed
        Of the draws.
    """
    generator = np.random.default_rng((seed, n, d))
    free, places = n - 1, d - centred
    index = np.arange(places)
    found = []
    for _ in range(draws):
        diagonal = np.sqrt(generator.chisquare(free - index))
        below = np.sqrt(generator.chisquare(places - index[1:]))
        # Of B Bᵀ, B lower bidiagonal.
        on = diagonal**2
        on[1:] += below**2
        eigenvalues = eigh_tridiagonal(on, diagonal[:-1] * below, eigvals_only=True)
        eigenvalues = np.concatenate([np.zeros(int(centred)), eigenvalues])
        found.append(eigenvalues[:3] / np.median(eigenvalues))
    one, two, three = map(float, np.mean(found, axis=0))
    return one, two, three
