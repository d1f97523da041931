r"""Estimators of the obstruction's root mean square over triples, from :mod:`.words`.

No d×d product is formed. Which estimator when: :func:`census` for every triple of a basis, where
that is affordable; :func:`weighted_triples` beyond; :func:`uniform_tuples` only to compare with the
paper's form, whose interval is far too narrow on trained layers.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from headalgebra.algebra.linf.words import ProbedWords
from headalgebra.algebra.operators import HeadOperators

CONFIDENCE = 0.95


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
    """Root mean square over a :func:`census`; the probes alone are random."""
    per_probe = squared_norms.mean(0)
    n_triples, n_probes = squared_norms.shape
    mean = float(per_probe.mean())
    standard_error = float(per_probe.std()) / math.sqrt(n_probes)
    return _log_interval(mean, standard_error, n_probes - 1, n_triples, n_probes)


def uniform_tuples(words: ProbedWords, n_drawn: int, seed: np.random.SeedSequence) -> Estimate:
    """The paper's estimator: triples drawn uniformly, with repetition, and a normal interval.

    Each triple's squared norm is its mean over the probes. For comparison only: the squared norms
    of a trained layer's triples have heavy tails, and the interval covers far less than it says.
    """
    n = len(words.coefficients)
    pairs = n * (n - 1) // 2
    drawn = np.random.default_rng(seed).integers(n * pairs, size=n_drawn)
    squared = words.drawn_squared(torch.from_numpy(drawn)).mean(1)
    mean, half = float(squared.mean()), float(squared.std()) / math.sqrt(n_drawn)
    half *= stats.norm.ppf((1 + CONFIDENCE) / 2)
    low, high = max(mean - half, 0.0), mean + half
    return Estimate(math.sqrt(mean), math.sqrt(low), math.sqrt(high), n_drawn, words.n_probes)


def weighted_triples(words: ProbedWords, n_drawn: int, seed: np.random.SeedSequence) -> Estimate:
    r"""Triples drawn in proportion to :math:`||[E_c,E_a]||^2 ||E_b||_2^2`, crossed with the probes.

    Hansen and Hurwitz (1943): unbiased for the mean square whatever the weights; the interval adds
    the variance between probes and that between triples. Calibrated from about 200 draws; takes
    two at least.
    """
    pair_weight = words.pair_squared[words.c, words.a]
    generator = np.random.default_rng(seed)
    element_weight = spectral_norms(words.operators, words.coefficients, generator) ** 2
    weight = torch.outer(element_weight, pair_weight).flatten()
    if not weight.sum() > 0:  # every commutator is exactly zero, and so is every triple
        return Estimate(0.0, 0.0, 0.0, n_drawn, words.n_probes)
    weight = weight.double()  # probabilities that add up to 1 in numpy's arithmetic
    probability = (weight / weight.sum()).cpu().numpy()
    drawn = generator.choice(len(probability), size=n_drawn, p=probability)
    squared = words.drawn_squared(torch.from_numpy(drawn))
    n_total = len(probability)
    scaled = squared / torch.from_numpy(n_total * probability[drawn]).to(squared)[:, None]
    variance = _crossed_variance(scaled)
    return _log_interval(
        float(scaled.mean()), math.sqrt(variance), words.n_probes - 1, n_drawn, words.n_probes
    )


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


def _log_interval(
    mean: float, standard_error: float, freedom: int, n_triples: int, n_probes: int
) -> Estimate:
    """Interval of a root mean square, symmetric in the logarithm of the mean square."""
    if mean == 0.0:
        return Estimate(0.0, 0.0, 0.0, n_triples, n_probes)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * standard_error / mean
    value = math.sqrt(mean)
    return Estimate(
        value, value * math.exp(-half / 2), value * math.exp(half / 2), n_triples, n_probes
    )
