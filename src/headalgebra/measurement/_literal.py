"""What dense and sampled extraction have in common: the identities taken literally."""

from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.linf.jacobiator import literal_jacobiator
from headalgebra.algebra.operators import HeadOperators
from headalgebra.seeds import layer_seed


def literal_identities(
    layer: int,
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    *,
    jacobi_triples: int,
    seed: int,
) -> dict[str, object]:
    """Jacobiator, its expected rounding and its bound, and the Hochschild residual of a layer."""
    literal = literal_jacobiator(
        operators, coefficients, jacobi_triples, layer_seed(seed, "literal_triples", layer)
    )
    return {
        "n_triples": literal.n_triples,
        "jacobi_rms": literal.rms,
        "jacobi_noise": literal.noise,
        "jacobi_bound": literal.bound,
        "hochschild_residual": literal.hochschild_residual,
    }


def too_few(n: int) -> str:
    """What a basis of n elements is too small for; empty where it is large enough."""
    if n >= 3:
        return ""
    return f"n = {n}: no three elements, so no Jacobiator and no Hochschild residual"
