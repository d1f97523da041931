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
    UNIT,
    absolute_factors,
    deviation,
    gamma,
    random_inputs,
    rotation_rounding,
    score_rounding,
    scores,
)
from tiny_models import BLUEPRINTS, TinyModel, model_type

from headalgebra.checkpoints import Checkpoint, CheckpointError, LayerFactors, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention

YARN = {
    "rope_type": "yarn",
    "rope_theta": 9.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
}
SCALE = Convention(scale=True)
FOLD = Convention(fold_norm=True)
OV = Convention(circuit="ov")
WITH_NORM = [family for family, blueprint in BLUEPRINTS.items() if blueprint.norm]
WITHOUT_NORM = sorted(BLUEPRINTS.keys() - WITH_NORM)
WITH_ROTARY = [
    family
    for family, blueprint in BLUEPRINTS.items()
    if blueprint.rotary and blueprint.content is None
]
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
        ("gpt_bigcode", {"scale_attn_weights": False}),
        ("falcon", {"alibi": True, "hidden_size": 32}),
        ("deepseek_v3", {"rope_parameters": YARN | {"mscale": 1.0, "mscale_all_dim": 0.8}}),
        ("deepseek_v2", {"rope_parameters": YARN | {"mscale": 0.7, "mscale_all_dim": 0.7}}),
        ("deepseek_v3", {"rope_parameters": YARN}),
        ("gpt2", {"scale_attn_weights": False}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("gpt2", {"scale_attn_weights": False, "scale_attn_by_inverse_layer_idx": True}),
    ],
)
def test_scale_is_the_factor_before_the_softmax(
    shared_model: Callable, family: str, settings: Mapping[str, Any]
) -> None:
    """The module's own factor times its own products, in every layer."""
    tiny = shared_model(family, **settings)
    checkpoint = open_folder(tiny.folder, convention=SCALE)
    plain = open_folder(tiny.folder)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model)
        scored = tiny.score(layer, inputs)
        expected = scored.scaling * scored.queries @ scored.keys.mT
        factors = checkpoint.read_layer(layer)
        bounds = absolute_factors(checkpoint, layer)
        rounding = scored.scaling * score_rounding(inputs, bounds, more_terms=42, unit=tiny.unit)
        if tiny.blueprint.terms:  # a root taken in float32
            rounding = rounding + TABLE_UNIT * expected.abs()
        assert (scores(inputs, factors) - expected).abs().le(rounding).all()
        if scored.scaling != 1:
            assert deviation(scores(inputs, plain.read_layer(layer)), expected) > 0.1
        doubled = with_layers(checkpoint, scale=lambda scale: 2 * scale)
        assert deviation(scores(inputs, doubled.read_layer(layer)), expected) > 0.1


# The norm in front


def normalised_rows(
    tiny: TinyModel, checkpoint: Checkpoint, layer: int, inputs: torch.Tensor
) -> tuple[torch.Tensor, int, float]:
    """Bounds on normalised rows [n, d] when nothing cancels, and how they are computed.

    A row is centred, divided by its size, multiplied by gamma and by its size again; a mean of d
    terms and a sum of d squares go into it, in float32 where it is not torch's LayerNorm. Returns
    the rows, the number of terms and the unit roundoff.
    """
    norm, terms = checkpoint.layers[layer].norm, 2 * checkpoint.d_model + 8
    if norm is None:
        return inputs.abs(), terms, UNIT
    live = tiny.part(tiny.blueprint.norm, layer)
    weight = live.weight.detach().abs() + norm.plus_one if norm.tensor else 1.0
    size = inputs.abs() + norm.centred * inputs.abs().mean(dim=1, keepdim=True)
    return size * weight, terms, UNIT if isinstance(live, torch.nn.LayerNorm) else TABLE_UNIT


@pytest.mark.parametrize("family", WITH_NORM)
def test_folded_norms_are_those_of_the_model(shared_model: Callable, family: str) -> None:
    """What the live norm makes of rows that it does not divide by their size is scored alike."""
    tiny = shared_model(family)
    checkpoint, plain = open_folder(tiny.folder, convention=FOLD), open_folder(tiny.folder)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model) + 1.0
        scored = tiny.score(layer, tiny.normalise(layer, inputs))
        expected = scored.queries @ scored.keys.mT
        norm = checkpoint.layers[layer].norm
        rows, terms, unit = normalised_rows(tiny, checkpoint, layer, inputs)
        bounds = absolute_factors(plain, layer)
        rounding = 4 * gamma(terms, unit) * scores(rows, bounds)
        rounding = rounding + score_rounding(rows, bounds, more_terms=40, unit=tiny.unit)
        found = checkpoint.read_layer(layer)
        assert found.queries.dtype == found.keys.dtype == torch.float64
        assert (scores(inputs, found) - expected).abs().le(rounding).all()

        if norm is None:  # nothing stands in front of this one
            assert torch.equal(found.queries, plain.read_layer(layer).queries.double())
            continue
        wrong = {
            "no norm": plain,
            "mean": with_layers(checkpoint, norm=lambda n: n and replace(n, centred=not n.centred)),
            "1 + gamma": with_layers(
                checkpoint, norm=lambda n: n and replace(n, plus_one=not n.plus_one)
            ),
        }
        for mistake, other in wrong.items():
            assert deviation(scores(inputs, other.read_layer(layer)), expected) > 0.1, mistake


# Rotary positions


@pytest.mark.parametrize("offset", [1, 5, -3])
@pytest.mark.parametrize("family", WITH_ROTARY)
def test_offsets_turn_queries_against_keys(
    shared_model: Callable, family: str, offset: int
) -> None:
    """Scores of positions m and m - D are those of the live module, for all m; D = 0 is none."""
    tiny = shared_model(family)
    checkpoint = open_folder(tiny.folder, convention=Convention(rope_offset=offset))
    plain = open_folder(tiny.folder)
    positions = torch.arange(9)
    for layer in range(checkpoint.n_layers):
        inputs = random_inputs(9, checkpoint.d_model)
        scored = tiny.score(layer, inputs, positions)
        rounding = rotation_rounding(scored.queries, scored.keys, positions)
        bounds = absolute_factors(plain, layer)
        # A rotated pair mixes its two coordinates, so either can be as large as their sum.
        rounding = rounding + 4 * score_rounding(inputs, bounds, more_terms=40, unit=tiny.unit)

        def at_offset(every_pair: torch.Tensor) -> torch.Tensor:
            return every_pair.diagonal(-offset, dim1=1, dim2=2)

        expected = at_offset(scored.queries @ scored.keys.mT)

        def found(checkpoint: Checkpoint, inputs: torch.Tensor, layer: int) -> torch.Tensor:
            return at_offset(scores(inputs, checkpoint.read_layer(layer)))

        difference = (found(checkpoint, inputs, layer) - expected).abs()
        assert difference.le(at_offset(rounding)).all()

        if checkpoint.layers[layer].rotary is None:  # it has no positions, unlike others
            assert torch.equal(found(plain, inputs, layer), found(checkpoint, inputs, layer))
            continue
        backwards = replace(checkpoint, convention=Convention(rope_offset=-offset))
        other_pairs = with_layers(
            checkpoint, rotary=lambda it: it and replace(it, interleaved=not it.interleaved)
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
    "yarn": {name: value for name, value in YARN.items() if name != "rope_theta"},
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
    bounds = absolute_factors(checkpoint, 0)
    rounding = rounding + 4 * score_rounding(inputs, bounds, more_terms=40)
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
    shared_model: Callable, kind: str, parameters: Mapping[str, Any]
) -> None:
    """For an offset; without one the weights are read."""
    rope = {"rope_type": kind, "rope_theta": 9.0, **parameters}
    folder = shared_model("llama", rope_parameters=rope).folder
    open_folder(folder).read_layer(0)
    open_folder(folder, convention=SCALE).read_layer(0)
    with pytest.raises(CheckpointError, match=f"rope_offset .* llama: .* {kind} depend on"):
        open_folder(folder, convention=Convention(rope_offset=1))


@pytest.mark.parametrize(("family", "law"), [("llama", True), ("gpt_neox", False)])
def test_a_scaled_table_widens_the_law_of_whole_heads(
    shared_model: Callable, family: str, law: bool
) -> None:
    """Where a part of each head is not rotated there are two widths, and so no law."""
    rope = {"rope_theta": 9.0, **SCALED_ROPE["yarn"]}
    if family == "gpt_neox":
        rope |= {"partial_rotary_factor": 0.5}
    folder = shared_model(family, rope_parameters=rope).folder
    plain = open_folder(folder).initialisation(0)
    turned = open_folder(folder, convention=Convention(rope_offset=2)).initialisation(0)
    assert plain is not None and plain.query_std == plain.key_std == 0.02
    assert (turned is not None) == law
    if turned:
        factor = (1 + 0.1 * math.log(4.0)) ** 2  # Peng et al. (2023), twice: queries and keys
        assert turned.query_std == pytest.approx(0.02 * factor, rel=1e-6)
        assert turned.key_std == 0.02


# Values and outputs


@pytest.mark.parametrize(
    ("family", "fold"),
    [*((family, False) for family in BLUEPRINTS), *((family, True) for family in WITH_NORM)],
)
def test_the_other_circuit_is_what_heads_write(
    shared_model: Callable, family: str, fold: bool
) -> None:
    """For each head alone, when every token attends to itself."""
    tiny = shared_model(family)
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
        factors = factors.astype("float64")
        found = inputs @ factors.queries @ factors.keys.mT
        rows, terms, unit = read.abs(), 0, UNIT
        if fold:
            rows, terms, unit = normalised_rows(tiny, checkpoint, layer, inputs)
            if checkpoint.layers[layer].norm:
                raw = plain.read_layer(layer).astype("float64")
                assert deviation(inputs @ raw.queries @ raw.keys.mT, written) > 0.1
        bounds = absolute_factors(plain, layer)
        relative = 4 * gamma(terms, unit) + 2 * gamma(2 * d + r + 40, tiny.unit)
        bound = relative * (rows @ bounds.queries @ bounds.keys.mT)
        assert (found - written).abs().le(bound).all()

        queries, outputs = factors.queries, factors.keys
        dealt_out = outputs.permute(1, 0, 2).reshape(d, r, n_heads).permute(2, 0, 1)
        mistakes = {
            "transposed": (outputs, queries),
            "neighbour's output": (queries, outputs.roll(1, 0)),
            "outputs dealt out": (queries, dealt_out),
        }
        if checkpoint.n_kv_heads > 1:
            mistakes["neighbour's value"] = (queries.roll(1, 0), outputs)
        if 1 < checkpoint.n_kv_heads < n_heads:
            tiled = (
                torch.arange(n_heads) % checkpoint.n_kv_heads * (n_heads // checkpoint.n_kv_heads)
            )
            mistakes["groups tiled"] = (queries[tiled], outputs)
        for mistake, (reading, writing) in mistakes.items():
            assert deviation(inputs @ reading @ writing.mT, written) > 0.1, mistake


# Together


@pytest.mark.parametrize("family", [name for name in WITH_ROTARY if name in WITH_NORM])
def test_options_compose(shared_model: Callable, family: str) -> None:
    """The scores before the softmax of normalised rows at an offset."""
    tiny = shared_model(family)
    every = Convention(scale=True, fold_norm=True, rope_offset=2)
    checkpoint = open_folder(tiny.folder, convention=every)
    positions, inputs = torch.arange(9), random_inputs(9, checkpoint.d_model)
    scored = tiny.score(1, tiny.normalise(1, inputs), positions)
    expected = (scored.scaling * scored.queries @ scored.keys.mT).diagonal(-2, dim1=1, dim2=2)
    found = scores(inputs, checkpoint.read_layer(1)).diagonal(-2, dim1=1, dim2=2)
    assert deviation(found, expected) < 1e-5  # float32 tables; each option alone is off by more
    for left_out in ({"scale": False}, {"fold_norm": False}, {"rope_offset": 0}):
        if "scale" in left_out and scored.scaling == 1:
            continue
        other = open_folder(tiny.folder, convention=replace(every, **left_out)).read_layer(1)
        assert deviation(scores(inputs, other).diagonal(-2, dim1=1, dim2=2), expected) > 0.1


def test_the_paper_leaves_the_bits(shared_model: Callable, family: str) -> None:
    """Nothing is asked for, nothing is done: the default, and all options at their zeros."""
    folder = shared_model(family, dtype=torch.float32).folder
    for convention in (PAPER, Convention("qk", False, False, 0)):
        checkpoint = open_folder(folder, convention=convention)
        assert checkpoint.convention == PAPER
        factors, default = checkpoint.read_layer(0), open_folder(folder).read_layer(0)
        for name, tensor in vars(factors).items():
            assert torch.equal(tensor, getattr(default, name))


@pytest.mark.parametrize(
    "family", [name for name, blueprint in BLUEPRINTS.items() if not blueprint.gammas]
)
@pytest.mark.parametrize("convention", [PAPER, SCALE, OV], ids=["paper", "scale", "ov"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_weights_are_rounded_before_anything_else(
    shared_model: Callable, family: str, convention: Convention, dtype: str
) -> None:
    """To the given type, which the paper's factors keep; the rest is done in float64."""
    folder = shared_model(family).folder
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


@pytest.mark.parametrize(
    ("family", "settings"),
    [*((family, {}) for family in WITHOUT_NORM), ("opt", {"do_layer_norm_before": False})],
)
def test_norms_after_attention_are_not_folded(
    shared_model: Callable, family: str, settings: Mapping[str, Any]
) -> None:
    """Refused on opening, by family and option, in one line."""
    folder = shared_model(family, **settings).folder
    for convention in (FOLD, replace(OV, fold_norm=True)):
        with pytest.raises(
            CheckpointError, match=f"fold_norm .*{model_type(family)}: .*norm"
        ) as refusal:
            open_folder(folder, convention=convention)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("family", "settings"),
    [*((family, {}) for family in WITHOUT_ROTARY), ("falcon", {"alibi": True})],
)
def test_offsets_without_rotary_positions_are_refused(
    tiny_model: Callable, family: str, settings: Mapping[str, Any]
) -> None:
    """Before any layer, or any file of weights, is read."""
    folder = tiny_model(family, **settings).folder
    (folder / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(CheckpointError, match=f"rope_offset .*{model_type(family)}: .*rotary"):
        open_folder(folder, convention=Convention(rope_offset=1))
