"""What chance alone would give: one expectation in closed form, the rest by drawing layers.

Every null keeps something of a layer and randomises the rest:
:func:`pooled_factors` keeps the directions that all heads of the layer favour, and each head's
norm; :func:`haar_conjugated` keeps each head's spectrum and turns the heads against one another;
:func:`gaussian_factors` keeps the norms alone; :func:`initial_factors` keeps nothing but the
architecture; and :func:`draw_foreign_groups` with :func:`with_norms_of` keeps heads as trained, but
takes them from other layers. All keep which heads share a key.
"""

from headalgebra.algebra.nulls._draws import (
    draw_foreign_groups,
    gaussian_factors,
    haar_conjugated,
    initial_factors,
    with_norms_of,
)
from headalgebra.algebra.nulls._haar import haar_commutator_norm
from headalgebra.algebra.nulls._pooled import pooled_factors

__all__ = [
    "draw_foreign_groups",
    "gaussian_factors",
    "haar_commutator_norm",
    "haar_conjugated",
    "initial_factors",
    "pooled_factors",
    "with_norms_of",
]
