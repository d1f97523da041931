"""The paper's claims: what it says, and what a study's tables say of it."""

from headalgebra.claims._paper import (
    EPSILON_BY_THIRD,
    GPT2_MEDIUM_EPSILON,
    JACOBIATOR_RANGE,
    OBSTRUCTION_AT,
    OBSTRUCTION_RANGE,
    PHASE_CLAIMS,
    PhaseClaim,
)

__all__ = [
    "EPSILON_BY_THIRD",
    "GPT2_MEDIUM_EPSILON",
    "JACOBIATOR_RANGE",
    "OBSTRUCTION_AT",
    "OBSTRUCTION_RANGE",
    "PHASE_CLAIMS",
    "PhaseClaim",
]
