"""The columns that dense and sampled extraction share: the identities taken literally."""

from collections.abc import Mapping
from typing import Any

import torch

from headalgebra.algebra.linf.jacobiator import literal_jacobiator
from headalgebra.algebra.operators import HeadOperators
from headalgebra.seeds import layer_seed


def literal_columns(
    operators: HeadOperators, combination: torch.Tensor, layer: int, settings: Mapping[str, Any]
) -> dict[str, float]:
    """Jacobiator, its expected rounding and its bound, and the Hochschild residual of a layer."""
    literal = literal_jacobiator(
        operators,
        combination,
        settings["jacobi_triples"],
        layer_seed(settings["seed"], "literal_triples", layer),
    )
    return {
        "n_triples": literal.n_triples,
        "jacobi_rms": literal.rms,
        "jacobi_noise": literal.noise,
        "jacobi_bound": literal.bound,
        "hochschild_residual": literal.hochschild_residual,
    }
