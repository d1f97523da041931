"""The structure that is really there: projected bracket, J_P, and the two-term L∞ relations."""

from headalgebra.algebra.coherence.structure import (
    StructureConstants,
    dense_structure_constants,
    structure_constants,
)
from headalgebra.algebra.coherence.two_term import (
    TwoTermLinf,
    jacobiator_ratio,
    nested_bracket,
    projected_jacobiator,
    projected_jacobiator_rms,
)

__all__ = [
    "StructureConstants",
    "TwoTermLinf",
    "dense_structure_constants",
    "jacobiator_ratio",
    "nested_bracket",
    "projected_jacobiator",
    "projected_jacobiator_rms",
    "structure_constants",
]
