"""L∞ extraction by dense arrays, of the layers that basis routed to it."""

import math
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.algebra.basis import basis_elements
from headalgebra.algebra.linf.dense import extract_dense
from headalgebra.devices import compute_device
from layers import basis_coefficients, gram_blocks_by_layer, origin
from literal import literal_columns
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any


def note(n: int, residual: float, tolerance: float) -> str:
    """Why a number of the row is missing or not to be trusted."""
    if n < 2:
        return f"n = {n}: no brackets"
    if n < 3:
        return f"n = {n}: no three elements, so no Jacobiator and no Hochschild residual"
    if residual > tolerance:
        return f"literal coherence residual {residual:.1e} is above {tolerance:g}"
    return ""


with job(snakemake):
    settings = snakemake.params.settings
    device = compute_device(settings["device"])
    basis = pd.read_parquet(snakemake.input.basis)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    routed = basis.loc[basis["route"].isin(["dense", "mixed"]), "layer"].tolist()
    rows, relations = [], []
    for layer, blocks in gram_blocks_by_layer(snakemake, routed):
        operators = blocks.operators.to(device)
        combination = coefficients[layer].to(device)
        elements = basis_elements(operators, combination)
        dense = extract_dense(elements.to(getattr(torch, settings["dense_dtype"])))
        relations.append(
            {
                "layer": layer,
                "dtype": settings["dense_dtype"],
                "n_triples": math.comb(len(combination), 3),
                "residual": dense.coherence_residual,
            }
        )
        row = {
            "layer": layer,
            "n_probes": 0,
            "obstruction_rms": dense.obstruction_rms,
            "obstruction_ci_low": dense.obstruction_rms,
            "obstruction_ci_high": dense.obstruction_rms,
            "note": note(len(combination), dense.coherence_residual, settings["literal_tolerance"]),
        }
        rows.append(row | literal_columns(operators, combination, layer, settings))
    computed_on = origin(snakemake, device) | {"dense_dtype": settings["dense_dtype"]}
    write_table(snakemake.output.literal, relations, columns.LITERAL, computed_on)
    write_table(snakemake.output.linf, rows, columns.LINF, computed_on)
