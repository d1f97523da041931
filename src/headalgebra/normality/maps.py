"""Linear maps of token states that are known by what they do to a state.

A state is ``[T, d]``, T tokens of width d; a map acts on n = Td numbers. Everything here costs
applications of the map and of its adjoint, and a few vectors of memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import torch
from jaxtyping import Float, Inexact
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs, eigsh, svds
from torch import Tensor

from headalgebra.defaults import DEPARTURE_PROBES

ARPACK_TOLERANCE = 1e-6
"""Relative, of eigenvalues and of squared singular values."""

ARNOLDI_VECTORS, MOST_RESTARTS = 40, 200
"""Basis vectors that are held, and restarts after which an eigenvalue counts as not found."""

WHOLE_UP_TO = 64
"""A map of so many numbers is formed: too small for Arnoldi's method."""

TURNS = 3
"""Rounds of signs and cosine transform, from which a rotation mixes all coordinates."""


@dataclass(frozen=True)
class StateMap:
    """A linear map of states and its adjoint.

    Attributes
    ----------
    linear, adjoint
        Send a state ``[T, d]`` to one.
    shape
        (T, d).
    dtype, device
        Of the states that the map takes.
    """

    linear: Callable[[Tensor], Tensor]
    adjoint: Callable[[Tensor], Tensor]
    shape: tuple[int, int]
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    @property
    def size(self) -> int:
        """n = Td."""
        return self.shape[0] * self.shape[1]

    def operator(self) -> LinearOperator:
        """The same for scipy, on float64 vectors ``[n]``, real or complex."""
        return LinearOperator(
            (self.size, self.size),
            matvec=lambda x: self._on_vector(self.linear, x),
            rmatvec=lambda y: self._on_vector(self.adjoint, y),
            dtype=np.float64,
        )

    def _on_vector(self, map_: Callable[[Tensor], Tensor], x: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(x):
            return self._on_vector(map_, x.real) + 1j * self._on_vector(map_, x.imag)
        # A copy in torch's own memory: with how it is aligned, products change their last digits.
        state = torch.tensor(x, dtype=self.dtype, device=self.device).reshape(self.shape)
        found = map_(state)
        return found.detach().to("cpu", torch.float64).numpy().reshape(-1)

    def dense(self) -> Float[np.ndarray, "n n"]:
        """The matrix, by n applications."""
        return np.asarray(self.operator() @ np.eye(self.size))


def product(maps: Sequence[StateMap]) -> StateMap:
    """What applying some maps one after another does, the first one first."""

    def onward(x: Tensor) -> Tensor:
        for one in maps:
            x = one.linear(x)
        return x

    def backward(y: Tensor) -> Tensor:
        for one in reversed(maps):
            y = one.adjoint(y)
        return y

    return StateMap(onward, backward, maps[0].shape, maps[0].dtype, maps[0].device)


def turned(one: StateMap, seed: np.random.SeedSequence) -> StateMap:
    """The map in a random orientation: OMOᵀ, of the same spectrum, norms and departure.

    O is orthogonal to rounding, rounds of random signs and a cosine transform. Products of turned
    maps show what several blocks would do whose worst directions do not meet.
    """
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(TURNS, one.size))

    def turn(x: np.ndarray) -> np.ndarray:
        for row in signs:
            x = scipy.fft.dct(row * x, norm="ortho")
        return x

    def turn_back(y: np.ndarray) -> np.ndarray:
        for row in signs[::-1]:
            y = row * scipy.fft.idct(y, norm="ortho")
        return y

    def around(operator: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensor], Tensor]:
        def apply(x: Tensor) -> Tensor:
            found = turn(operator(turn_back(x.double().cpu().numpy().reshape(-1))))
            return torch.from_numpy(found).view(one.shape).to(x)

        return apply

    whole = one.operator()
    return StateMap(around(whole.matvec), around(whole.rmatvec), one.shape, one.dtype, one.device)


def norm(one: StateMap) -> float:
    """Largest singular value."""
    operator = one.operator()
    if one.size <= WHOLE_UP_TO:
        return float(np.linalg.norm(one.dense(), 2))
    values = svds(
        operator, k=1, tol=ARPACK_TOLERANCE, v0=_start(one), return_singular_vectors=False
    )
    return float(np.max(values))


def spectral_radius(one: StateMap) -> float:
    r"""Largest modulus of an eigenvalue; not a number where Arnoldi's method finds none.

    A causal mask makes a map block lower triangular in the tokens. Its eigenvalues are those of
    the T diagonal d×d blocks, so that the map to be given is the one that keeps tokens apart. The
    whole map would be right as well, but its departure from normality spoils the digits.
    """
    try:
        value, _ = outermost_eigenpair(one.operator(), _start(one))
    except ArpackNoConvergence:
        return float("nan")
    return abs(value)


def outermost_eigenpair(
    operator: LinearOperator, start: Inexact[np.ndarray, "n"]
) -> tuple[complex, Inexact[np.ndarray, "n"]]:
    """Eigenvalue of largest modulus and its right eigenvector of norm 1.

    Raises
    ------
    ArpackNoConvergence
        When Arnoldi's method does not find it.
    """
    n = operator.shape[0]
    if n <= WHOLE_UP_TO:
        values, vectors = np.linalg.eig(operator @ np.eye(n))
    else:
        values, vectors = eigs(
            operator,
            k=1,
            ncv=ARNOLDI_VECTORS,
            maxiter=MOST_RESTARTS,
            tol=ARPACK_TOLERANCE,
            v0=start if operator.dtype.kind == "c" else start.real,
        )
    outermost = int(np.argmax(abs(values)))
    return complex(values[outermost]), vectors[:, outermost]


def numerical_abscissa(one: StateMap) -> float:
    """Largest eigenvalue of the symmetric part: the growth rate at the start of exp(tM)."""
    symmetric = StateMap(
        lambda x: (one.linear(x) + one.adjoint(x)) / 2,
        lambda x: (one.linear(x) + one.adjoint(x)) / 2,
        *(one.shape, one.dtype, one.device),
    )
    if one.size <= WHOLE_UP_TO:
        return float(np.linalg.eigvalsh(symmetric.dense())[-1])
    [value] = eigsh(
        symmetric.operator(),
        k=1,
        which="LA",
        tol=ARPACK_TOLERANCE,
        v0=_start(one),
        return_eigenvectors=False,
    )
    return float(value)


@dataclass(frozen=True)
class Departure:
    """Bounds on Henrici's departure from normality over the Frobenius norm, estimated.

    Attributes
    ----------
    low, high
        What random probes give for the two bounds.
    frobenius_norm
        What they give for ‖M‖_F.
    """

    low: float
    high: float
    frobenius_norm: float


def departure(
    one: StateMap, seed: np.random.SeedSequence, probes: int = DEPARTURE_PROBES
) -> Departure:
    r"""Henrici's departure between two bounds that need no spectrum.

    Notes
    -----
    With :math:`Σ = \sum |λ|^2`, :math:`|\mathrm{tr}\,M^2| \le Σ \le (||M||_F^4 -
    \frac12 ||M^*M - MM^*||_F^2)^{1/2}`; the second, of Kress, de Vries and Wegmann (1974), is an
    equality for a normal map, the first for a symmetric one. The traces are Hutchinson's, from
    random signs z: the means of |Mz|², of ⟨Mᵀz, Mz⟩ and of |(MᵀM - MMᵀ)z|².
    """
    generator = np.random.default_rng(seed)
    operator = one.operator()
    squares, traces, commutators = np.zeros((3, probes))
    for probe in range(probes):
        z = generator.choice([-1.0, 1.0], size=one.size)
        onward, back = operator.matvec(z), operator.rmatvec(z)
        squares[probe] = onward @ onward
        traces[probe] = back @ onward
        commutator = operator.rmatvec(onward) - operator.matvec(back)
        commutators[probe] = commutator @ commutator
    squared = float(squares.mean())
    if squared == 0:
        return Departure(np.nan, np.nan, 0.0)
    most = np.sqrt(max(1 - 0.5 * commutators.mean() / squared**2, 0.0))
    least = abs(traces.mean()) / squared
    return Departure(
        float(np.sqrt(max(1 - most, 0.0))), float(np.sqrt(max(1 - least, 0.0))), np.sqrt(squared)
    )


def _start(one: StateMap) -> Float[np.ndarray, "n"]:
    """The same first vector every time; ARPACK's own is another at every call."""
    return np.random.default_rng(0).standard_normal(one.size)
