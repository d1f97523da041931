"""The factors of each family reproduce the attention scores of its own implementation."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from score_rounding import absolute_factors, deviation, random_inputs, score_rounding, scores
from tiny_models import BLUEPRINTS, model_type

from headalgebra.checkpoints import CheckpointError, LayerFactors, open_checkpoint, open_folder
from headalgebra.checkpoints._families import Norm, Projection
from headalgebra.checkpoints.convention import PAPER, Convention


@pytest.mark.parametrize("head", [False, True], ids=["bare", "prefixed"])
@pytest.mark.parametrize("max_shard_size", ["1GB", "8KB"], ids=["single", "sharded"])
def test_scores_are_those_of_the_model(
    shared_model: Callable, family: str, head: bool, max_shard_size: str
) -> None:
    """For every layer, head and pair of tokens, within rounding; wrong slices are far outside."""
    tiny = shared_model(family, head=head, max_shard_size=max_shard_size)
    checkpoint = open_folder(tiny.folder)
    assert (len(checkpoint.files) > 2) == (max_shard_size == "8KB")
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model)
        scored = tiny.score(layer, inputs)
        factors = checkpoint.read_layer(layer)
        expected = scored.queries @ scored.keys.mT
        rounding = score_rounding(
            inputs, absolute_factors(checkpoint, layer), more_terms=40, unit=tiny.unit
        )
        assert (scores(inputs, factors) - expected).abs().le(rounding).all()

        queries, keys, owners = factors.queries, factors.keys, factors.key_of_head
        swapped = keys[owners]
        wrong = {
            "queries and keys swapped": LayerFactors(swapped, queries, torch.arange(len(queries))),
            "heads interleaved": LayerFactors(interleaved(queries), interleaved(keys), owners),
            "next layer": checkpoint.read_layer((layer + 1) % checkpoint.n_layers),
        }
        if len(keys) > 1:
            wrong["neighbour's key"] = LayerFactors(queries, keys, owners.roll(1))
        if 1 < len(keys) < len(queries):
            tiled = torch.arange(len(queries)) % len(keys)
            wrong["groups tiled"] = LayerFactors(queries, keys, tiled)
        for mistake, factors in wrong.items():
            assert deviation(scores(inputs, factors), expected) > 0.1, mistake


def interleaved(side: torch.Tensor) -> torch.Tensor:
    """The same columns, dealt out to the heads in turn."""
    n_heads, d, r = side.shape
    return side.permute(1, 0, 2).reshape(d, r, n_heads).permute(2, 0, 1)


EXACT = [
    family
    for family, blueprint in BLUEPRINTS.items()
    if not blueprint.gammas and not blueprint.single
]


@pytest.mark.parametrize("family", EXACT)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_factors_are_the_stored_bits(
    shared_model: Callable, family: str, dtype: torch.dtype
) -> None:
    """No arithmetic touches the weights, whatever type they are stored in.

    The model itself multiplies them by the identity, which is exact.
    """
    tiny = shared_model(family, dtype=dtype)
    checkpoint = open_folder(tiny.folder)
    assert checkpoint.dtype == dtype
    for layer in range(checkpoint.n_layers):
        factors = checkpoint.read_layer(layer)
        scored = tiny.score(layer, torch.eye(checkpoint.d_model, dtype=dtype))
        assert torch.equal(factors.queries, scored.queries)
        assert torch.equal(factors.keys[factors.key_of_head], scored.keys)
        for side in (factors.queries, factors.keys):
            assert side.dtype == dtype and side.is_contiguous()


def test_sizes_are_those_of_the_configuration(shared_model: Callable, family: str) -> None:
    """The checkpoint says how large its attention is, and each layer who shares keys."""
    tiny = shared_model(family)
    checkpoint = open_folder(tiny.folder)
    assert checkpoint.family == model_type(family)
    heads = (checkpoint.n_heads, checkpoint.n_kv_heads)
    sizes = (checkpoint.n_layers, *heads, checkpoint.d_model, checkpoint.d_head)
    assert sizes == tiny.blueprint.sizes
    factors = checkpoint.read_layer(0)
    assert tuple(factors.queries.shape) == (heads[0], *sizes[3:])
    assert tuple(factors.keys.shape) == (heads[1], *sizes[3:])


WITHIN = [family for family, blueprint in BLUEPRINTS.items() if blueprint.gammas]


@pytest.mark.parametrize("family", WITHIN)
def test_norms_of_scores_are_part_of_the_operators(shared_model: Callable, family: str) -> None:
    """Leaving their gammas out, or reading 1 + gamma as gamma, would be seen."""
    tiny = shared_model(family)
    checkpoint = open_folder(tiny.folder)
    inputs = random_inputs(9, checkpoint.d_model)
    scored = tiny.score(1, inputs)
    expected = scored.queries @ scored.keys.mT

    def changed(change: Callable[[Norm], Norm | None]) -> torch.Tensor:
        def at(side: Projection) -> Projection:
            latent = side.latent and at(side.latent)
            return replace(side, norm=side.norm and change(side.norm), latent=latent)

        layers = tuple(
            replace(layer, queries=at(layer.queries), keys=at(layer.keys))
            for layer in checkpoint.layers
        )
        return scores(inputs, replace(checkpoint, layers=layers).read_layer(1).astype("float64"))

    assert deviation(changed(lambda norm: norm), expected) < 1e-5
    assert deviation(changed(lambda norm: None), expected) > 0.1
    other = changed(lambda norm: replace(norm, plus_one=not norm.plus_one))
    assert deviation(other, expected) > 0.1


def test_keys_that_layers_share_are_not_their_own(tiny_model: Callable) -> None:
    """Published files have keys and values of every layer; those of the last are never used."""
    folder = tiny_model("gemma3n_text").folder
    conventions = (PAPER, Convention(circuit="ov"))

    def read() -> list[torch.Tensor]:
        opened = [open_folder(folder, convention=convention) for convention in conventions]
        layers = [one.read_layer(layer) for one in opened for layer in range(one.n_layers)]
        return [side for layer in layers for side in (layer.queries, layer.keys)]

    expected, weights = read(), load_file(folder / "model.safetensors")
    unused = {
        name.replace("layers.3.", "layers.5."): -tensor
        for name, tensor in weights.items()
        if re.fullmatch(r"layers\.3\.self_attn\.(k_proj|k_norm|v_proj)\.weight", name)
    }
    assert len(unused) == 3 and not unused.keys() & weights.keys()
    save_file(weights | unused, folder / "model.safetensors")
    assert all(map(torch.equal, read(), expected))


@pytest.mark.parametrize("family", ["gpt_neox", "bloom", "falcon, a key each"])
def test_fused_heads_are_not_blocks(shared_model: Callable, family: str) -> None:
    """Queries above keys above values would be another model."""
    tiny = shared_model(family)
    checkpoint = open_folder(tiny.folder)
    fused = tiny.part(f"{tiny.blueprint.attention}.query_key_value", 1).weight.detach()
    inputs = random_inputs(9, checkpoint.d_model)
    scored = tiny.score(1, inputs)
    heads = (checkpoint.n_heads, checkpoint.d_head, checkpoint.d_model)
    queries, keys, _ = (block.reshape(heads).mT for block in fused.chunk(3))
    blocks = LayerFactors(queries, keys, torch.arange(checkpoint.n_heads))
    assert deviation(scores(inputs, blocks), scored.queries @ scored.keys.mT) > 0.1


@pytest.mark.parametrize("prefix", ["language_model.model", "model.language_model"])
def test_the_text_part_of_a_model_of_images_is_found(
    tiny_model: Callable, shared_model: Callable, prefix: str
) -> None:
    """Under either of its names, beside a tower whose layers are called alike."""
    text = tiny_model("gemma3_text").folder
    expected = open_folder(shared_model("gemma3_text").folder)
    config = json.loads((text / "config.json").read_text())
    whole = {"model_type": "gemma3", "text_config": config, "vision_config": {"hidden_size": 4}}
    (text / "config.json").write_text(json.dumps(whole))
    weights = load_file(text / "model.safetensors")
    tower = "vision_tower.vision_model.encoder"
    renamed = {f"{prefix}.{name}": tensor for name, tensor in weights.items()}
    renamed |= {f"{tower}.{name}": -tensor for name, tensor in weights.items()}
    save_file(renamed, text / "model.safetensors")
    checkpoint = open_folder(text)
    assert checkpoint.family == "gemma3_text"
    for layer in range(checkpoint.n_layers):
        found = checkpoint.read_layer(layer)
        assert torch.equal(found.queries, expected.read_layer(layer).queries)
        assert torch.equal(found.keys, expected.read_layer(layer).keys)

    without = {"model_type": "gemma3"}
    (text / "config.json").write_text(json.dumps(without))
    with pytest.raises(CheckpointError, match="gemma3 has no text_config"):
        open_folder(text)


PICTURES = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
PICTURES |= {"intermediate_size": 8, "image_size": 8, "patch_size": 4}


@pytest.mark.parametrize(
    ("kind", "family", "tower"),
    [
        ("Gemma3", "gemma3_text", {}),
        ("Llama4", "llama4_text", {"projector_input_dim": 8, "projector_output_dim": 8}),
        ("Llava", "llama", {"model_type": "clip_vision_model"}),
        ("Llava", "qwen2", {"model_type": "siglip_vision_model"}),
        ("Mistral3", "mistral", {"model_type": "pixtral", "head_dim": 4}),
        ("Qwen2VL", "qwen2_vl_text", {"embed_dim": 8, "depth": 1, "num_heads": 2}),
        ("Qwen2_5_VL", "qwen2_5_vl_text", {"out_hidden_size": 32, "depth": 1, "num_heads": 2}),
    ],
)
def test_a_saved_model_of_text_and_images_is_read(
    tmp_path: Path, kind: str, family: str, tower: dict[str, Any]
) -> None:
    """As transformers itself writes it, tower and all; and in memory."""
    import transformers

    text = dict(BLUEPRINTS[family].settings) | {"model_type": family}
    config = getattr(transformers, f"{kind}Config")(
        text_config=text, vision_config=PICTURES | tower
    )
    model = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    model.save_pretrained(tmp_path)
    for checkpoint in (open_folder(tmp_path), open_checkpoint(model)):
        assert (checkpoint.family, checkpoint.n_layers) == (family, 4)
        decoder = getattr(model, "model", model).language_model
        decoder = getattr(decoder, "model", decoder)
        weight = decoder.layers[2].self_attn.q_proj.weight.detach()
        d, r = checkpoint.d_model, checkpoint.d_head
        queries = weight.double().reshape(4, r, d).mT  # gammas start at 0, so 1 + gamma is 1
        assert torch.equal(checkpoint.read_layer(2).queries.double(), queries)


@pytest.mark.parametrize("name", ["Siglip", "CLIP"])
def test_the_text_encoder_of_two_is_read(tmp_path: Path, name: str) -> None:
    """Both are saved under the same names but for the first part."""
    import transformers

    family = f"{name.lower()}_text_model"
    text = BLUEPRINTS[family].settings
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=PICTURES)
    model = getattr(transformers, f"{name}Model")(config)
    model.save_pretrained(tmp_path)
    for checkpoint in (open_folder(tmp_path), open_checkpoint(model)):
        assert (checkpoint.family, checkpoint.n_layers) == (family, 4)
        attention = model.text_model.get_submodule("encoder.layers.2.self_attn")
        queries = attention.q_proj.weight.detach().reshape(3, 4, 12).mT
        assert torch.equal(checkpoint.read_layer(2).queries, queries)


def test_norms_are_found_under_present_and_former_names(tiny_model: Callable) -> None:
    """transformers writes ESM's under those of long ago; under both, one would be wrong."""
    folder = tiny_model("esm").folder
    fold = Convention(fold_norm=True)
    former = open_folder(folder, convention=fold).read_layer(1)
    weights = load_file(folder / "model.safetensors")
    norm = "encoder.layer.1.attention.LayerNorm"
    assert {f"{norm}.gamma", f"{norm}.beta"} <= weights.keys()
    present = {
        name.replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias"): tensor
        for name, tensor in weights.items()
    }
    save_file(present, folder / "model.safetensors")
    found = open_folder(folder, convention=fold).read_layer(1)
    assert torch.equal(found.queries, former.queries) and torch.equal(found.keys, former.keys)
    save_file(present | {f"{norm}.gamma": -weights[f"{norm}.gamma"]}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=f"{norm}.gamma is in the module of {norm}.weight"):
        open_folder(folder, convention=fold)


def test_an_encoder_alone_has_only_its_own_layers(tiny_model: Callable, tmp_path: Path) -> None:
    """T5's encoder, saved without its decoder."""
    import transformers

    tiny = tiny_model("t5")
    config = tiny.model.config
    encoder = transformers.T5EncoderModel(config).to(torch.float64)
    encoder.encoder.load_state_dict(tiny.model.encoder.state_dict())
    encoder.config.is_encoder_decoder = False
    encoder.save_pretrained(tmp_path)
    alone, whole = open_folder(tmp_path), open_folder(tiny.folder)
    assert (alone.n_layers, whole.n_layers) == (2, 5)
    assert torch.equal(alone.read_layer(1).queries, whole.read_layer(1).queries)
