"""The literal Jacobiator of raw operators and of the basis in four precisions."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from headalgebra import columns
from headalgebra.algebra.linf.jacobiator import (
    draw_triples,
    jacobiator_norms_by_precision,
)
from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.seeds import layer_seed
from layers import basis_coefficients, evenly_spaced, gram_blocks_by_layer, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any


with job(snakemake):
    settings = snakemake.params.settings
    analysed = json.loads(Path(snakemake.input.provenance).read_text())["layers"]
    chosen = evenly_spaced(analysed, settings["precision"]["layers"], snakemake.params.layers)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    rows = []
    for layer, blocks in gram_blocks_by_layer(snakemake, chosen):
        operators = blocks.operators
        operands = {
            "raw": torch.eye(operators.n_heads, dtype=torch.float64),
            "basis": coefficients[layer],
        }
        for operand, combinations in operands.items():
            seed = layer_seed(settings["seed"], "literal_triples", layer)
            norms = [
                jacobiator_norms_by_precision(
                    *(operators.combine(combinations[index]) for index in triple)
                )
                for triple in draw_triples(
                    len(combinations), settings["precision"]["triples"], seed
                )
            ]
            for dtype, unit_roundoff in UNIT_ROUNDOFF.items():
                mean = sum(norm[dtype] for norm in norms) / len(norms) if norms else float("nan")
                name = str(dtype).removeprefix("torch.")
                row = (layer, operand, name, unit_roundoff, mean)
                rows.append(dict(zip(columns.PRECISION, row, strict=True)))
    write_table(snakemake.output.precision, rows, columns.PRECISION, origin(snakemake))
