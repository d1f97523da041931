r"""L∞ extraction without a d×d product: every triple, seen through random directions.

:math:`||X||_F^2 = E||Xz||^2` for z uniform on the sphere of radius √d, and a word in the basis
elements acts on a block of such probes through the factors of the heads. With p probes all
``n C(n,2)`` triples cost ``2 d H r p (1 + 2n + 2n² + n C(n,2))`` flops.

Which estimator when: :func:`census` for every triple of a basis, where that is affordable;
:func:`weighted_triples` beyond; :func:`uniform_tuples` only to compare with the paper's form, whose
interval is far too narrow on trained layers.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import WORDS_HELD

CONFIDENCE = 0.95

NUMBERS_HELD = 2**21
"""Numbers in one block of triples: 16 MB, near the caches and wide enough for a full-speed GEMM."""


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


def sphere_probes(
    d: int, n_probes: int, seed: np.random.SeedSequence, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "d p"]:
    """Directions uniform on the sphere of radius √d in R^d, one a column.

    The same directions in every dtype, but for their rounding.
    """
    gaussian = np.random.default_rng(seed).standard_normal((n_probes, d)).T
    directions = gaussian * (math.sqrt(d) / np.linalg.norm(gaussian, axis=0))
    return torch.from_numpy(directions).to(dtype)


class ProbedWords:
    """Words of length two in the basis elements, applied to a block of probes.

    Parameters
    ----------
    operators
        The heads.
    coefficients
        ``[n, H]``, the basis elements over the heads.
    probes
        ``[d, p]``, from :func:`sphere_probes`.

    Raises
    ------
    ValueError
        For fewer than two basis elements or probes.

    Attributes
    ----------
    keyed
        ``[H, r, n, n, p]``, ``K_h^T E_b E_a Z`` at ``[h, :, b, a]``.
    a, c
        ``[n(n-1)/2]``, the pairs a < c.
    keyed_brackets
        ``[H, r, n(n-1)/2, p]``, ``K_h^T [E_c, E_a] Z`` for those pairs.
    pair_squared
        ``[n, n]``, mean over the probes of :math:`||[E_b, E_a] z||^2`.
    """

    def __init__(
        self,
        operators: HeadOperators,
        coefficients: Float[Tensor, "n H"],
        probes: Float[Tensor, "d p"],
    ) -> None:
        if len(coefficients) < 2 or probes.shape[1] < 2:
            raise ValueError(
                f"{len(coefficients)} basis elements and {probes.shape[1]} probes: "
                "a sampled bracket and its interval need two of each"
            )
        self.operators, self.coefficients = operators, coefficients
        d, self.n_probes = probes.shape
        n = len(coefficients)
        shape = (operators.n_heads, operators.d_head, n, n, self.n_probes)
        self.keyed = probes.new_empty(shape)
        self.pair_squared = probes.new_empty(n, n)
        letters = self._prepend(coefficients, operators.key_products(probes))
        keyed_letters = operators.key_products(letters)
        # Words in d dimensions are held for a square of letters at a time.
        per_word = max(d, operators.query_matrix.shape[1]) * self.n_probes
        side = max(1, math.isqrt(WORDS_HELD // per_word))
        spans = [slice(start, min(start + side, n)) for start in range(0, n, side)]
        for second, first in combinations_with_replacement(spans, 2):
            words = self._form_words(keyed_letters, second, first)
            reversed_words = (
                words if first is second else self._form_words(keyed_letters, first, second)
            )
            squared = (words - reversed_words.transpose(1, 2)).square_().sum(0).mean(-1)
            self.pair_squared[second, first] = squared
            self.pair_squared[first, second] = squared.T
        self.a, self.c = torch.triu_indices(n, n, offset=1, device=probes.device)
        self.keyed_brackets = probes.new_empty(*shape[:2], len(self.a), self.n_probes)
        of_first = self.keyed_brackets.split(list(range(n - 1, 0, -1)), dim=2)
        for a, brackets in enumerate(of_first):
            torch.sub(self.keyed[:, :, a + 1 :, a], self.keyed[:, :, a, a + 1 :], out=brackets)

    def _form_words(
        self, keyed_letters: Float[Tensor, "H r n p"], second: slice, first: slice
    ) -> Float[Tensor, "d s f p"]:
        """``E_b E_a Z`` for spans of b and a; what the keys make of them is kept."""
        words = self._prepend(self.coefficients[second], keyed_letters[:, :, first])
        self.keyed[:, :, second, first] = self.operators.key_products(words)
        return words

    def _prepend(
        self, coefficients: Float[Tensor, "s H"], keyed: Float[Tensor, "H r *word"]
    ) -> Float[Tensor, "d s *word"]:
        """``E_b Y`` for elements of those coefficients, from ``K_h^T Y``."""
        word = keyed.shape[2:]
        by_element = coefficients.T.reshape(self.operators.n_heads, 1, -1, *(1 for _ in word))
        return self.operators.query_combination(by_element * keyed[:, :, None])

    def drawn_squared(self, index: Int[Tensor, "t"]) -> Float[Tensor, "t p"]:
        """Squared norms for triples (b; a < c) given by their place in the order of b, a, c."""
        per_triple = self.operators.query_matrix.shape[1] * self.n_probes
        blocks = index.to(self.a.device).split(max(1, NUMBERS_HELD // per_triple))
        pairs = len(self.a)
        return torch.cat([self.nested_squared(block // pairs, block % pairs) for block in blocks])

    def nested_squared(self, b: Int[Tensor, "t"], pair: Int[Tensor, "t"]) -> Float[Tensor, "t p"]:
        r""":math:`||[E_b,[E_c,E_a]]z||^2` for some triples and every probe.

        The three words are combined before the last query factor:
        ``E_b[E_c,E_a]Z − E_c(E_aE_bZ) + E_a(E_cE_bZ)``.
        """
        a, c = self.a[pair], self.c[pair]
        by_head = self.coefficients.T[:, None, :, None]  # H 1 n 1
        inner = by_head[:, :, b] * self.keyed_brackets[:, :, pair]
        inner.addcmul_(by_head[:, :, c], self.keyed[:, :, a, b], value=-1)
        inner.addcmul_(by_head[:, :, a], self.keyed[:, :, c, b])
        return self.operators.query_combination(inner).square_().sum(0)


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
