"""Figures that the paper gives, for what is measured to stand beside."""

from dataclasses import dataclass
from math import inf, isinf


def in_words(*intervals: tuple[float, float]) -> str:
    """Intervals as a reader takes them: ends included, above the start where there is no end."""
    return ", ".join(
        f"above {low:g}" if isinf(high) else f"[{low:g}, {high:g}]" for low, high in intervals
    )


def power(value: float) -> str:
    """A power of ten as it is written: 1e-6."""
    return f"{value:g}".replace("e-0", "e-")


JACOBIATOR_RANGE = (1e-3, 1e-1)
"""Norm of the Jacobiator of basis elements, as claimed (section 3)."""

OBSTRUCTION_RANGE = (1e-2, 1e-1)
"""Norm of half the Gerstenhaber bracket of the commutator with itself, as claimed (section 2)."""

EPSILON_BY_THIRD = ((0.1, 0.8), (0.3, 1.5), (1.0, inf))
"""ε in the early, middle and deep third of a model's layers, as claimed (section 1)."""

GPT2_MEDIUM_EPSILON = (
    (range(0, 8), (0.05, 0.3)),
    (range(8, 16), (0.4, 1.2)),
    (range(16, 24), (1.1, 2.3)),
)
"""ε of GPT-2 Medium, as claimed (section 5): layers, counted from 0, and the interval of each."""

COHERENCE_RESIDUAL = 1e-6
"""Residual of the relations after dense extraction, as claimed (section 4)."""

GPT2_MEDIUM_COHERENCE_RESIDUAL = 1e-5
"""The same for GPT-2 Medium, as claimed (section 4)."""

FEASIBLE_DIMENSION = 6
"""Largest basis that dense extraction is said to be for (section 4)."""

INFEASIBLE_SIZE = (10, 512)
"""n and d at which dense extraction is said to run out of memory (section 4)."""

SAMPLES_OF_HOURS = 1_000_000
"""Samples that are said to take hours (section 4)."""

OBSTRUCTION_AT = (0.5, 2.0)
"""ε that counts as about 1, where the paper gives the range of the obstruction (section 2)."""


@dataclass(frozen=True)
class PhaseClaim:
    """What the paper says of a phase.

    Attributes
    ----------
    depth
        Thirds of the depth where it finds the phase.
    epsilon, jacobiator
        Interval of ε, and of the Jacobiator's norm.
    ternary
        How large it says ℓ₃ is.
    """

    depth: str
    epsilon: tuple[float, float]
    jacobiator: tuple[float, float]
    ternary: str


PHASE_CLAIMS = {
    "I": PhaseClaim("early", (0.0, 0.1), (0.0, 1e-3), "negligible"),
    "II": PhaseClaim("early, middle", (0.1, 1.0), (1e-3, 1e-1), "moderate"),
    "III": PhaseClaim("middle, late", (1.0, inf), (1e-1, inf), "dominant"),
}
"""The phase table (section 5), with where in the depth the text finds each phase."""
