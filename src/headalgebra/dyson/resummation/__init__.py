"""Limits of sequences of states, extrapolated token by token, and how good they are."""

from headalgebra.dyson.resummation.epsilon import borel, vector_epsilon
from headalgebra.dyson.resummation.errors import METHODS, Resummed, resum
from headalgebra.dyson.resummation.least_squares import anderson, mixing_weights, reduced_rank

__all__ = [
    "METHODS",
    "Resummed",
    "anderson",
    "borel",
    "mixing_weights",
    "reduced_rank",
    "resum",
    "vector_epsilon",
]
