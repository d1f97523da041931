"""L∞ extraction by dense arrays, of the layers that basis routed to it."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.basis import basis_elements
from headalgebra.devices import compute_device
from headalgebra.linf.dense import extract_dense
from headalgebra.linf.jacobiator import literal_jacobiator
from headalgebra.seeds import layer_seed
from layers import basis_coefficients, gram_blocks_by_layer, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any


def note(n: int, residual: float, tolerance: float) -> str:
    """Why a number of the row is missing or not to be trusted."""
    if n < 2:
        return f"n = {n}: no brackets"
    if n < 3:
        return f"n = {n}: no Jacobiator"
    if residual > tolerance:
        return f"literal coherence residual {residual:.1e} is above {tolerance:g}"
    return ""


with job(snakemake):
    params = snakemake.params
    device = compute_device(params.device)
    basis = pd.read_parquet(snakemake.input.basis)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    routed = basis.loc[basis["route"].isin(["dense", "mixed"]), "layer"].tolist()
    rows = []
    for layer, blocks in gram_blocks_by_layer(snakemake, routed):
        operators = blocks.operators.to(device)
        combination = coefficients[layer].to(device)
        dense = extract_dense(basis_elements(operators, combination))
        literal = literal_jacobiator(
            operators,
            combination,
            params.jacobi_triples,
            layer_seed(params.seed, "literal_triples", layer),
        )
        row = (
            layer,
            literal.n_triples,
            0,
            literal.rms,
            literal.noise,
            literal.bound,
            dense.obstruction_rms,
            dense.obstruction_rms,
            dense.obstruction_rms,
            literal.hochschild_residual,
            note(len(combination), dense.coherence_residual, params.literal_tolerance),
        )
        rows.append(dict(zip(columns.LINF, row, strict=True)))
    write_table(snakemake.output.linf, rows, columns.LINF, origin(snakemake, device))
