"""Drawn layers follow the architecture's own initialisation, and depend on seed and layer only."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy import stats
from tiny_models import BLUEPRINTS, build, model_type
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, LayerFactors, initialise, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention

WIDTHS = {"d_kv", "d_model", "dim", "head_dim", "hidden_size", "n_embd"}
LAYERS = {"encoder_layers", "n_layer", "n_layers", "num_hidden_layers", "num_layers"}
T5S = ("t5", "mt5", "umt5")
CLIPS = ("clip_text_model", "clip_vision_model")
OV = Convention(circuit="ov")
NOT_NORMAL = [
    family
    for family, blueprint in BLUEPRINTS.items()
    if family in ("modernbert", "siglip_text_model", "siglip_vision_model")
    or blueprint.content is not None
]


CENTRED = [family for family, blueprint in BLUEPRINTS.items() if blueprint.centred]


@pytest.fixture(params=[family for family in BLUEPRINTS if family not in NOT_NORMAL + CENTRED])
def family(request: pytest.FixtureRequest) -> str:
    """Each family whose weights start from a normal law."""
    return request.param


def width_of_the_law(family: str) -> str:
    """The attribute that it follows from."""
    return {
        **dict.fromkeys(("opt", "bart", "whisper"), "init_std"),
        **dict.fromkeys(T5S + CLIPS, "initializer_factor"),
    }.get(family, "initializer_range")


def wide(family: str) -> dict[str, Any]:
    """Settings of a model large enough for statistics, with an unusual width of the law."""
    settings = dict(BLUEPRINTS[family].settings)
    settings |= {name: 8 * settings[name] for name in WIDTHS & settings.keys()}
    rope = settings.get("rope_parameters", {})
    if "mrope_section" in rope:
        wider = {"mrope_section": [8 * pairs for pairs in rope["mrope_section"]]}
        settings |= {"rope_parameters": rope | wider}
    return settings | {width_of_the_law(family): 0.05}


def config(family: str) -> dict[str, Any]:
    """What its config.json would hold."""
    return {"model_type": model_type(family), **wide(family)}


def equal(one: LayerFactors, other: LayerFactors) -> bool:
    """Whether two layers agree to the bit."""
    return torch.equal(one.queries, other.queries) and torch.equal(one.keys, other.keys)


def is_standard_normal(z: Tensor) -> bool:
    """Whether mean, mean square and law of N draws are within 5 standard deviations of theirs."""
    n = z.numel()
    mean = abs(z.mean()) * math.sqrt(n)
    mean_square = abs(z.square().mean() - 1) * math.sqrt(n / 2)
    return bool(max(mean, mean_square) < 5) and stats.kstest(z.numpy(), "norm").pvalue > 5e-7


def test_draws_are_normal_with_the_configured_width(family: str) -> None:
    """Another centre, another width or another law would be told apart."""
    drawn = initialise(config(family), seed=0)
    assert drawn.dtype == torch.float32 and drawn.files == {}
    query_std = key_std = 0.05
    if family in T5S:  # queries are narrower, so that scores need no scale
        key_std *= drawn.d_model**-0.5
        query_std = key_std * drawn.d_head**-0.5
    if family in CLIPS:  # the narrower the deeper
        query_std = key_std = 0.05 * (drawn.d_model * 2 * drawn.n_layers) ** -0.5
    entries = []
    for factors in (drawn.read_layer(layer) for layer in range(drawn.n_layers)):
        entries.append(factors.queries.double().flatten() / query_std)
        entries.append(factors.keys.double().flatten() / key_std)
    z = torch.cat(entries)
    assert is_standard_normal(z)
    uniform = math.sqrt(12) * (torch.special.ndtr(z) - 0.5)
    for wrong in (z + 0.05, 1.04 * z, uniform):
        assert not is_standard_normal(wrong)


def options(family: str) -> list[Convention]:
    """Conventions that have a meaning for a family."""
    blueprint = BLUEPRINTS[family]
    choices = [PAPER, OV, Convention(scale=True)]
    if blueprint.norm is not None:
        choices += [Convention(fold_norm=True), replace(OV, fold_norm=True)]
    if blueprint.rotary:
        choices.append(Convention(rope_offset=3))
    if blueprint.norm and blueprint.rotary:
        choices.append(Convention(scale=True, fold_norm=True, rope_offset=3))
    return choices


def test_draws_follow_the_law_under_every_convention(family: str) -> None:
    """Widths and centres are those that `initialisation` gives; other widths are told apart."""
    for convention in options(family):
        drawn = initialise(config(family), seed=1, convention=convention)
        law = drawn.initialisation(1)
        layers = [drawn.read_layer(layer) for layer in range(drawn.n_layers)]
        laws = [drawn.initialisation(layer) for layer in range(drawn.n_layers)]
        assert law is not None and (convention != PAPER or not law.query_centred)
        for side, std, centred in (
            ("queries", "query_std", law.query_centred),
            ("keys", "key_std", law.key_centred),
        ):
            owners = [factors.key_of_head for factors in layers]
            entries = [getattr(factors, side).double() for factors in layers]
            if convention.circuit == "ov" and side == "queries":  # shared values once each
                shared = drawn.n_heads // drawn.n_kv_heads
                entries = [factor[::shared] for factor in entries]
            assert all(len(owner) == drawn.n_heads for owner in owners)
            z = torch.cat(
                [
                    (factor / getattr(own, std)).flatten()
                    for factor, own in zip(entries, laws, strict=True)
                ]
            )
            means = torch.cat([factor.mean(dim=1).abs().flatten() for factor in entries])
            assert bool((means < 1e-15).all()) == centred
            if centred:  # a degree of freedom of each column is gone
                z = z / math.sqrt(1 - 1 / drawn.d_model)
            assert is_standard_normal(z), (convention, side)
            assert not is_standard_normal(1.1 * z)


def test_widths_are_those_of_the_model_itself(family: str, tmp_path_factory: Any) -> None:
    """Queries, keys, values and outputs of a freshly built transformers model."""
    torch.manual_seed(0)
    tiny = build(
        family, tmp_path_factory.mktemp, dtype=torch.float32, randomise=False, **wide(family)
    )
    queries_keys = initialise(config(family), seed=0)
    values_outputs = initialise(config(family), seed=0, convention=OV)
    found: dict[str, list[Tensor]] = {}
    for layer in range(queries_keys.n_layers):
        scored = tiny.score(layer, torch.eye(queries_keys.d_model))
        outputs = tiny.part(tiny.blueprint.outputs, layer).weight.detach()
        law, other = queries_keys.initialisation(layer), values_outputs.initialisation(layer)
        assert law is not None and other is not None
        for name, entries, std in (
            ("queries", scored.queries, law.query_std),
            ("keys", scored.keys.unique(), law.key_std),
            ("values", scored.context.unique(), other.query_std),
            ("outputs", outputs, other.key_std),
        ):
            found.setdefault(name, []).append((entries.double() / std).flatten())
    for name, entries in found.items():
        z = torch.cat(entries)
        z = z[z != 0]
        spread = 1 / math.sqrt(2 * z.numel())
        assert abs(z.std() - 1) < 5 * spread, name
        assert abs(1.1 * z.std() - 1) > 5 * spread, name


def test_a_layer_depends_on_its_seed_and_number_only(family: str) -> None:
    """Not on the depth of the model, unless its law does, nor on which layers were read before."""
    (layers,) = LAYERS & config(family).keys()
    short = initialise(config(family), seed=4)
    twenty: dict[str, Any] = {layers: 20}
    if family == "gpt_neo":
        twenty["attention_types"] = [[["global"], 20]]
    if model_type(family) == "gemma3n_text":
        twenty["layer_types"] = ["sliding_attention", "full_attention"] * 10
    deep = initialise(config(family) | twenty, seed=4)
    other = initialise(config(family), seed=5)
    read = [deep.read_layer(layer) for layer in reversed(range(2))][::-1]
    for layer in range(2):
        if family in CLIPS:
            narrower = (short.n_layers / deep.n_layers) ** 0.5
            expected = narrower * short.read_layer(layer).queries
            torch.testing.assert_close(read[layer].queries, expected)
        else:
            assert equal(short.read_layer(layer), read[layer])
        assert not equal(short.read_layer(layer), other.read_layer(layer))
    assert not equal(read[0], read[1])
    assert short.revision == other.revision != deep.revision
    values = initialise(config(family), seed=4, convention=OV).read_layer(0)
    queries = short.read_layer(0).queries
    assert not torch.equal(values.queries[0].double(), queries[0].double())


@pytest.mark.parametrize("width", [0.0, -0.02, float("nan"), float("inf")])
def test_widths_that_are_not_positive_are_refused(family: str, width: float) -> None:
    """There is no random matrix to draw."""
    with pytest.raises(CheckpointError, match="initializer_range"):
        initialise(config(family) | {width_of_the_law(family): width}, seed=0)


@pytest.mark.parametrize("family", CENTRED)
def test_a_mean_is_taken_off_what_is_drawn(family: str) -> None:
    """Of each query and key, as of a trained one; entries of a row depend on each other then."""
    drawn = initialise(config(family), seed=0)
    assert drawn.initialisation(0) is None
    assert initialise(config(family), seed=0, convention=OV).initialisation(0) is not None
    factors = drawn.read_layer(0)
    for side in (factors.queries, factors.keys):
        assert bool((side.mean(dim=2).abs() < 1e-15).all())
        z = side.flatten() / 0.05 / math.sqrt(1 - 1 / drawn.d_head)
        assert abs(z.square().mean() - 1) < 6 * math.sqrt(2 / z.numel())


@pytest.mark.parametrize("family", NOT_NORMAL)
def test_other_laws_are_refused(family: str) -> None:
    """A normal law that is cut off, and products of matrices."""
    settings = {"model_type": model_type(family), **BLUEPRINTS[family].settings}
    with pytest.raises(CheckpointError, match=f"of {model_type(family)} does not start as one"):
        initialise(settings, seed=0)


@pytest.mark.parametrize("family", NOT_NORMAL)
def test_other_laws_are_not_described(family: str, tmp_path_factory: Any) -> None:
    """There is no width to give."""
    folder = build(family, tmp_path_factory.mktemp).folder
    assert open_folder(folder).initialisation(0) is None


def test_a_negative_seed_is_refused(family: str) -> None:
    """The generator has none."""
    with pytest.raises(CheckpointError, match="seed is -1"):
        initialise(config(family), seed=-1)


def test_conventions_are_refused_as_for_stored_weights() -> None:
    """BERT's norms come after its attention."""
    with pytest.raises(CheckpointError, match="fold_norm has no meaning for bert"):
        initialise(config("bert"), seed=0, convention=Convention(fold_norm=True))
