"""From the weights of a layer to the factors of its operators, as a convention has them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._factors import LayerFactors, rounded
from headalgebra.checkpoints._families import (
    Attention,
    AttentionLayer,
    AttentionShape,
    HeadSlices,
    Norm,
    Projection,
)
from headalgebra.checkpoints.convention import PAPER, Convention


class Weights(ABC):
    """The weights of a layer, in their own types."""

    @abstractmethod
    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """The entries of a projection's stored matrix, as factors."""

    @abstractmethod
    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """The weights of a normalisation as they are stored."""


@dataclass(frozen=True)
class RoundedWeights(Weights):
    """Weights rounded to another floating-point type."""

    weights: Weights
    dtype: str

    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """Rounded to nearest."""
        return rounded(self.weights.heads(projection), self.dtype)

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """Rounded to nearest."""
        return rounded(self.weights.gamma(norm), self.dtype)


def copy_heads(
    matrix: Float[Tensor, "rows columns"], slices: HeadSlices
) -> Float[Tensor, "heads d r"]:
    """Copy the heads of a matrix, wherever it is, into factors on the CPU."""
    axis = slices.head_axis
    heads = torch.empty(
        len(slices.starts), slices.shape[1 - axis], slices.width, dtype=matrix.dtype
    )
    for head, start in zip(heads, slices.starts, strict=True):
        rows = matrix.narrow(axis, start, slices.width)
        head.copy_(rows.T if axis == 0 else rows)
    return heads


@dataclass(frozen=True)
class FactorInitialisation:
    """The law of a layer's factors at the architecture's own initialisation.

    Attributes
    ----------
    query_std, key_std
        Standard deviation of the independent normal entries of either factor.
    query_centred, key_centred
        Whether the mean over the d rows is taken off each column afterwards.
    """

    query_std: float
    key_std: float
    query_centred: bool
    key_centred: bool


def refuse_meaningless(
    attention: Attention, convention: Convention, model_type: str, where: str
) -> None:
    """Raise on the first option that is on and that the architecture has no meaning for.

    Raises
    ------
    CheckpointError
        Names the architecture, the option and the reason.
    """
    for option, reason in attention.refusals.items():
        if getattr(convention, option) != getattr(PAPER, option):
            raise CheckpointError(
                where,
                f"{option} has no meaning for {model_type}: {reason}",
                f"leave {option} at {getattr(PAPER, option)!r}",
            )


def sides(layer: AttentionLayer, convention: Convention) -> tuple[Projection, Projection]:
    """The projections that the two factors are made of."""
    if convention.circuit == "ov":
        return layer.values, layer.outputs
    return layer.queries, layer.keys


def matrices(projection: Projection) -> Iterator[HeadSlices]:
    """The stored matrices that a projection is made of."""
    yield projection.heads
    if projection.latent:
        yield from matrices(projection.latent)


def norms(layer: AttentionLayer, convention: Convention) -> Iterator[Norm]:
    """The normalisations whose weights enter the factors."""

    def within(projection: Projection | None) -> Iterator[Norm]:
        while projection:
            if projection.norm:
                yield projection.norm
            projection = projection.latent

    for side in sides(layer, convention):
        yield from within(side)
    if convention.fold_norm and layer.norm:
        yield layer.norm


def assemble(
    weights: Weights, layer: AttentionLayer, shape: AttentionShape, convention: Convention
) -> LayerFactors:
    """Make the factors of a layer's operators.

    Parameters
    ----------
    weights
        Those of the layer.
    layer
        What the model does with them.
    shape
        Sizes of the model's attention.
    convention
        How operators are built.

    Returns
    -------
    LayerFactors
        Of the weights' own type where no arithmetic is needed, otherwise float64. In the circuit
        ``"ov"`` the values of each head are its queries and the transposed outputs its keys.
    """
    reading, writing = (_factor(weights, side) for side in sides(layer, convention))
    if layer.soft:
        reading, writing = (layer.soft.factors(side.double()) for side in (reading, writing))
    key_of_head = shape.key_of_head()
    if convention.circuit == "ov":
        reading, key_of_head = reading[key_of_head], torch.arange(shape.n_heads)
    if convention != PAPER or reading.dtype != writing.dtype:
        reading, writing = reading.double(), writing.double()
    if convention.fold_norm and layer.norm:
        gamma = _multiplier(weights, layer.norm)
        reading = _folded(reading, layer.norm, gamma)
        if convention.circuit == "qk":
            writing = _folded(writing, layer.norm, gamma)
    if convention.rope_offset and layer.rotary:
        reading = reading @ layer.rotary.rotation(convention.rope_offset, reading.shape[2])
    if convention.scale:
        reading = layer.scale * reading
    return LayerFactors(reading, writing, key_of_head)


def factor_initialisation(
    layer: AttentionLayer, convention: Convention
) -> FactorInitialisation | None:
    """The law that `assemble` gives the factors at initialisation.

    Returns
    -------
    FactorInitialisation or None
        None where the entries are no independent normal numbers of one width.
    """
    if layer.soft:
        return None
    reading, writing = (_initial_std(side) for side in sides(layer, convention))
    if reading is None or writing is None:
        return None
    fold, in_scores = convention.fold_norm, convention.circuit == "qk"
    if fold and layer.norm:
        reading *= layer.norm.initial
        writing *= layer.norm.initial if in_scores else 1.0
    if convention.rope_offset and layer.rotary:
        # Columns of equal length: an orthogonal matrix times that length leaves the law normal.
        rotation = layer.rotary.rotation(convention.rope_offset, layer.queries.heads.width)
        lengths = rotation.norm(dim=0)
        if not torch.allclose(lengths, lengths[0]):
            return None
        reading *= float(lengths[0])
    if convention.scale:
        reading *= layer.scale
    centred = bool(fold and layer.norm and layer.norm.centred)
    return FactorInitialisation(reading, writing, centred, centred and in_scores)


def _initial_std(projection: Projection) -> float | None:
    """Width of the law of a factor without options, or None where it is no plain normal law."""
    centred = projection.norm is not None and projection.norm.centred
    return None if projection.latent or centred else projection.initial_std


def _factor(weights: Weights, projection: Projection) -> Float[Tensor, "heads d r"]:
    """The factor of each head, in the weights' own type where no arithmetic is needed."""
    heads = weights.heads(projection)
    if projection.norm:
        # Products of two numbers of 26 bits or less are exact in float64.
        gamma = _multiplier(weights, projection.norm)
        heads = heads.double()
        if projection.norm.centred:
            heads = heads - heads.mean(dim=2, keepdim=True)
        heads = heads * gamma.reshape(-1, 1, heads.shape[2])
    if projection.latent:
        heads = _factor(weights, projection.latent).double() @ heads.double()
    return heads


def _multiplier(weights: Weights, norm: Norm) -> Float[Tensor, " n"]:
    """What a normalisation multiplies by, in float64."""
    gamma = weights.gamma(norm).double() if norm.tensor else torch.ones(norm.size).double()
    return 1 + gamma if norm.plus_one else gamma


def _folded(
    factor: Float[Tensor, "heads d r"], norm: Norm, gamma: Float[Tensor, " d"]
) -> Float[Tensor, "heads d r"]:
    """Rows multiplied by gamma, and their mean taken off where the norm does so."""
    factor = gamma[:, None] * factor
    return factor - factor.mean(dim=1, keepdim=True) if norm.centred else factor
