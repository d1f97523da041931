"""The tables `basis` and `singular_values` of one layer."""

from headalgebra.algebra.basis import (
    OperatorBasis,
    conditioning,
    extraction_route,
    orthonormal_basis,
)
from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.linf.exact import triple_squares_flops
from headalgebra.algebra.linf.words import probed_words_flops
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import (
    CENSUS_MAX_TRIPLES,
    DENSE_MAX_DIM,
    EXACT_UP_TO_PROBES,
    GRAM_FLOOR,
    POOR_FROM,
    RANK_CUTOFF,
    WELL_BELOW,
)
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
    exact_up_to_probes: int = EXACT_UP_TO_PROBES,
    census_max_triples: int = CENSUS_MAX_TRIPLES,
) -> tuple[OperatorBasis, Row, list[Row]]:
    """The basis of a layer, how well it is conditioned, and the route of its extraction.

    Parameters
    ----------
    exact_up_to_probes, census_max_triples
        The route ``exact`` takes the place of ``sampled`` where it costs no more than every triple
        on so many random directions, and there are no more triples than the second.

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
        "route": extraction_route(
            basis.dimension,
            used,
            exact_affordable=_exact_affordable(
                blocks.operators, basis.dimension, exact_up_to_probes, census_max_triples
            ),
            dense_max_dim=dense_max_dim,
        ),
    }
    singular_values: list[Row] = [
        {"layer": layer, "index": index, "sigma": sigma}
        for index, sigma in enumerate(basis.singular_values.tolist())
    ]
    return basis, conditioned, singular_values


def _exact_affordable(
    operators: HeadOperators, n: int, up_to_probes: int, census_max_triples: int
) -> bool:
    """Whether the norms of all triples cost no more exactly than on so many probes."""
    triples = n * n * (n - 1) // 2
    shape = {"d": operators.d_model, "heads": operators.n_heads, "r": operators.d_head, "n": n}
    exactly = triple_squares_flops(**shape, keys=len(operators.keys))
    probed = probed_words_flops(**shape, probes=up_to_probes, triples=triples)
    return triples <= census_max_triples and exactly <= probed
