"""Tiny models as GGUF files, written as llama.cpp's converter lays them out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import (
    GGML_QUANT_SIZES,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    get_tensor_name_map,
    quants,
)
from safetensors.torch import load_file

Change = Callable[[np.ndarray, Any], np.ndarray]


def permuted(rows: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows j and j + r/2 of each head next to one another."""
    halves = rows.reshape(n_heads, 2, -1, rows.shape[-1])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def blocks_of_three(rows: np.ndarray, n_heads: int) -> np.ndarray:
    """All queries, all keys, all values, from each head's three together."""
    return rows.reshape(n_heads, 3, -1, rows.shape[-1]).swapaxes(0, 1).reshape(rows.shape)


def blocks_of_groups(rows: np.ndarray, config: Any) -> np.ndarray:
    """The same from groups of queries with their key and value."""
    r = config.hidden_size // config.num_attention_heads
    keys = config.num_kv_heads if config.new_decoder_architecture else config.num_attention_heads
    if config.multi_query and not config.new_decoder_architecture:
        keys = 1
    grouped = rows.reshape(keys, -1, r, rows.shape[-1])
    parts = grouped[:, :-2], grouped[:, -2:-1], grouped[:, -1:]
    return np.concatenate([part.reshape(-1, rows.shape[-1]) for part in parts])


def plus_one(gamma: np.ndarray, config: Any) -> np.ndarray:
    return gamma + 1


def transposed(matrix: np.ndarray, config: Any) -> np.ndarray:
    return np.ascontiguousarray(matrix.T)


@dataclass(frozen=True)
class Converted:
    """How an architecture is written.

    Attributes
    ----------
    family
        The blueprint of the model that is converted.
    changes
        What is done to tensors, by the end of their names in the file without ``.weight``.
    loads
        Whether transformers loads the file.
    settings
        Of the blueprint.
    """

    family: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    loads: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)


PERMUTED = {
    "attn_q": lambda rows, config: permuted(rows, config.num_attention_heads),
    "attn_k": lambda rows, config: permuted(rows, config.num_key_value_heads),
}
PLUS_ONE = {"norm": plus_one}
CONV1D = {name: transposed for name in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")}
ELSEWHERE = ("general.", "split.", "tokenizer.")
"""Beginnings of keys that are no architecture's."""

CONVERTED = {
    "bert": Converted("bert"),
    "bloom": Converted(
        "bloom",
        {"attn_qkv": lambda rows, config: blocks_of_three(rows, config.n_head)},
        loads=True,
    ),
    "command-r": Converted("cohere"),
    "command-r, norms": Converted("cohere, norms"),
    "falcon": Converted(
        "falcon", {"attn_qkv": blocks_of_groups}, loads=True, settings={"ffn_hidden_size": 256}
    ),
    "falcon, groups": Converted("falcon, groups", {"attn_qkv": blocks_of_groups}),
    "gemma": Converted("gemma", PLUS_ONE),
    "gemma2": Converted("gemma2", PLUS_ONE, loads=True),
    "gemma3": Converted("gemma3_text", PLUS_ONE, loads=True),
    "gpt-oss": Converted("gpt_oss", loads=True, settings={"head_dim": 64}),
    "gpt2": Converted("gpt2", CONV1D, loads=True, settings={"n_inner": None}),
    "gptneox": Converted(
        "gpt_neox",
        {"attn_qkv": lambda rows, config: blocks_of_three(rows, config.num_attention_heads)},
    ),
    "granite": Converted("granite", PERMUTED),
    "llama": Converted("llama", PERMUTED, loads=True),
    "llama, experts": Converted("mixtral", PERMUTED),
    "modern-bert": Converted("modernbert"),
    "olmo": Converted("olmo", PERMUTED),
    "olmo2": Converted("olmo2"),
    "phi2": Converted("phi"),
    "phi3": Converted("phi3", loads=True),
    "qwen2": Converted("qwen2", loads=True),
    "qwen2moe": Converted(
        "qwen2_moe",
        {"ffn_gate_inp_shexp": lambda rows, config: rows[0]},
        loads=True,
        settings={"shared_expert_intermediate_size": 5632},
    ),
    "qwen2vl": Converted("qwen2_vl_text"),
    "qwen2vl, 2.5": Converted("qwen2_5_vl_text"),
    "qwen3": Converted("qwen3", loads=True, settings={"head_dim": 128}),
    "qwen3moe": Converted("qwen3_moe", loads=True),
    "smollm3": Converted("smollm3", PERMUTED, settings={"no_rope_layer_interval": 4}),
    "stablelm": Converted("stablelm", loads=True),
    "stablelm, norms": Converted("stablelm, norms"),
    "starcoder": Converted("gpt_bigcode"),
    "starcoder2": Converted("starcoder2", loads=True),
    "t5": Converted("t5", loads=True, settings={"num_decoder_layers": 2}),
    "t5, a deeper decoder": Converted("t5"),
}
"""Architectures of llama.cpp by name; after a comma, what is special."""


def metadata(architecture: str, config: Any) -> dict[str, Any]:
    """What the converter says of a model's sizes."""

    def first(*names: str) -> Any:
        return next((v for n in names if (v := getattr(config, n, None)) is not None), None)

    heads = first("num_attention_heads", "n_head", "num_heads")
    values = {
        "block_count": first("num_layers", "num_hidden_layers", "n_layer"),
        "embedding_length": first("hidden_size", "n_embd", "d_model"),
        "context_length": 64,
        "feed_forward_length": first("intermediate_size", "n_inner", "ffn_hidden_size", "d_ff"),
        "attention.head_count": heads,
        "attention.head_count_kv": first("num_key_value_heads") or heads,
        "vocab_size": config.vocab_size,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.tokens": [f"token {number}" for number in range(config.vocab_size)],
        "attention.layer_norm_rms_epsilon": 1e-6,
    }
    if (width := first("head_dim", "d_kv")) is not None:
        values |= {"attention.key_length": width, "attention.value_length": width}
    rope = first("rope_parameters") or {}
    if "rope_theta" in rope:
        r = width or values["embedding_length"] // heads
        values |= {
            "rope.freq_base": float(rope["rope_theta"]),
            "rope.dimension_count": int(r * rope.get("partial_rotary_factor", 1.0)),
        }
    if architecture == "falcon":
        keys = config.num_kv_heads if config.new_decoder_architecture else 1
        values["attention.head_count_kv"] = keys
    if architecture == "starcoder":
        values["attention.head_count_kv"] = 1
    if architecture == "t5":
        values["decoder_block_count"] = config.num_decoder_layers
    if (experts := first("num_local_experts", "num_experts")) is not None:
        values |= {"expert_count": experts, "expert_used_count": config.num_experts_per_tok}
        values["expert_feed_forward_length"] = config.intermediate_size
    if architecture == "granite":
        values["attention.scale"] = config.attention_multiplier
    return values


def converted_tensors(architecture: str, model: Any) -> dict[str, np.ndarray]:
    """A saved model's tensors, float32, under the names and in the layout of a file.

    Names are those of the gguf library's own table.
    """
    named, _, _ = architecture.partition(",")
    arch = next(arch for arch, name in MODEL_ARCH_NAMES.items() if name == named)
    table = get_tensor_name_map(arch, 32)
    changes = CONVERTED[architecture].changes
    tensors = {}
    stored = load_file(model.folder / "model.safetensors")
    for name in sorted(stored):  # of each head one: rows of one tensor there
        if (of_heads := re.fullmatch(r"(.+)\.norms\.0\.weight", name)) is not None:
            heads = [key for key in stored if key.startswith(f"{of_heads[1]}.norms.")]
            rows = [stored.pop(f"{of_heads[1]}.norms.{head}.weight") for head in range(len(heads))]
            stored[f"{of_heads[1]}.weight"] = torch.stack(rows)
    for name, tensor in stored.items():
        stem, _, kind = name.rpartition(".")
        known = (table.get_name(each) for each in (stem, stem.partition(".")[2], f"model.{stem}"))
        if (found := next((name for name in known if name), None)) is None:
            continue
        content = tensor.float().numpy()
        if kind == "weight":
            for end, change in changes.items():
                if found.endswith(end):
                    content = change(content, model.model.config)
        tensors[f"{found}.{kind}"] = content
    return tensors


def write_gguf(
    path: Path,
    architecture: str,
    model: Any,
    quantisation: str = "F32",
    *,
    values: Mapping[str, Any] = {},
    edit: Callable[[dict[str, np.ndarray]], object] = lambda _: None,
    **options: Any,
) -> list[Path]:
    """Write a saved model as one GGUF file, or as several, and say which.

    Parameters
    ----------
    path
        The file.
    architecture
        Of `CONVERTED`.
    model
        Of its family.
    quantisation
        The type of matrices whose rows have room for its blocks.
    values
        Other named values, of numbers and texts; None leaves one out.
    edit
        Changes the tensors before they are quantised.
    options
        Of the writer.
    """
    named, _, _ = architecture.partition(",")
    writer = GGUFWriter(path, named, **options)
    for key, value in (metadata(named, model.model.config) | values).items():
        if value is not None:
            add = {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
            full = key if key.startswith(ELSEWHERE) else f"{named}.{key}"
            add.get(type(value), writer.add_array)(full, value)
    tensors = converted_tensors(architecture, model)
    edit(tensors)
    kind = GGMLQuantizationType[quantisation]
    for name, content in tensors.items():
        if name.endswith("_norm.weight"):
            writer.add_tensor(name, content)
        elif content.ndim == 2 and content.shape[1] % GGML_QUANT_SIZES[kind][0] == 0:
            writer.add_tensor(name, quants.quantize(content, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, content)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(path.parent.glob(f"{path.stem}*.gguf"))
