"""Where the weights of attention are stored, and what the model does with them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from headalgebra.variants import SoftHeads


@dataclass(frozen=True)
class AttentionShape:
    """Sizes of a transformer's attention.

    Attributes
    ----------
    n_layers
        Number of attention layers.
    n_heads
        Query heads of a layer, H.
    n_kv_heads
        Key/value heads of a layer, G; a divisor of H.
    d_model
        Width of the residual stream, d.
    d_head
        Width of a head, r.
    """

    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int

    def key_of_head(self) -> Int64[Tensor, " H"]:
        """Key/value head of each query head: groups of H/G neighbours share one."""
        return torch.arange(self.n_heads) // (self.n_heads // self.n_kv_heads)


@dataclass(frozen=True)
class HeadSlices:
    """Where the heads of a projection lie in a stored matrix.

    Attributes
    ----------
    tensor
        The matrix's name, without the prefix of the model around it.
    shape
        Its shape.
    head_axis
        The axis along which heads lie; the other one is that of the residual stream.
    starts
        Index along that axis where each head begins.
    width
        How far it reaches.
    """

    tensor: str
    shape: tuple[int, int]
    head_axis: int
    starts: tuple[int, ...]
    width: int


@dataclass(frozen=True)
class Norm:
    """The weights of a normalisation, gamma.

    Attributes
    ----------
    tensor
        Their name, without the prefix of the model around it; empty if there are none. Where it
        leaves a place open, each head has a tensor of its own, with its number there.
    size
        How many there are.
    centred
        Whether the mean is taken off first, as LayerNorm does and RMSNorm does not; of each head,
        where heads are normalised.
    plus_one
        Whether the model multiplies by 1 + gamma.
    initial
        What it multiplies by at initialisation.
    heads
        How many heads have weights of their own, if those are kept as rows or as tensors.
    """

    tensor: str
    size: int
    centred: bool = False
    plus_one: bool = False
    initial: float = 1.0
    heads: int | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each tensor that holds them, by name."""
        if not self.tensor:
            return {}
        if self.heads is None:
            return {self.tensor: (self.size,)}
        each = self.size // self.heads
        if "{}" in self.tensor:
            return {self.tensor.format(head): (each,) for head in range(self.heads)}
        return {self.tensor: (self.heads, each)}


@dataclass(frozen=True)
class Projection:
    """Linear maps between the residual stream and each head, as d x r factors.

    Attributes
    ----------
    heads
        The stored matrix.
    initial_std
        Standard deviation of the independent normal numbers that its entries start from; None
        where they start from another law.
    norm
        Normalisation of what comes out. Its gamma [r], or [heads * r], multiplies the columns, and
        a mean that it takes off is taken off each head's. The division by the size of each token's
        vector is no part of the factors.
    latent
        What stands between the residual stream and `heads`, where those read a narrower space.
    """

    heads: HeadSlices
    initial_std: float | None
    norm: Norm | None = None
    latent: "Projection | None" = None


@dataclass(frozen=True)
class Rotary:
    """Rotary positions: pairs of a head's coordinates turn with the position.

    Attributes
    ----------
    frequencies
        Gives the angle by which each pair turns from one position to the next, and the factor by
        which the model multiplies sines and cosines. Coordinates without a pair stay.
    interleaved
        Whether pairs are neighbours (0,1), (2,3), ... of the rotated coordinates; otherwise
        coordinate j pairs with the one half of them further on.

    References
    ----------
    Su et al. (2021), "RoFormer: enhanced transformer with rotary position embedding",
    https://arxiv.org/abs/2104.09864.
    """

    frequencies: Callable[[], tuple[Tensor, float]] = field(repr=False)
    interleaved: bool = False

    def slowed(self, factors: Float[Tensor, " pairs"]) -> "Rotary":
        """The same with each pair's angle divided by a factor of its own."""

        def frequencies() -> tuple[Tensor, float]:
            usual, factor = self.frequencies()
            return usual.double() / factors, factor

        return replace(self, frequencies=frequencies)

    def rotation(self, offset: int, width: int) -> Float[Tensor, "r r"]:
        """R with ``x @ R @ y`` the score of a query x and a key y that lies `offset` before it."""
        frequencies, factor = self.frequencies()
        pairs = torch.arange(len(frequencies))
        first, second = (
            (2 * pairs, 2 * pairs + 1) if self.interleaved else (pairs, pairs + len(pairs))
        )
        angles = offset * frequencies.double()
        rotation = torch.eye(width, dtype=torch.float64)
        rotation[first, first] = rotation[second, second] = factor**2 * angles.cos()
        rotation[first, second] = factor**2 * angles.sin()
        rotation[second, first] = -rotation[first, second]
        return rotation


def rotary_of(
    module: str, name: str, config: Any, *, layer_type: str | None = None, interleaved: bool = False
) -> Rotary:
    """Rotary positions as a class of transformers computes them.

    Parameters
    ----------
    module
        Its model's folder in transformers.
    name
        The class.
    config
        The transformers configuration.
    layer_type
        The kind of layer, where kinds differ in their frequencies.
    interleaved
        As in `Rotary`.
    """

    def frequencies() -> tuple[Tensor, float]:
        # Imported here because it takes seconds, and only those who rotate need it.
        modeling = import_module(f"transformers.models.{module}.modeling_{module}")
        rotary = getattr(modeling, name)(config)
        kind = f"{layer_type}_" if layer_type else ""
        return getattr(rotary, f"{kind}inv_freq"), getattr(rotary, f"{kind}attention_scaling")

    return Rotary(frequencies, interleaved)


@dataclass(frozen=True)
class AttentionLayer:
    """The projections of one layer and what surrounds them.

    Attributes
    ----------
    queries, keys, values, outputs
        Its projections. The outputs map a head to the residual stream.
    scale
        Factor of the scores before the softmax.
    norm
        The normalisation in front; None where the layer reads the residual stream as it is.
    rotary
        Its rotary positions; None where it has none.
    soft
        Windows on the axes of its projections, which overlap; None where heads are blocks of axes.
    """

    queries: Projection
    keys: Projection
    values: Projection
    outputs: Projection
    scale: float
    norm: Norm | None = None
    rotary: Rotary | None = None
    soft: SoftHeads | None = None


@dataclass(frozen=True)
class Attention:
    """The attention of a transformer.

    Attributes
    ----------
    shape
        Its sizes.
    layers
        Its layers, in order.
    refusals
        Why an option of `headalgebra.checkpoints.convention.Convention` has no meaning here, by its
        name.
    other_parts
        Parts of the checkpoint, such as a vision tower, that have weights of the same names.
    optional
        What the names of those tensors begin with that a checkpoint may lack, together with their
        layers: of an encoder-decoder the encoder may be saved alone.
    """

    shape: AttentionShape
    layers: tuple[AttentionLayer, ...]
    refusals: Mapping[str, str]
    other_parts: frozenset[str] = frozenset()
    optional: str | None = None

    def among(self, names: Collection[str]) -> "Attention":
        """What of it a checkpoint with these tensors has: all, or all but the optional part."""
        optional = self.optional
        if optional is None or any(f".{optional}" in f".{name}" for name in names):
            return self
        layers = tuple(it for it in self.layers if not it.queries.heads.tensor.startswith(optional))
        return replace(self, shape=replace(self.shape, n_layers=len(layers)), layers=layers)
