"""The associator of the deformed product a ⋆_t b = ab + t[a,b] of basis elements, against t."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from headalgebra import columns
from headalgebra.algebra.hochschild.deformation import associator_curve
from headalgebra.algebra.linf.jacobiator import draw_triples
from headalgebra.seeds import layer_seed
from layers import basis_coefficients, evenly_spaced, gram_blocks_by_layer, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

TIMES = torch.linspace(-1.5, 0.5, 9, dtype=torch.float64)
"""Both zeros, -1 and 0, and as far again on either side."""

with job(snakemake):
    settings = snakemake.params.settings
    analysed = json.loads(Path(snakemake.input.provenance).read_text())["layers"]
    chosen = evenly_spaced(analysed, settings["precision"]["layers"], snakemake.params.layers)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    rows = []
    for layer, blocks in gram_blocks_by_layer(snakemake, chosen):
        basis = coefficients[layer]
        seed = layer_seed(settings["seed"], "literal_triples", layer)
        triples = draw_triples(len(basis), 1, seed)
        for a, b, c in ([blocks.operators.combine(basis[i]) for i in triple] for triple in triples):
            curve = associator_curve(a, b, c, TIMES)
            values = (curve.t.tolist(), curve.norm.tolist(), curve.predicted.tolist())
            rows += [
                dict(zip(columns.ASSOCIATOR, (layer, *row), strict=True))
                for row in zip(*values, strict=True)
            ]
    write_table(snakemake.output.associator, rows, columns.ASSOCIATOR, origin(snakemake))
