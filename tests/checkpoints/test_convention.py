"""Every option of the convention does to the scores what the model's own modules do."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from score_rounding import (
    TABLE_UNIT,
    absolute,
    deviation,
    gamma,
    random_inputs,
    rotation_rounding,
    score_rounding,
    scores,
)
from tiny_models import BLUEPRINTS

from headalgebra.checkpoints import Checkpoint, CheckpointError, LayerFactors, open_folder
from headalgebra.convention import PAPER, Convention

SCALE = Convention(scale=True)
FOLD = Convention(fold_norm=True)
OV = Convention(circuit="ov")
WITH_NORM = [family for family, blueprint in BLUEPRINTS.items() if blueprint.norm]
WITHOUT_NORM = sorted(BLUEPRINTS.keys() - WITH_NORM)
WITH_ROTARY = [family for family, blueprint in BLUEPRINTS.items() if blueprint.rotary]
WITHOUT_ROTARY = sorted(BLUEPRINTS.keys() - WITH_ROTARY)


def with_layers(checkpoint: Checkpoint, **changes: Callable[[Any], Any]) -> Checkpoint:
    """The same checkpoint, its layers' attributes changed."""
    return replace(
        checkpoint,
        layers=tuple(
            replace(
                layer, **{name: change(getattr(layer, name)) for name, change in changes.items()}
            )
            for layer in checkpoint.layers
        ),
    )


# The softmax scale


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        *((family, {}) for family in BLUEPRINTS),
        ("gpt2", {"scale_attn_weights": False}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("gpt2", {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True}),
    ],
)
def test_scale_is_the_factor_before_the_softmax(
    tiny_model: Callable, family: str, settings: Mapping[str, Any]
) -> None:
    """The module's own factor times its own products, in every layer."""
    tiny = tiny_model(family, **settings)
    checkpoint = open_folder(tiny.folder, convention=SCALE)
    plain = open_folder(tiny.folder)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model)
        scored = tiny.score(layer, inputs)
        expected = scored.scaling * scored.queries @ scored.keys.mT
        factors = checkpoint.read_layer(layer)
        rounding = score_rounding(inputs, factors, more_terms=2)
        assert (scores(inputs, factors) - expected).abs().le(rounding).all()
        if scored.scaling != 1:
            assert deviation(scores(inputs, plain.read_layer(layer)), expected) > 0.1
        doubled = with_layers(checkpoint, scale=lambda scale: 2 * scale)
        assert deviation(scores(inputs, doubled.read_layer(layer)), expected) > 0.1


# The norm in front


@pytest.mark.parametrize("family", WITH_NORM)
def test_folded_norms_are_those_of_the_model(tiny_model: Callable, family: str) -> None:
    """What the live norm makes of rows that it does not divide by their size is scored alike."""
    tiny = tiny_model(family)
    checkpoint, plain = open_folder(tiny.folder, convention=FOLD), open_folder(tiny.folder)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model) + 1.0
        normalised = tiny.normalise(layer, inputs)
        scored = tiny.score(layer, normalised)
        expected = scored.queries @ scored.keys.mT
        norm = checkpoint.layers[layer].norm
        # A row is centred, divided, multiplied by gamma and by its size again; a mean of d terms
        # and a sum of d squares go into it, in float32 where there is no mean.
        terms, unit = 2 * checkpoint.d_model + 8, 2.0**-53 if norm.centred else TABLE_UNIT
        size = inputs.abs() + norm.centred * inputs.abs().mean(dim=1, keepdim=True)
        weight = dict(tiny.part(tiny.blueprint.norm, layer).named_parameters())["weight"].abs()
        rows = size * (weight + norm.plus_one).detach()
        rounding = 4 * gamma(terms, unit) * scores(rows, absolute(plain.read_layer(layer)))
        rounding = rounding + score_rounding(rows, plain.read_layer(layer), more_terms=terms)
        found = checkpoint.read_layer(layer)
        assert found.queries.dtype == found.keys.dtype == torch.float64
        assert (scores(inputs, found) - expected).abs().le(rounding).all()

        wrong = {
            "no norm": plain,
            "mean": with_layers(checkpoint, norm=lambda n: replace(n, centred=not n.centred)),
            "1 + gamma": with_layers(
                checkpoint, norm=lambda n: replace(n, plus_one=not n.plus_one)
            ),
        }
        for mistake, other in wrong.items():
            assert deviation(scores(inputs, other.read_layer(layer)), expected) > 0.1, mistake


# Rotary positions


@pytest.mark.parametrize("offset", [1, 5, -3])
@pytest.mark.parametrize("family", WITH_ROTARY)
def test_offsets_turn_queries_against_keys(tiny_model: Callable, family: str, offset: int) -> None:
    """Scores of positions m and m - D are those of the live module, for all m; D = 0 is none."""
    tiny = tiny_model(family)
    checkpoint = open_folder(tiny.folder, convention=Convention(rope_offset=offset))
    plain = open_folder(tiny.folder)
    positions = torch.arange(9)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model)
        scored = tiny.score(layer, inputs, positions)
        rounding = rotation_rounding(scored.queries, scored.keys, positions)
        rounding = rounding + score_rounding(inputs, plain.read_layer(layer), more_terms=8)

        def at_offset(every_pair: torch.Tensor) -> torch.Tensor:
            return every_pair.diagonal(-offset, dim1=1, dim2=2)

        expected = at_offset(scored.queries @ scored.keys.mT)

        def found(checkpoint: Checkpoint, inputs: torch.Tensor, layer: int) -> torch.Tensor:
            return at_offset(scores(inputs, checkpoint.read_layer(layer)))

        difference = (found(checkpoint, inputs, layer) - expected).abs()
        assert difference.le(at_offset(rounding)).all()

        backwards = replace(checkpoint, convention=Convention(rope_offset=-offset))
        other_pairs = with_layers(
            checkpoint, rotary=lambda rotary: replace(rotary, interleaved=not rotary.interleaved)
        )
        for mistake, other in {
            "no rotation": plain,
            "sign": backwards,
            "pairs": other_pairs,
        }.items():
            assert deviation(found(other, inputs, layer), expected) > 0.1, mistake


SCALED_ROPE = {
    "linear": {"rope_type": "linear", "factor": 3.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
}


@pytest.mark.parametrize("kind", SCALED_ROPE)
@pytest.mark.parametrize("former", [False, True])
def test_scaled_frequencies_are_honoured(tiny_model: Callable, kind: str, former: bool) -> None:
    """Under the present and the former name of their parameters; yarn also scales the table."""
    parameters = SCALED_ROPE[kind] | {"rope_theta": 9.0}
    tiny = tiny_model("llama", rope_parameters=parameters)
    if former:
        write_former_rope(tiny.folder, SCALED_ROPE[kind])
    checkpoint = open_folder(tiny.folder, convention=Convention(rope_offset=2))
    positions, inputs = torch.arange(9), random_inputs(9, checkpoint.d_model)
    scored = tiny.score(0, inputs, positions)
    expected = (scored.queries @ scored.keys.mT).diagonal(-2, dim1=1, dim2=2)
    rounding = rotation_rounding(scored.queries, scored.keys, positions)
    rounding = rounding + score_rounding(inputs, checkpoint.read_layer(0), more_terms=8)
    found = scores(inputs, checkpoint.read_layer(0)).diagonal(-2, dim1=1, dim2=2)
    assert (found - expected).abs().le(rounding.diagonal(-2, dim1=1, dim2=2)).all()

    unscaled = tiny_model("llama", rope_parameters={"rope_type": "default", "rope_theta": 9.0})
    other = open_folder(unscaled.folder, convention=Convention(rope_offset=2)).read_layer(0)
    assert deviation(scores(inputs, other).diagonal(-2, dim1=1, dim2=2), expected) > 0.1


def write_former_rope(folder: Path, scaling: Mapping[str, Any]) -> None:
    """Name the rotary parameters as releases before transformers 5 did."""
    config = json.loads((folder / "config.json").read_text())
    config.pop("rope_parameters")
    config |= {"rope_theta": 9.0, "rope_scaling": dict(scaling)}
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("dynamic", {"factor": 2.0}),
        (
            "longrope",
            {"short_factor": [1.0] * 3, "long_factor": [2.0] * 3, "factor": 2.0},
        ),
    ],
)
def test_frequencies_that_depend_on_the_length_are_refused(
    tiny_model: Callable, kind: str, parameters: Mapping[str, Any]
) -> None:
    """For an offset; without one the weights are read."""
    rope = {"rope_type": kind, "rope_theta": 9.0, **parameters}
    folder = tiny_model("llama", rope_parameters=rope).folder
    open_folder(folder).read_layer(0)
    open_folder(folder, convention=SCALE).read_layer(0)
    with pytest.raises(CheckpointError, match=f"rope_offset .* llama: .* {kind} depend on"):
        open_folder(folder, convention=Convention(rope_offset=1))


@pytest.mark.parametrize(("family", "law"), [("llama", True), ("gpt_neox", False)])
def test_a_scaled_table_widens_the_law_of_whole_heads(
    tiny_model: Callable, family: str, law: bool
) -> None:
    """Where a part of each head is not rotated there are two widths, and so no law."""
    rope = {"rope_theta": 9.0, **SCALED_ROPE["yarn"]}
    if family == "gpt_neox":
        rope |= {"partial_rotary_factor": 0.5}
    folder = tiny_model(family, rope_parameters=rope).folder
    plain = open_folder(folder).initialisation(0)
    turned = open_folder(folder, convention=Convention(rope_offset=2)).initialisation(0)
    assert plain is not None and plain.query_std == plain.key_std == 0.02
    assert (turned is not None) == law
    if turned:
        factor = (1 + 0.1 * math.log(4.0)) ** 2  # Peng et al. (2023), twice: queries and keys
        assert turned.query_std == pytest.approx(0.02 * factor, rel=1e-6)
        assert turned.key_std == 0.02


# Values and outputs


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("family", BLUEPRINTS)
def test_the_other_circuit_is_what_heads_write(
    tiny_model: Callable, family: str, fold: bool
) -> None:
    """For each head alone, when every token attends to itself."""
    if fold and family in WITHOUT_NORM:
        pytest.skip("no norm in front")
    tiny = tiny_model(family)
    checkpoint = open_folder(tiny.folder, convention=replace(OV, fold_norm=fold))
    plain = open_folder(tiny.folder, convention=OV)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model) + 1.0
        read = tiny.normalise(layer, inputs) if fold else inputs
        scored = tiny.score(layer, read)
        factors = checkpoint.read_layer(layer)
        n_heads, d, r = factors.queries.shape
        assert factors.keys.shape == factors.queries.shape and n_heads == checkpoint.n_heads
        assert factors.key_of_head.tolist() == list(range(n_heads))
        written = torch.stack([tiny.write(layer, scored, head, r) for head in range(n_heads)])
        found = inputs @ factors.queries @ factors.keys.mT
        raw, rows, relative = plain.read_layer(layer), read.abs(), 2 * gamma(2 * d + r)
        if fold:
            norm = checkpoint.layers[layer].norm
            rows = rows + norm.centred * inputs.abs().mean(dim=1, keepdim=True) * 4
            relative += 4 * gamma(2 * d + 8, 2.0**-53 if norm.centred else TABLE_UNIT)
            assert deviation(inputs @ raw.queries @ raw.keys.mT, written) > 0.1
        bound = relative * (rows @ raw.queries.abs() @ raw.keys.abs().mT)
        assert (found - written).abs().le(bound).all()

        for mistake, wrong in {
            "transposed": inputs @ factors.keys @ factors.queries.mT,
            "neighbour's output": inputs @ factors.queries @ factors.keys.roll(1, 0).mT,
            "neighbour's value": inputs @ factors.queries.roll(1, 0) @ factors.keys.mT,
            "outputs read the other way": inputs
            @ factors.queries
            @ factors.keys.permute(1, 0, 2).reshape(d, r, n_heads).permute(2, 0, 1).mT,
        }.items():
            assert deviation(wrong, written) > 0.1, mistake


# Together


@pytest.mark.parametrize("family", [name for name in WITH_ROTARY if name in WITH_NORM])
def test_options_compose(tiny_model: Callable, family: str) -> None:
    """The scores before the softmax of normalised rows at an offset."""
    tiny = tiny_model(family)
    every = Convention(scale=True, fold_norm=True, rope_offset=2)
    checkpoint = open_folder(tiny.folder, convention=every)
    positions, inputs = torch.arange(9), random_inputs(9, checkpoint.d_model)
    scored = tiny.score(1, tiny.normalise(1, inputs), positions)
    expected = (scored.scaling * scored.queries @ scored.keys.mT).diagonal(-2, dim1=1, dim2=2)
    found = scores(inputs, checkpoint.read_layer(1)).diagonal(-2, dim1=1, dim2=2)
    assert deviation(found, expected) < 1e-5  # float32 tables; each option alone is off by more
    for left_out in ({"scale": False}, {"fold_norm": False}, {"rope_offset": 0}):
        other = open_folder(tiny.folder, convention=replace(every, **left_out)).read_layer(1)
        assert deviation(scores(inputs, other).diagonal(-2, dim1=1, dim2=2), expected) > 0.1


def test_the_paper_leaves_the_bits(tiny_model: Callable, family: str) -> None:
    """Nothing is asked for, nothing is done: the default, and all options at their zeros."""
    folder = tiny_model(family, dtype=torch.float32).folder
    for convention in (PAPER, Convention("qk", False, False, 0)):
        checkpoint = open_folder(folder, convention=convention)
        assert checkpoint.convention == PAPER
        factors, default = checkpoint.read_layer(0), open_folder(folder).read_layer(0)
        for name, tensor in vars(factors).items():
            assert torch.equal(tensor, getattr(default, name))


@pytest.mark.parametrize("convention", [PAPER, SCALE, OV], ids=["paper", "scale", "ov"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_rounded_before_anything_else(
    tiny_model: Callable, family: str, convention: Convention, dtype: str
) -> None:
    """To the given type, which the paper's factors keep; the rest is done in float64."""
    folder = tiny_model(family).folder
    checkpoint = open_folder(folder, convention=convention)
    if convention == PAPER:
        found, expected = checkpoint.read_layer(1, dtype), checkpoint.read_layer(1).astype(dtype)
    else:
        found = checkpoint.read_layer(1, dtype)
        scale = checkpoint.layers[1].scale if convention.scale else 1.0
        plain = open_folder(folder, convention=replace(convention, scale=False))
        rounded = plain.read_layer(1).astype(dtype).astype("float64")
        expected = LayerFactors(scale * rounded.queries, rounded.keys, rounded.key_of_head)
    for name, tensor in vars(expected).items():
        assert torch.equal(getattr(found, name), tensor)
        assert getattr(found, name).dtype == tensor.dtype
    assert not torch.equal(found.queries.double(), checkpoint.read_layer(1).queries.double())


def test_rounding_refuses_overflow_and_unknown_types(tiny_model: Callable) -> None:
    """Under every convention, and also where the norm's weights overflow."""
    tiny = tiny_model("gpt2")
    tiny.part("h.{}.ln_1", 2).weight.data.fill_(1e6)
    tiny.model.save_pretrained(tiny.folder)
    checkpoint = open_folder(tiny.folder, convention=FOLD)
    checkpoint.read_layer(1, "float16")
    checkpoint.read_layer(2, "bfloat16")
    with pytest.raises(CheckpointError, match="overflow float16"):
        checkpoint.read_layer(2, "float16")
    with pytest.raises(CheckpointError, match="'int8' is unknown"):
        checkpoint.read_layer(0, "int8")


# Refusals


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"circuit": "ov", "scale": True}, "scale multiplies query-key scores"),
        ({"circuit": "ov", "rope_offset": 1}, "rope_offset rotates queries against keys"),
        ({"circuit": "vo"}, "'vo'"),
    ],
)
def test_combinations_without_meaning_are_refused(options: dict[str, Any], reason: str) -> None:
    """When the convention is made."""
    with pytest.raises((ValueError, TypeError), match=reason):
        Convention(**options)


@pytest.mark.parametrize("family", WITHOUT_NORM)
def test_norms_after_attention_are_not_folded(tiny_model: Callable, family: str) -> None:
    """Refused on opening, by family and option, in one line."""
    folder = tiny_model(family).folder
    for convention in (FOLD, replace(OV, fold_norm=True)):
        with pytest.raises(CheckpointError, match=f"fold_norm .*{family}: .*norm") as refusal:
            open_folder(folder, convention=convention)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("family", WITHOUT_ROTARY)
def test_offsets_without_rotary_positions_are_refused(tiny_model: Callable, family: str) -> None:
    """Before any layer, or any file of weights, is read."""
    folder = tiny_model(family).folder
    (folder / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(CheckpointError, match=f"rope_offset .*{family}: .*rotary"):
        open_folder(folder, convention=Convention(rope_offset=1))
