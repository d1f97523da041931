r"""The outermost circle on which a family of Hermitian matrices stops being positive definite.

Two radii of an operator are of this kind. In the blocks B and D of
:mod:`headalgebra.normality.compression`, by Schur complements and with
:math:`N(w) = (\bar w B + w B^*)/2`, :math:`w = e^{iθ}`:

- σ_min(z - C) > δ at :math:`z = tw`, t > δ, means that
  :math:`(t^2 - δ^2) I + BB^* - \frac{δ^2}{t^2 - δ^2} DD^* - 2t N(w)` is positive definite;
- that the field of values stays below t in direction w, t > 0, means that
  :math:`t I - \frac{1}{4t} DD^* - N(w)` is.

Either is :math:`H(t, w) = F(t) - f(t) N(w)`, of size r and not 2r. The radius is the largest t at
which H(t, w) is singular for some w on the unit circle. It is found by Newton steps from below and
certified from above: H(t, ·) is affine in w, so that the w of the plane where it is positive
definite make a convex set. If the corners of a polygon around the unit circle lie in it, so does
the circle. An arc of half-width h has its corner at :math:`|w| = 1/\cos h`; where H is indefinite
there, the arc is halved. For pseudospectra the test of an arc is
:math:`σ_{\min} > (δ^2 + t^2 \tan^2 h)^{1/2}` at its corner.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Complex, Inexact

from headalgebra.normality.compression import Compression
from headalgebra.rounding import UNIT_ROUNDOFF

ARCS = 16
"""Arcs of the whole circle before any is halved."""

AT_ONCE = 512
"""Matrices factored in one call."""

MOST_EVALUATIONS = 5_000
"""Factorisations for one circle, after which a wider one is tried."""

NEWTON_STEPS = 100

TURNS = (0.3, 0.01, 0.0)
"""Radians that one step may turn by, tried one after another; halved at a change of direction."""

LEAST_BEND = 1e-8
"""A second derivative by the angle below this times f is taken for circular symmetry."""

AT_BOUND = 1e-8
"""A step past a bound by less, relative to it, ends at the bound; one by more goes half the way."""

SETTLED, SETTLED_TURN = 1e-9, 1e-6
"""Relative step of the radius, and radians, after which Newton's next step is rounding."""


@runtime_checkable
class Family(Protocol):
    r"""H(t, w) = F(t) - f(t) N(w) for an operator of norm 1."""

    @property
    def operator(self) -> Compression:
        """The blocks B and D."""

    def constant(self, t: float) -> Inexact[np.ndarray, "k k"]:
        """F(t)."""

    def constant_slope(self, t: float) -> Inexact[np.ndarray, "k k"]:
        """dF/dt."""

    def reach(self, t: float) -> tuple[float, float]:
        """f(t) and df/dt."""


@dataclass(frozen=True)
class Touching:
    """The outermost circle, found and certified.

    Attributes
    ----------
    radius
        Its radius.
    angle
        Where it touches, in radians.
    upper
        A certified upper bound on the radius.
    evaluations
        Factorisations that the certificates took, those of circles that failed included.
    """

    radius: float
    angle: float
    upper: float
    evaluations: int


def outermost_touching(
    family: Family, start: float, angle: float, low: float, high: float, margin: float
) -> Touching:
    """Find the outermost circle and certify it.

    Parameters
    ----------
    start, angle
        Radius and direction to set out from.
    low, high
        Bounds on the radius.
    margin
        The certified bound is ``1 + margin`` times the radius. Where rounding or circular symmetry
        forbids so close a bound, it is ten times as far, and so on.
    """
    radius, angle = _climb(family, start, angle, low, high, TURNS[0])
    evaluations, beyond = 0, margin
    while True:
        circle = min((1 + beyond) * radius, high)
        check = check_circle(family, circle)
        evaluations += check.evaluations
        if check.holds or circle == high:
            return Touching(radius, angle, circle, evaluations)
        farther = radius
        if check.violated_at is not None:
            # From there the way out is up, but a step that turns too far may lead to a lower top.
            for farthest in TURNS:
                farther, turned = _climb(family, circle, check.violated_at, low, high, farthest)
                if farther >= circle:
                    break
        if farther > (1 + beyond / 2) * radius:
            radius, angle, beyond = farther, turned, margin
        else:
            beyond *= 10


def _reading(B: Inexact[np.ndarray, "k k"], w: complex) -> Complex[np.ndarray, "k k"]:
    """N(w)."""
    half = np.conj(w) * B / 2
    return half + half.conj().T


def _climb(
    family: Family, t: float, angle: float, low: float, high: float, farthest: float
) -> tuple[float, float]:
    """Newton steps to a local maximum of the radius at which H is singular."""
    B = family.operator.inner
    turn = 0.0
    for _ in range(NEWTON_STEPS):
        w = np.exp(1j * angle)
        N, turned = _reading(B, w), _reading(B, 1j * w)
        f, f_slope = family.reach(t)
        values, vectors = np.linalg.eigh(family.constant(t) - f * N)
        x = vectors[:, 0]
        across = f * (vectors.conj().T @ (turned @ x))
        slope = float((x.conj() @ (family.constant_slope(t) - f_slope * N) @ x).real)
        tilt = -float(across[0].real)
        gaps = np.maximum(values[1:] - values[0], np.finfo(float).tiny)
        bend = float(f * (x.conj() @ N @ x).real - 2 * (abs(across[1:]) ** 2 / gaps).sum())
        if turn * tilt > 0:
            farthest /= 2
        turn = float(np.clip(-tilt / max(abs(bend), LEAST_BEND * f), -farthest, farthest))
        lowest = values[0] + tilt * turn + max(bend, 0.0) * turn**2 / 2
        step = -lowest / slope if slope > 0 else high - t
        following = t + step
        if not (1 - AT_BOUND) * low <= following <= (1 + AT_BOUND) * high:
            following = (t + (low if following < low else high)) / 2
        following = min(max(following, low), high)
        settled = abs(following - t) <= SETTLED * t and abs(turn) <= SETTLED_TURN
        t, angle = float(following), angle + turn
        if settled:
            break
    return t, float(np.angle(np.exp(1j * angle)))


class CircleCheck(NamedTuple):
    """Whether a circle was certified, an angle at which it cannot be, matrices factored."""

    holds: bool
    violated_at: float | None
    evaluations: int


def check_circle(family: Family, t: float) -> CircleCheck:
    """Whether H(t, w) is positive definite on the unit circle, and where it is not if it is seen.

    A real operator is looked at from above the real axis alone.
    """
    B = family.operator.inner
    f, _ = family.reach(t)
    F = family.constant(t)
    # Cholesky of a matrix less so much of the identity proves it positive definite (Rump 2006).
    size = float(abs(np.diagonal(F)).sum() + len(B) * f * np.linalg.norm(B, 2))
    F = F - 8 * (len(B) + 2) * UNIT_ROUNDOFF[torch.float64] * size * np.eye(len(B))
    arcs = ARCS // 2 if np.isrealobj(B) else ARCS
    half = np.pi / ARCS
    centres = (2 * np.arange(arcs) + 1) * half
    evaluations = 0
    while evaluations <= MOST_EVALUATIONS:
        corners = _positive_definite(F, f, B, np.exp(1j * centres) / np.cos(half))
        evaluations += len(centres)
        centres = centres[~corners]
        if not len(centres):
            return CircleCheck(True, None, evaluations)
        within = _positive_definite(F, f, B, np.exp(1j * centres))
        evaluations += len(centres)
        if not within.all():
            lowest = [
                np.linalg.eigvalsh(F - f * _reading(B, np.exp(1j * angle)))[0]
                for angle in centres[~within]
            ]
            return CircleCheck(False, float(centres[~within][np.argmin(lowest)]), evaluations)
        half /= 2
        centres = np.concatenate([centres - half, centres + half])
    return CircleCheck(False, None, evaluations)


def _positive_definite(
    F: Inexact[np.ndarray, "k k"],
    f: float,
    B: Inexact[np.ndarray, "k k"],
    w: Complex[np.ndarray, "n"],
) -> Bool[np.ndarray, "n"]:
    """Whether F - f N(w) has a Cholesky factor, for each w."""
    k = len(B)
    terms = np.stack([F, -f * (B + B.conj().T) / 2, -0.5j * f * (B.conj().T - B)])
    factors = np.stack([np.ones(len(w)), w.real, w.imag], axis=1).astype(np.complex128)
    found = [
        torch.linalg.cholesky_ex((part @ torch.from_numpy(terms).view(3, -1)).view(-1, k, k)).info
        for part in torch.from_numpy(factors).split(AT_ONCE)
    ]
    return torch.cat(found).numpy() == 0
