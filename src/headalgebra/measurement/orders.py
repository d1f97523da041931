"""The table `dyson` of a model: depth as a series, and the identities that certify it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from headalgebra.defaults import HOPF_GRADES
from headalgebra.dyson import antipode_residuals, chen_residuals, dyson_orders, order_norms
from headalgebra.measurement._rows import Row
from headalgebra.states import FrozenBlock, Recording


@dataclass(frozen=True)
class Depth:
    """The frozen blocks of some sequences in either order, each made anew when its turn comes."""

    recording: Recording
    sequences: slice

    def __iter__(self) -> Iterator[FrozenBlock]:
        """From the first to the last."""
        return self.recording.blocks(self.sequences)

    def __reversed__(self) -> Iterator[FrozenBlock]:
        """From the last to the first."""
        return self.recording.blocks(self.sequences, backwards=True)


def depth_orders(recording: Recording, sequences: int) -> list[Float[Tensor, "N T d"]]:
    """The orders T_0 … T_L of the first so many sequences."""
    depth = Depth(recording, slice(0, sequences))
    return dyson_orders(depth, recording.state(0, depth.sequences))


def expand_orders(
    recording: Recording,
    orders: Sequence[Float[Tensor, "N T d"]],
    *,
    certified_sequences: int,
    grades: int = HOPF_GRADES,
) -> list[Row]:
    """Every Dyson order of a recorded pass, with and without the first token of each sequence.

    Parameters
    ----------
    orders
        As :func:`depth_orders` gives them.
    certified_sequences
        On so many of them Chen's identity, cut in the middle of the depth, and the antipode are
        checked, up to the order `grades`.

    Returns
    -------
    list
        A row of :data:`headalgebra.columns.DYSON` for each order from 0 to the number of blocks.
    """
    sequences = slice(0, len(orders[0]))
    x_0, x_L = (recording.state(place, sequences) for place in (0, recording.n_blocks))
    every, later = (order_norms(orders, x_L, first_token=first) for first in (0, 1))
    few = Depth(recording, slice(0, certified_sequences))
    orders_of_few = [order[few.sequences] for order in orders[: grades + 1]]
    cut = recording.n_blocks // 2
    (chen,) = chen_residuals(few, x_0[few.sequences], cuts=[cut], grades=grades)
    antipode = antipode_residuals(few, orders_of_few, grades=grades)
    rows: list[Row] = []
    for order in range(len(orders)):
        certified = order < len(antipode)
        rows.append(
            {
                "order": order,
                "norm": float(every.norm[order]),
                "partial_error": float(every.partial_error[order]),
                "cumulative": float(every.cumulative[order]),
                "norm_without_first": float(later.norm[order]),
                "partial_error_without_first": float(later.partial_error[order]),
                "cumulative_without_first": float(later.cumulative[order]),
                "chen_residual": float(chen[order]) if certified else None,
                "antipode_residual": float(antipode[order]) if certified else None,
                "note": "" if certified else f"identities are checked up to order {grades}",
            }
        )
    return rows
