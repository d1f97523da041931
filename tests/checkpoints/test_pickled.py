"""Pickled weights are read by consent, as the same numbers, and run no code."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from resident_memory import LINUX, peak_above_the_start
from safetensors.torch import load_file
from torch import Tensor

from headalgebra.checkpoints import Checkpoint, CheckpointError, open_checkpoint, open_folder
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading

CONSENT = Reading(allow_pickle=True)
BIN = "pytorch_model.bin"
OLD = {"_use_new_zipfile_serialization": False}


def pickle_weights(folder: Path, change: Callable[[dict], Any] = dict, **how: Any) -> None:
    """Put a pickle in the place of a checkpoint's safetensors file."""
    weights = load_file(folder / "model.safetensors")
    torch.save(change(weights), folder / BIN, **how)
    (folder / "model.safetensors").unlink()


def factors(checkpoint: Checkpoint) -> list[Tensor]:
    """Those of every layer."""
    layers = [checkpoint.read_layer(layer) for layer in range(checkpoint.n_layers)]
    return [tensor for layer in layers for tensor in (layer.queries, layer.keys)]


def refusal(folder: Path) -> str:
    """The line with which it is refused."""
    with pytest.raises(CheckpointError) as refused:
        open_folder(folder, reading=CONSENT)
    return str(refused.value)


@pytest.mark.parametrize("how", [{}, OLD], ids=["zip", "old"])
@pytest.mark.parametrize(("name", "dtype"), [("gpt2", torch.float32), ("llama", torch.bfloat16)])
def test_numbers_are_those_of_safetensors(
    tiny_model: Callable, name: str, dtype: torch.dtype, how: dict[str, Any]
) -> None:
    """In either format of torch; of the older one it is said that it was read whole."""
    folder = tiny_model(name, dtype=dtype).folder
    convention = Convention(fold_norm=True)
    expected = factors(open_folder(folder, convention=convention))
    pickle_weights(folder, **how)
    found = open_folder(folder, convention=convention, reading=CONSENT)
    assert all(map(torch.equal, factors(found), expected))
    assert found.hashed == {"config.json": "whole", BIN: "whole"}
    assert found.provenance.note == (
        f"read whole, since of torch's format before 1.6: {BIN}" if how else ""
    )
    opened = open_checkpoint(folder / BIN, convention=convention, reading=CONSENT)
    assert torch.equal(opened.read_layer(1).keys, found.read_layer(1).keys)


def test_tensors_of_any_stride_are_read(tiny_model: Callable) -> None:
    """Views into shared storages, and transposed ones."""

    def tangled(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        views = {name: torch.stack((tensor, -tensor))[0] for name, tensor in weights.items()}
        return {
            n: t.T.contiguous().T if ".0." in n and t.ndim == 2 else torch.nn.Parameter(t)
            for n, t in views.items()
        }

    folder = tiny_model("llama").folder
    expected = factors(open_folder(folder))
    pickle_weights(folder, tangled)
    assert all(map(torch.equal, factors(open_folder(folder, reading=CONSENT)), expected))


def test_several_files_are_read_by_their_index(tiny_model: Callable) -> None:
    """Or by their numbers; safetensors beside them go first."""
    folder = tiny_model("gpt2").folder
    expected = factors(open_folder(folder))
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    weight_map = {n: f"pytorch_model-0000{1 + (i % 2)}-of-00002.bin" for i, n in enumerate(names)}
    for file in set(weight_map.values()):
        torch.save({n: weights[n] for n in names if weight_map[n] == file}, folder / file)
    assert open_folder(folder, reading=CONSENT).files.keys() == {"config.json", "model.safetensors"}
    (folder / "model.safetensors").unlink()
    assert all(map(torch.equal, factors(open_folder(folder, reading=CONSENT)), expected))
    (folder / f"{BIN}.index.json").write_text(json.dumps({"weight_map": weight_map}))
    found = open_folder(folder, reading=CONSENT)
    assert all(map(torch.equal, factors(found), expected))
    assert f"{BIN}.index.json" in found.files


def test_without_consent_the_refusal_names_the_key(tiny_model: Callable) -> None:
    folder = tiny_model("bert").folder
    pickle_weights(folder)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin: pickled.*allow_pickle: true"):
        open_folder(folder)


class Harmful:
    """Something that makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("how", [{}, OLD], ids=["zip", "old"])
def test_a_file_that_would_run_code_is_refused(
    tiny_model: Callable, tmp_path: Path, how: dict[str, Any]
) -> None:
    """And runs none."""
    folder, trace = tiny_model("bert").folder, tmp_path / "trace"
    pickle_weights(folder, lambda weights: {**weights, "extra": Harmful(trace)}, **how)
    assert f"{folder / BIN}: it holds more than tensors, and reading that could run code" in (
        refusal(folder)
    )
    assert not trace.exists()
    torch.load(folder / BIN, weights_only=False)  # control
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not read"),
        (b"PK\x03\x04", "more than tensors|not read"),
        (b"no pickle", "more than tensors|not read"),
    ],
)
def test_files_that_are_no_pickles_are_refused(
    tiny_model: Callable, content: bytes, complaint: str
) -> None:
    folder = tiny_model("bert").folder
    (folder / "model.safetensors").unlink()
    (folder / BIN).write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint):
        open_folder(folder, reading=CONSENT)


def test_what_is_no_state_dict_is_refused(tiny_model: Callable) -> None:
    folder = tiny_model("bert").folder
    pickle_weights(folder, lambda weights: list(weights.values()))
    assert "it holds no tensors by name; save the model's state_dict() alone" in refusal(folder)
    torch.save({"state_dict": {}}, folder / BIN)
    assert "is missing" in refusal(folder)


@LINUX
def test_memory_is_as_for_safetensors(tiny_model: Callable) -> None:
    """One tensor at a time: mapping the file, or loading it, would take more."""
    settings = {"n_embd": 384, "n_inner": 8, "n_layer": 24, "n_head": 3}
    folder = tiny_model("gpt2", **settings).folder
    plain = open_folder(folder)
    layer = 384 * 3 * 384 * 8
    plain.read_layer(0)
    expected = least_peak(lambda: factors_of_each(plain))
    pickle_weights(folder)
    pickled = open_folder(folder, reading=CONSENT)
    pickled.read_layer(0)
    assert least_peak(lambda: factors_of_each(pickled)) < 1.2 * expected + layer / 2
    assert peak_above_the_start(lambda: torch.load(folder / BIN)) > 24 * layer * 0.9


def least_peak(action: Callable[[], object]) -> int:
    """Of three, since what the allocator happens to have free is none of the action's."""
    return min(peak_above_the_start(action) for _ in range(3))


def factors_of_each(checkpoint: Checkpoint) -> None:
    """Read every layer and keep none."""
    for layer in range(checkpoint.n_layers):
        checkpoint.read_layer(layer)
