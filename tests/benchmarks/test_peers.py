"""The comparison with the peers sees a wrong reading of queries and keys."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "peers" / "compare.py"


def script(path: Path) -> ModuleType:
    """A script, as a module."""
    spec = importlib.util.spec_from_file_location(f"{path.stem}_peers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def compare() -> ModuleType:
    """The benchmark, as a module."""
    return script(SCRIPT)


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


def test_states_and_attention_that_are_others_are_told(
    compare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32 what we keep is what transformers computes in float64; nothing else is."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    states = script(SCRIPT.with_name("compare_states.py"))
    folder, given, kept = (tmp_path / name for name in ("model", "tokens", "kept"))
    compare.make(compare.Family("GPT2LMHeadModel", (), compare.GPT), folder, seed=0)
    tokens = torch.arange(24).reshape(2, 12)
    save_file({"tokens": tokens}, given)
    right = states.expected(folder, tokens)
    figures = compare.ask("forward.py", ["headalgebra", folder, given, kept], Path(sys.executable))
    assert "refused" not in figures and figures["states_s"] > 0 < figures["attention_s"]
    # A few hundred roundings of 6e-8, as scores and as relative sizes.
    errors = states.disagreement(kept, right)
    assert errors["states_error"] < 1e-5 > errors["attention_error"]
    found = load_file(kept)
    for one, other in (("state.0", "state.1"), ("attention.0", "attention.1")):
        save_file(found | {one: found[other], other: found[one]}, kept)
        assert max(states.disagreement(kept, right).values()) > 1e-2
    save_file({name: it for name, it in found.items() if name != "state.2"}, kept)
    with pytest.raises(ValueError, match="holds 4 tensors, not the 5 asked for"):
        states.disagreement(kept, right)
