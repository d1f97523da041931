"""Rows and columns of weights that belong to the axes of a block's heads."""

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

Linear = nn.Linear | Conv1D
"""Modules with weights that have a row and a column for each axis."""


@dataclass(frozen=True)
class Places:
    """Where some axes are in the output, or in the input, of a linear module.

    Attributes
    ----------
    module
        The module.
    index
        Of m heads that share each of G keys, n axes each.
    """

    module: Linear
    index: Int[Tensor, "G m n"]


@dataclass(frozen=True)
class HeadAxes:
    """The weights of a block's heads, axis by axis.

    Attributes
    ----------
    queries
        Rows that make the queries, all r axes.
    free
        Which of the r axes of queries and keys reach the scores as they are, but for a common
        factor: without rotary positions and without a norm.
    free_queries, free_keys
        Rows that make those; None where there are none.
    values
        Rows that make the values, a head's width v.
    outputs
        Columns that read what attention gives.
    readers
        Modules that read the state for queries, keys and values, and nothing else.
    not_readers
        Why there are no such modules, or empty.
    """

    queries: Places
    free: Int[Tensor, " f"]
    free_queries: Places | None
    free_keys: Places | None
    values: Places
    outputs: Places
    readers: tuple[Linear, ...]
    not_readers: str = ""

    @property
    def width(self) -> int:
        """Axes of a query, r."""
        return self.queries.index.shape[2]

    @property
    def d_model(self) -> int:
        """Axes of the state that the readers are given, d."""
        weight = self.readers[0].weight
        return weight.shape[int(isinstance(self.readers[0], nn.Linear))]
