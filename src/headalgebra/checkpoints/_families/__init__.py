"""Transformer families whose attention weights can be read, by `model_type`."""

from headalgebra.checkpoints._families._attention import (
    Attention,
    AttentionLayer,
    AttentionShape,
    HeadSlices,
    Norm,
    Projection,
)
from headalgebra.checkpoints._families._family import Family
from headalgebra.checkpoints._families.bert import Bert
from headalgebra.checkpoints._families.gpt2 import Gpt2
from headalgebra.checkpoints._families.gpt_neox import GptNeoX
from headalgebra.checkpoints._families.llama import Llama, Mistral, Mixtral, Qwen2

FAMILIES: dict[str, Family] = {
    "bert": Bert(),
    "gpt2": Gpt2(),
    "gpt_neox": GptNeoX(),
    "llama": Llama(),
    "mistral": Mistral(),
    "mixtral": Mixtral(),
    "qwen2": Qwen2(),
}

__all__ = [
    "FAMILIES",
    "Attention",
    "AttentionLayer",
    "AttentionShape",
    "Family",
    "HeadSlices",
    "Norm",
    "Projection",
]
