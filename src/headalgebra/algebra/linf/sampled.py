r"""Estimators of the obstruction's root mean square over triples, from :mod:`.words`.

No d×d product is formed. Which estimator when: :func:`census` for every triple of a basis, where
that is affordable; :func:`weighted_triples` beyond; :func:`uniform_tuples` only to compare with the
paper's form, whose interval is far too narrow on trained layers. Where :mod:`.exact` is affordable,
nothing needs to be estimated.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from headalgebra.algebra.linf.words import ProbedWords
from headalgebra.algebra.operators import HeadOperators

CONFIDENCE = 0.95

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A root mean square over triples with its 95 % interval.

    Attributes
    ----------
    value, low, high
        The estimate and the ends of its interval.
    n_triples
        Triples evaluated (draws, where triples are drawn).
    n_probes
        Directions each triple was applied to.
    """

    value: float
    low: float
    high: float
    n_triples: int
    n_probes: int


def census(words: ProbedWords) -> Float[Tensor, "N p"]:
    """Squared norms of :math:`[E_b,[E_c,E_a]]z_r` for every triple (b; a < c) and probe z_r."""
    n = len(words.coefficients)
    return words.drawn_squared(torch.arange(n * n * (n - 1) // 2))


def all_triples(squared_norms: Float[Tensor, "N p"]) -> Estimate:
    """Root mean square over a :func:`census`; the probes alone are random.

    Raises
    ------
    ValueError
        For fewer than two probes.
    """
    n_triples, n_probes = squared_norms.shape
    _refuse_one_probe(n_probes)
    per_probe = squared_norms.double().mean(0)
    return _skewed_interval(
        float(per_probe.mean()),
        variance=float(per_probe.var()) / n_probes,
        third_moment=_third_moment(per_probe) / n_probes**2,
        freedom=n_probes - 1,
        n_triples=n_triples,
        n_probes=n_probes,
    )


def uniform_tuples(
    squared_norms: Float[Tensor, "N"], n_drawn: int, seed: np.random.SeedSequence
) -> Estimate:
    """The paper's estimator: triples drawn uniformly, with repetition, and a normal interval.

    For comparison only: the squared norms of a trained layer's triples have heavy tails, and the
    interval covers far less than it says.

    Parameters
    ----------
    squared_norms
        ``[N]``, of every triple: exact ones, or means over probes.
    """
    value, low, high = _uniform_estimates(squared_norms, (1, n_drawn), seed)
    return Estimate(float(value[0]), float(low[0]), float(high[0]), n_drawn, 0)


def uniform_coverage(
    squared_norms: Float[Tensor, "N"],
    n_drawn: int,
    repetitions: int,
    seed: np.random.SeedSequence,
) -> float:
    """Share of repetitions whose interval of :func:`uniform_tuples` holds the exact value."""
    exact = math.sqrt(float(squared_norms.mean()))
    _, low, high = _uniform_estimates(squared_norms, (repetitions, n_drawn), seed)
    return float(np.mean((low <= exact) & (exact <= high)))


def weighted_triples(
    words: Iterable[ProbedWords],
    n_drawn: int,
    seed: np.random.SeedSequence,
    *,
    pair_squared: Float[Tensor, "n n"] | None = None,
) -> Estimate:
    r"""Triples drawn in proportion to :math:`||[E_c,E_a]||^2 ||E_b||_2^2`, crossed with the probes.

    Hansen and Hurwitz (1943): unbiased for the mean square whatever the weights; the interval adds
    the variance between probes and that between triples. Calibrated from about 200 draws; takes
    two at least.

    Parameters
    ----------
    words
        In one basis, of one block of probes after another.
    pair_squared
        ``[n, n]``, what :math:`||[E_c,E_a]||^2` is taken to be: from :func:`pair_means`, or by
        default the mean over the probes of the first block.

    Raises
    ------
    ValueError
        For fewer than two probes.
    """
    blocks = iter(words)
    block = next(blocks)
    if pair_squared is None:
        pair_squared = block.pair_squared
    probability = _weights(block, pair_squared, generator := np.random.default_rng(seed))
    if probability is None:  # every commutator is exactly zero, and so is every triple
        n_probes = block.n_probes + sum(other.n_probes for other in blocks)
        return Estimate(0.0, 0.0, 0.0, n_drawn, n_probes)
    drawn = generator.choice(len(probability), size=n_drawn, p=probability)
    triples = torch.from_numpy(drawn)
    squares = [block.drawn_squared(triples).double()]
    del block  # before the next one is formed
    squares += map(lambda other: other.drawn_squared(triples).double(), blocks)
    squared = torch.cat(squares, dim=1)
    scale = torch.from_numpy(len(probability) * probability[drawn]).to(squared)
    scaled = squared / scale[:, None]
    n_probes = scaled.shape[1]
    _refuse_one_probe(n_probes)
    return _skewed_interval(
        float(scaled.mean()),
        variance=_crossed_variance(scaled),
        third_moment=_third_moment(scaled.mean(0)) / n_probes**2
        + _third_moment(scaled.mean(1)) / n_drawn**2,
        freedom=n_probes - 1,
        n_triples=n_drawn,
        n_probes=n_probes,
    )


def pair_means(words: Iterable[ProbedWords]) -> Float[Tensor, "n n"]:
    """Mean over all their probes of :math:`||[E_b, E_a] z||^2`."""
    sums, n_probes = [], 0
    for block in words:
        sums.append(block.pair_squared * block.n_probes)
        n_probes += block.n_probes
        del block  # before the next one is formed
    return torch.stack(sums).sum(0) / n_probes


def _weights(
    words: ProbedWords, pair_squared: Float[Tensor, "n n"], generator: np.random.Generator
) -> Values | None:
    """Probability of every triple to be drawn; none where every commutator is zero."""
    pair_weight = pair_squared[words.c, words.a]
    element_weight = spectral_norms(words.operators, words.coefficients, generator) ** 2
    # In double, for probabilities that add up to 1 in numpy's arithmetic.
    weight = torch.outer(element_weight, pair_weight).flatten().double()
    return (weight / weight.sum()).cpu().numpy() if weight.sum() > 0 else None


def rounding_error(
    blocks: Iterable[tuple[ProbedWords, ProbedWords]], n_compared: int | None
) -> float:
    """Relative error of the root mean square that words in a smaller dtype may have.

    The errors of all triples are added up without sign, so that none makes up for another. So many
    triples are compared, evenly spaced, or all for None.

    Parameters
    ----------
    blocks
        For each block of probes the words in the smaller dtype and in float64.
    """
    moved = squares = 0.0
    for rounded, exact in blocks:
        n = len(exact.coefficients)
        n_triples = n * n * (n - 1) // 2
        compared = min(n_compared or n_triples, n_triples)
        triples = torch.linspace(0, n_triples - 1, compared, dtype=torch.float64).round().long()
        squared = exact.drawn_squared(triples)
        moved += float((rounded.drawn_squared(triples).double() - squared).abs().sum())
        squares += float(squared.sum())
        del rounded, exact  # before the next ones are formed
    return moved / squares / 2 if squares else math.nan


def spectral_norms(
    operators: HeadOperators,
    coefficients: Float[Tensor, "n H"],
    generator: np.random.Generator,
    iterations: int = 12,
) -> Float[Tensor, "n"]:
    """Largest singular value of each basis element, by power iteration through the factors.

    A lower bound, close enough to weight a draw by.
    """
    start = torch.from_numpy(generator.standard_normal((operators.d_model, 1)))
    start = start.to(operators.query_matrix)
    transposed = HeadOperators(
        operators.keys_by_head(),
        operators.query_matrix,
        torch.arange(operators.n_heads, device=start.device),
    )
    by_head = coefficients.T[:, None]  # H 1 n
    vectors = start.expand(-1, len(coefficients))
    norms = torch.zeros_like(vectors[0])
    smallest = torch.finfo(norms.dtype).tiny
    for _ in range(iterations):
        vectors = vectors / torch.linalg.vector_norm(vectors, dim=0).clamp(min=smallest)
        image = operators.query_combination(by_head * operators.key_products(vectors))
        norms = torch.linalg.vector_norm(image, dim=0)
        vectors = transposed.query_combination(by_head * transposed.key_products(image))
    return norms


def _uniform_estimates(
    squared_norms: Float[Tensor, "N"], shape: tuple[int, int], seed: np.random.SeedSequence
) -> tuple[Values, Values, Values]:
    """Root mean squares of repeated uniform draws, a row each, and the ends of their intervals."""
    population = squared_norms.double().cpu().numpy()
    drawn = population[np.random.default_rng(seed).integers(len(population), size=shape)]
    mean = drawn.mean(1)
    half = drawn.std(1, ddof=1) / math.sqrt(shape[1]) * stats.norm.ppf((1 + CONFIDENCE) / 2)
    return np.sqrt(mean), np.sqrt(np.maximum(mean - half, 0.0)), np.sqrt(mean + half)


def _refuse_one_probe(n_probes: int) -> None:
    if n_probes < 2:
        raise ValueError(f"{n_probes} probe: an interval needs two at the least")


def _crossed_variance(squared: Float[Tensor, "m p"]) -> float:
    """Variance of the grand mean of a triples × probes table, both margins random.

    The triples are drawn with replacement, so that no finite-population factor applies, however
    many of them there are.
    """
    m, p = squared.shape
    rows, columns, grand = squared.mean(1), squared.mean(0), squared.mean()
    interaction = squared - rows[:, None] - columns[None, :] + grand
    interaction_mean_square = float(interaction.square().sum()) / ((m - 1) * (p - 1))
    between_triples = max(float(rows.var()) - interaction_mean_square / p, 0.0)
    return float(columns.var()) / p + between_triples / m


def _third_moment(sample: Float[Tensor, "m"]) -> float:
    """Third central moment of what a sample was drawn from, without bias."""
    m = len(sample)
    if m < 3:
        return 0.0
    return float((sample - sample.mean()).pow(3).sum()) * m / ((m - 1) * (m - 2))


def _skewed_interval(
    mean: float,
    *,
    variance: float,
    third_moment: float,
    freedom: int,
    n_triples: int,
    n_probes: int,
) -> Estimate:
    """Interval of a root mean square whose square is estimated by a skewed mean.

    Student's t is put through the inverse of Hall's cubic transformation (Hall 1992, J. R.
    Statist. Soc. B 54, 221), which takes the skewness out of a studentised mean and is monotone.

    Parameters
    ----------
    mean
        Of the squared norms.
    variance, third_moment
        Of that mean.
    """
    if mean == 0.0:
        return Estimate(0.0, 0.0, 0.0, n_triples, n_probes)
    standard_error = math.sqrt(variance)
    quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))
    skewness = third_moment / standard_error**3 if standard_error > 0 else 0.0
    low, high = (
        mean - standard_error * _without_skewness(t, skewness) for t in (quantile, -quantile)
    )
    return Estimate(math.sqrt(mean), math.sqrt(max(low, 0.0)), math.sqrt(high), n_triples, n_probes)


def _without_skewness(t: float, skewness: float) -> float:
    """The studentised mean of that skewness at which Hall's transformation is t."""
    if abs(skewness) < torch.finfo(torch.float64).eps:
        return t
    moved = skewness * (t - skewness / 6)
    # The cube root of 1 + moved, less 1, without cancellation for a small skewness.
    root = math.expm1(math.log1p(moved) / 3) if moved > -1 else math.cbrt(1 + moved) - 1
    return 3 / skewness * root
