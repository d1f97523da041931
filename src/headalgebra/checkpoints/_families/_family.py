"""What a family of transformers has to say for its queries and keys to be read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Int64
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError

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

# What older releases wrote for features that are off.
OFF: dict[str, object] = {
    "cross_attention_hidden_size": None,
    "pruned_heads": {},
    "quantization_config": None,
    "tie_encoder_decoder": False,
}


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
        The axis along which heads lie: 0 in a Linear weight [out, in], 1 in a Conv1D [in, out].
    starts
        Index along that axis where each head begins; it ends d_head further on.
    """

    tensor: str
    shape: tuple[int, int]
    head_axis: int
    starts: tuple[int, ...]


class Family(ABC):
    """Transformers of one `model_type`.

    Attributes
    ----------
    handled
        Configuration attributes that the family reads.
    ignored
        Attributes that cannot change queries and keys as they are used.
    harmless
        Attributes that transformers' configuration class does not know (any more), with the
        one value under which they change nothing.
    """

    handled: ClassVar[frozenset[str]]
    ignored: ClassVar[frozenset[str]]
    harmless: ClassVar[Mapping[str, object]]

    @abstractmethod
    def attention_shape(self, config: Any, where: str) -> AttentionShape:
        """Sizes from the transformers configuration; `where` names it in errors."""

    @abstractmethod
    def head_slices(self, shape: AttentionShape, layer: int) -> tuple[HeadSlices, HeadSlices]:
        """Where the queries and the keys of a layer are stored."""

    @abstractmethod
    def initial_std(self, config: Any) -> float:
        """Standard deviation of the normal law that query and key weights start from."""


def equal_heads(config: Any, where: str, *, layers: str, heads: str, width: str) -> AttentionShape:
    """Sizes of attention whose heads share the width equally and have a key each.

    Parameters
    ----------
    config
        The transformers configuration.
    where
        Its name in error messages.
    layers, heads, width
        Its attributes for the number of layers, of heads, and d.

    Raises
    ------
    CheckpointError
        If one of them is not positive or the heads do not divide the width.
    """
    sizes = {name: getattr(config, name) for name in (layers, heads, width)}
    for name, size in sizes.items():
        if size < 1:
            raise CheckpointError(where, f"{name} is {size}", "give a positive integer")
    n_heads, d_model = sizes[heads], sizes[width]
    if d_model % n_heads:
        raise CheckpointError(
            where,
            f"{heads} {n_heads} does not divide {width} {d_model}",
            "correct the one that does not describe the weights",
        )
    return AttentionShape(sizes[layers], n_heads, n_heads, d_model, d_model // n_heads)
