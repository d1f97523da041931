"""What a family of transformers has to say for the weights of its attention to be read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families._attention import (
    Attention,
    AttentionLayer,
    AttentionShape,
    HeadSlices,
    Norm,
    Projection,
    Rotary,
)

# What training, generation, labels and bookkeeping left in a config.json.
BOOKKEEPING = frozenset(
    {
        "_attn_implementation_autoset",
        "_commit_hash",
        "_name_or_path",
        "_num_labels",
        "architectures",
        "bos_token_id",
        "chunk_size_feed_forward",
        "do_sample",
        "dtype",
        "early_stopping",
        "eos_token_id",
        "finetuning_task",
        "gradient_checkpointing",
        "id2label",
        "initializer_range",
        "label2id",
        "length_penalty",
        "max_length",
        "min_length",
        "model_type",
        "no_repeat_ngram_size",
        "num_beams",
        "num_labels",
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "pad_token_id",
        "prefix",
        "problem_type",
        "repetition_penalty",
        "return_dict",
        "task_specific_params",
        "temperature",
        "tie_word_embeddings",
        "tokenizer_class",
        "top_k",
        "top_p",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "use_bfloat16",
        "use_cache",
        "vocab_size",
        "xla_device",
    }
)

# What the block around the projections does: its perceptron, dropout, masks, biases, and the
# numbers added under square roots.
BLOCK = frozenset(
    {
        "attention_bias",
        "activation_function",
        "attention_dropout",
        "attn_pdrop",
        "classifier_dropout",
        "embd_pdrop",
        "hidden_act",
        "hidden_activation",
        "hidden_dropout",
        "intermediate_size",
        "layer_norm_eps",
        "layer_norm_epsilon",
        "max_position_embeddings",
        "max_window_layers",
        "mlp_bias",
        "n_inner",
        "resid_pdrop",
        "rms_norm_eps",
        "sliding_window",
        "use_sliding_window",
    }
)

# How experts are chosen and weighed; attention has none.
EXPERTS = frozenset(
    {
        "decoder_sparse_step",
        "first_k_dense_replace",
        "mlp_only_layers",
        "moe_intermediate_size",
        "n_group",
        "n_routed_experts",
        "n_shared_experts",
        "norm_topk_prob",
        "num_experts",
        "num_experts_per_tok",
        "num_local_experts",
        "output_router_logits",
        "routed_scaling_factor",
        "router_aux_loss_coef",
        "router_jitter_noise",
        "shared_expert_intermediate_size",
        "topk_group",
        "topk_method",
    }
)

# What older releases wrote for features that are off.
OFF: dict[str, object] = {
    "cross_attention_hidden_size": None,
    "pruned_heads": {},
    "quantization_config": None,
    "tie_encoder_decoder": False,
}

# Under their present and their former names.
ROTARY = frozenset({"max_position_embeddings", "rope_parameters", "rope_scaling", "rope_theta"})

# Their authors' own code for the architecture that transformers has taken over since.
AUTHORS_CODE = frozenset({"auto_map"})

NO_ROTARY = {"rope_offset": "it has no rotary positions"}
NORM_AFTER = {"fold_norm": "its norms follow attention, and none stands in front of it"}


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
    other_parts
        Parts of a checkpoint, such as a vision tower, that have weights of the same names.
    """

    handled: ClassVar[frozenset[str]]
    ignored: ClassVar[frozenset[str]] = BOOKKEEPING | BLOCK
    harmless: ClassVar[Mapping[str, object]] = OFF
    other_parts: ClassVar[frozenset[str]] = frozenset()

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
        layers = tuple(
            AttentionLayer(
                *self.projections(config, shape, layer),
                scale=self.scale(config, shape, layer),
                norm=self.norm(config, shape, layer),
                rotary=self.rotary(config, layer),
            )
            for layer in self.numbers(config, shape)
        )
        return Attention(shape, layers, self.refusals(config), self.other_parts)


class SeparateProjections(Family):
    """A Linear weight [out, in] for each projection, heads side by side in it.

    Attributes
    ----------
    sizes
        Configuration attributes for `attention_shape`.
    tensors
        Names of the weights of queries, keys, values and outputs, with the layer's number open.
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
        queries, keys, values, outputs = (name.format(layer) for name in self.tensors)
        stds = self.initial_stds(config, shape)
        query_rows = rows(queries, d, n_heads * r, side_by_side(n_heads, r), r)
        key_rows, value_rows = (
            rows(name, d, n_kv_heads * r, side_by_side(n_kv_heads, r), r) for name in (keys, values)
        )
        query_norm, key_norm = self.norms_of_scores(shape, layer)
        return (
            Projection(query_rows, stds[0], query_norm),
            Projection(key_rows, stds[1], key_norm),
            Projection(value_rows, stds[2]),
            Projection(output_columns(outputs, shape), stds[3]),
        )

    def norms_of_scores(self, shape: AttentionShape, layer: int) -> tuple[Norm | None, Norm | None]:
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
        return Norm(self.norm_tensor.format(layer), shape.d_model, self.centred, self.plus_one)


def side_by_side(n_heads: int, width: int, first: int = 0) -> tuple[int, ...]:
    """Where heads of this width begin when each follows the other."""
    return tuple(range(first, first + n_heads * width, width))


def rows(tensor: str, d_in: int, d_out: int, starts: tuple[int, ...], width: int) -> HeadSlices:
    """Heads as rows of a Linear weight [out, in]."""
    return HeadSlices(tensor, (d_out, d_in), 0, starts, width)


def fused_rows(
    tensor: str,
    shape: AttentionShape,
    d_out: int,
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    initial_std: float | None,
) -> tuple[Projection, Projection, Projection]:
    """Queries, keys and values as rows of one Linear weight [out, in].

    Parameters
    ----------
    tensor
        Its name.
    shape
        Sizes of the attention.
    d_out
        How many rows it has.
    starts
        Where the heads of the three projections begin.
    initial_std
        As in `Projection`.
    """
    queries, keys, values = (
        Projection(rows(tensor, shape.d_model, d_out, heads, shape.d_head), initial_std)
        for heads in starts
    )
    return queries, keys, values


def fused_head_by_head(
    tensor: str, shape: AttentionShape, initial_std: float | None
) -> tuple[Projection, Projection, Projection]:
    """Rows of each head's queries, keys and values together, then those of the next head."""
    r, n_heads = shape.d_head, shape.n_heads
    queries, keys, values = (side_by_side(n_heads, 3 * r, first) for first in (0, r, 2 * r))
    return fused_rows(tensor, shape, 3 * n_heads * r, (queries, keys, values), initial_std)


def fused_block_by_block(
    tensor: str, shape: AttentionShape, initial_std: float | None
) -> tuple[Projection, Projection, Projection]:
    """Rows of all queries, then those of all keys, then those of all values."""
    r, n_heads, n_kv_heads = shape.d_head, shape.n_heads, shape.n_kv_heads
    starts = (
        side_by_side(n_heads, r),
        side_by_side(n_kv_heads, r, n_heads * r),
        side_by_side(n_kv_heads, r, (n_heads + n_kv_heads) * r),
    )
    return fused_rows(tensor, shape, (n_heads + 2 * n_kv_heads) * r, starts, initial_std)


def output_columns(tensor: str, shape: AttentionShape) -> HeadSlices:
    """Heads as columns of the Linear weight [d, H r] that maps them to the residual stream."""
    width = shape.n_heads * shape.d_head
    return HeadSlices(
        tensor, (shape.d_model, width), 1, side_by_side(shape.n_heads, shape.d_head), shape.d_head
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


def rope_refusals(*parameters: Mapping[str, Any]) -> dict[str, str]:
    """Why rotary positions with these parameters of transformers have no rotation by an offset."""
    for kind in (kind.get("rope_type", "default") for kind in parameters):
        if kind in ("dynamic", "longrope"):
            return {
                "rope_offset": f"the frequencies of its rope_type {kind} depend on the sequence "
                "length"
            }
        if kind not in ("default", "linear", "llama3", "proportional", "yarn"):
            return {"rope_offset": f"its rope_type {kind} is not known"}
    return {}
