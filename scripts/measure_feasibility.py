"""Time and memory of extraction at the sizes that the paper calls feasible and infeasible."""

import math
import resource
from collections.abc import Mapping
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from headalgebra import columns
from headalgebra.algebra.basis import basis_elements, orthonormal_basis
from headalgebra.algebra.constructed import gaussian_layer
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf.dense import dense_bytes, extract_dense
from headalgebra.algebra.linf.sampled import ProbedWords, all_triples, census, sphere_probes
from headalgebra.algebra.operators import HeadOperators
from headalgebra.seeds import layer_seed
from stage import job, progress, write_csv

if TYPE_CHECKING:
    snakemake: Any

WIDTH, HEAD_WIDTH = 512, 64

RUNS = (("probes", 10), ("dense", 6), ("dense", 10))
"""By the memory they take, so that the peak after each is its own."""

REPEATS = 3
"""Of the short run, whose best time is kept."""


class Stopwatch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self.start = perf_counter(), process_time()

    def seconds(self) -> dict[str, float]:
        """Both, as columns of the table."""
        wall, cpu = self.start
        return {"wall_s": perf_counter() - wall, "cpu_s": process_time() - cpu}


def dense_columns(operators: HeadOperators, coefficients: torch.Tensor) -> dict[str, Any]:
    """What dense extraction gives; nothing but that it ran out of memory, if it does."""
    clock = Stopwatch()
    try:
        found = extract_dense(basis_elements(operators, coefficients))
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        return {"completed": False}
    value = found.obstruction_rms
    return {
        **clock.seconds(),
        "completed": True,
        "obstruction_rms": value,
        "obstruction_ci_low": value,
        "obstruction_ci_high": value,
        "literal_residual": found.coherence_residual,
    }


def extraction(route: str, n: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """One extraction of a random layer of n heads."""
    operators = gaussian_layer(
        n, WIDTH, HEAD_WIDTH, seed=layer_seed(settings["seed"], "feasibility", n)
    )
    blocks = gram_blocks(operators, balance_above=settings["balance_above"])
    basis = orthonormal_basis(
        blocks, rank_cutoff=settings["rank_cutoff"], gram_floor=settings["gram_floor"]
    )
    row = {
        **dict.fromkeys(columns.FEASIBILITY, math.nan),
        "route": route,
        "n": n,
        "d_model": WIDTH,
        "n_triples": n * math.comb(n, 2),
    }
    if route == "dense":
        row |= {"n_probes": 0, "bytes": dense_bytes(n, WIDTH)}
        row |= dense_columns(blocks.operators, basis.coefficients)
    else:
        probes = sphere_probes(WIDTH, settings["probes"], layer_seed(settings["seed"], "probes", n))
        times: list[dict[str, float]] = []
        for _ in range(REPEATS):
            clock = Stopwatch()
            found = all_triples(census(ProbedWords(blocks.operators, basis.coefficients, probes)))
            times.append(clock.seconds())
        least = min(times, key=lambda time: time["cpu_s"])
        row |= {
            **least,
            "completed": True,
            "n_probes": found.n_probes,
            "obstruction_rms": found.value,
            "obstruction_ci_low": found.low,
            "obstruction_ci_high": found.high,
        }
    # Linux gives kilobytes; this is the process's, Python and torch included.
    row["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return row


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    rows = []
    for route, n in progress(RUNS, "measure_feasibility"):
        rows.append(extraction(route, n, snakemake.params.settings))
        print(f"{route}, n = {n}, d = {WIDTH}: {rows[-1]['wall_s']:.3g} s")
    table = pd.DataFrame(rows).astype({"bytes": "Int64"})
    write_csv(snakemake.output[0], table, columns.FEASIBILITY)
