"""The table `associator` of one layer."""

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.hochschild.deformation import associator_curve
from headalgebra.algebra.linf.jacobiator import draw_triples
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import LITERAL_MAX_D
from headalgebra.measurement._literal import literal_operators
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

TIMES = torch.linspace(-1.5, 0.5, 9, dtype=torch.float64)
"""Both zeros of t + t², which are -1 and 0, and as far again on either side."""


def measure_associator(
    layer: int,
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    *,
    literal_max_d: int = LITERAL_MAX_D,
    seed: int = 0,
) -> list[Row]:
    """The associator of the product a ⋆_t b = ab + t[a,b] of three basis elements, against t.

    Parameters
    ----------
    coefficients
        Of the basis elements in the heads.
    literal_max_d
        Coordinates on which it is multiplied out, at the most.

    Returns
    -------
    list
        A row of :data:`headalgebra.columns.ASSOCIATOR` for each t; none where the basis has no
        three elements.
    """
    operators = literal_operators(layer, operators, max_d=literal_max_d, seed=seed)
    stream = layer_seed(seed, "literal_triples", layer)
    rows: list[Row] = []
    for triple in draw_triples(len(coefficients), 1, stream):
        a, b, c = (operators.combine(coefficients[i]) for i in triple)
        curve = associator_curve(a, b, c, TIMES)
        rows += [
            {
                "layer": layer,
                "t": t,
                "associator": norm,
                "predicted": predicted,
                "coordinates": operators.d_model,
            }
            for t, norm, predicted in zip(
                curve.t.tolist(), curve.norm.tolist(), curve.predicted.tolist(), strict=True
            )
        ]
    return rows
