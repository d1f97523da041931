"""The table `coherence` of one layer."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.coherence.structure import StructureConstants, structure_constants
from headalgebra.algebra.coherence.two_term import (
    TwoTermLinf,
    jacobiator_ratio,
    projected_jacobiator_rms,
)
from headalgebra.algebra.gram import GramBlocks
from headalgebra.defaults import (
    CANCELLATION_BELOW,
    GRAM_FLOOR,
    RELATION_EXHAUSTIVE_MAX_DIM,
    RELATION_TUPLES,
    WELL_BELOW,
)
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed


def verify_coherence(
    layer: int,
    blocks: GramBlocks,
    coefficients: Float[Tensor, "n H"],
    *,
    kappa_used: float,
    well_below: float = WELL_BELOW,
    cancellation_below: float = CANCELLATION_BELOW,
    gram_floor: float = GRAM_FLOOR,
    relation_tuples: int = RELATION_TUPLES,
    relation_exhaustive_max_dim: int = RELATION_EXHAUSTIVE_MAX_DIM,
    seed: int = 0,
) -> Row:
    """Structure constants, closure, projected Jacobiator and the relations of the two-term L∞.

    Parameters
    ----------
    coefficients
        Of the basis elements in the heads.
    kappa_used
        Condition number of that basis.
    gram_floor
        As it was decomposed with.

    Returns
    -------
    Mapping
        A row of :data:`headalgebra.columns.COHERENCE`.
    """
    n = len(coefficients)
    constants = structure_constants(
        blocks,
        coefficients,
        kappa_used=kappa_used,
        well_below=well_below,
        cancellation_below=cancellation_below,
    )
    structure = TwoTermLinf.from_bracket(constants.f)
    stream = layer_seed(seed, "relations", layer)
    residuals = [*structure.residuals_on_random(relation_tuples, stream).values()]
    exhaustive = n <= relation_exhaustive_max_dim
    if exhaustive:
        residuals += structure.residuals_on_basis().values()
    rho3 = (
        math.nan
        if constants.abelian
        else jacobiator_ratio(constants.f, constants.kappa, gram_floor=gram_floor)
    )
    return {
        "layer": layer,
        "closure_defect": constants.closure_defect,
        "closure_isotropy": constants.closure_isotropy,
        "jacobi_projected_rms": projected_jacobiator_rms(constants.f),
        "rho3": rho3,
        "coherence_residual": float(np.max(residuals)),
        "l2_norm": float(torch.linalg.vector_norm(structure.l2)),
        "l3_norm": float(torch.linalg.vector_norm(structure.l3)),
        "note": "; ".join(_notes(n, constants, rho3, exhaustive)),
    }


def _notes(n: int, constants: StructureConstants, rho3: float, exhaustive: bool) -> list[str]:
    """Why numbers of the row are missing, or rest on less than they might."""
    notes = [] if exhaustive else [f"n = {n}: relations checked on random elements only"]
    if n < 2:
        notes.append(f"n = {n}: no brackets")
    elif constants.abelian:
        notes.append("the brackets vanish: no closure defect, no rho3")
    elif n < 3:
        notes.append(f"n = {n}: no projected Jacobiator, no rho3")
    elif math.isnan(rho3):
        notes.append("nested brackets vanish: no rho3")
    return notes
