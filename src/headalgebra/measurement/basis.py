"""The tables `basis` and `singular_values` of one layer."""

from headalgebra.algebra.basis import (
    OperatorBasis,
    conditioning,
    extraction_route,
    orthonormal_basis,
)
from headalgebra.algebra.gram import GramBlocks
from headalgebra.defaults import DENSE_MAX_DIM, GRAM_FLOOR, POOR_FROM, RANK_CUTOFF, WELL_BELOW
from headalgebra.measurement._rows import Row


def decompose_basis(
    layer: int,
    blocks: GramBlocks,
    *,
    rank_cutoff: float = RANK_CUTOFF,
    gram_floor: float = GRAM_FLOOR,
    max_dim: int | None = None,
    well_below: float = WELL_BELOW,
    poor_from: float = POOR_FROM,
    dense_max_dim: int = DENSE_MAX_DIM,
) -> tuple[OperatorBasis, Row, list[Row]]:
    """The basis of a layer, how well it is conditioned, and the route of its extraction.

    Returns
    -------
    basis
        The orthonormal basis itself.
    conditioned
        A row of :data:`headalgebra.columns.BASIS`.
    singular_values
        A row of :data:`headalgebra.columns.SINGULAR_VALUES` for each singular value.
    """
    basis = orthonormal_basis(
        blocks, rank_cutoff=rank_cutoff, gram_floor=gram_floor, max_dim=max_dim
    )
    used = conditioning(basis.kappa_used, well_below=well_below, poor_from=poor_from)
    conditioned = {
        "layer": layer,
        "rank": basis.rank,
        "kappa": basis.kappa,
        "basis_dim": basis.dimension,
        "kappa_used": basis.kappa_used,
        "conditioning": conditioning(basis.kappa, well_below=well_below, poor_from=poor_from),
        "route": extraction_route(basis.dimension, used, dense_max_dim=dense_max_dim),
    }
    singular_values: list[Row] = [
        {"layer": layer, "index": index, "sigma": sigma}
        for index, sigma in enumerate(basis.singular_values.tolist())
    ]
    return basis, conditioned, singular_values
