"""Dense and sampled extraction of layers made to have a condition number and a known answer."""

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.algebra.basis import basis_elements, conditioning, orthonormal_basis
from headalgebra.algebra.constructed import ELEMENTS, conditioned_layer
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf.dense import extract_dense
from headalgebra.algebra.linf.sampled import (
    ProbedWords,
    all_triples,
    census,
    sphere_probes,
    uniform_tuples,
)
from headalgebra.seeds import layer_seed
from stage import job, progress, write_csv

if TYPE_CHECKING:
    snakemake: Any

KAPPAS = (10.0, 80.0, 200.0, 800.0, 5e3, 1e6)
"""Two in each of the paper's bands, the last far into the poor one."""

DRAWS = 3

SHAPES = {"even": (6, 64), "uneven": (12, 32)}
"""n and d: the largest basis that the paper extracts densely, and one that it samples."""

with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    seed = settings["seed"]
    rows = []
    cases = list(enumerate(product(ELEMENTS, KAPPAS, range(DRAWS))))
    for case, (elements, kappa, _) in progress(cases, "measure_conditioning"):
        n, d = SHAPES[elements]
        layer = conditioned_layer(
            kappa,
            n,
            d,
            elements=elements,
            seed=layer_seed(seed, "conditioned_layers", case),
        )
        blocks = gram_blocks(layer.operators, balance_above=settings["balance_above"])
        basis = orthonormal_basis(
            blocks, rank_cutoff=settings["rank_cutoff"], gram_floor=settings["gram_floor"]
        )
        dense = extract_dense(basis_elements(blocks.operators, basis.coefficients))
        probes = sphere_probes(d, settings["probes"], layer_seed(seed, "probes", case))
        words = ProbedWords(blocks.operators, basis.coefficients, probes)
        sampled = all_triples(census(words))
        # All directions for probes: the norms of the tuples are exact, as the paper has them.
        whole = math.sqrt(d) * torch.eye(d, dtype=torch.float64)
        uniform = uniform_tuples(
            ProbedWords(blocks.operators, basis.coefficients, whole),
            settings["uniform_tuples"],
            layer_seed(seed, "uniform_tuples", case),
        )
        exact = extract_dense(layer.elements).obstruction_rms
        row = (
            case,
            elements,
            n,
            basis.kappa,
            conditioning(basis.kappa, **settings["conditioning"]),
            exact,
            dense.obstruction_rms,
            sampled.value,
            sampled.low,
            sampled.high,
            uniform.value,
            uniform.low,
            uniform.high,
            abs(dense.obstruction_rms / exact - 1),
            abs(sampled.value / exact - 1),
            abs(sampled.value / dense.obstruction_rms - 1),
            dense.coherence_residual,
        )
        rows.append(dict(zip(columns.CONDITIONING, row, strict=True)))
        print(f"case {case}: {elements} elements, κ = {basis.kappa:.6g}")
    write_csv(snakemake.output[0], pd.DataFrame(rows), columns.CONDITIONING)
