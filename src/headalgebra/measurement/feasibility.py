"""The table `feasibility`: time and memory at the sizes that the paper calls feasible and not."""

import math
import resource
from collections.abc import Callable
from time import perf_counter, process_time
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra import columns
from headalgebra.algebra.basis import basis_elements, orthonormal_basis
from headalgebra.algebra.constructed import gaussian_layer
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf.dense import dense_bytes, extract_dense
from headalgebra.algebra.linf.sampled import all_triples, census
from headalgebra.algebra.linf.words import probed_words, sphere_probes
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import BALANCE_ABOVE, GRAM_FLOOR, PROBES, RANK_CUTOFF
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

Result = TypeVar("Result")

WIDTH, HEAD_WIDTH = 512, 64

RUNS = (("probes", 10), ("triple", 10), ("dense", 6), ("dense", 10))
"""Route and basis size, by the memory they take, so that the peak after each is its own.

A triple is one dense [E_b, [E_c, E_a]], which is what the paper samples.
"""

REPEATS = 3
"""Of the short runs, whose best time is kept."""


def measure_feasibility(
    route: str,
    n: int,
    *,
    balance_above: float = BALANCE_ABOVE,
    rank_cutoff: float = RANK_CUTOFF,
    gram_floor: float = GRAM_FLOOR,
    probes: int = PROBES,
    seed: int = 0,
) -> Row:
    """One extraction of a random layer of n heads.

    Parameters
    ----------
    route
        ``"dense"``, ``"probes"`` or ``"triple"``.

    Returns
    -------
    Mapping
        A row of :data:`headalgebra.columns.FEASIBILITY`.
    """
    operators = gaussian_layer(n, WIDTH, HEAD_WIDTH, seed=layer_seed(seed, "feasibility", n))
    blocks = gram_blocks(operators, balance_above=balance_above)
    basis = orthonormal_basis(blocks, rank_cutoff=rank_cutoff, gram_floor=gram_floor)
    row: dict[str, object] = {
        **dict.fromkeys(columns.FEASIBILITY, math.nan),
        "route": route,
        "n": n,
        "d_model": WIDTH,
        "n_triples": n * math.comb(n, 2),
    }
    if route == "dense":
        row |= {"n_probes": 0, "bytes": dense_bytes(n, WIDTH)}
        row |= _dense(blocks.operators, basis.coefficients)
    elif route == "triple":
        row |= {"n_probes": 0, "n_triples": 1}
        row |= _one_triple(basis_elements(blocks.operators, basis.coefficients[:3]))
    else:
        directions = sphere_probes(WIDTH, probes, layer_seed(seed, "probes", n))
        row |= _probed(blocks.operators, basis.coefficients, directions)
    # Linux gives kilobytes; this is the process's, Python and torch included.
    row["peak_rss_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return row


class _Stopwatch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self.start = perf_counter(), process_time()

    def seconds(self) -> dict[str, float]:
        """Both, as columns of the table."""
        wall, cpu = self.start
        return {"wall_s": perf_counter() - wall, "cpu_s": process_time() - cpu}


def _dense(operators: HeadOperators, coefficients: Float[Tensor, "n H"]) -> dict[str, object]:
    """What dense extraction gives; nothing but that it ran out of memory, if it does."""
    clock = _Stopwatch()
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


def _one_triple(elements: Float[Tensor, "3 d d"]) -> dict[str, object]:
    """The time of one dense nested bracket, the best of a few: two brackets, four products.

    Its norm is formed as well, for that is what is sampled.
    """
    a, b, c = elements

    def norm() -> float:
        inner = c @ a - a @ c
        return float(torch.linalg.matrix_norm(b @ inner - inner @ b))

    return {**_best_time(norm)[0], "completed": True}


def _probed(
    operators: HeadOperators, coefficients: Float[Tensor, "n H"], probes: Float[Tensor, "d p"]
) -> dict[str, object]:
    """What sampled extraction over every triple gives, in the best time of a few."""
    least, found = _best_time(
        lambda: all_triples(census(probed_words(operators, coefficients, probes)))
    )
    return {
        **least,
        "completed": True,
        "n_probes": found.n_probes,
        "obstruction_rms": found.value,
        "obstruction_ci_low": found.low,
        "obstruction_ci_high": found.high,
    }


def _best_time(compute: Callable[[], Result]) -> tuple[dict[str, float], Result]:
    """The least time that a computation takes of a few times, and what it gives."""
    times = []
    for _ in range(REPEATS):
        clock = _Stopwatch()
        result = compute()
        times.append(clock.seconds())
    return min(times, key=lambda time: time["cpu_s"]), result
