"""What transformers' own implementation of each family computes, on tiny random models."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from score_rounding import TABLE_UNIT, UNIT
from torch import Tensor


@dataclass(frozen=True)
class Blueprint:
    """How to build a tiny model of a family and where its parts are.

    Attributes
    ----------
    config, model, head
        Classes of transformers: the configuration, the bare model, the model with a head.
    settings
        Attributes of the configuration.
    sizes
        Layers, heads, key/value heads, d and r that they mean.
    attention, outputs, norm
        Paths to the attention module of a layer, to the output projection, and to the norm in
        front, from the bare model.
    rotary
        How attention learns of positions: from the tables of the model's ``rotary_emb`` as
        ``position_embeddings``, from ``position_ids``, or not at all.
    arguments
        What else the attention module wants.
    layers
        What to fill into the paths for each layer, if not its number.
    interface
        Whether attention goes through transformers' exchangeable attention function.
    score_norms
        Modules inside attention that normalise queries and keys, or the latent vectors that they
        are made from. One that serves both has no weights.
    centred
        Whether those take the mean off before they divide by the size.
    value_norm
        The module that divides values by their size.
    content
        How many of a query's and a key's first coordinates belong to the operator, if not all.
    gated
        Whether a second half of each head's rows of ``q_proj`` are gates.
    prescaled
        Whether queries are multiplied by the scale before they are compared.
    alibi
        Whether attention is given a position term to add its products to.
    single
        Whether queries and keys are rounded to float32 on the way.
    by_hand
        Whether attention multiplies and takes the softmax itself.
    terms
        Whether attention adds terms of relative positions, of which it is given the embeddings.
    """

    config: str
    model: str
    head: str
    settings: Mapping[str, Any]
    sizes: tuple[int, int, int, int, int]
    attention: str
    outputs: str
    norm: str | None = None
    rotary: Literal["tables", "ids"] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    layers: tuple[str, ...] | None = None
    interface: bool = True
    score_norms: tuple[str, ...] = ()
    centred: bool = False
    value_norm: str | None = None
    content: int | None = None
    gated: bool = False
    prescaled: bool = False
    alibi: bool = False
    single: bool = False
    by_hand: bool = False
    terms: bool = False

    @property
    def gammas(self) -> bool:
        """Whether norms inside attention have weights."""
        return len(self.score_norms) == 2


SMALL = {
    "hidden_size": 12,
    "num_hidden_layers": 12,
    "num_attention_heads": 3,
    "intermediate_size": 8,
    "vocab_size": 16,
}
# Heads of width 6 in a stream of width 16, and groups of three.
GROUPED = SMALL | {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 6,
}
SPECIAL = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
ROPE = {"rope_theta": 9.0, "rope_type": "default"}
DECODER = {"attention": "layers.{}.self_attn", "outputs": "layers.{}.self_attn.o_proj"}

GPT = {"n_embd": 12, "n_head": 3, "n_layer": 4, "n_inner": 8, "vocab_size": 16, **SPECIAL}
MASKED = {"attention_mask": None}
TABLES = {"rotary": "tables", "arguments": MASKED}
SCORE_NORMS = {"score_norms": ("q_norm", "k_norm")}
LAYER_NORMS = {"score_norms": ("q_layernorm", "k_layernorm"), "centred": True}
HALF_TURNED = {"hidden_size": 32, "rope_parameters": ROPE | {"partial_rotary_factor": 0.5}}
MOE = {"moe_intermediate_size": 4, "num_experts": 2, "num_experts_per_tok": 1}
BY_KIND = {"full_attention": ROPE, "sliding_attention": ROPE | {"rope_theta": 4.0}}
MLA = SMALL | {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "kv_lora_rank": 10,
    "q_lora_rank": 12,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 4,
    "v_head_dim": 5,
    "n_routed_experts": 2,
    "moe_intermediate_size": 4,
    "first_k_dense_replace": 2,
    "rope_parameters": ROPE,
}


def llama_like(
    name: str, *, more: Mapping[str, Any] = {}, without: tuple[str, ...] = (), **parts: Any
) -> Blueprint:
    """A decoder with grouped keys, separate weights and the norm in front."""
    settings = GROUPED | SPECIAL | {"rope_parameters": ROPE} | more
    return Blueprint(
        f"{name}Config",
        f"{name}Model",
        parts.pop("head", f"{name}ForCausalLM"),
        {name: value for name, value in settings.items() if name not in without},
        **{"sizes": (4, 4, 2, 16, 6), **DECODER, "norm": "layers.{}.input_layernorm"}
        | TABLES
        | parts,
    )


def qwen_vl(name: str) -> Blueprint:
    """The text part of a model of text and images."""
    return llama_like(
        f"{name}Text",
        more={"hidden_size": 32, "rope_parameters": ROPE | {"mrope_section": [2, 1, 1]}},
        without=("head_dim",),
        head=f"{name}TextModel",
        sizes=(4, 4, 2, 32, 8),
    )


def bert_like(name: str, *, more: Mapping[str, Any] = {}) -> Blueprint:
    """An encoder with BERT's names."""
    return Blueprint(
        f"{name}Config",
        f"{name}Model",
        f"{name}ForMaskedLM",
        SMALL | {"num_hidden_layers": 4} | more,
        (4, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention.self",
        outputs="encoder.layer.{}.attention.output.dense",
    )


def deberta(**settings: Any) -> Blueprint:
    """An encoder whose scores have terms of relative positions."""
    relative = {"relative_attention": True, "position_buckets": 4, "max_relative_positions": 8}
    return Blueprint(
        "DebertaV2Config",
        "DebertaV2Model",
        "DebertaV2ForMaskedLM",
        SMALL | {"num_hidden_layers": 4} | relative | settings,
        (4, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention.self",
        outputs="encoder.layer.{}.attention.output.dense",
        interface=False,
        terms=True,
    )


def gemma3n(n_shared: int, **parts: Any) -> Blueprint:
    """A decoder whose last layers take keys and values from earlier ones."""
    return llama_like(
        "Gemma3nText",
        head="Gemma3nForCausalLM",
        more={"num_hidden_layers": 6, "num_kv_shared_layers": n_shared}
        | {"layer_types": ["sliding_attention", "full_attention"] * 3, "rope_parameters": BY_KIND}
        | {"hidden_size_per_layer_input": 4, "vocab_size_per_layer_input": 16}
        | {"altup_num_inputs": 2, "laurel_rank": 2},
        sizes=(6, 4, 2, 16, 6),
        value_norm="v_norm",
        **SCORE_NORMS,
        **parts,
    )


def t5_like(name: str) -> Blueprint:
    """An encoder-decoder with unscaled scores."""
    return Blueprint(
        f"{name}Config",
        f"{name}Model",
        f"{name}ForConditionalGeneration",
        {"d_model": 16, "d_kv": 5, "d_ff": 8, "num_layers": 2, "num_decoder_layers": 3}
        | {"num_heads": 4, "vocab_size": 16, "pad_token_id": None, "eos_token_id": None},
        (5, 4, 4, 16, 5),
        attention="{}.layer.0.SelfAttention",
        outputs="{}.layer.0.SelfAttention.o",
        norm="{}.layer.0.layer_norm",
        layers=tuple(f"encoder.block.{i}" for i in range(2))
        + tuple(f"decoder.block.{i}" for i in range(3)),
    )


def bart_like(name: str, *, more: Mapping[str, Any] = {}, **parts: Any) -> Blueprint:
    """An encoder-decoder with BART's names."""
    return Blueprint(
        f"{name}Config",
        f"{name}Model",
        f"{name}ForConditionalGeneration",
        {"d_model": 12, "encoder_layers": 2, "decoder_layers": 3, "vocab_size": 16}
        | {"encoder_attention_heads": 3, "decoder_attention_heads": 3}
        | {"encoder_ffn_dim": 8, "decoder_ffn_dim": 8, "decoder_start_token_id": 0}
        | SPECIAL
        | {"pad_token_id": 0}
        | more,
        (5, 3, 3, 12, 4),
        attention="{}.self_attn",
        outputs="{}.self_attn.out_proj",
        layers=tuple(f"encoder.layers.{i}" for i in range(2))
        + tuple(f"decoder.layers.{i}" for i in range(3)),
        **parts,
    )


def siglip(part: str, name: str = "Siglip", **settings: Any) -> Blueprint:
    """One of two encoders."""
    shared = {name: value for name, value in SMALL.items() if name != "vocab_size"}
    words = SPECIAL | {"vocab_size": 16, "max_position_embeddings": 16}
    return Blueprint(
        f"{name}{part}Config",
        f"{name}{part}Model",
        f"{name}{part}Model",
        shared | {"num_hidden_layers": 4} | (words if part == "Text" else {}) | settings,
        (4, 3, 3, 12, 4),
        attention="encoder.layers.{}.self_attn",
        outputs="encoder.layers.{}.self_attn.out_proj",
        norm="encoder.layers.{}.layer_norm1",
    )


def falcon(sizes: tuple[int, int, int, int, int], norm: str, **settings: Any) -> Blueprint:
    """A layout of Falcon."""
    return Blueprint(
        "FalconConfig",
        "FalconModel",
        "FalconForCausalLM",
        SMALL
        | SPECIAL
        | {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4}
        | {"ffn_hidden_size": 8, "rope_parameters": ROPE}
        | settings,
        sizes,
        attention="h.{}.self_attention",
        outputs="h.{}.self_attention.dense",
        norm=norm,
        rotary="tables",
        arguments={"alibi": None, "attention_mask": None},
        interface=False,
    )


def gpt_bigcode(n_kv_heads: int, **settings: Any) -> Blueprint:
    """A layout of GPT-BigCode."""
    return Blueprint(
        "GPTBigCodeConfig",
        "GPTBigCodeModel",
        "GPTBigCodeForCausalLM",
        GPT | settings,
        (4, 3, n_kv_heads, 12, 4),
        attention="h.{}.attn",
        outputs="h.{}.attn.c_proj",
        norm="h.{}.ln_1",
    )


def gptj_like(name: str, n_heads: int) -> Blueprint:
    """A decoder that pairs neighbouring coordinates."""
    return Blueprint(
        f"{name}Config",
        f"{name}Model",
        f"{name}ForCausalLM",
        GPT | {"n_embd": 8 * n_heads, "n_head": n_heads, "n_layer": 3, "rotary_dim": 6},
        (3, n_heads, n_heads, 8 * n_heads, 8),
        attention="h.{}.attn",
        outputs="h.{}.attn.out_proj",
        norm="h.{}.ln_1",
        rotary="ids",
        interface=False,
    )


def deepseek(name: str, **settings: Any) -> Blueprint:
    """A decoder with latent spaces; only the content part of each head is compared."""
    return Blueprint(
        f"{name}Config",
        f"{name}Model",
        f"{name}ForCausalLM",
        MLA | SPECIAL | settings,
        (2, 4, 4, 16, 6),
        **DECODER,
        norm="layers.{}.input_layernorm",
        rotary="tables",
        arguments=MASKED,
        score_norms=("q_a_layernorm", "kv_a_layernorm"),
        content=6,
    )


BLUEPRINTS = {
    "bert": Blueprint(
        "BertConfig",
        "BertModel",
        "BertForMaskedLM",
        SMALL,
        (12, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention.self",
        outputs="encoder.layer.{}.attention.output.dense",
    ),
    "roberta": bert_like("Roberta"),
    "xlm-roberta": bert_like("XLMRoberta"),
    "camembert": bert_like("Camembert"),
    "electra": bert_like("Electra", more={"embedding_size": 8}),
    "mpnet": Blueprint(
        "MPNetConfig",
        "MPNetModel",
        "MPNetForMaskedLM",
        SMALL | {"num_hidden_layers": 4},
        (4, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention.attn",
        outputs="encoder.layer.{}.attention.attn.o",
        interface=False,
        by_hand=True,
    ),
    "deberta-v2": deberta(pos_att_type=["p2c", "c2p"], share_att_key=True),
    "deberta-v2, one term": deberta(pos_att_type=["c2p"]),
    "albert": Blueprint(
        "AlbertConfig",
        "AlbertModel",
        "AlbertForMaskedLM",
        SMALL
        | {"num_hidden_layers": 6, "num_hidden_groups": 2, "inner_group_num": 2}
        | {"embedding_size": 8},
        (4, 3, 3, 12, 4),
        attention="encoder.albert_layer_groups.{}.attention",
        outputs="encoder.albert_layer_groups.{}.attention.dense",
        layers=("0.albert_layers.0", "0.albert_layers.1", "1.albert_layers.0", "1.albert_layers.1"),
    ),
    "esm": Blueprint(
        "EsmConfig",
        "EsmModel",
        "EsmForMaskedLM",
        SMALL
        | {"num_hidden_layers": 4, "position_embedding_type": "rotary", "rope_theta": 9.0}
        | {"pad_token_id": 1, "mask_token_id": 2},
        (4, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention.self",
        outputs="encoder.layer.{}.attention.output.dense",
        norm="encoder.layer.{}.attention.LayerNorm",
        rotary="tables",
        prescaled=True,
        single=True,
    ),
    "distilbert": Blueprint(
        "DistilBertConfig",
        "DistilBertModel",
        "DistilBertForMaskedLM",
        {"dim": 12, "n_layers": 4, "n_heads": 3, "hidden_dim": 8, "vocab_size": 16},
        (4, 3, 3, 12, 4),
        attention="transformer.layer.{}.attention",
        outputs="transformer.layer.{}.attention.out_lin",
    ),
    "modernbert": Blueprint(
        "ModernBertConfig",
        "ModernBertModel",
        "ModernBertForMaskedLM",
        SMALL
        | SPECIAL
        | {"num_hidden_layers": 4, "hidden_size": 18, "rope_parameters": BY_KIND}
        | {"cls_token_id": None, "sep_token_id": None},
        (4, 3, 3, 18, 6),
        attention="layers.{}.attn",
        outputs="layers.{}.attn.Wo",
        norm="layers.{}.attn_norm",
        rotary="tables",
        single=True,
    ),
    "vit": Blueprint(
        "ViTConfig",
        "ViTModel",
        "ViTForImageClassification",
        SMALL | {"num_hidden_layers": 4, "image_size": 8, "patch_size": 4},
        (4, 3, 3, 12, 4),
        attention="layers.{}.attention",
        outputs="layers.{}.attention.o_proj",
        norm="layers.{}.layernorm_before",
    ),
    "dinov2": Blueprint(
        "Dinov2Config",
        "Dinov2Model",
        "Dinov2ForImageClassification",
        SMALL | {"num_hidden_layers": 4, "image_size": 8, "patch_size": 4},
        (4, 3, 3, 12, 4),
        attention="encoder.layer.{}.attention",
        outputs="encoder.layer.{}.attention.o_proj",
        norm="encoder.layer.{}.norm1",
    ),
    "clip_text_model": siglip("Text", "CLIP"),
    "clip_vision_model": siglip("Vision", "CLIP", image_size=8, patch_size=4),
    "siglip_text_model": siglip("Text"),
    "siglip_vision_model": siglip("Vision", image_size=8, patch_size=4),
    "bart": bart_like("Bart", more={"max_position_embeddings": 16}),
    "whisper": bart_like(
        "Whisper",
        more={"max_source_positions": 8, "max_target_positions": 8, "num_mel_bins": 4},
        norm="{}.self_attn_layer_norm",
        prescaled=True,
    ),
    "t5": t5_like("T5"),
    "mt5": t5_like("MT5"),
    "umt5": t5_like("UMT5"),
    "gpt_neo": Blueprint(
        "GPTNeoConfig",
        "GPTNeoModel",
        "GPTNeoForCausalLM",
        {"hidden_size": 12, "num_layers": 4, "num_heads": 3, "intermediate_size": 8}
        | {"attention_types": [[["global", "local"], 2]], "max_position_embeddings": 16}
        | {"vocab_size": 16, **SPECIAL},
        (4, 3, 3, 12, 4),
        attention="h.{}.attn.attention",
        outputs="h.{}.attn.attention.out_proj",
        norm="h.{}.ln_1",
        interface=False,
    ),
    "gpt2": Blueprint(
        "GPT2Config",
        "GPT2Model",
        "GPT2LMHeadModel",
        GPT | {"n_layer": 12},
        (12, 3, 3, 12, 4),
        attention="h.{}.attn",
        outputs="h.{}.attn.c_proj",
        norm="h.{}.ln_1",
    ),
    "gpt_bigcode": gpt_bigcode(1),
    "gpt_bigcode, a key each": gpt_bigcode(3, multi_query=False),
    "gptj": gptj_like("GPTJ", 3),
    "codegen": gptj_like("CodeGen", 8),
    "gpt_neox": Blueprint(
        "GPTNeoXConfig",
        "GPTNeoXModel",
        "GPTNeoXForCausalLM",
        SMALL
        | SPECIAL
        | {"hidden_size": 24, "num_hidden_layers": 11}
        | {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}},
        (11, 3, 3, 24, 8),
        attention="layers.{}.attention",
        outputs="layers.{}.attention.dense",
        norm="layers.{}.input_layernorm",
        rotary="tables",
        arguments=MASKED,
    ),
    "bloom": Blueprint(
        "BloomConfig",
        "BloomModel",
        "BloomForCausalLM",
        {"hidden_size": 12, "n_head": 3, "n_layer": 4, "vocab_size": 16, **SPECIAL},
        (4, 3, 3, 12, 4),
        attention="h.{}.self_attention",
        outputs="h.{}.self_attention.dense",
        norm="h.{}.input_layernorm",
        arguments=MASKED,
        interface=False,
        alibi=True,
    ),
    "opt": Blueprint(
        "OPTConfig",
        "OPTModel",
        "OPTForCausalLM",
        {"hidden_size": 12, "num_hidden_layers": 4, "num_attention_heads": 3, "ffn_dim": 8}
        | {"vocab_size": 16, "max_position_embeddings": 16, **SPECIAL},
        (4, 3, 3, 12, 4),
        attention="decoder.layers.{}.self_attn",
        outputs="decoder.layers.{}.self_attn.out_proj",
        norm="decoder.layers.{}.self_attn_layer_norm",
        prescaled=True,
    ),
    "falcon": falcon((3, 4, 1, 16, 4), "h.{}.input_layernorm"),
    "falcon, groups": falcon(
        (3, 4, 2, 16, 4), "h.{}.ln_attn", new_decoder_architecture=True, num_kv_heads=2
    ),
    "falcon, a key each": falcon(
        (3, 4, 4, 16, 4), "h.{}.input_layernorm", multi_query=False, parallel_attn=False
    ),
    "llama": llama_like("Llama"),
    "llama4_text": llama_like(
        "Llama4Text",
        head="Llama4ForCausalLM",
        more={"no_rope_layer_interval": 3, "num_local_experts": 2, "intermediate_size_mlp": 8},
        single=True,
        score_norms=("qk_norm",),
    ),
    "mistral": llama_like("Mistral"),
    "mixtral": llama_like("Mixtral", more={"num_local_experts": 2}),
    "qwen2": llama_like("Qwen2"),
    "qwen3": llama_like("Qwen3", **SCORE_NORMS),
    "qwen3_next": llama_like(
        "Qwen3Next",
        more=MOE
        | {"num_hidden_layers": 8, "shared_expert_intermediate_size": 4}
        | {"linear_num_value_heads": 2, "linear_num_key_heads": 2}
        | {"linear_key_head_dim": 4, "linear_value_head_dim": 4, "head_dim": 8}
        | {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5}},
        sizes=(2, 4, 2, 16, 8),
        layers=("3", "7"),
        gated=True,
        **SCORE_NORMS,
    ),
    "qwen2_moe": llama_like("Qwen2Moe", more=MOE | {"shared_expert_intermediate_size": 4}),
    "qwen3_moe": llama_like("Qwen3Moe", more=MOE, **SCORE_NORMS),
    "smollm3": llama_like("SmolLM3", more={"no_rope_layer_interval": 3}),
    "qwen2_vl_text": qwen_vl("Qwen2VL"),
    "qwen2_5_vl_text": qwen_vl("Qwen2_5_VL"),
    "gpt_oss": llama_like("GptOss", more=MOE),
    "granite": llama_like("Granite", more={"attention_multiplier": 0.3}),
    "starcoder2": llama_like("Starcoder2"),
    "cohere": llama_like("Cohere", single=True),
    "stablelm": llama_like(
        "StableLm",
        more=HALF_TURNED,
        without=("head_dim",),
        sizes=(4, 4, 2, 32, 8),
    ),
    "cohere, norms": llama_like(
        "Cohere", more={"use_qk_norm": True}, single=True, centred=True, **SCORE_NORMS
    ),
    "stablelm, norms": llama_like(
        "StableLm",
        more=HALF_TURNED | {"qk_layernorm": True},
        without=("head_dim",),
        sizes=(4, 4, 2, 32, 8),
        **LAYER_NORMS,
    ),
    "phi, norms": llama_like(
        "Phi",
        more=HALF_TURNED | {"head_dim": 8, "qk_layernorm": True},
        sizes=(4, 4, 2, 32, 8),
        outputs="layers.{}.self_attn.dense",
        **LAYER_NORMS,
    ),
    "olmo": llama_like("Olmo"),
    "olmo2": llama_like("Olmo2", norm=None, **SCORE_NORMS),
    "olmo3": llama_like("Olmo3", more={"rope_parameters": BY_KIND}, norm=None, **SCORE_NORMS),
    "gemma": llama_like("Gemma"),
    "gemma2": llama_like("Gemma2", more={"query_pre_attn_scalar": 5}),
    "gemma3_text": Blueprint(
        "Gemma3TextConfig",
        "Gemma3TextModel",
        "Gemma3ForCausalLM",
        GROUPED
        | SPECIAL
        | {"query_pre_attn_scalar": 5, "rope_parameters": BY_KIND}
        | {"sliding_window_pattern": 2},
        (4, 4, 2, 16, 6),
        **DECODER,
        norm="layers.{}.input_layernorm",
        rotary="tables",
        **SCORE_NORMS,
    ),
    "gemma3n_text": gemma3n(2, norm=None),
    "gemma3n_text, keys of their own": gemma3n(0),
    "phi": llama_like(
        "Phi",
        more=HALF_TURNED | {"head_dim": 8},
        sizes=(4, 4, 2, 32, 8),
        outputs="layers.{}.self_attn.dense",
    ),
    "phi3": llama_like(
        "Phi3",
        more=HALF_TURNED | {"head_dim": 8},
        sizes=(4, 4, 2, 32, 8),
    ),
    "deepseek_v2": deepseek("DeepseekV2"),
    "deepseek_v2, queries at once": deepseek("DeepseekV2", q_lora_rank=None),
    "deepseek_v3": deepseek("DeepseekV3"),
}


def model_type(family: str) -> str:
    """The `model_type` of a blueprint, whose name may say more."""
    return family.partition(",")[0]


@dataclass(frozen=True)
class Scored:
    """What an attention module multiplies, for n inputs.

    Attributes
    ----------
    queries, keys
        [H, n, r], after rotation; keys repeated for the heads that share them.
    scaling
        Factor of their products before the softmax.
    context
        [n, H r], what the output projection is given when each token attends to itself alone.
    """

    queries: Tensor
    keys: Tensor
    scaling: float
    context: Tensor


@dataclass(frozen=True)
class TinyModel:
    """A model in memory and the folder it was saved to."""

    blueprint: Blueprint
    folder: Path
    model: Any

    @property
    def unit(self) -> float:
        """Unit roundoff of what comes before the scores."""
        return TABLE_UNIT if self.blueprint.score_norms or self.blueprint.single else UNIT

    @property
    def bare(self) -> Any:
        """The model without its head."""
        base = self.model.base_model
        return getattr(base, "model", base) if base is self.model else base

    def part(self, path: str, layer: int) -> Any:
        """A module of a layer."""
        names = self.blueprint.layers
        return self.bare.get_submodule(path.format(names[layer] if names else layer))

    def score(self, layer: int, inputs: Tensor, positions: Tensor | None = None) -> Scored:
        """Run the attention module of a layer on inputs [n, d], by default all at position 0.

        What queries, keys and values were divided by when they were normalised, they are
        multiplied by again.
        """
        if positions is None:
            positions = torch.zeros(len(inputs), dtype=torch.int64)
        blueprint = self.blueprint
        attention = self.part(blueprint.attention, layer)
        source = self._source(attention)
        outputs = self.part(blueprint.outputs, layer)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            calls = stack.enter_context(recorded(self.model, attention, blueprint))
            contexts = stack.enter_context(inputs_of(outputs))
            normalised = [
                stack.enter_context(inputs_of(module))
                for name in blueprint.score_norms
                if (module := getattr(attention, name, getattr(source, name, None))) is not None
            ]
            values = stack.enter_context(
                inputs_of(getattr(source, blueprint.value_norm or "", None))
            )
            arguments = self._arguments(attention, inputs, positions, calls)
            if source is not attention:
                source(inputs[None], **arguments)
            result = attention(inputs[None], **arguments)[0]
            if not contexts:  # the output projection is in another module
                outputs(result)
        queries, keys, scaling = calls[-1]
        context = contexts[0].reshape(len(inputs), -1)
        if blueprint.prescaled:
            factor = queries.shape[-1] ** -0.5
            queries, scaling = queries / factor, scaling * factor
        given = [rows[0] for each in normalised for rows in each]
        if blueprint.centred:
            given = [rows - rows.mean(dim=-1, keepdim=True) for rows in given]
        sizes = [rows_sizes(rows, len(inputs)) for rows in given]
        if values:
            shared = rows_sizes(values[0][0], len(inputs))
            own = shared.repeat_interleave(len(queries) // len(shared), dim=0).transpose(0, 1)
            context = (context.unflatten(1, (len(queries), -1)) * own).flatten(1)
        if blueprint.content is not None:
            context = context * sizes[-1][0]
            queries, keys = queries[..., : blueprint.content], keys[..., : blueprint.content]
        if sizes:
            keys = keys * sizes[-1].repeat_interleave(len(keys) // len(sizes[-1]), dim=0)
        if len(sizes) == 2:
            queries = queries * sizes[0]
        if blueprint.gated:  # gates of zero let half through
            context = 2 * context
        return Scored(queries, keys, scaling, context)

    def _source(self, attention: Any) -> Any:
        """Where the keys and values of an attention module are made."""
        if not getattr(attention, "is_kv_shared_layer", False):
            return attention
        return next(
            module
            for module in self.model.modules()
            if getattr(module, "store_full_length_kv", False)
            and module.layer_type == attention.layer_type
        )

    def _arguments(
        self, attention: Any, inputs: Tensor, positions: Tensor, calls: list[Any]
    ) -> dict[str, Any]:
        """What the attention module wants beside its inputs."""
        arguments = dict(self.blueprint.arguments)
        if self.blueprint.rotary == "ids":
            arguments["position_ids"] = positions[None]
        elif self.blueprint.rotary == "tables":
            config = self.model.config
            parameters = getattr(config, "rope_parameters", None) or ROPE
            by_kind = set(parameters) <= {"full_attention", "sliding_attention"}
            kind = {"layer_type": config.layer_types[attention.layer_idx]} if by_kind else {}
            rotary = getattr(self.bare, "rotary_emb", None) or self.bare.rotary_embeddings
            tables = rotary(inputs[None], positions[None], **kind)
            arguments["position_embeddings"] = tables
        if hasattr(attention, "is_kv_shared_layer"):
            arguments["shared_kv_states"] = {}
        if self.blueprint.terms:
            alone = torch.eye(len(inputs)).bool()
            embeddings = self.bare.encoder.get_rel_embedding()
            arguments |= {"attention_mask": alone[None, None], "rel_embeddings": embeddings}
        if self.blueprint.alibi:
            arguments |= {"alibi": Alibi(calls), "residual": torch.zeros_like(inputs)[None]}
        return arguments

    def normalise(self, layer: int, inputs: Tensor) -> Tensor:
        """The norm in front of a layer, without its division by the size of each row [n, d]."""
        norm = self.part(self.blueprint.norm, layer)
        if isinstance(norm, torch.nn.Identity):
            return inputs
        large = 2.0**20 * inputs  # a number under the square root that cannot be set to 0 is lost
        with torch.no_grad():
            normalised = norm(large)
            centred = torch.allclose(norm(large + 2.0**20), normalised, atol=1e-3)
        centre = inputs.mean(dim=1, keepdim=True) if centred else torch.zeros_like(inputs[:, :1])
        return normalised * rows_sizes(inputs - centre, len(inputs))[0]

    def write(self, layer: int, scored: Scored, head: int, width: int) -> Tensor:
        """What one head adds to the residual stream [n, d] when each token attends to itself."""
        outputs = self.part(self.blueprint.outputs, layer)
        alone = torch.zeros_like(scored.context)
        span = slice(head * width, (head + 1) * width)
        alone[:, span] = scored.context[:, span]
        with torch.no_grad():
            return outputs(alone)


@dataclass(frozen=True)
class Alibi:
    """What BLOOM takes for its position term: notes the products, and leaves only the diagonal."""

    calls: list[tuple[Tensor, Tensor, float]]

    def baddbmm(self, batch1: Tensor, batch2: Tensor, beta: float, alpha: float) -> Tensor:
        """Scores of 0 on the diagonal, minus infinity elsewhere."""
        self.calls.append((batch1, batch2.mT, alpha))
        n_heads, n, _ = batch1.shape
        return torch.where(torch.eye(n).bool(), 0.0, -torch.inf).expand(n_heads, n, n)


def rows_sizes(rows: Tensor, n: int) -> Tensor:
    """Root mean square of each of n rows [n, w], [heads, n, w] or [n, heads, w], heads first."""
    size = rows.square().mean(dim=-1, keepdim=True).sqrt()
    if size.ndim == 2:
        return size[None]
    return size if size.shape[1] == n else size.transpose(0, 1)


@contextmanager
def recorded(
    model: Any, attention: Any, blueprint: Blueprint
) -> Iterator[list[tuple[Tensor, Tensor, float]]]:
    """Queries, keys and scaling of the attention calls inside; each token attends to itself."""
    from transformers import AttentionInterface
    from transformers.models.llama.modeling_llama import repeat_kv

    calls: list[tuple[Tensor, Tensor, float]] = []

    def attend(query: Tensor, key: Tensor, value: Tensor, scaling: float | None) -> Tensor:
        shared = query.shape[1] // key.shape[1]
        calls.append((query[0], repeat_kv(key, shared)[0], scaling or query.shape[-1] ** -0.5))
        return repeat_kv(value, shared)

    if blueprint.interface:

        def exchanged(module: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **n: Any):
            return attend(query, key, value, n.get("scaling")).transpose(1, 2), None

        AttentionInterface.register("recorded", exchanged)
        model.set_attn_implementation("recorded")
        yield calls
    elif hasattr(attention, "_attn"):
        attention._attn = lambda query, key, value, _: (
            attend(query, key, value, 1 / float(getattr(attention, "scale_attn", 1.0))),
            None,
        )
        yield calls
    elif blueprint.terms:
        multiply, projected = torch.bmm, []
        hook = attention.key_proj.register_forward_hook(lambda _, __, keys: projected.append(keys))

        def first(query: Tensor, key: Tensor) -> Tensor:
            if not calls:  # the term of two tokens, the scale within the keys
                keys = projected[0][0].unflatten(1, (len(query), -1)).transpose(0, 1)
                largest = keys.abs().argmax()
                scale = key.mT.flatten()[largest] / keys.flatten()[largest]
                calls.append((query, keys, float(scale)))
            return multiply(query, key)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "bmm", first)
            yield calls
        hook.remove()
    elif blueprint.by_hand:
        multiply = torch.matmul

        def noted(query: Tensor, key: Tensor) -> Tensor:
            if not calls:
                calls.append((query[0], key[0].mT, math.nan))
            return multiply(query, key)

        def softmax(scores: Tensor, dim: int) -> Tensor:
            queries, keys, _ = calls[0]
            largest = multiply(queries, keys.mT).abs().argmax()
            factor = scores.flatten()[largest] / multiply(queries, keys.mT).flatten()[largest]
            calls[0] = (queries, keys, float(factor))
            return torch.eye(scores.shape[-1], dtype=scores.dtype).expand_as(scores)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch, "matmul", noted)
            patch.setattr(torch.nn.functional, "softmax", softmax)
            yield calls
    else:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch.nn.functional,
                "scaled_dot_product_attention",
                lambda query, key, value, **_: attend(query, key, value, None),
            )
            yield calls


@contextmanager
def inputs_of(module: Any) -> Iterator[list[Tensor]]:
    """What a module is given, if there is one."""
    given: list[Tensor] = []
    if module is None:
        yield given
        return
    hook = module.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0]))
    yield given
    hook.remove()


def build(
    family: str,
    new_folder: Callable[[str], Path],
    *,
    head: bool = False,
    dtype: torch.dtype = torch.float64,
    max_shard_size: str = "1GB",
    randomise: bool = True,
    **settings: Any,
) -> TinyModel:
    """Build a model of a family, bare or with a head, randomise it unless told not to, save it."""
    import transformers

    blueprint = BLUEPRINTS[family]
    config = getattr(transformers, blueprint.config)(**blueprint.settings | settings)
    model = getattr(transformers, blueprint.head if head else blueprint.model)(config)
    model = model.eval().to(dtype)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters() if randomise else ():
        if name.endswith("bias"):  # the factors leave them out
            parameter.data.zero_()
        elif parameter.ndim == 1:
            parameter.data.normal_(mean=1.0, std=0.5, generator=generator)
        else:
            parameter.data.normal_(std=0.5, generator=generator)
    for module in model.modules():
        if blueprint.gated and hasattr(module, "q_proj"):
            module.q_proj.weight.data.unflatten(0, (-1, 2, module.head_dim))[:, 1] = 0.0
        for name in ("eps", "variance_epsilon"):  # divide by the size of a row alone
            if hasattr(module, name):
                setattr(module, name, 0.0)
    folder = new_folder(model_type(family))
    model.save_pretrained(folder, max_shard_size=max_shard_size)
    return TinyModel(blueprint, folder, model)
