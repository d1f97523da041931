"""Transformer families whose attention weights can be read, by `model_type`."""

from headalgebra.checkpoints._families._attention import (
    Attention,
    AttentionLayer,
    AttentionShape,
    HeadSlices,
    Norm,
    Projection,
)
from headalgebra.checkpoints._families._family import Family, refuse_endless
from headalgebra.checkpoints._families.bart import Bart, Whisper
from headalgebra.checkpoints._families.bert import (
    Albert,
    Bert,
    DistilBert,
    Electra,
    Esm,
    MpNet,
)
from headalgebra.checkpoints._families.bloom import Bloom
from headalgebra.checkpoints._families.clip import Clip
from headalgebra.checkpoints._families.cohere import Cohere, Phi, StableLm
from headalgebra.checkpoints._families.deberta import DebertaV2
from headalgebra.checkpoints._families.deepseek import DeepSeek
from headalgebra.checkpoints._families.falcon import Falcon
from headalgebra.checkpoints._families.gemma import Gemma, Gemma2, Gemma3
from headalgebra.checkpoints._families.gemma3n import Gemma3n
from headalgebra.checkpoints._families.gpt2 import Gpt2
from headalgebra.checkpoints._families.gpt_bigcode import GptBigCode
from headalgebra.checkpoints._families.gpt_neo import GptNeo
from headalgebra.checkpoints._families.gpt_neox import GptNeoX
from headalgebra.checkpoints._families.gptj import CodeGen, GptJ
from headalgebra.checkpoints._families.llama import (
    GptOss,
    Granite,
    Llama,
    Mistral,
    Mixtral,
    Qwen2,
    Qwen2Moe,
    Qwen2Vl,
    Qwen3,
    Qwen3Moe,
    Qwen25Vl,
    SmolLm3,
    StarCoder2,
)
from headalgebra.checkpoints._families.llama4 import Llama4
from headalgebra.checkpoints._families.modernbert import ModernBert
from headalgebra.checkpoints._families.olmo import Olmo, Olmo2, Olmo3
from headalgebra.checkpoints._families.opt import Opt
from headalgebra.checkpoints._families.phi3 import Phi3
from headalgebra.checkpoints._families.qwen3_next import Qwen3Next
from headalgebra.checkpoints._families.siglip import Siglip
from headalgebra.checkpoints._families.t5 import T5, UMT5
from headalgebra.checkpoints._families.vit import DinoV2, Vit

FAMILIES: dict[str, Family] = {
    "albert": Albert(),
    "bart": Bart(),
    "bert": Bert(),
    "bloom": Bloom(),
    "camembert": Bert(),
    "clip_text_model": Clip(),
    "clip_vision_model": Clip(),
    "codegen": CodeGen(),
    "cohere": Cohere(),
    "deberta-v2": DebertaV2(),
    "deepseek_v2": DeepSeek(),
    "deepseek_v3": DeepSeek(),
    "dinov2": DinoV2(),
    "distilbert": DistilBert(),
    "electra": Electra(),
    "esm": Esm(),
    "falcon": Falcon(),
    "gemma": Gemma(),
    "gemma2": Gemma2(),
    "gemma3_text": Gemma3(),
    "gemma3n_text": Gemma3n(),
    "gpt2": Gpt2(),
    "gpt_bigcode": GptBigCode(),
    "gpt_neo": GptNeo(),
    "gpt_neox": GptNeoX(),
    "gpt_oss": GptOss(),
    "gptj": GptJ(),
    "granite": Granite(),
    "llama": Llama(),
    "llama4_text": Llama4(),
    "mistral": Mistral(),
    "mixtral": Mixtral(),
    "modernbert": ModernBert(),
    "mpnet": MpNet(),
    "mt5": T5(),
    "olmo": Olmo(),
    "olmo2": Olmo2(),
    "olmo3": Olmo3(),
    "opt": Opt(),
    "phi": Phi(),
    "phi3": Phi3(),
    "qwen2": Qwen2(),
    "qwen2_5_vl_text": Qwen25Vl(),
    "qwen2_moe": Qwen2Moe(),
    "qwen2_vl_text": Qwen2Vl(),
    "qwen3": Qwen3(),
    "qwen3_moe": Qwen3Moe(),
    "qwen3_next": Qwen3Next(),
    "roberta": Bert(),
    "siglip_text_model": Siglip(),
    "siglip_vision_model": Siglip(),
    "smollm3": SmolLm3(),
    "stablelm": StableLm(),
    "starcoder2": StarCoder2(),
    "t5": T5(),
    "umt5": UMT5(),
    "vit": Vit(),
    "whisper": Whisper(),
    "xlm-roberta": Bert(),
}

TEXT_PARTS = {
    "clip": "clip_text_model",
    "gemma3": "gemma3_text",
    "gemma3n": "gemma3n_text",
    "llama4": "llama4_text",
    "llava": "llama",
    "mistral3": "mistral",
    "qwen2_5_vl": "qwen2_5_vl_text",
    "qwen2_vl": "qwen2_vl_text",
    "siglip": "siglip_text_model",
}
"""Models of text and images, and the `model_type` of a `text_config` that does not give its own."""

FLAT = frozenset({"qwen2_5_vl", "qwen2_vl"})
"""Those of them that older releases wrote without a `text_config`, its keys among the others."""

OVERRIDDEN = frozenset({"clip"})
"""Those of them whose ``text_config`` gives way to a ``text_config_dict``, down to its defaults."""

OTHER_PARTS = frozenset({"vision_model", "vision_tower"})
"""Their parts whose weights have names like those of the text part."""

__all__ = [
    "FAMILIES",
    "FLAT",
    "OTHER_PARTS",
    "OVERRIDDEN",
    "TEXT_PARTS",
    "Attention",
    "AttentionLayer",
    "AttentionShape",
    "Family",
    "HeadSlices",
    "Norm",
    "Projection",
    "refuse_endless",
]
