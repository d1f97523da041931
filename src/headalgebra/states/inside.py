"""What happens inside a block when it reads a text: what enters norms, activations, attention."""

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from headalgebra.states.norms import HeldNorm


@dataclass(frozen=True)
class NormSeen:
    """A norm of a block, and what entered it.

    Attributes
    ----------
    name
        Of the module, in its block.
    held
        The norm, with the scale that it had for each vector.
    given
        What entered it: of a norm of the stream [N, T, d]; of one of queries or keys, a vector for
        each head.
    """

    name: str
    held: HeldNorm
    given: Float[Tensor, "*n d"]

    @property
    def normalised(self) -> Float[Tensor, "*n d"]:
        """What the norm makes of it, before its gain and shift."""
        return self.held.normalised(self.given)


@dataclass(frozen=True)
class ActivationSeen:
    """An activation of a block, what entered it, and what the next product with weights was given.

    Attributes
    ----------
    name
        Of the module, in its block.
    before
        u, before the activation.
    after
        act(u); where a gate multiplies it by another part v, act(u) ⊙ v.
    """

    name: str
    before: Float[Tensor, "*n m"]
    after: Float[Tensor, "*n m"]


@dataclass(frozen=True)
class AttentionSeen:
    """What attention was given, positions and norms of queries and keys included.

    Attributes
    ----------
    query
        H heads of width r.
    key, value
        G heads, each shared by H/G query heads.
    scaling
        What the model multiplies the products of queries and keys by.
    """

    query: Float[Tensor, "N H T r"]
    key: Float[Tensor, "N G T r"]
    value: Float[Tensor, "N G T v"]
    scaling: float


@dataclass(frozen=True)
class Inside:
    """What was seen of one block, in the order in which it came.

    ``attention`` is empty where the family computes it in code of its own. An activation that no
    product with weights is given, as in some mixtures of experts, is not seen.
    """

    norms: list[NormSeen] = field(default_factory=list)
    activations: list[ActivationSeen] = field(default_factory=list)
    attention: list[AttentionSeen] = field(default_factory=list)
