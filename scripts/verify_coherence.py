"""Structure constants, closure, projected Jacobiator and two-term L∞ relations of each layer."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from headalgebra import columns
from headalgebra.algebra.coherence.structure import structure_constants
from headalgebra.algebra.coherence.two_term import (
    TwoTermLinf,
    jacobiator_ratio,
    projected_jacobiator_rms,
)
from headalgebra.seeds import layer_seed
from layers import basis_coefficients, gram_blocks_by_layer, layers_of, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    settings = snakemake.params.settings
    kappa_used = pd.read_parquet(snakemake.input.basis).set_index("layer")["kappa_used"]
    coefficients = basis_coefficients(snakemake.input.coefficients)
    rows = []
    layers = layers_of(snakemake.input.factors, snakemake.params.layers)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        n = len(coefficients[layer])
        constants = structure_constants(
            blocks,
            coefficients[layer],
            kappa_used=kappa_used[layer],
            well_below=snakemake.params.well_below,
            cancellation_below=settings["cancellation_below"],
        )
        structure = TwoTermLinf.from_bracket(constants.f)
        residuals = [
            *structure.residuals_on_random(
                settings["relation_tuples"], layer_seed(settings["seed"], "relations", layer)
            ).values()
        ]
        notes = [f"n = {n}: no brackets"] if n < 2 else []
        if n <= settings["relation_exhaustive_max_dim"]:
            residuals += structure.residuals_on_basis().values()
        else:
            notes.append(f"n = {n}: relations checked on random elements only")
        rho3 = math.nan if constants.abelian else jacobiator_ratio(constants.f, constants.kappa)
        if constants.abelian and n >= 2:
            notes.append("the brackets vanish: no closure defect, no rho3")
        elif math.isnan(rho3) and n >= 2:
            notes.append(
                f"n = {n}: no projected Jacobiator, no rho3"
                if n < 3
                else "nested brackets vanish: no rho3"
            )
        row = (
            layer,
            constants.closure_defect,
            constants.closure_isotropy,
            projected_jacobiator_rms(constants.f),
            rho3,
            float(np.max(residuals)),
            float(torch.linalg.vector_norm(structure.l2)),
            float(torch.linalg.vector_norm(structure.l3)),
            "; ".join(notes),
        )
        rows.append(dict(zip(columns.COHERENCE, row, strict=True)))
    write_table(snakemake.output.coherence, rows, columns.COHERENCE, origin(snakemake))
