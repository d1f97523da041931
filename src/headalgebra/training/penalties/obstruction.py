"""The penalty on the obstruction ``[A_b, [A_c, A_a]]`` of a layer's heads (000, section 6)."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.linf.words import sphere_probes
from headalgebra.training.penalties.penalty import Penalty, squared_norms, step_seed


@dataclass(frozen=True, kw_only=True)
class Obstruction(Penalty):
    """Mean of ``‖[Â_b, [Â_c, Â_a]] z‖²`` over probes z and over the triples (b; a < c).

    ``Â = A/‖A‖``. Probes are uniform on the sphere of radius √d, other ones at every step, so that
    the expectation is the mean of the squared Frobenius norms.

    Attributes
    ----------
    probes
        Directions at each step.
    seed
        Of their draw.
    """

    probes: int = 8
    seed: int = 0

    def of_layer(
        self, Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"], layer: int, step: int
    ) -> Float[Tensor, ""]:
        """Of one layer, on the probes of a step."""
        seed = step_seed(self.seed, "penalty_probes", layer, step)
        return mean_obstruction(Q, K, sphere_probes(Q.shape[1], self.probes, seed).to(Q))


def mean_obstruction(
    Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"], probes: Float[Tensor, "d p"]
) -> Float[Tensor, ""]:
    """Mean of ``‖[Â_b, [Â_c, Â_a]] z‖²`` over the columns z of ``probes`` and triples (b; a < c).

    From all words of three heads applied to the probes, ``4 d s H³ p`` flops.
    """
    heads, p = len(Q), probes.shape[1]
    Q = Q / squared_norms(Q, K).sqrt()[:, None, None]

    def prepend(words: Float[Tensor, "d n"]) -> Float[Tensor, "d Hn"]:
        """``Â_h w`` for every head and every word, the head's number in front of the word's."""
        return (Q @ (K.mT @ words)).transpose(0, 1).flatten(1)

    words = prepend(prepend(prepend(probes))).unflatten(1, (heads, heads, heads, p))
    # [d, b, c, a, p]: b [c, a], less [c, a] b.
    brackets = words - words.transpose(2, 3)
    reversed_ = words.permute(0, 3, 1, 2, 4) - words.permute(0, 3, 2, 1, 4)
    nested = brackets - reversed_
    # Each pair a < c is there twice, with either sign, and a = c gives 0.
    return nested.square().sum() / (p * heads * heads * (heads - 1))
