"""Permutations of the axes of heads and of the state that they read (002, section 5)."""

from headalgebra.geometry.axes.marks import trace_axes, trace_model
from headalgebra.geometry.axes.pairs import NoPermutationError, Pairing, pair_across, pair_within
from headalgebra.geometry.axes.permuted import (
    Permuted,
    joint,
    outcomes,
    permuted,
    query_only,
    side_by_side,
    stream,
)
from headalgebra.geometry.axes.places import HeadAxes, Places

__all__ = [
    "HeadAxes",
    "NoPermutationError",
    "Pairing",
    "Permuted",
    "Places",
    "joint",
    "outcomes",
    "pair_across",
    "pair_within",
    "permuted",
    "query_only",
    "side_by_side",
    "stream",
    "trace_axes",
    "trace_model",
]
