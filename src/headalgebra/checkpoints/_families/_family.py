"""What a family of transformers has to say for the weights of its attention to be read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import (
    Attention,
    AttentionLayer,
    AttentionShape,
    Norm,
    Projection,
    Rotary,
)
from headalgebra.checkpoints._families._keys import BLOCK, BOOKKEEPING, OFF
from headalgebra.checkpoints._families._layouts import output_columns, rows, side_by_side

MOST_LAYERS = 1 << 12
"""Of a stack; the deepest models have some hundreds."""
MOST_HEADS = 1 << 18
"""Of all layers together; the largest models have some ten thousands."""


def refuse_endless(name: str, found: int, where: str, most: int = MOST_LAYERS) -> None:
    """Raise a `CheckpointError` for so many layers or heads that describing them takes long."""
    if found > most:
        raise CheckpointError(
            where, f"{name} is {found}, and no model has more than {most}", "correct it"
        )


class Family(ABC):
    """Transformers of one `model_type`.

    A new one says which attributes it reads, how large its attention is and where the four
    projections of a layer lie; the rest has defaults. Add it to `FAMILIES`, and a tiny model of it
    to the tests, which compare every option with the model's own implementation.

    Attributes
    ----------
    handled
        Configuration attributes that the family reads.
    ignored
        Attributes that cannot change the weights of attention as they are used.
    harmless
        Attributes that transformers' configuration class does not know (any more), with the
        one value under which they change nothing.
    optional
        As in `Attention`.
    """

    handled: ClassVar[frozenset[str]]
    ignored: ClassVar[frozenset[str]] = BOOKKEEPING | BLOCK
    harmless: ClassVar[Mapping[str, object]] = OFF
    optional: ClassVar[str | None] = None

    @abstractmethod
    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes from the transformers configuration; `where` names it in errors."""

    @abstractmethod
    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Queries, keys, values and outputs of a layer."""

    def scale(self, config: Any, shape: AttentionShape, layer: int) -> float:
        """Factor of a layer's scores before the softmax."""
        return float(shape.d_head**-0.5)

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm | None:
        """The normalisation in front of a layer's attention."""
        return None

    def rotary(self, config: Any, layer: int) -> Rotary | None:
        """The rotary positions of a layer."""
        return None

    def refusals(self, config: Any) -> Mapping[str, str]:
        """Why an option of the convention has no meaning, by the option's name."""
        return {}

    def numbers(self, config: Any, shape: AttentionShape) -> Sequence[int]:
        """The model's own number of each layer, where not every layer has attention."""
        return range(shape.n_layers)

    def attention(self, config: Any, where: str) -> Attention:
        """All of it, from the transformers configuration; `where` names it in errors."""
        shape = self.shape(config, where)
        refuse_endless("the number of layers", shape.n_layers, where)
        heads = shape.n_layers * max(shape.n_heads, shape.n_kv_heads)
        refuse_endless("the number of heads in all layers", heads, where, MOST_HEADS)
        layers = tuple(
            AttentionLayer(
                *self.projections(config, shape, layer),
                scale=self.scale(config, shape, layer),
                norm=self.norm(config, shape, layer),
                rotary=self.rotary(config, layer),
            )
            for layer in self.numbers(config, shape)
        )
        return Attention(shape, layers, self.refusals(config), optional=self.optional)


class SeparateProjections(Family):
    """A Linear weight [out, in] for each projection, heads side by side in it.

    Attributes
    ----------
    sizes
        Configuration attributes for `attention_shape`.
    tensors
        Names of the weights of queries, keys, values and outputs, with the layer's place open.
    norm_tensor
        Name of the gamma in front of attention, if there is one; ``centred`` and ``plus_one`` are
        those of `Norm`, the latter for every norm of the family.
    score_norms
        Names of the gammas of queries and keys, if they are normalised. Those of one head's width
        serve every head.
    whole_width
        Whether queries, and keys, are normalised across all heads, each with its own gamma.
    """

    sizes: ClassVar[Mapping[str, str]]
    tensors: ClassVar[tuple[str, str, str, str]]
    norm_tensor: ClassVar[str | None] = None
    centred: ClassVar[bool] = False
    plus_one: ClassVar[bool] = False
    score_norms: ClassVar[tuple[str, str] | None] = None
    whole_width: ClassVar[bool] = False

    def shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes as the configuration names them."""
        return attention_shape(config, where, **self.sizes)

    def initial_stds(
        self, config: Any, shape: AttentionShape
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """Standard deviations that the four weights start from."""
        std = float(config.initializer_range)
        return std, std, std, std

    def projections(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Projection, Projection, Projection, Projection]:
        """Rows of the first three weights, columns of the last."""
        d, r, n_heads, n_kv_heads = shape.d_model, shape.d_head, shape.n_heads, shape.n_kv_heads
        place = self.place(config, layer)
        queries, keys, values, outputs = (name.format(place) for name in self.tensors)
        stds = self.initial_stds(config, shape)
        query_rows = rows(queries, d, n_heads * r, side_by_side(n_heads, r), r)
        key_rows, value_rows = (
            rows(name, d, n_kv_heads * r, side_by_side(n_kv_heads, r), r) for name in (keys, values)
        )
        query_norm, key_norm = self.norms_of_scores(config, shape, layer)
        return (
            Projection(query_rows, stds[0], query_norm),
            Projection(key_rows, stds[1], key_norm),
            Projection(value_rows, stds[2]),
            Projection(output_columns(outputs, shape), stds[3]),
        )

    def place(self, config: Any, layer: int) -> str:
        """What stands in the names for a layer: its number, unless layers lie in groups."""
        return str(layer)

    def norms_of_scores(
        self, config: Any, shape: AttentionShape, layer: int
    ) -> tuple[Norm | None, Norm | None]:
        """What normalises the queries and the keys of a layer."""
        if self.score_norms is None:
            return None, None
        heads = (shape.n_heads, shape.n_kv_heads) if self.whole_width else (1, 1)
        query_norm, key_norm = (
            Norm(name.format(layer), n_heads * shape.d_head, plus_one=self.plus_one)
            for name, n_heads in zip(self.score_norms, heads, strict=True)
        )
        return query_norm, key_norm

    def norm(self, config: Any, shape: AttentionShape, layer: int) -> Norm | None:
        """The one in front, if the family has it."""
        if self.norm_tensor is None:
            return None
        return Norm(
            self.norm_tensor.format(self.place(config, layer)),
            shape.d_model,
            self.centred,
            self.plus_one,
        )


def attention_shape(
    config: Any,
    where: str,
    *,
    layers: str,
    heads: str,
    width: str,
    kv_heads: str | None = None,
    head_width: str | None = None,
) -> AttentionShape:
    """Sizes of attention as the attributes of a configuration give them.

    Parameters
    ----------
    config
        The transformers configuration.
    where
        Its name in error messages.
    layers, heads, width
        Its attributes for the number of layers, of heads, and d.
    kv_heads
        Its attribute for the number of key/value heads; without one, or where that is None, each
        head has its own.
    head_width
        Its attribute for r; without one, or where that is None, heads share d equally.

    Raises
    ------
    CheckpointError
        If one of them is not positive, or one does not divide the other.
    """

    def size(name: str) -> int:
        value = getattr(config, name)
        if value < 1:
            raise CheckpointError(where, f"{name} is {value}", "give a positive integer")
        return int(value)

    def refuse_remainder(divisor: str, dividend: str) -> None:
        if size(dividend) % size(divisor):
            raise CheckpointError(
                where,
                f"{divisor} {size(divisor)} does not divide {dividend} {size(dividend)}",
                "correct the one that does not describe the weights",
            )

    n_heads = n_kv_heads = size(heads)
    if kv_heads and getattr(config, kv_heads) is not None:
        refuse_remainder(kv_heads, heads)
        n_kv_heads = size(kv_heads)
    if head_width and getattr(config, head_width, None) is not None:
        d_head = size(head_width)
    else:
        refuse_remainder(heads, width)
        d_head = size(width) // n_heads
    return AttentionShape(size(layers), n_heads, n_kv_heads, size(width), d_head)
