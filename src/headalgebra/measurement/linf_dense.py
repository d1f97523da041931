"""The tables `linf_dense` and `literal` of one layer."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.basis import basis_elements
from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.linf.dense import extract_dense
from headalgebra.defaults import JACOBI_TRIPLES, LITERAL_MAX_D, LITERAL_TOLERANCE
from headalgebra.measurement._literal import literal_identities, too_few
from headalgebra.measurement._rows import Row


def extract_linf_dense(
    layer: int,
    blocks: GramBlocks,
    coefficients: Float[Tensor, "n H"],
    *,
    dtype: str = "float64",
    device: torch.device | None = None,
    jacobi_triples: int = JACOBI_TRIPLES,
    literal_max_d: int = LITERAL_MAX_D,
    literal_tolerance: float = LITERAL_TOLERANCE,
    seed: int = 0,
) -> tuple[Row, Row]:
    """Extraction by dense arrays over all triples of basis elements.

    Parameters
    ----------
    coefficients
        Of the basis elements in the heads.
    literal_max_d
        Coordinates on which the literal Jacobiator is multiplied out, at the most.
    dtype
        Arithmetic of the dense arrays, ``"float64"`` or ``"float32"``.
    device
        Where they are formed; on the processor by default.

    Returns
    -------
    linf
        A row of :data:`headalgebra.columns.LINF`.
    literal
        A row of :data:`headalgebra.columns.LITERAL`.
    """
    operators = blocks.operators.to(device or torch.device("cpu"))
    coefficients = coefficients.to(operators.query_matrix.device)
    n = len(coefficients)
    elements = basis_elements(operators, coefficients)
    dense = extract_dense(elements.to(getattr(torch, dtype)))
    linf = {
        "layer": layer,
        "n_probes": 0,
        "obstruction_rms": dense.obstruction_rms,
        "obstruction_ci_low": dense.obstruction_rms,
        "obstruction_ci_high": dense.obstruction_rms,
        **literal_identities(
            layer,
            operators,
            coefficients,
            jacobi_triples=jacobi_triples,
            max_d=literal_max_d,
            seed=seed,
            note=_note(n, dense.coherence_residual, literal_tolerance),
        ),
    }
    literal = {
        "layer": layer,
        "dtype": dtype,
        "n_triples": math.comb(n, 3),
        "residual": dense.coherence_residual,
    }
    return linf, literal


def _note(n: int, residual: float, tolerance: float) -> str:
    """Why a number of the row is missing or not to be trusted."""
    if n < 2:
        return f"n = {n}: no brackets"
    if n >= 3 and residual > tolerance:
        return f"literal coherence residual {residual:.1e} is above {tolerance:g}"
    return too_few(n)
