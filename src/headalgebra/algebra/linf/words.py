r"""Words of length two in the basis elements, applied to random directions.

:math:`||X||_F^2 = E||Xz||^2` for z uniform on the sphere of radius √d, and a word in the basis
elements acts on a block of such probes through the factors of the heads. With p probes all
``n C(n,2)`` triples cost ``2 d H r p (1 + 2n + 2n² + n C(n,2))`` flops.
"""

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators
from headalgebra.defaults import PROBES_AT_ONCE, WORDS_HELD, WORDS_KEPT

NUMBERS_HELD = 2**21
"""Numbers in one block of triples: 16 MB, near the caches and wide enough for a full-speed GEMM."""


def sphere_probes(
    d: int, n_probes: int, seed: np.random.SeedSequence, dtype: torch.dtype = torch.float64
) -> Float[Tensor, "d p"]:
    """Directions uniform on the sphere of radius √d in R^d, one a column.

    The same directions in every dtype, but for their rounding.
    """
    gaussian = np.random.default_rng(seed).standard_normal((n_probes, d)).T
    directions = gaussian * (math.sqrt(d) / np.linalg.norm(gaussian, axis=0))
    return torch.from_numpy(directions).to(dtype)


@dataclass(frozen=True)
class ProbedWords:
    """Words of length two in the basis elements E_a, applied to a block Z of probes.

    Attributes
    ----------
    operators
        The heads.
    coefficients
        ``[n, H]``, the basis elements over the heads.
    keyed
        ``[H, r, n, n, p]``, ``K_h^T E_b E_a Z`` at ``[h, :, b, a]``.
    a, c
        ``[n(n-1)/2]``, the pairs a < c.
    keyed_brackets
        ``[H, r, n(n-1)/2, p]``, ``K_h^T [E_c, E_a] Z`` for those pairs.
    pair_squared
        ``[n, n]``, mean over the probes of :math:`||[E_b, E_a] z||^2`.
    """

    operators: HeadOperators
    coefficients: Float[Tensor, "n H"]
    keyed: Float[Tensor, "H r n n p"]
    a: Int[Tensor, "pairs"]
    c: Int[Tensor, "pairs"]
    keyed_brackets: Float[Tensor, "H r pairs p"]
    pair_squared: Float[Tensor, "n n"]

    @property
    def n_probes(self) -> int:
        """Number of directions, p."""
        return self.keyed.shape[-1]

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


def probed_words(
    operators: HeadOperators, coefficients: Float[Tensor, "n H"], probes: Float[Tensor, "d p"]
) -> ProbedWords:
    """Apply every word of length two in the basis elements to the probes.

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
        For fewer than two basis elements, or no probe.
    """
    if len(coefficients) < 2 or probes.shape[1] < 1:
        raise ValueError(
            f"{len(coefficients)} basis elements and {probes.shape[1]} probes: "
            "a sampled bracket needs two elements and a probe"
        )
    d, p = probes.shape
    n, n_heads, r = len(coefficients), operators.n_heads, operators.d_head
    keyed = probes.new_empty(n_heads, r, n, n, p)
    pair_squared = probes.new_empty(n, n)
    letters = _prepend(operators, coefficients, operators.key_products(probes))
    keyed_letters = operators.key_products(letters)

    def form_words(second: slice, first: slice) -> Float[Tensor, "d s f p"]:
        """``E_b E_a Z`` for spans of b and a; what the keys make of them is kept."""
        words = _prepend(operators, coefficients[second], keyed_letters[:, :, first])
        keyed[:, :, second, first] = operators.key_products(words)
        return words

    # Words in d dimensions are held for a square of letters at a time.
    per_word = max(d, operators.query_matrix.shape[1]) * p
    side = max(1, math.isqrt(WORDS_HELD // per_word))
    spans = [slice(start, min(start + side, n)) for start in range(0, n, side)]
    for second, first in combinations_with_replacement(spans, 2):
        words = form_words(second, first)
        reversed_words = words if first is second else form_words(first, second)
        squared = (words - reversed_words.transpose(1, 2)).square_().sum(0).mean(-1)
        pair_squared[second, first] = squared
        pair_squared[first, second] = squared.T
    a, c = torch.triu_indices(n, n, offset=1, device=probes.device)
    keyed_brackets = probes.new_empty(n_heads, r, len(a), p)
    of_first = keyed_brackets.split(list(range(n - 1, 0, -1)), dim=2)
    for index, brackets in enumerate(of_first):
        torch.sub(keyed[:, :, index + 1 :, index], keyed[:, :, index, index + 1 :], out=brackets)
    return ProbedWords(operators, coefficients, keyed, a, c, keyed_brackets, pair_squared)


def probes_held(n: int, width: int) -> int:
    """Probes whose words in n elements are kept together, of heads of that width side by side."""
    of_one = max(1, kept_numbers(n=n, width=width, probes=1))
    return max(1, min(PROBES_AT_ONCE, WORDS_KEPT // of_one))


def kept_numbers(*, n: int, width: int, probes: int) -> int:
    """Numbers of the words of length two, and of the brackets, that a block of probes keeps."""
    return n * (3 * n - 1) // 2 * width * probes


def probed_words_flops(*, d: int, heads: int, r: int, n: int, probes: int, triples: int) -> float:
    """Flops of words in n elements, and of so many triples of them, on so many probes."""
    return 2.0 * d * heads * r * probes * (1 + 2 * n + 2 * n * n + triples)


def _prepend(
    operators: HeadOperators,
    coefficients: Float[Tensor, "s H"],
    keyed: Float[Tensor, "H r *word"],
) -> Float[Tensor, "d s *word"]:
    """``E_b Y`` for elements of those coefficients, from ``K_h^T Y``."""
    word = keyed.shape[2:]
    by_element = coefficients.T.reshape(operators.n_heads, 1, -1, *(1 for _ in word))
    return operators.query_combination(by_element * keyed[:, :, None])
