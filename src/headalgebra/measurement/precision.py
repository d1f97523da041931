"""The table `precision` of one layer."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.linf.jacobiator import draw_triples, jacobiator_norms_by_precision
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import LITERAL_MAX_D
from headalgebra.measurement._literal import literal_operators
from headalgebra.measurement._rows import Row
from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.seeds import layer_seed


def measure_precision(
    layer: int,
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    *,
    triples: int = 2,
    literal_max_d: int = LITERAL_MAX_D,
    seed: int = 0,
) -> list[Row]:
    """The literal Jacobiator of the heads and of the basis elements in four precisions.

    Parameters
    ----------
    coefficients
        Of the basis elements in the heads.
    triples
        Of each kind, on which it is formed.
    literal_max_d
        Coordinates on which it is multiplied out, at the most.

    Returns
    -------
    list
        A row of :data:`headalgebra.columns.PRECISION` for each kind of operand and each precision.
    """
    operators = literal_operators(layer, operators, max_d=literal_max_d, seed=seed)
    operands = {
        "raw": torch.eye(operators.n_heads, dtype=torch.float64),
        "basis": coefficients,
    }
    rows: list[Row] = []
    for operand, combinations in operands.items():
        stream = layer_seed(seed, "literal_triples", layer)
        norms = [
            jacobiator_norms_by_precision(*(operators.combine(combinations[i]) for i in triple))
            for triple in draw_triples(len(combinations), triples, stream)
        ]
        for dtype, unit_roundoff in UNIT_ROUNDOFF.items():
            mean = sum(norm[dtype] for norm in norms) / len(norms) if norms else math.nan
            rows.append(
                {
                    "layer": layer,
                    "operand": operand,
                    "dtype": str(dtype).removeprefix("torch."),
                    "unit_roundoff": unit_roundoff,
                    "coordinates": operators.d_model,
                    "jacobi_mean": mean,
                }
            )
    return rows
