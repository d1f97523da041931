"""The tables `epsilon` and `pairs` of one layer."""

from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import GramBlocks
from headalgebra.defaults import CANCELLATION_BELOW
from headalgebra.measurement._rows import Row


def measure_epsilon(
    layer: int, blocks: GramBlocks, *, cancellation_below: float = CANCELLATION_BELOW
) -> tuple[Row, list[Row]]:
    """ε of a layer, and the commutator of every pair of its heads.

    Returns
    -------
    epsilon
        A row of :data:`headalgebra.columns.EPSILON`.
    pairs
        A row of :data:`headalgebra.columns.PAIRS` for each pair i < j.
    """
    measured = pair_commutators(blocks, cancellation_below=cancellation_below)
    epsilon = {
        "layer": layer,
        "epsilon": measured.epsilon,
        "epsilon_relative": measured.epsilon_relative,
        "epsilon_haar": measured.epsilon_haar,
    }
    by_pair = {
        "i": measured.i.tolist(),
        "j": measured.j.tolist(),
        "commutator_norm": measured.norm.tolist(),
        "commutator_relative": measured.relative.tolist(),
        "haar_norm": measured.haar.tolist(),
    }
    pairs = [
        {"layer": layer, **{column: values[pair] for column, values in by_pair.items()}}
        for pair in range(len(measured.norm))
    ]
    return epsilon, pairs
