"""Levels of the algebraic tower over a layer (paper, section 6), from topology down to brackets.

C* (:mod:`.spectra`), W* (:mod:`.generated`) and Lie (:mod:`.lie`). The L∞ and gauge levels are in
:mod:`headalgebra.algebra.coherence` and :mod:`headalgebra.algebra.gauge`.
"""

from headalgebra.algebra.tower.generated import GeneratedAlgebra, generated_algebra
from headalgebra.algebra.tower.lie import LieSpan, lie_span
from headalgebra.algebra.tower.spectra import OperatorSpectra, operator_spectra

__all__ = [
    "GeneratedAlgebra",
    "LieSpan",
    "OperatorSpectra",
    "generated_algebra",
    "lie_span",
    "operator_spectra",
]
