"""Checkpoints open as their files lie about; where they cannot, what lies there is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file, save_model

from headalgebra.checkpoints import (
    Checkpoint,
    CheckpointError,
    LayerFactors,
    open_checkpoint,
    open_folder,
)
from headalgebra.checkpoints._folders import folder_files
from headalgebra.checkpoints._hub import transformer_folder
from headalgebra.checkpoints._outline import outline
from headalgebra.checkpoints.convention import PAPER
from headalgebra.checkpoints.reading import Reading

INDEX = "model.safetensors.index.json"
FIRST = Reading(layers=(0,))


@pytest.fixture
def gpt2(tiny_model: Callable) -> Path:
    """A saved GPT-2 in one file."""
    return tiny_model("gpt2").folder


@pytest.fixture
def sharded(tiny_model: Callable) -> Path:
    """A saved GPT-2 in several files."""
    return tiny_model("gpt2", max_shard_size="8KB").folder


def refusal(folder: Path, reading: Reading = FIRST) -> str:
    """The line with which it is refused."""
    with pytest.raises(CheckpointError) as refused:
        open_folder(folder, reading=reading)
    return str(refused.value)


def every_layer(checkpoint: Checkpoint) -> list[LayerFactors]:
    """Read now: the files will be moved."""
    return [checkpoint.read_layer(layer) for layer in range(checkpoint.n_layers)]


def assert_same(found: Checkpoint, expected: list[LayerFactors]) -> None:
    """All layers, to the bit."""
    for one, other in zip(every_layer(found), expected, strict=True):
        assert torch.equal(one.queries, other.queries) and torch.equal(one.keys, other.keys)


def holders(folder: Path, layer: int) -> set[str]:
    """The files with the queries of a layer, by the index."""
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    return {weight_map[f"h.{layer}.attn.c_attn.weight"]}


def test_a_snapshot_of_a_cache_opens_by_its_path(gpt2: Path, tmp_path: Path) -> None:
    """Its links lead to the blobs of the same model, and nowhere else."""
    expected = every_layer(open_folder(gpt2))
    snapshot = tmp_path / "models--a--b/snapshots/0123"
    snapshot.mkdir(parents=True)
    (tmp_path / "models--a--b/blobs").mkdir()
    for file in gpt2.iterdir():
        shutil.copy(file, tmp_path / f"models--a--b/blobs/{file.name}.blob")
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}.blob")
    assert_same(open_folder(snapshot), expected)
    (tmp_path / "link").symlink_to(snapshot)
    assert_same(open_folder(tmp_path / "link"), expected)
    for elsewhere in (tmp_path / "models--c--d/blobs", tmp_path / "models--a--b/refs"):
        elsewhere.mkdir(parents=True)
        shutil.copy(gpt2 / "config.json", elsewhere / "config")
        (snapshot / "config.json").unlink()
        (snapshot / "config.json").symlink_to(elsewhere / "config")
        assert "a symbolic link that leads out of the folder" in refusal(snapshot)


def test_shards_need_no_index(sharded: Path) -> None:
    """Their numbers say how many there are; which of them is missing is said."""
    expected = every_layer(open_folder(sharded))
    needed, other = holders(sharded, 0), holders(sharded, 3)
    (sharded / INDEX).unlink()
    assert_same(open_folder(sharded), expected)
    (absent,) = other - needed
    (sharded / absent).unlink()
    found = open_folder(sharded, reading=FIRST).read_layer(0)
    assert torch.equal(found.queries, expected[0].queries)
    text = refusal(sharded, Reading())
    assert "weight is missing, and so is " in text and absent in text
    assert text.endswith("fetch the whole checkpoint")


def test_a_tensor_in_two_shards_is_refused(sharded: Path) -> None:
    """Nobody knows which is meant."""
    (sharded / INDEX).unlink()
    first, second, *_ = sorted(sharded.glob("*.safetensors"))
    twice = load_file(first)
    save_file(load_file(second) | twice, second)
    assert f"tensor {min(twice)} is in {first.name} too" in refusal(sharded)


@pytest.mark.parametrize(
    "name", ["model.fp16.safetensors", "pytorch_model.safetensors", "x.safetensors"]
)
def test_weights_of_another_name_open_where_they_are_alone(gpt2: Path, name: str) -> None:
    expected = every_layer(open_folder(gpt2))
    (gpt2 / "model.safetensors").rename(gpt2 / name)
    assert_same(open_folder(gpt2), expected)
    assert_same(open_checkpoint(gpt2 / name), expected)
    shutil.copy(gpt2 / name, gpt2 / f"other.{name}")
    if not name.startswith("model"):
        assert f"it holds several weights: other.{name}, {name}" in refusal(gpt2)
    shutil.copy(gpt2 / name, gpt2 / "model.safetensors")
    assert_same(open_folder(gpt2), expected)


def test_a_variant_in_several_files_opens(sharded: Path) -> None:
    """By an index with the variant in its name, or by the numbers of the files."""
    expected = every_layer(open_folder(sharded))
    index = json.loads((sharded / INDEX).read_text())
    for file in sharded.glob("*-of-*"):
        file.rename(sharded / file.name.replace("model-", "model.fp16-"))
    index["weight_map"] = {
        tensor: file.replace("model-", "model.fp16-")
        for tensor, file in index["weight_map"].items()
    }
    (sharded / INDEX).unlink()
    assert_same(open_folder(sharded), expected)
    (sharded / "model.safetensors.index.fp16.json").write_text(json.dumps(index))
    assert_same(open_folder(sharded), expected)


def test_the_folder_of_a_transformer_is_found(gpt2: Path, tmp_path: Path) -> None:
    """As sentence-transformers saves the parts of a model."""
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text("{}")
    (tmp_path / "modules.json").write_text("[]")
    expected = every_layer(open_folder(gpt2))
    shutil.copytree(gpt2, tmp_path / "0_Transformer")
    found = open_folder(tmp_path)
    assert_same(found, expected)
    assert found.origin == str(tmp_path / "0_Transformer")
    for file in gpt2.iterdir():
        shutil.copy(file, tmp_path)
    assert open_folder(tmp_path).origin == str(tmp_path)
    assert transformer_folder(["0_Transformer/config.json", "README.md"]) == "0_Transformer"
    assert transformer_folder(["0_Transformer/config.json", "config.json"]) == ""


@pytest.mark.parametrize("several", [False, True], ids=["one file", "shards"])
def test_tied_modules_are_read_under_either_name(tiny_model: Callable, several: bool) -> None:
    """A weight that two modules share is stored once; the metadata has its other name."""
    tiny = tiny_model("llama")
    model, folder = tiny.model, tiny.folder
    for layer in model.layers[1:]:
        layer.self_attn.q_proj = model.layers[0].self_attn.q_proj
    save_model(model, str(folder / "model.safetensors"))
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        names, metadata = set(file.keys()), file.metadata()
    queries = {f"layers.{n}.self_attn.q_proj.weight" for n in range(4)}
    assert len(queries & names) == 1 and len(queries & metadata.keys()) == 3
    if several:
        weights = load_file(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        halves = [
            {n: t for n, t in weights.items() if ("q_proj" in n) is half} for half in (False, True)
        ]
        for number, half in enumerate(halves, 1):
            save_file(half, folder / f"model-0000{number}-of-00002.safetensors", metadata)
        found = open_folder(folder)
        index = {
            "metadata": metadata,
            "weight_map": {
                n: f"model-0000{number}-of-00002.safetensors"
                for number, half in enumerate(halves, 1)
                for n in half
            },
        }
        assert_same(found, every_layer(open_checkpoint(model)))
        (folder / INDEX).write_text(json.dumps(index))
    assert_same(open_folder(folder), every_layer(open_checkpoint(model)))


def test_an_encoder_alone_has_the_encoder_s_layers(tiny_model: Callable) -> None:
    """Though its configuration speaks of a decoder, as that of the whole model did."""
    from transformers import T5EncoderModel

    tiny = tiny_model("t5")
    whole = every_layer(open_folder(tiny.folder))
    weights = load_file(tiny.folder / "model.safetensors")
    encoder = {n: t for n, t in weights.items() if not n.startswith("decoder")}
    save_file(encoder, tiny.folder / "model.safetensors")
    found = open_folder(tiny.folder)
    assert 0 < found.n_layers < len(whole)
    for layer in range(found.n_layers):
        assert torch.equal(found.read_layer(layer).keys, whole[layer].keys)
    live = T5EncoderModel(tiny.model.config)
    live.config.is_encoder_decoder = True  # as earlier releases left it
    assert open_checkpoint(live).n_layers == found.n_layers
    # A decoder of which a layer is missing is another matter.
    save_file(
        {n: t for n, t in weights.items() if not n.startswith("decoder.block.1.")},
        tiny.folder / "model.safetensors",
    )
    assert "tensor decoder.block.1.layer.0.SelfAttention.q.weight is missing" in refusal(
        tiny.folder, Reading()
    )
    config = json.loads((tiny.folder / "config.json").read_text())
    config["architectures"] = ["T5EncoderModel"]
    (tiny.folder / "config.json").write_text(json.dumps(config))
    assert open_folder(tiny.folder).n_layers == found.n_layers


def test_only_the_files_of_wanted_layers_are_needed(sharded: Path) -> None:
    """The others may be missing, are not opened, and are not counted."""
    expected = every_layer(open_folder(sharded))
    needed = holders(sharded, 2)
    for file in sharded.glob("*.safetensors"):
        if file.name not in needed:
            file.unlink()
    reading = Reading(layers=(2,))
    found = open_folder(sharded, reading=reading)
    assert torch.equal(found.read_layer(2).keys, expected[2].keys)
    assert found.n_layers == len(expected)
    assert found.files.keys() == {"config.json", INDEX, *needed}
    files = folder_files(sharded, {})
    sizes = {name: (sharded / name).stat().st_size for name in files.names}
    said = outline(files, "main", sizes, PAPER, reading)
    assert said.sizes.keys() == found.files.keys()
    assert (said.chosen, said.n_layers) == ((2,), len(expected))
    with pytest.raises(CheckpointError, match=r"layer 1 is none of \[2\], for which it was opened"):
        found.read_layer(1)
    assert "no such file, but tensor h.0.attn" in refusal(sharded)
    for layers in ((), (12,), (-1,), (0, 99)):
        assert "and it has layers 0 to 11; ask for some" in refusal(sharded, Reading(layers))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", INDEX])
def test_a_pointer_of_git_is_known_for_what_it_is(gpt2: Path, name: str) -> None:
    """A clone without Git LFS has one in the place of every large file."""
    if name == INDEX:
        (gpt2 / "model.safetensors").unlink()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
    (gpt2 / name).write_text(pointer)
    assert refusal(gpt2) == (
        f"{gpt2 / name}: a Git LFS pointer, which stands for the file in a clone without it; "
        "fetch the files with: git lfs pull"
    )


@pytest.mark.parametrize(
    ("names", "at", "problem", "mend"),
    [
        (["x.Q4_0.gguf"], "x.Q4_0.gguf", "a GGUF file is no folder", "by its own name"),
        (["pytorch_model.bin"], "pytorch_model.bin", "pickled weights", "save_pretrained"),
        (["consolidated.00.pth", "params.json"], "consolidated.00.pth", "pickled", "convert"),
        (["tf_model.h5"], "tf_model.h5", "of TensorFlow", "safetensors or PyTorch"),
        (["bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001"], "", "TensorFlow", "use"),
        (["saved_model.pb"], "saved_model.pb", "of TensorFlow", "safetensors or PyTorch"),
        (["flax_model.msgpack"], "flax_model.msgpack", "of another library", "safetensors or"),
        (["model.onnx"], "model.onnx", "of another library", "safetensors or PyTorch"),
        (["adapter_model.safetensors"], "adapter_model.safetensors", "without the model", "merge"),
        (["model.safetensors.incomplete"], "model", "not finished", "fetch the whole"),
        (["optimizer.pt", "training_args.bin"], "", "neither model.safetensors nor", "point at"),
        (["config.json"], "", "neither model.safetensors nor", "point at a folder"),
    ],
)
def test_what_lies_there_instead_is_named(
    tmp_path: Path, names: list[str], at: str, problem: str, mend: str
) -> None:
    """With what to do about it, whether or not there is a configuration."""
    for name in names:
        (tmp_path / name).write_text("{}")
    text = refusal(tmp_path)
    assert text.startswith(str(tmp_path / at)) and problem in text
    assert mend in text.partition("; ")[2]
