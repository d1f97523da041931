"""Configurations as published are understood; whatever could change the scores is refused."""

import copy
from typing import Any

import pytest
import torch
from published import PUBLISHED
from published_files import FILES

from headalgebra.checkpoints import CheckpointError, initialise
from headalgebra.checkpoints._config import recognise
from headalgebra.checkpoints._families import FAMILIES, TEXT_PARTS, AttentionShape
from headalgebra.checkpoints.reading import Reading

GPT2_MEDIUM = {
    "activation_function": "gelu_new",
    "architectures": ["GPT2LMHeadModel"],
    "attn_pdrop": 0.1,
    "bos_token_id": 50256,
    "embd_pdrop": 0.1,
    "eos_token_id": 50256,
    "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05,
    "model_type": "gpt2",
    "n_ctx": 1024,
    "n_embd": 1024,
    "n_head": 16,
    "n_layer": 24,
    "n_positions": 1024,
    "n_special": 0,
    "predict_special_tokens": True,
    "resid_pdrop": 0.1,
    "summary_activation": None,
    "summary_first_dropout": 0.1,
    "summary_proj_to_labels": True,
    "summary_type": "cls_index",
    "summary_use_proj": True,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
    "vocab_size": 50257,
}
DISTILGPT2 = GPT2_MEDIUM | {
    "_num_labels": 1,
    "id2label": {"0": "LABEL_0"},
    "label2id": {"LABEL_0": 0},
    "n_embd": 768,
    "n_head": 12,
    "n_layer": 6,
}
RESEARCH_GPT2 = GPT2_MEDIUM | {
    "n_inner": None,
    "reorder_and_upcast_attn": True,
    "scale_attn_by_inverse_layer_idx": True,
    "scale_attn_weights": True,
    "torch_dtype": "float32",
    "transformers_version": "4.35.0",
    "use_cache": False,
}
BERT_BASE = {
    "architectures": ["BertForMaskedLM"],
    "attention_probs_dropout_prob": 0.1,
    "gradient_checkpointing": False,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 768,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": 512,
    "model_type": "bert",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "transformers_version": "4.6.0.dev0",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": 30522,
}
BERT_CHINESE = BERT_BASE | {
    "classifier_dropout": None,
    "directionality": "bidi",
    "pooler_fc_size": 768,
    "pooler_num_attention_heads": 12,
    "pooler_num_fc_layers": 3,
    "pooler_size_per_head": 128,
    "pooler_type": "first_token_transform",
}
BERT_2019 = BERT_BASE | {
    "finetuning_task": None,
    "num_labels": 2,
    "output_attentions": False,
    "output_hidden_states": False,
    "pruned_heads": {},
    "torchscript": False,
    "use_bfloat16": False,
}

PYTHIA_410M = {
    "architectures": ["GPTNeoXForCausalLM"],
    "bos_token_id": 0,
    "eos_token_id": 0,
    "hidden_act": "gelu",
    "hidden_size": 1024,
    "initializer_range": 0.02,
    "intermediate_size": 4096,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 2048,
    "model_type": "gpt_neox",
    "num_attention_heads": 16,
    "num_hidden_layers": 24,
    "rotary_emb_base": 10000,
    "rotary_pct": 0.25,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
    "transformers_version": "4.24.0",
    "use_cache": True,
    "use_parallel_residual": True,
    "vocab_size": 50304,
}
LLAMA_31_8B = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 131072,
    "mlp_bias": False,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 8.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
MISTRAL_NEMO = {
    "architectures": ["MistralForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 5120,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 1024000,
    "model_type": "mistral",
    "num_attention_heads": 32,
    "num_hidden_layers": 40,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-05,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0.dev0",
    "use_cache": True,
    "vocab_size": 131072,
}
SMOLLM3 = PUBLISHED["smollm3-3b"][0]
QWEN2_05B = {
    "architectures": ["Qwen2ForCausalLM"],
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "hidden_act": "silu",
    "hidden_size": 896,
    "initializer_range": 0.02,
    "intermediate_size": 4864,
    "max_position_embeddings": 131072,
    "max_window_layers": 24,
    "model_type": "qwen2",
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "sliding_window": 131072,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.1",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}


def shape(config: dict[str, Any]) -> tuple[int, int, int, int]:
    """Layers, heads, d and r that a configuration stands for."""
    found = recognise(config, "config").attention.shape
    return found.n_layers, found.n_heads, found.d_model, found.d_head


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GPT2_MEDIUM, (24, 16, 1024, 64)),
        (DISTILGPT2, (6, 12, 768, 64)),
        (RESEARCH_GPT2, (24, 16, 1024, 64)),
        (BERT_BASE, (12, 12, 768, 64)),
        (BERT_CHINESE, (12, 12, 768, 64)),
        (BERT_2019, (12, 12, 768, 64)),
        (PYTHIA_410M, (24, 16, 1024, 64)),
        (LLAMA_31_8B, (32, 32, 4096, 128)),
        (MISTRAL_NEMO, (40, 32, 5120, 128)),
        (QWEN2_05B, (24, 14, 896, 64)),
        (BERT_BASE | {"is_decoder": True}, (12, 12, 768, 64)),
        ({"model_type": "gpt2"}, (12, 12, 768, 64)),
        ({"model_type": "gpt2", "hidden_size": 96, "num_hidden_layers": 3}, (3, 12, 96, 8)),
    ],
)
def test_published_configurations_are_understood(
    config: dict[str, Any], expected: tuple[int, ...]
) -> None:
    """Every attribute of a published config.json is known; missing ones take their defaults."""
    assert shape(config) == expected


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_configurations_of_every_family_are_understood(model: str) -> None:
    """Including the number of keys; one that changes attention somewhere is refused in each."""
    config, expected = PUBLISHED[model]
    assert tuple(vars(recognise(config, "config").attention.shape).values()) == expected
    part = "text_config" if "text_config" in config else None
    strange = {"clip_qkv": 8.0}
    changed = config | ({part: config[part] | strange} if part else strange)
    with pytest.raises(CheckpointError, match=r"clip_qkv is .* but (unknown to it|None by)"):
        recognise(changed, "config")


CLIP_TEXT = {"hidden_size": 128, "num_attention_heads": 4, "num_hidden_layers": 6}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_type": "gpt2", "n_layer": 10**9}, "n_layer"),
        ({"model_type": "llama", "num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"model_type": "qwen2", "num_hidden_layers": 10**9}, "num_hidden_layers"),
        ({"model_type": "t5", "num_decoder_layers": 10**9}, "num_decoder_layers"),
        ({"model_type": "bart", "encoder_layers": 10**9}, "encoder_layers"),
        (
            {
                "model_type": "clip",
                "text_config": CLIP_TEXT,
                "text_config_dict": CLIP_TEXT | {"num_hidden_layers": 10**9},
            },
            "num_hidden_layers",
        ),
        ({"model_type": "albert", "inner_group_num": 10**9}, "the number of layers"),
        (
            {"model_type": "t5", "num_layers": 1, "num_decoder_layers": 1, "num_heads": 5 * 10**8},
            "the number of heads in all layers",
        ),
        (
            {"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 10**9}
            | {"num_key_value_heads": 1, "hidden_size": 10**9},
            "the number of heads in all layers",
        ),
    ],
)
def test_endless_layers_and_heads_are_refused_at_once(config: dict[str, Any], name: str) -> None:
    """Their descriptions alone would take all memory."""
    with pytest.raises(CheckpointError, match=f"{name} is 1000000000, and no model has more than"):
        recognise(config, "config")


@pytest.mark.parametrize(
    "override", [None, {}, {"hidden_size": 768}, {"num_hidden_layers": 3, "hidden_size": 96}]
)
def test_a_second_text_configuration_is_stronger(override: dict[str, int] | None) -> None:
    """Of CLIP, down to its defaults: as transformers itself completes the file."""
    from transformers import CLIPConfig

    first = {"hidden_size": 128, "num_attention_heads": 4, "num_hidden_layers": 6}
    config = {"model_type": "clip", "text_config": first, "text_config_dict": override}
    theirs = CLIPConfig.from_dict(copy.deepcopy(config)).text_config
    ours = recognise(config, "config").attention.shape
    sizes = theirs.num_hidden_layers, theirs.num_attention_heads, theirs.hidden_size
    assert (ours.n_layers, ours.n_heads, ours.d_model) == sizes
    assert (ours.d_model == 128) == (override is None)
    wrong = config | {"text_config_dict": {"hidden_size": "wide"}}
    with pytest.raises(CheckpointError, match=r"text_config_dict: .*hidden_size"):
        recognise(wrong, "config")


@pytest.mark.parametrize("model", FILES)
def test_keys_that_no_code_reads_are_let_pass(model: str) -> None:
    """In the files of popular models, and noted; without them the same is read."""
    config, sizes, stray = FILES[model]
    found = recognise(config, "config")
    assert tuple(vars(found.attention.shape).values()) == sizes
    assert found.unread == dict.fromkeys(stray, "reaches no code")
    without = recognise({k: v for k, v in config.items() if k not in stray}, "config")
    assert without.attention.layers[-1].queries == found.attention.layers[-1].queries
    assert without.unread == {}


SOMEWHERE = ("head_dim", "partial_rotary_factor", "rotary_pct", "rope_scaling", "layer_types")
ANYWHERE = ("per_layer_config", "is_causal", "transformers_weights", "position_embedding_type")


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_that_code_may_read_are_never_let_pass(family: str) -> None:
    """Though the configuration's class does not declare them, and neither does it object."""
    from transformers import CONFIG_MAPPING

    known = FAMILIES[family].handled | FAMILIES[family].ignored
    known |= CONFIG_MAPPING[family].attribute_map.keys()
    for key in {*SOMEWHERE, *ANYWHERE} - known:
        with pytest.raises(CheckpointError, match=key):
            recognise({"model_type": family, key: {"odd": 3}}, "config")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (BERT_BASE, "num_layers"),  # read where it is the alias of another family's key
        (BERT_BASE, "experts_implementation"),
        (LLAMA_31_8B, "attn_implementation"),
        (LLAMA_31_8B, "cache_implementation"),
        (QWEN2_05B, "rope_type"),
    ],
)
def test_keys_named_in_the_code_are_judged(config: dict[str, Any], key: str) -> None:
    """Whatever the code does with them."""
    with pytest.raises(CheckpointError, match=key):
        recognise(config | {key: "odd"}, "config")


def test_a_key_that_changes_another_field_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class can read what it does not declare and never names in full."""
    from transformers import GPT2Config

    built = GPT2Config.__init__

    def widened(self: GPT2Config, **given: Any) -> None:
        built(self, **given)
        self.n_embd *= 1 + any(key.startswith("super") for key in given)

    config = GPT2_MEDIUM | {"super_wide": True}
    assert recognise(config, "config").unread == {"super_wide": "reaches no code"}
    monkeypatch.setattr(GPT2Config, "__init__", widened)
    with pytest.raises(CheckpointError, match="super_wide is True but unknown to it"):
        recognise(config, "config")


def test_a_key_is_ignored_on_request() -> None:
    """And noted; not one that says how the weights are read, nor one that is not there."""
    config = LLAMA_31_8B | {"clip_qkv": 8.0}
    with pytest.raises(CheckpointError, match=r"read it with ignore_config: \[clip_qkv\]"):
        recognise(config, "config")
    found = recognise(config, "config", Reading(ignore_config=("clip_qkv",)))
    assert found.unread == {"clip_qkv": "ignored as asked"}
    assert found.attention.shape == recognise(LLAMA_31_8B, "config").attention.shape
    drawn = initialise(GPT2_MEDIUM | {"clip": 1}, seed=0, reading=Reading(ignore_config=("clip",)))
    assert drawn.unread_keys == {"clip": "ignored as asked"}
    for key, complaint in (
        ("head_dim", "head_dim is to be ignored, and is not there"),
        ("hidden_size", "hidden_size is to be ignored, but says how the weights are read"),
        ("rope_scaling", "but says how the weights are read"),
    ):
        with pytest.raises(CheckpointError, match=complaint):
            recognise(LLAMA_31_8B, "config", Reading(ignore_config=(key,)))
    with pytest.raises(CheckpointError, match="the weights are quantised"):
        recognise(
            LLAMA_31_8B | {"quantization_config": {"bits": 4}},
            "config",
            Reading(ignore_config=("quantization_config",)),
        )


def test_every_family_has_a_published_configuration() -> None:
    """Of those above, or among the published ones."""
    above = {"bert", "gpt2", "gpt_neox", "llama", "mistral", "qwen2"}
    configs = [config for config, _ in PUBLISHED.values()]
    parts = [config["text_config"] for config in configs if "text_config" in config]
    published = {config["model_type"] for config in configs + parts if "model_type" in config}
    assert above | published == FAMILIES.keys() | TEXT_PARTS.keys()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_default_is_understood(family: str) -> None:
    """A configuration that spells out all of transformers' defaults changes nothing."""
    from transformers import CONFIG_MAPPING

    assert shape(CONFIG_MAPPING[family]().to_dict()) == shape({"model_type": family})


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (BERT_BASE | {"position_embedding_type": "relative_key"}, "position_embedding_type"),
        (BERT_BASE | {"position_embedding_type": "alibi"}, "position_embedding_type"),
        (BERT_BASE | {"add_cross_attention": True}, "add_cross_attention"),
        (BERT_BASE | {"pruned_heads": {"0": [1]}}, "pruned_heads"),
        (BERT_BASE | {"embedding_size": 128}, "embedding_size"),
        (BERT_BASE | {"auto_map": {"AutoModel": "modeling.Other"}}, "auto_map"),
        (BERT_BASE | {"per_layer_config": {"0": {}}}, "per_layer_config"),
        (GPT2_MEDIUM | {"is_encoder_decoder": True}, "is_encoder_decoder"),
        (GPT2_MEDIUM | {"add_cross_attention": True}, "add_cross_attention"),
        (GPT2_MEDIUM | {"num_key_value_heads": 4}, "num_key_value_heads"),
        (GPT2_MEDIUM | {"quantization_config": {"bits": 4}}, "the weights are quantised"),
        (GPT2_MEDIUM | {"hidden_size": 512}, "n_embd is given twice"),
        (GPT2_MEDIUM | {"n_head": 15}, "n_head 15 does not divide n_embd 1024"),
        (GPT2_MEDIUM | {"n_head": 0}, "n_head is 0"),
        (GPT2_MEDIUM | {"n_layer": -1}, "n_layer is -1"),
        (GPT2_MEDIUM | {"n_head": "16"}, "n_head"),
        (GPT2_MEDIUM | {"n_head": None}, "n_head"),
        (LLAMA_31_8B | {"num_key_value_heads": 5}, "num_key_value_heads 5 does not divide"),
        (LLAMA_31_8B | {"head_dim": 0}, "head_dim is 0"),
        (LLAMA_31_8B | {"rope_scaling": {"rope_type": "linear"}}, "factor"),
        (LLAMA_31_8B | {"clip_qkv": 8.0}, "clip_qkv"),
        (PYTHIA_410M | {"num_key_value_heads": 4}, "num_key_value_heads"),
        (SMOLLM3 | {"no_rope_layers": [1, 0, 1]}, "a list has fewer entries than there are layers"),
        (SMOLLM3 | {"no_rope_layers": [1] * 37}, "no_rope_layers has 37 entries for 36 layers"),
        (PUBLISHED["albert-base-v2"][0] | {"num_hidden_groups": 13}, "num_hidden_groups is 13"),
        (
            PUBLISHED["esm2-t6-8m"][0] | {"position_embedding_type": "relative_key"},
            "position_embedding_type is 'relative_key'",
        ),
        (PUBLISHED["esm2-t6-8m"][0] | {"is_folding_model": True}, "is_folding_model is True"),
        (
            PUBLISHED["gemma-3n-e4b"][0]["text_config"] | {"num_kv_shared_layers": 35},
            "num_kv_shared_layers is 35 of 35",
        ),
        (
            PUBLISHED["gemma-3n-e4b"][0]["text_config"] | {"num_kv_shared_layers": 31},
            "no earlier layer of their kind has keys",
        ),
        (PUBLISHED["gpt-neo-125m"][0] | {"num_layers": 14}, "attention_types"),
        (PUBLISHED["umt5-small"][0] | {"scalable_attention": False}, "scalable_attention is False"),
        (
            PUBLISHED["bart-base"][0] | {"decoder_attention_heads": 6},
            "decoder_attention_heads is 6, but encoder_attention_heads 12",
        ),
        (PUBLISHED["olmo-1b"][0] | {"clip_qkv": 8.0}, "clip_qkv is 8.0 but None by default"),
        (PUBLISHED["stablelm-2-1.6b"][0] | {"head_dim": 32}, "head_dim is 32 but unknown to it"),
        (
            GPT2_MEDIUM | {"model_type": "gpt5"},
            "gpt5' is not known; use .* bert, .*, gpt2, .* or write the family's",
        ),
        (GPT2_MEDIUM | {"model_type": ["gpt2"]}, "model_type"),
        ({}, "no model_type; name it, as in model_type: bert"),
    ],
)
def test_what_could_change_the_scores_is_refused_by_name(
    config: dict[str, Any], field: str
) -> None:
    """One line that names the attribute."""
    with pytest.raises(CheckpointError, match=field) as refusal:
        initialise(config, seed=0)
    assert "\n" not in str(refusal.value)


def test_the_configuration_is_left_as_it_was() -> None:
    """Though transformers completes rotary parameters where they stand."""
    before = copy.deepcopy(LLAMA_31_8B)
    initialise(LLAMA_31_8B, seed=0)
    assert before == LLAMA_31_8B


@pytest.mark.parametrize(("heads", "groups"), [(6, 6), (6, 3), (6, 2), (6, 1)])
def test_neighbouring_heads_share_a_key(heads: int, groups: int) -> None:
    """The map is transformers' own repetition of grouped keys."""
    from transformers.models.llama.modeling_llama import repeat_kv

    numbered = torch.arange(groups).reshape(1, groups, 1, 1)
    repeated = repeat_kv(numbered, heads // groups).flatten()
    assert torch.equal(AttentionShape(1, heads, groups, 12, 2).key_of_head(), repeated)
    if 1 < groups < heads:
        tiled = torch.arange(groups).repeat(heads // groups)
        assert not torch.equal(tiled, repeated)


def test_an_old_configuration_takes_its_family_from_who_knows_it() -> None:
    """As if it named it itself; another family is refused, and so is none."""
    config = PUBLISHED["bart-base"][0]
    model_type = config["model_type"]
    unnamed = {key: value for key, value in config.items() if key != "model_type"}
    told = Reading(model_type=model_type)
    assert recognise(unnamed, "here", told) == recognise(config, "here")
    assert recognise(config, "here", told) == recognise(config, "here")
    with pytest.raises(CheckpointError, match="no model_type; name it"):
        recognise(unnamed, "here")
    with pytest.raises(CheckpointError, match=f"model_type '{model_type}' is not bert, as asked"):
        recognise(config, "here", Reading(model_type="bert"))
