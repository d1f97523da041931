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
from headalgebra.checkpoints._families.bert import Bert, DistilBert, Electra
from headalgebra.checkpoints._families.bloom import Bloom
from headalgebra.checkpoints._families.deepseek import DeepSeek
from headalgebra.checkpoints._families.falcon import Falcon
from headalgebra.checkpoints._families.gemma import Gemma, Gemma2, Gemma3
from headalgebra.checkpoints._families.gpt2 import Gpt2
from headalgebra.checkpoints._families.gpt_bigcode import GptBigCode
from headalgebra.checkpoints._families.gpt_neox import GptNeoX
from headalgebra.checkpoints._families.gptj import CodeGen, GptJ
from headalgebra.checkpoints._families.llama import (
    Llama,
    Mistral,
    Mixtral,
    Olmo2,
    Phi,
    Qwen2,
    Qwen3,
)
from headalgebra.checkpoints._families.modernbert import ModernBert
from headalgebra.checkpoints._families.opt import Opt
from headalgebra.checkpoints._families.phi3 import Phi3
from headalgebra.checkpoints._families.qwen3_next import Qwen3Next
from headalgebra.checkpoints._families.t5 import T5
from headalgebra.checkpoints._families.vit import Vit

FAMILIES: dict[str, Family] = {
    "bert": Bert(),
    "bloom": Bloom(),
    "camembert": Bert(),
    "codegen": CodeGen(),
    "deepseek_v2": DeepSeek(),
    "deepseek_v3": DeepSeek(),
    "distilbert": DistilBert(),
    "electra": Electra(),
    "falcon": Falcon(),
    "gemma": Gemma(),
    "gemma2": Gemma2(),
    "gemma3_text": Gemma3(),
    "gpt2": Gpt2(),
    "gpt_bigcode": GptBigCode(),
    "gpt_neox": GptNeoX(),
    "gptj": GptJ(),
    "llama": Llama(),
    "mistral": Mistral(),
    "mixtral": Mixtral(),
    "modernbert": ModernBert(),
    "olmo2": Olmo2(),
    "opt": Opt(),
    "phi": Phi(),
    "phi3": Phi3(),
    "qwen2": Qwen2(),
    "qwen3": Qwen3(),
    "qwen3_next": Qwen3Next(),
    "roberta": Bert(),
    "t5": T5(),
    "vit": Vit(),
    "xlm-roberta": Bert(),
}

TEXT_PARTS = {"gemma3": "gemma3_text"}
"""Models of text and images, and the `model_type` that their `text_config` stands for."""

__all__ = [
    "FAMILIES",
    "TEXT_PARTS",
    "Attention",
    "AttentionLayer",
    "AttentionShape",
    "Family",
    "HeadSlices",
    "Norm",
    "Projection",
]
