"""The table `precision` of one layer."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.linf.jacobiator import draw_triples, jacobiator_norms_by_precision
from headalgebra.algebra.operators import HeadOperators
from headalgebra.measurement._rows import Row
from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.seeds import layer_seed


def measure_precision(
    layer: int,
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    *,
    triples: int = 2,
    seed: int = 0,
) -> list[Row]:
    """The literal Jacobiator of the heads and of the basis elements in four precisions.

    Returns
    -------
    list
        A row of :data:`headalgebra.columns.PRECISION` for each kind of operand and each precision.
    """
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
                    "jacobi_mean": mean,
                }
            )
    return rows
