"""What of a layer is compared with chance: the same numbers of a trained and of a random layer."""

import math
from collections.abc import Mapping

from headalgebra.algebra.basis import orthonormal_basis
from headalgebra.algebra.coherence.structure import structure_constants
from headalgebra.algebra.coherence.two_term import jacobiator_ratio
from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators

QUANTITIES = ("epsilon", "epsilon_relative", "rho3", "closure_isotropy")


def compared_with_chance(
    operators: HeadOperators, thresholds: Mapping[str, float], max_dim: int
) -> dict[str, float]:
    """ε, ε̂, ρ₃ and (1 - χ) d²/n of a layer, by the names of :data:`QUANTITIES`.

    Parameters
    ----------
    thresholds
        ``balance_above``, ``cancellation_below``, ``rank_cutoff``, ``gram_floor`` and
        ``well_below``, as the stages that measure the layer itself take them.
    max_dim
        Dimension at which the basis is truncated: that of the layer that the numbers are held
        against.

    Returns
    -------
    dict
        Not a number where the quantity does not exist.
    """
    blocks = gram_blocks(operators, balance_above=thresholds["balance_above"])
    cancellation_below = thresholds["cancellation_below"]
    pairs = pair_commutators(blocks, cancellation_below=cancellation_below)
    basis = orthonormal_basis(
        blocks,
        rank_cutoff=thresholds["rank_cutoff"],
        gram_floor=thresholds["gram_floor"],
        max_dim=max_dim,
    )
    structure = structure_constants(
        blocks,
        basis.coefficients,
        kappa_used=basis.kappa_used,
        well_below=thresholds["well_below"],
        cancellation_below=cancellation_below,
    )
    rho3 = math.nan if structure.vanish else jacobiator_ratio(structure.f, structure.kappa)
    return {
        "epsilon": pairs.epsilon,
        "epsilon_relative": pairs.epsilon_relative,
        "rho3": rho3,
        "closure_isotropy": structure.closure_isotropy,
    }
