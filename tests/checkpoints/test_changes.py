"""A projection that other tensors change is refused: adapters, quantisation, parametrisation."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention
from headalgebra.checkpoints.reading import Reading

OV = Convention(circuit="ov")
QUERY = "layers.2.self_attn.q_proj"
WEIGHT = rf"{QUERY}\.weight".replace(".2.", r"\.2\.")
MERGE = "merge the adapter first: model = model.merge_and_unload()"


@pytest.fixture
def llama(tiny_model: Callable) -> Path:
    """A saved Llama with bare tensor names."""
    return tiny_model("llama", dtype=torch.float32).folder


def edit(folder: Path, add: dict[str, str | None]) -> None:
    """Add tensors, rename some to another name, or drop them."""
    weights = load_file(folder / "model.safetensors")
    for name, becomes in add.items():
        if name in weights:
            tensor = weights.pop(name)
            weights |= {becomes: tensor} if becomes else {}
        else:
            weights[name] = torch.ones(2, 3)
    save_file(weights, folder / "model.safetensors")


def refusal(folder: Path, convention: Convention = PAPER) -> str:
    """The line with which it is refused."""
    with pytest.raises(CheckpointError) as refused:
        open_folder(folder, convention=convention)
    return str(refused.value)


ADAPTERS = [
    # peft: under its own prefixes, of every kind that keeps tensors in the module
    f"{QUERY}.lora_A.default.weight",
    f"{QUERY}.lora_B.weight",
    f"base_model.model.model.{QUERY}.lora_A.weight",
    f"base_model.model.{QUERY}.lora_magnitude_vector.default.weight",
    f"{QUERY}.lora_magnitude_vector",
    f"{QUERY}.ia3_l.default",
    f"{QUERY}.hada_w1_a.default",
    f"{QUERY}.lokr_w2.default",
    f"{QUERY}.oft_r.default",
    f"{QUERY}.boft_R.default",
    f"{QUERY}.vera_lambda_b.default",
    f"{QUERY}.vblora_logits_A.default",
    f"{QUERY}.randlora_lambda.default",
    f"{QUERY}.fourierft_spectrum.default",
    f"{QUERY}.bone_block.default",
    f"{QUERY}.modules_to_save.default.weight",
    # AdapterHub, torchtune, litgpt, mlx
    f"{QUERY}.loras.mine.lora_A",
    f"{QUERY}.lora_a.weight",
    f"{QUERY}.magnitude",
    f"{QUERY}.lora_A",
    # NeMo and diffusers: beside the projections
    "layers.2.self_attn.adapter_layer.lora_kqv_adapter.linear_in.weight",
    "layers.2.self_attn.lora_q.down.weight",
    "model.layers.2.self_attn.processor.to_q_lora.down.weight",
    # kohya: underscores for dots
    "lora_te_layers_2_self_attn_q_proj.lora_down.weight",
    "lora_unet_text_model_layers_2_self_attn_q_proj.hada_w1_a",
]


@pytest.mark.parametrize("tensor", ADAPTERS)
def test_adapters_beside_a_weight_are_refused(llama: Path, tensor: str) -> None:
    """Whatever library wrote them, under any prefix, by name and with the mend."""
    open_folder(llama)
    edit(llama, {tensor: None})
    text = refusal(llama)
    assert f"tensor {tensor} belongs to an adapter that is not merged into layers.2.self" in text
    assert text.endswith(MERGE)


@pytest.mark.parametrize("around", ["base_layer", "original_module", "modules_to_save.default"])
@pytest.mark.parametrize("layer", [0, 2])
def test_a_weight_inside_an_adapter_is_refused(llama: Path, around: str, layer: int) -> None:
    """In the first layer or a later one."""
    module = QUERY.replace("2", str(layer))
    edit(llama, {f"{module}.weight": f"{module}.{around}.weight"})
    text = refusal(llama)
    assert f"tensor {module}.{around}.weight belongs to an adapter" in text
    assert text.endswith(MERGE)


@pytest.mark.parametrize(
    "kind",
    [
        *("qzeros", "scales", "g_idx", "weight.quant_map", "weight.quant_state.bitsandbytes__nf4"),
        *("weight_zero_point", "weight_shape", "input_scale", "output_scale", "weight._data"),
        *("codebooks", "weight_quantizer._amax", "weight.nested_absmax"),
    ],
)
def test_what_quantisation_leaves_beside_a_weight_is_refused(llama: Path, kind: str) -> None:
    """Though the weight itself may look like any other."""
    edit(llama, {f"{QUERY}.{kind}": None})
    text = refusal(llama)
    assert f"tensor {QUERY}.{kind} belongs to a quantised {QUERY}.weight" in text
    assert text.endswith("use the checkpoint they were quantised from")


@pytest.mark.parametrize(
    "tensors",
    [
        {f"{QUERY}.weight": f"{QUERY}.parametrizations.weight.original1"},
        {f"{QUERY}.weight": f"{QUERY}.weight_v", f"{QUERY}.weight_g": None},
        {f"{QUERY}.weight": f"{QUERY}.weight_orig", f"{QUERY}.weight_mask": None},
        {f"{QUERY}.weight_mask": None},
        {f"{QUERY}.parametrizations.weight.0._u": None},
    ],
)
def test_parametrised_weights_are_refused(llama: Path, tensors: dict[str, str | None]) -> None:
    """They are other tensors' until the module runs."""
    edit(llama, tensors)
    text = refusal(llama)
    assert f"makes {QUERY}.weight anew whenever the model runs; make it a plain weight" in text


def test_what_nobody_knows_beside_a_weight_is_refused(llama: Path) -> None:
    edit(llama, {f"{QUERY}.surprise": None})
    assert f"tensor {QUERY}.surprise is in the module of {QUERY}.weight, and what it" in refusal(
        llama
    )


@pytest.mark.parametrize(
    "tensor",
    [
        "layers.2.mlp.gate_proj.lora_A.default.weight",
        "layers.2.self_attn.v_proj.lora_A.default.weight",
        "layers.2.self_attn.rotary_emb.inv_freq",
        "layers.2.self_attn.k_scale",
        "layers.9.self_attn.q_proj.lora_A.default.weight",
        "lora_te_layers_2_mlp_gate_proj.lora_down.weight",
    ],
)
def test_what_changes_no_wanted_weight_is_let_pass(llama: Path, tensor: str) -> None:
    """What other modules have, adapters among it, is theirs; values are, in the other circuit."""
    before = open_folder(llama).read_layer(2)
    edit(llama, {tensor: None})
    assert torch.equal(open_folder(llama).read_layer(2).queries, before.queries)
    if "v_proj" in tensor:
        assert "not merged into layers.2.self_attn.v_proj.weight" in refusal(llama, OV)


def test_adapters_of_other_parts_are_let_pass(tiny_model: Callable) -> None:
    """A vision tower has modules of the same names."""
    folder = tiny_model("gemma3_text").folder
    text = json.loads((folder / "config.json").read_text())
    whole = {"model_type": "gemma3", "text_config": text}
    (folder / "config.json").write_text(json.dumps(whole))
    edit(folder, {f"vision_tower.{QUERY}.lora_A.weight": None})
    open_folder(folder)
    edit(folder, {f"language_model.{QUERY}.lora_A.weight": None})
    assert "not merged" in refusal(folder)


def test_a_fused_projection_is_held_to_the_same(tiny_model: Callable) -> None:
    """Also where the convention wants a part of it."""
    folder = tiny_model("gpt2", head=True).folder
    edit(folder, {"h.1.attn.c_attn.lora_A": None})
    for convention in (PAPER, OV):
        assert "h.1.attn.c_attn.lora_A belongs to an adapter" in refusal(folder, convention)


def test_a_norm_that_is_folded_is_held_to_the_same(llama: Path) -> None:
    """Some adapters tune norms."""
    edit(llama, {"layers.1.input_layernorm.ln_tuning_layers.default.weight": None})
    open_folder(llama)
    assert "in the module of layers.1.input_layernorm.weight" in refusal(
        llama, Convention(fold_norm=True)
    )


def test_an_adapter_changes_what_would_be_measured(llama: Path) -> None:
    """Why it is refused: merged, the weight is another."""
    weights: dict[str, Tensor] = load_file(llama / "model.safetensors")
    before = open_folder(llama).read_layer(2).queries
    down, up = torch.ones(2, 16), torch.ones(24, 2)
    save_file(
        weights | {f"{QUERY}.weight": weights[f"{QUERY}.weight"] + up @ down},
        llama / "model.safetensors",
    )
    assert not torch.allclose(open_folder(llama).read_layer(2).queries, before)


@pytest.mark.parametrize(
    "name",
    [
        *("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"),
        *("adapters.safetensors", "pytorch_lora_weights.safetensors", "pytorch_adapter.bin"),
        *("adapter_0.pt",),
    ],
)
def test_adapters_in_files_of_their_own_are_refused(llama: Path, name: str) -> None:
    """Beside a model unless they are to be ignored; without one in any case."""
    before = open_folder(llama)
    (llama / name).write_text("{}")
    text = refusal(llama)
    assert f"{llama / name}: an adapter beside the model" in text
    assert text.endswith(f"{MERGE}, or read the model without it by adapters: ignore")
    ignored = open_folder(llama, reading=Reading(adapters="ignore"))
    assert torch.equal(ignored.read_layer(1).queries, before.read_layer(1).queries)
    (llama / "model.safetensors").unlink()
    (llama / "training_args.bin").touch()
    with pytest.raises(CheckpointError, match="an adapter without the model that it changes"):
        open_folder(llama, reading=Reading(adapters="ignore"))
