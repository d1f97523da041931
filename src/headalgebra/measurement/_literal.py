"""What stages have in common that multiply dense operators out: on which coordinates they do.

Their identities hold of any matrices. What rounding leaves of them can therefore be measured on a
part of the coordinates, where all of them would take hours and tens of GB.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.linf.jacobiator import literal_jacobiator
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import LITERAL_MAX_D
from headalgebra.seeds import layer_seed


def literal_operators(
    layer: int, operators: HeadOperators, *, max_d: int = LITERAL_MAX_D, seed: int = 0
) -> HeadOperators:
    """The operators on so many coordinates at the most, drawn evenly where there are more."""
    d = operators.d_model
    if d <= max_d:
        return operators
    generator = np.random.default_rng(layer_seed(seed, "literal_coordinates", layer))
    drawn = np.sort(generator.choice(d, size=max_d, replace=False))
    return operators.on_coordinates(torch.from_numpy(drawn).to(operators.query_matrix.device))


def literal_identities(
    layer: int,
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    *,
    jacobi_triples: int,
    max_d: int,
    seed: int,
    note: str,
) -> dict[str, object]:
    """Jacobiator, its expected rounding and its bound, and the Hochschild residual of a layer.

    To the note on the layer is added where coordinates were left out.
    """
    d = operators.d_model
    part = f"Jacobiators on {max_d} of {d} coordinates" if d > max_d else ""
    literal = literal_jacobiator(
        literal_operators(layer, operators, max_d=max_d, seed=seed),
        coefficients,
        jacobi_triples,
        layer_seed(seed, "literal_triples", layer),
    )
    return {
        "n_triples": literal.n_triples,
        "jacobi_rms": literal.rms,
        "jacobi_noise": literal.noise,
        "jacobi_bound": literal.bound,
        "hochschild_residual": literal.hochschild_residual,
        "note": "; ".join(filter(None, (note, part))),
    }


def too_few(n: int) -> str:
    """What a basis of n elements is too small for; empty where it is large enough."""
    if n >= 3:
        return ""
    return f"n = {n}: no three elements, so no Jacobiator and no Hochschild residual"
