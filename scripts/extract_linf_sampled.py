"""L∞ extraction by sphere probes, of the layers that basis routed to it."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.algebra.linf.sampled import (
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
from literal import literal_columns
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
    settings = snakemake.params.settings
    basis = pd.read_parquet(snakemake.input.basis)
    coefficients = basis_coefficients(snakemake.input.coefficients)
    routed = basis.loc[basis["route"].isin(["sampled", "mixed"]), "layer"].tolist()
    rows, sampling = [], []
    for layer, blocks in gram_blocks_by_layer(snakemake, routed):
        operators, combination = blocks.operators, coefficients[layer]
        n = len(combination)
        probes = sphere_probes(
            operators.d_model, settings["probes"], layer_seed(settings["seed"], "probes", layer)
        )
        words = ProbedWords(operators, combination, probes)
        estimates = {}
        if n * n * (n - 1) // 2 <= settings["census_max_triples"]:
            estimates["probes"] = all_triples(census(words))
        else:
            estimates["weighted"] = weighted_triples(
                words,
                settings["weighted_triples"],
                layer_seed(settings["seed"], "weighted_triples", layer),
            )
        (obstruction,) = estimates.values()
        estimates["uniform"] = uniform_tuples(
            words, settings["uniform_tuples"], layer_seed(settings["seed"], "uniform_tuples", layer)
        )
        del words  # they may be most of what a layer needs
        sampling += [
            dict(zip(columns.SAMPLING, (layer, name, *sampling_row(estimate)), strict=True))
            for name, estimate in estimates.items()
        ]
        row = {
            "layer": layer,
            "n_probes": settings["probes"],
            "obstruction_rms": obstruction.value,
            "obstruction_ci_low": obstruction.low,
            "obstruction_ci_high": obstruction.high,
            "note": (
                ""
                if n >= 3
                else f"n = {n}: no three elements, so no Jacobiator and no Hochschild residual"
            ),
        }
        rows.append(row | literal_columns(operators, combination, layer, settings))
    write_table(snakemake.output.sampling, sampling, columns.SAMPLING, origin(snakemake))
    write_table(snakemake.output.linf, rows, columns.LINF, origin(snakemake))
