"""Weights that would be read wrongly, or not safely, are refused; the others are let go of."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from resident_memory import LINUX, peak_above_the_start
from safetensors.torch import load_file, save_file
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention

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
        (lambda w: w.pop(QUERY.replace("3", "0")), "query.weight is missing; use a checkpoint"),
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
        *(
            (
                file,
                r"index\.json: tensor h\.5\.attn\.c_attn\.weight is mapped to '.*which is no name",
            )
            for file in (
                "../outside.safetensors",
                "/tmp/outside.safetensors",
                "inside/model.safetensors",
                "./model.safetensors",
                "..",
                "",
                "..\\outside.safetensors",
            )
        ),
        (
            "model-00099-of-00010.safetensors",
            "00099-of-00010.safetensors: no such file, but tensor h.5.attn.c_attn.weight should",
        ),
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
    with pytest.raises(CheckpointError, match=rf"{shard}: tensor {name} is not in it"):
        open_folder(sharded)


def test_an_index_that_names_a_tensor_twice_is_refused(sharded: Path) -> None:
    """JSON keeps the last of two without a word, and they may name two files."""
    index = sharded / "model.safetensors.index.json"
    name = "h.5.attn.c_attn.weight"
    content = index.read_text().replace('"weight_map": {', f'"weight_map": {{"{name}": "x",')
    index.write_text(content)
    assert json.loads(content)["weight_map"][name] != "x"
    with pytest.raises(CheckpointError, match=rf"index\.json: {name} is given twice"):
        open_folder(sharded)


def test_a_missing_shard_is_refused(sharded: Path) -> None:
    """By its name and that of the first tensor looked for in it."""
    weight_map = json.loads((sharded / "model.safetensors.index.json").read_text())["weight_map"]
    (sharded / weight_map["h.5.attn.c_attn.weight"]).unlink()
    with pytest.raises(CheckpointError, match=r"no such file, but tensor h\.5\.attn.*fetch the"):
        open_folder(sharded)


@pytest.mark.parametrize("kind", ["qweight", "weight_scale_inv", "weight_scale", "weight.absmax"])
def test_quantised_weights_are_refused(bert: Path, kind: str) -> None:
    """By the tensors that only they have, though the configuration keeps silent."""
    tensor = f"{QUERY.removesuffix('.weight')}.{kind}"
    edit_weights(bert, lambda w: w.update({tensor: torch.ones(3)}))
    with pytest.raises(CheckpointError, match=f"tensor {tensor}: the weights are quantised"):
        open_folder(bert)


def test_a_folder_without_a_configuration_is_refused(bert: Path) -> None:
    """The weights alone do not say what they are."""
    (bert / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: no such file"):
        open_folder(bert)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_links_that_lead_out_of_the_folder_are_refused(
    bert: Path, tmp_path: Path, file: str
) -> None:
    """Links inside it, and a link to the folder itself, are followed."""
    (bert / file).rename(bert / "other")
    (bert / file).symlink_to("other")
    (tmp_path / "link").symlink_to(bert)
    open_folder(tmp_path / "link")
    (bert / "other").rename(tmp_path / file)
    (bert / file).unlink()
    (bert / file).symlink_to(tmp_path / file)
    with pytest.raises(CheckpointError, match=f"{file}: a symbolic link that leads out"):
        open_folder(bert)
    (tmp_path / file).unlink()
    with pytest.raises(CheckpointError, match=r"no such file|neither"):
        open_folder(bert)


@pytest.mark.parametrize("swap", ["link", "content"])
def test_a_file_that_is_swapped_after_it_was_checked_is_refused(
    bert: Path, tmp_path: Path, swap: str
) -> None:
    """A link that leads elsewhere when tensors are read, and other bytes in the same place."""
    weights = bert / "model.safetensors"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(weights.read_bytes())
    weights.rename(bert / "inside")
    weights.symlink_to("inside")
    checkpoint = open_folder(bert)
    checkpoint.read_layer(0)
    if swap == "link":
        weights.unlink()
        weights.symlink_to(elsewhere)
    else:
        (bert / "inside").write_bytes(bytes(elsewhere.stat().st_size))
    with pytest.raises(CheckpointError, match=r"model\.safetensors: the file was changed while"):
        checkpoint.read_layer(1)


def test_any_name_of_a_folder_will_do(bert: Path, tmp_path: Path) -> None:
    """Spaces, and letters beyond ASCII."""
    expected = open_folder(bert).read_layer(3)
    folder = tmp_path / "ein Modell für Größen, 模型"
    bert.rename(folder)
    assert torch.equal(open_folder(folder).read_layer(3).queries, expected.queries)


def test_norms_may_have_a_type_of_their_own(tiny_model: Callable) -> None:
    """Their weights are often kept in float32; what they hold is checked like the rest."""
    folder = tiny_model("llama", dtype=torch.bfloat16).folder
    name = "layers.1.input_layernorm.weight"
    fold = Convention(fold_norm=True)
    expected = open_folder(folder, convention=fold).read_layer(1)
    edit_weights(folder, lambda w: w.update({name: w[name].float()}))
    assert torch.equal(open_folder(folder, convention=fold).read_layer(1).keys, expected.keys)
    edit_weights(folder, lambda w: w.update({name: w[name][:5].clone()}))
    open_folder(folder)
    with pytest.raises(CheckpointError, match=rf"{name} has shape \[5\], expected \[16\]"):
        open_folder(folder, convention=fold)
    edit_weights(folder, lambda w: w.update({name: torch.full((16,), torch.nan)}))
    with pytest.raises(CheckpointError, match="layer 1: queries holds infinities or NaNs"):
        open_folder(folder, convention=fold).read_layer(1)
    edit_weights(folder, lambda w: w.pop(name))
    with pytest.raises(CheckpointError, match=f"tensor {name} is missing"):
        open_folder(folder, convention=fold)


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


@LINUX
@pytest.mark.parametrize("convention", [PAPER, Convention(circuit="ov")], ids=["qk", "ov"])
def test_factors_do_not_keep_the_file_mapped(bert: Path, convention: Convention) -> None:
    """A live view would pin the whole file; the factors are copies."""
    from safetensors import safe_open

    def mapped() -> bool:
        return str(bert) in Path("/proc/self/maps").read_text()

    factors = open_folder(bert, convention=convention).read_layer(0)
    assert not mapped()
    with safe_open(bert / "model.safetensors", framework="pt") as file:
        view = file.get_tensor(QUERY)
        assert mapped()
    assert view.shape[0] == factors.queries.shape[1]


@LINUX
def test_peak_memory_does_not_grow_with_layers(tiny_model: Callable) -> None:
    """Reading all layers takes no more than reading one; keeping them would."""
    settings = {"n_embd": 192, "n_inner": 8, "n_layer": 120, "n_head": 3}
    checkpoint = open_folder(
        tiny_model("gpt2", **settings).folder, convention=Convention(scale=True, fold_norm=True)
    )
    all_kept = checkpoint.n_layers * 2 * 192 * 192 * 8

    def read_all() -> None:
        for layer in range(checkpoint.n_layers):
            checkpoint.read_layer(layer)

    def keep_all() -> None:
        kept = [checkpoint.read_layer(layer) for layer in range(checkpoint.n_layers)]
        assert kept

    checkpoint.read_layer(0)
    # What is freed is not always given back: some twenty layers' worth, however many are read.
    assert peak_above_the_start(read_all) < all_kept / 4
    assert peak_above_the_start(keep_all) > all_kept * 0.9
