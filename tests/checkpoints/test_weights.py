"""Weights that would be read wrongly, or not safely, are refused; the others are let go of."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, open_folder

QUERY = "encoder.layer.3.attention.self.query.weight"
KEY = "encoder.layer.3.attention.self.key.weight"


@pytest.fixture
def bert(tiny_model: Callable) -> Path:
    """A saved BERT with bare tensor names."""
    return tiny_model("bert", dtype=torch.float32).folder


@pytest.fixture
def sharded(tiny_model: Callable) -> Path:
    """A saved GPT-2 in several files."""
    return tiny_model("gpt2", max_shard_size="8KB").folder


def edit_weights(folder: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors of a single-file checkpoint."""
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors")


def edit_json(path: Path, edit: Callable[[dict], object]) -> None:
    """Change a JSON file."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def doubled(weights: dict[str, Tensor]) -> None:
    """Add a second encoder under another prefix."""
    weights.update({f"other.{name}": tensor.clone() for name, tensor in weights.items()})


def glued(weights: dict[str, Tensor]) -> None:
    """Put letters before the names, without the dot that ends a prefix."""
    for name in list(weights):
        weights[f"cross{name}"] = weights.pop(name)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda w: w.pop(QUERY), f"tensor {QUERY} is missing"),
        (lambda w: w.pop(QUERY.replace("3", "0")), "query.weight is missing"),
        (glued, "tensor encoder.layer.0.attention.self.query.weight is missing"),
        (doubled, "ambiguous: encoder.* or other.encoder"),
        (lambda w: w.update({KEY: torch.zeros(8, 12)}), r"shape \[8, 12\], expected \[12, 12\]"),
        (lambda w: w.update({KEY: torch.zeros(12)}), r"shape \[12\], expected \[12, 12\]"),
        (lambda w: w.update({KEY: w[KEY].to(torch.int8)}), f"{KEY} is stored as I8"),
        (lambda w: w.update({KEY: w[KEY].to(torch.float8_e4m3fn)}), "stored as F8_E4M3"),
        (lambda w: w.update({KEY: w[KEY].half()}), f"{KEY} is torch.float16, but .*float32"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    bert: Path, edit: Callable[[dict[str, Tensor]], object], complaint: str
) -> None:
    """On opening, before any weight is read."""
    open_folder(bert)
    edit_weights(bert, edit)
    with pytest.raises(CheckpointError, match=complaint):
        open_folder(bert)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(bert: Path, value: float) -> None:
    """In the layer that holds them, not in the others."""
    edit_weights(bert, lambda w: w[QUERY].view(-1)[5].fill_(value))
    checkpoint = open_folder(bert)
    checkpoint.read_layer(2)
    with pytest.raises(CheckpointError, match="layer 3: queries holds infinities or NaNs"):
        checkpoint.read_layer(3)


@pytest.mark.parametrize("layer", [-1, 12])
def test_layers_that_do_not_exist_are_refused(bert: Path, layer: int) -> None:
    """Negative numbers do not count from the end."""
    with pytest.raises(CheckpointError, match=rf"no layer {layer}; ask for one of 0\.\.11"):
        open_folder(bert).read_layer(layer)


def test_pickled_weights_are_refused_with_a_way_out(bert: Path) -> None:
    """And are not opened: these bytes are no pickle."""
    (bert / "model.safetensors").unlink()
    (bert / "pytorch_model.bin").write_bytes(b"never read")
    with pytest.raises(CheckpointError, match=r"pytorch_model.bin: pickled.*save_pretrained"):
        open_folder(bert)


def test_a_folder_without_weights_is_refused(bert: Path) -> None:
    """The error says which files are looked for."""
    (bert / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"neither model.safetensors nor .*index.json"):
        open_folder(bert)


@pytest.mark.parametrize("kept", [0, 7, 200, -1])
def test_files_cut_short_are_refused(bert: Path, kept: int) -> None:
    """At any length."""
    path = bert / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: .*fetch the file again"):
        open_folder(bert)


@pytest.mark.parametrize("text", ["", "[1]", '{"model_type":', "\xff", "[" * 100_000])
def test_a_config_that_is_no_json_object_is_refused(bert: Path, text: str) -> None:
    """Whatever the reason."""
    (bert / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=r"config\.json: not "):
        open_folder(bert)


@pytest.mark.parametrize(
    ("file", "complaint"),
    [
        ("../outside.safetensors", "no such file in the checkpoint"),
        ("model-00099-of-00010.safetensors", "no such file in the checkpoint"),
        ("config.json", "config.json: .*fetch the file again"),
        (3, "weight_map does not map names to files"),
    ],
)
def test_an_index_that_points_astray_is_refused(
    sharded: Path, file: object, complaint: str
) -> None:
    """It cannot lead out of the folder, nor to a file that is no safetensors."""
    name = "h.5.attn.c_attn.weight"
    (sharded / "model-00001-of-00099.safetensors").touch()
    save_file({name: torch.zeros(12, 36)}, sharded.parent / "outside.safetensors")
    edit_json(
        sharded / "model.safetensors.index.json", lambda i: i["weight_map"].update({name: file})
    )
    with pytest.raises(CheckpointError, match=complaint):
        open_folder(sharded)


def test_an_index_that_names_the_wrong_shard_is_refused(sharded: Path) -> None:
    """The tensor has to be in the file where the index has it."""
    index = sharded / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    shard = weight_map["wpe.weight"]
    name = next(n for n in weight_map if n.endswith("c_attn.weight") and weight_map[n] != shard)
    edit_json(index, lambda i: i["weight_map"].update({name: shard}))
    with pytest.raises(CheckpointError, match=rf"{shard}: .*{name}"):
        open_folder(sharded)


def test_shards_without_queries_or_keys_are_not_read(sharded: Path) -> None:
    """Their bytes are neither hashed nor opened."""
    weight_map = json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]
    wanted = {file for name, file in weight_map.items() if name.endswith("c_attn.weight")}
    unwanted = set(weight_map.values()) - wanted
    assert unwanted
    for file in unwanted:
        (sharded / file).write_bytes(b"damaged")
    read = set(open_folder(sharded).files)
    assert read == wanted | {"config.json", "model.safetensors.index.json"}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mappings")
def test_factors_do_not_keep_the_file_mapped(bert: Path) -> None:
    """A live view would pin the whole file; the factors are copies."""
    from safetensors import safe_open

    def mapped() -> bool:
        return str(bert) in Path("/proc/self/maps").read_text()

    factors = open_folder(bert).read_layer(0)
    assert not mapped()
    with safe_open(bert / "model.safetensors", framework="pt") as file:
        view = file.get_tensor(QUERY)
        assert mapped()
    assert view.shape[0] == factors.queries.shape[1]
