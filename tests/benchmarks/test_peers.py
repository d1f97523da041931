"""The comparison with the peers sees a wrong reading of queries and keys."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "peers" / "compare.py"


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    """The benchmark, as a module."""
    spec = importlib.util.spec_from_file_location("compare_peers", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def write(path: Path, layers: list[tuple[torch.Tensor, torch.Tensor]]) -> Path:
    """Factors as a tool writes them."""
    sides = {}
    for i, (queries, keys) in enumerate(layers):
        sides |= {f"queries.{i}": queries.contiguous(), f"keys.{i}": keys.contiguous()}
    save_file(sides, path)
    return path


@pytest.mark.parametrize("name", ["llama, grouped", "qwen3, grouped", "gpt_neox"])
def test_only_the_right_heads_are_right(compare: ModuleType, name: str, tmp_path: Path) -> None:
    """Grouped keys tiled, fused heads taken as blocks, gains left out, sides swapped, layers short.

    Sliced here by hand, from the tensors on disk.
    """
    family = compare.FAMILIES[name]
    compare.make(family, tmp_path, seed=0)
    seen = compare.watch(family, tmp_path, seed=0)
    stored = load_file(tmp_path / "model.safetensors")
    right, wrong = [], []
    for i in range(2):
        (prefix,) = {
            n.rsplit(".", 2)[0]
            for n in stored
            if f".{i}." in n and "attention" in n and n.endswith("query_key_value.weight")
        } or {f"model.layers.{i}.self_attn"}
        if f"{prefix}.query_key_value.weight" in stored:
            fused = stored[f"{prefix}.query_key_value.weight"]
            heads = fused.reshape(compare.HEADS, 3, -1, compare.D)
            right.append((heads[:, 0].mT, heads[:, 1].mT))
            blocks = fused.reshape(3, compare.HEADS, -1, compare.D)
            wrong.append((blocks[0].mT, blocks[1].mT))
            continue
        queries = stored[f"{prefix}.q_proj.weight"].reshape(compare.HEADS, -1, compare.D).mT
        keys = stored[f"{prefix}.k_proj.weight"].reshape(compare.GROUPS, -1, compare.D).mT
        shared = compare.HEADS // compare.GROUPS
        if family.norms:
            plain = keys.repeat_interleave(shared, dim=0)
            wrong.append((queries, plain))
            gains = stored[f"{prefix}.q_norm.weight"] * stored[f"{prefix}.k_norm.weight"]
            right.append((queries * gains, plain))
        else:
            right.append((queries, keys.repeat_interleave(shared, dim=0)))
            wrong.append((queries, keys.repeat(shared, 1, 1)))
    file = tmp_path / "factors.safetensors"
    assert compare.verdict(write(file, right), seen).startswith("right")
    found = compare.verdict(write(file, wrong), seen)
    assert found.startswith("wrong") and ("gains" in found) == (family.norms is not None)
    assert compare.verdict(write(file, [(k, q) for q, k in right]), seen).startswith("wrong")
    assert compare.verdict(write(file, right[::-1]), seen).startswith("wrong")
    assert compare.verdict(write(file, right[:1]), seen) == "wrong: 1 layers of 2"
