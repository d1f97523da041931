"""What of a layer is compared with chance: the same numbers of a trained and of a random layer."""

import math

from headalgebra.algebra.basis import orthonormal_basis
from headalgebra.algebra.coherence.structure import structure_constants
from headalgebra.algebra.coherence.two_term import jacobiator_ratio
from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import (
    BALANCE_ABOVE,
    CANCELLATION_BELOW,
    GRAM_FLOOR,
    RANK_CUTOFF,
    WELL_BELOW,
)

QUANTITIES = ("epsilon", "epsilon_relative", "rho3", "closure_isotropy")


def compared_with_chance(
    operators: HeadOperators,
    *,
    max_dim: int | None = None,
    balance_above: float = BALANCE_ABOVE,
    cancellation_below: float = CANCELLATION_BELOW,
    rank_cutoff: float = RANK_CUTOFF,
    gram_floor: float = GRAM_FLOOR,
    well_below: float = WELL_BELOW,
) -> dict[str, float]:
    """ε, ε̂, ρ₃ and (1 - χ) d²/n of a layer, by the names of :data:`QUANTITIES`.

    Parameters
    ----------
    operators
        The heads.
    max_dim
        Dimension at which the basis is truncated: that of the layer that the numbers are held
        against.
    balance_above
        As in :func:`~headalgebra.algebra.gram.gram_blocks`.
    cancellation_below
        As in :func:`~headalgebra.algebra.commutators.pair_commutators`.
    rank_cutoff, gram_floor
        As in :func:`~headalgebra.algebra.basis.orthonormal_basis`.
    well_below
        As in :func:`~headalgebra.algebra.coherence.structure.structure_constants`.

    Returns
    -------
    dict
        Not a number where the quantity does not exist.
    """
    blocks = gram_blocks(operators, balance_above=balance_above)
    pairs = pair_commutators(blocks, cancellation_below=cancellation_below)
    basis = orthonormal_basis(
        blocks, rank_cutoff=rank_cutoff, gram_floor=gram_floor, max_dim=max_dim
    )
    structure = structure_constants(
        blocks,
        basis.coefficients,
        kappa_used=basis.kappa_used,
        well_below=well_below,
        cancellation_below=cancellation_below,
    )
    rho3 = math.nan
    if not structure.abelian:
        rho3 = jacobiator_ratio(structure.f, structure.kappa, gram_floor=gram_floor)
    return {
        "epsilon": pairs.epsilon,
        "epsilon_relative": pairs.epsilon_relative,
        "rho3": rho3,
        "closure_isotropy": structure.closure_isotropy,
    }
