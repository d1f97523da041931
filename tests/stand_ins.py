"""Tiny random checkpoints under the names of the paper study's models, cached as from the hub.

Families and numbers of layers are those of the published models; widths are tiny, and two of the
models are in several files, whether or not the published ones are.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM

from runs import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"

TINY = {"vocab_size": 16, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
WIDTHS = TINY | {"hidden_size": 32, "num_attention_heads": 8, "intermediate_size": 8}


def gpt2(n_layer: int) -> dict[str, Any]:
    return {"model_type": "gpt2", "n_layer": n_layer, "n_embd": 32, "n_head": 8, **TINY}


def of_type(model_type: str, layers: int, **more: Any) -> dict[str, Any]:
    return WIDTHS | {"model_type": model_type, "num_hidden_layers": layers} | more


ARCHITECTURES = {
    "gpt2": gpt2(12),
    "gpt2-medium": gpt2(24),
    "gpt2-large": gpt2(36),
    "gpt2-xl": gpt2(48),
    "pythia-70m": of_type("gpt_neox", 6),
    "pythia-160m": of_type("gpt_neox", 12),
    "pythia-410m": of_type("gpt_neox", 24),
    "pythia-1b": of_type("gpt_neox", 16),
    "pythia-1.4b": of_type("gpt_neox", 24),
    "pythia-2.8b": of_type("gpt_neox", 32),
    "bert-base": of_type("bert", 12),
    "bert-large": of_type("bert", 24),
    "opt-125m": of_type("opt", 12, ffn_dim=8, word_embed_proj_dim=32),
    "opt-1.3b": of_type("opt", 24, ffn_dim=8, word_embed_proj_dim=32),
    "llama-3.2-1b": of_type("llama", 16, num_key_value_heads=2),
    "qwen3-1.7b": of_type("qwen3", 28, num_key_value_heads=4, head_dim=8),
}
"""What the stand-in for each model of the study is."""

PARTS = {"gpt2": AutoModel, "bert": AutoModelForMaskedLM}
"""What is published of a family, which names tensors its own way, if not a causal model."""

SHARDED = ("pythia-2.8b", "qwen3-1.7b")
"""Those in several files, with an index."""


def model_file(name: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / f"config/model/{name}.yaml").read_text())


def snapshot(hub: Path, name: str) -> Path:
    """Where the cache has the files of a model."""
    repository = model_file(name)["id"].replace("/", "--")
    return hub / f"models--{repository}" / "snapshots" / COMMIT


def write_cache(hub: Path, models: Iterable[str]) -> None:
    """Stand-ins for these models, in a folder laid out like huggingface_hub's cache."""
    for name in models:
        files = snapshot(hub, name)
        repository = files.parents[1]
        config = AutoConfig.for_model(**ARCHITECTURES[name])
        torch.manual_seed(0)
        model = PARTS.get(config.model_type, AutoModelForCausalLM).from_config(config)
        model.save_pretrained(files, max_shard_size="64KB" if name in SHARDED else "1GB")
        (files / "tokenizer.json").write_text("cached for something else")
        (repository / "refs").mkdir()
        (repository / "refs" / model_file(name)["revision"]).write_text(COMMIT)
        (repository / "blobs").mkdir()
        for path in sorted(files.iterdir()):
            # A large file is kept under its SHA-256 digest, a small one under git's own.
            digest = hashlib.sha256 if path.suffix == ".safetensors" else hashlib.sha1
            blob = repository / "blobs" / digest(path.read_bytes()).hexdigest()
            path.rename(blob)
            path.symlink_to(Path("../../blobs") / blob.name)
