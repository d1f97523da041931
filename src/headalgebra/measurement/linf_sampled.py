"""The tables `linf_sampled` and `sampling` of one layer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.linf import sampled
from headalgebra.algebra.linf.exact import triple_squares
from headalgebra.algebra.linf.words import ProbedWords, probed_words, probes_held, sphere_probes
from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import (
    CENSUS_MAX_TRIPLES,
    JACOBI_TRIPLES,
    LITERAL_MAX_D,
    PROBES,
    PROBES_AT_ONCE,
    UNIFORM_TUPLES,
    WEIGHTED_TRIPLES,
)
from headalgebra.measurement._literal import literal_identities, too_few
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

COMPARED_PROBES = 4
"""Probes on which words in float32 are held against words in float64."""

ROUNDING_SHARE = 0.01
"""Of an interval's half width: float32 may move the value by no more."""

WordsOf = Callable[[Float[Tensor, "d p"]], ProbedWords]
"""Gives the words of a block of probes."""

REPETITIONS = 1000
"""Draws of uniform tuples whose intervals are held against an exact value."""


def extract_linf_sampled(
    layer: int,
    blocks: GramBlocks,
    coefficients: Float[Tensor, "n H"],
    *,
    route: str = "sampled",
    probes: int = PROBES,
    device: torch.device | None = None,
    jacobi_triples: int = JACOBI_TRIPLES,
    literal_max_d: int = LITERAL_MAX_D,
    census_max_triples: int = CENSUS_MAX_TRIPLES,
    weighted_triples: int = WEIGHTED_TRIPLES,
    uniform_tuples: int = UNIFORM_TUPLES,
    seed: int = 0,
) -> tuple[Row, list[Row]]:
    """Extraction without dense arrays: the obstruction exactly, or by random directions.

    Words of the basis elements are applied to the directions in float32. Where a few of them in
    float64 show that this could move the estimate by more than a hundredth of its interval, all of
    them are in float64.

    Parameters
    ----------
    coefficients
        Of the basis elements in the heads.
    literal_max_d
        Coordinates on which the literal Jacobiator is multiplied out, at the most.
    route
        With ``"exact"`` the obstruction is exact, and the estimates are there to be held against
        it.
    probes
        Directions, uniform on a sphere.
    device
        Where words are applied to directions; by default where the blocks are. What is exact, and
        the literal Jacobiator, stay there.
    census_max_triples, weighted_triples
        Every triple is taken if there are no more than the first; otherwise as many as the second
        are drawn, in proportion to their size.
    uniform_tuples
        Index tuples drawn evenly from all triples, as the paper has it, for comparison.

    Returns
    -------
    linf
        A row of :data:`headalgebra.columns.LINF`.
    sampling
        A row of :data:`headalgebra.columns.SAMPLING` for each estimate.
    """
    operators = blocks.operators
    n = len(coefficients)
    directions = sphere_probes(operators.d_model, probes, layer_seed(seed, "probes", layer))
    takes_all = n * n * (n - 1) // 2 <= census_max_triples
    on = device or operators.query_matrix.device
    estimate, dtype, squares = _estimated(
        operators.to(on),
        coefficients.to(on),
        directions.to(on),
        None if takes_all else weighted_triples,
        layer_seed(seed, "weighted_triples", layer),
    )
    rows = [_sampling_row(layer, "probes" if takes_all else "weighted", estimate, dtype)]
    obstruction, coverage, repetitions = estimate, math.nan, 0
    if route == "exact":
        squares = triple_squares(operators, coefficients).flatten()
        value = math.sqrt(float(squares.mean()))
        obstruction = sampled.Estimate(value, value, value, len(squares), 0)
        rows.insert(0, _sampling_row(layer, "exact", obstruction, squares.dtype))
        repetitions = REPETITIONS
        coverage = sampled.uniform_coverage(
            squares, uniform_tuples, repetitions, layer_seed(seed, "uniform_coverage", layer)
        )
    if squares is not None:
        evenly = sampled.uniform_tuples(
            squares, uniform_tuples, layer_seed(seed, "uniform_tuples", layer)
        )
        # Norms of which nothing is exact rest on the probes.
        evenly = replace(evenly, n_probes=obstruction.n_probes)
        rows.append(_sampling_row(layer, "uniform", evenly, squares.dtype, coverage, repetitions))
    linf = {
        "layer": layer,
        "n_probes": obstruction.n_probes,
        "obstruction_rms": obstruction.value,
        "obstruction_ci_low": obstruction.low,
        "obstruction_ci_high": obstruction.high,
        **literal_identities(
            layer,
            operators,
            coefficients,
            jacobi_triples=jacobi_triples,
            max_d=literal_max_d,
            seed=seed,
            note=too_few(n),
        ),
    }
    return linf, rows


def _estimated(
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    directions: Float[Tensor, "d p"],
    drawn: int | None,
    seed: np.random.SeedSequence,
) -> tuple[sampled.Estimate, torch.dtype, Float[Tensor, "N"] | None]:
    """The estimate by probes, its words' dtype, and the mean square of every triple if all are
    taken, which is where `drawn` is None."""

    def words_in(dtype: torch.dtype) -> WordsOf:
        rounded, elements = operators.rounded(dtype), coefficients.to(dtype)
        return lambda probes: probed_words(rounded, elements, probes.to(dtype))

    held = probes_held(len(coefficients), operators.query_matrix.shape[1])

    def blocks(at_most: int) -> Sequence[Float[Tensor, "d b"]]:
        first = directions[:, :at_most]
        return first.tensor_split(math.ceil(first.shape[1] / held), dim=1)

    def estimate(words_of: WordsOf) -> tuple[sampled.Estimate, Float[Tensor, "N"] | None]:
        # Mapped, so that no block of words is held while the next one is formed.
        words = map(words_of, blocks(directions.shape[1]))
        if drawn is None:
            squared = torch.cat(list(map(sampled.census, words)), dim=1).double()
            return sampled.all_triples(squared), squared.mean(1)
        weights = None
        if held < min(PROBES_AT_ONCE, directions.shape[1]):
            # The first block has too few probes to tell large commutators by.
            weights = sampled.pair_means(map(words_of, blocks(PROBES_AT_ONCE)))
        return sampled.weighted_triples(words, drawn, seed, pair_squared=weights), None

    single, double = words_in(torch.float32), words_in(torch.float64)
    both = ((single(few), double(few)) for few in blocks(COMPARED_PROBES))
    error = sampled.rounding_error(both, drawn)
    found, squares = estimate(single)
    # Written so that what is not a number goes on to float64.
    if error * found.value <= ROUNDING_SHARE * (found.high - found.low) / 2:
        return found, torch.float32, squares
    found, squares = estimate(double)
    return found, torch.float64, squares


def _sampling_row(
    layer: int,
    estimator: str,
    estimate: sampled.Estimate,
    dtype: torch.dtype,
    coverage: float = math.nan,
    repetitions: int = 0,
) -> Row:
    return {
        "layer": layer,
        "estimator": estimator,
        "dtype": str(dtype).removeprefix("torch."),
        "n_triples": estimate.n_triples,
        "n_probes": estimate.n_probes,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "coverage": coverage,
        "repetitions": repetitions,
    }
