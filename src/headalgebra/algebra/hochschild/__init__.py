"""Hochschild cochains, and the commutator among them (paper, section 2).

Cochains are tensors over structure constants (:mod:`.cochains`) or multilinear maps on matrices
(:mod:`.matrix_cochains`). References: Gerstenhaber, *The cohomology structure of an associative
ring*, Annals of Mathematics 78 (1963); *On the deformation of rings and algebras*, Annals of
Mathematics 79 (1964).
"""

from headalgebra.algebra.hochschild.cochains import (
    Primitive,
    circle_product,
    differential_matrix,
    gerstenhaber_bracket,
    hochschild_differential,
    insert,
    matrix_algebra,
    primitive,
)
from headalgebra.algebra.hochschild.deformation import (
    ASSOCIATIVE_AT,
    AssociatorCurve,
    associator_curve,
    commutator,
    obstruction,
    star_associator,
)
from headalgebra.algebra.hochschild.matrix_cochains import MATRIX_PRODUCT, MatrixCochain

__all__ = [
    "ASSOCIATIVE_AT",
    "MATRIX_PRODUCT",
    "AssociatorCurve",
    "MatrixCochain",
    "Primitive",
    "associator_curve",
    "circle_product",
    "commutator",
    "differential_matrix",
    "gerstenhaber_bracket",
    "hochschild_differential",
    "insert",
    "matrix_algebra",
    "obstruction",
    "primitive",
    "star_associator",
]
