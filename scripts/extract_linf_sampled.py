"""L∞ extraction by sphere probes, of the layers that basis routed to it."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.linf.jacobiator import literal_jacobiator
from headalgebra.linf.sampled import (
    Estimate,
    ProbedWords,
    all_triples,
    census,
    sphere_probes,
    uniform_tuples,
    weighted_triples,
)
from headalgebra.seeds import layer_seed
from layers import basis_coefficients, gram_blocks_by_layer, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any


def sampling_row(estimate: Estimate) -> tuple[int, int, float, float, float]:
    """An estimate in the order of the sampling table."""
    return (
        estimate.n_triples,
        estimate.n_probes,
        estimate.value,
        estimate.low,
        estimate.high,
    )


with job(snakemake):
    params = snakemake.params
    basis = pd.read_parquet(snakemake.input.basis)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    routed = basis.loc[basis["route"].isin(["sampled", "mixed"]), "layer"].tolist()
    rows, sampling = [], []
    for layer, blocks in gram_blocks_by_layer(snakemake, routed):
        operators, combination = blocks.operators, coefficients[layer]
        n = len(combination)
        probes = sphere_probes(
            operators.d_model, params.probes, layer_seed(params.seed, "probes", layer)
        )
        words = ProbedWords(operators, combination, probes)
        estimates = {}
        if n * n * (n - 1) // 2 <= params.census_max_triples:
            estimates["probes"] = all_triples(census(words))
        else:
            estimates["weighted"] = weighted_triples(
                words,
                params.weighted_triples,
                layer_seed(params.seed, "weighted_triples", layer),
            )
        (obstruction,) = estimates.values()
        estimates["uniform"] = uniform_tuples(
            words, params.uniform_tuples, layer_seed(params.seed, "uniform_tuples", layer)
        )
        sampling += [
            dict(zip(columns.SAMPLING, (layer, name, *sampling_row(estimate)), strict=True))
            for name, estimate in estimates.items()
        ]
        literal = literal_jacobiator(
            operators,
            combination,
            params.jacobi_triples,
            layer_seed(params.seed, "literal_triples", layer),
        )
        row = (
            layer,
            literal.n_triples,
            params.probes,
            literal.rms,
            literal.noise,
            literal.bound,
            obstruction.value,
            obstruction.low,
            obstruction.high,
            literal.hochschild_residual,
            "" if n >= 3 else f"n = {n}: no Jacobiator",
        )
        rows.append(dict(zip(columns.LINF, row, strict=True)))
    write_table(snakemake.output.sampling, sampling, columns.SAMPLING, origin(snakemake))
    write_table(snakemake.output.linf, rows, columns.LINF, origin(snakemake))
