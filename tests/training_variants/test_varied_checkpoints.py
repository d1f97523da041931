"""A variant's folder is read as the variant that it is, and nothing else is taken for it."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from varied_models import CASES, VARIANTS, logits, some_ids, varied

import headalgebra as ha
from headalgebra.checkpoints import (
    CheckpointError,
    initialise,
    load_model,
    open_checkpoint,
    open_folder,
    outline_model,
)
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading
from headalgebra.states import GuardError, attention, held, record
from headalgebra.states.kind import kind, norm_placement
from headalgebra.states.recording import live_blocks
from headalgebra.states.structure import find_stack
from headalgebra.variants import KEY, SoftHeads, Variant, VariantError, variant_of
from headalgebra.variants.models import is_set_up

OTHERS = [case for case in CASES if case[0] not in ("softmax", "layernorm", "rmsnorm")]
OTHERS += [("layernorm", "llama"), ("rmsnorm", "gpt2")]
"""Those that are not what the architecture has by itself."""
SEEN_IN_WEIGHTS = ("layernorm", "rmsnorm", "none", "symmetriser")


def saved(name: str, architecture: str, folder: Path) -> Any:
    model = varied(VARIANTS[name], architecture)
    model.save_pretrained(folder)
    return model


def plainly_loaded(model: Any, folder: Path) -> Any:
    """As transformers loads it, which knows of no variants."""
    return type(model).__bases__[0].from_pretrained(folder, dtype=torch.float64).eval()


def edit(folder: Path, said: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {KEY: said}))


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_a_saved_variant_comes_back(name: str, architecture: str, tmp_path: Path) -> None:
    model = saved(name, architecture, tmp_path)
    opened = open_folder(tmp_path)
    found = load_model(opened).model
    for one, other in zip(found.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)
    # Where weights lie in memory decides how products round.
    expected = logits(model, some_ids())
    torch.testing.assert_close(logits(found, some_ids()), expected, rtol=1e-12, atol=1e-12)
    assert is_set_up(found)
    assert variant_of(found.config) == variant_of(model.config)
    assert outline_model(opened).parameters == model.num_parameters()
    live = open_checkpoint(model)
    for layer in range(2):
        of_folder, of_memory = (vars(it.read_layer(layer)) for it in (opened, live))
        assert all(torch.equal(it, of_memory[part]) for part, it in of_folder.items())


@pytest.mark.parametrize(("name", "architecture"), OTHERS)
def test_what_transformers_makes_of_its_folder_is_refused(
    name: str, architecture: str, tmp_path: Path
) -> None:
    model = saved(name, architecture, tmp_path)
    plain = plainly_loaded(model, tmp_path)
    assert (logits(plain, some_ids()) - logits(model, some_ids())).abs().max() > 1e-3
    assert not is_set_up(plain)
    with pytest.raises(CheckpointError, match=f"does not compute what its {KEY} says"):
        ha.measure(plain)
    with pytest.raises(ValueError, match=f"does not compute what its {KEY} says"):
        record(plain, some_ids(), tmp_path / "states")


@pytest.mark.parametrize("name", ["window", "linear", "sine"])
def test_a_variant_under_another_attention_is_refused(name: str) -> None:
    model = varied(VARIANTS[name])
    assert open_checkpoint(model).n_layers == 2
    model.set_attn_implementation("eager")
    with pytest.raises(CheckpointError, match="load_model"):
        open_checkpoint(model)


def test_a_usual_model_has_no_key_and_is_taken_as_it_is(tmp_path: Path) -> None:
    model = saved("softmax", "gpt2", tmp_path)
    assert KEY not in json.loads((tmp_path / "config.json").read_text())
    assert is_set_up(plainly_loaded(model, tmp_path))
    open_checkpoint(plainly_loaded(model, tmp_path))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"attention": "sparse"}, "attention 'sparse' is none of softmax, window, linear"),
        ({"attentoin": "linear"}, "attentoin is none of attention, width"),
        ({}, "{} says no variant"),
        ("linear", "'linear' says no variant"),
        ({"attention": "window"}, "width is missing, for attention: window"),
        ({"attention": "window", "width": 0}, "width 0 is no number of tokens"),
        ({"attention": "window", "width": 2.5}, "width 2.5 is no number of tokens"),
        ({"width": 3}, "width is given without attention: window"),
        ({"heads": "sine"}, "overlap is missing, for soft heads"),
        ({"heads": "sine", "overlap": 1.5}, "overlap 1.5 is not from 0 to 1"),
        ({"normaliser": "symmetriser"}, "mixing is missing, for normaliser: symmetriser"),
        ({"heads": "sine", "overlap": 0.5, "attention": "linear"}, "soft heads is not defined"),
    ],
)
def test_a_variant_that_does_not_exist_is_refused(
    said: object, message: str, tmp_path: Path
) -> None:
    saved("softmax", "gpt2", tmp_path)
    edit(tmp_path, said)
    with pytest.raises(CheckpointError) as refused:
        open_folder(tmp_path)
    assert message in str(refused.value)
    assert str(refused.value).startswith(f"{tmp_path}/config.json: {KEY}: ")


def test_the_key_cannot_be_passed_over(tmp_path: Path) -> None:
    saved("sine", "gpt2", tmp_path)
    with pytest.raises(CheckpointError, match="says how the weights are read"):
        open_folder(tmp_path, reading=Reading(ignore_config=(KEY,)))


def test_other_architectures_have_no_variants() -> None:
    soft = {"heads": "sine", "overlap": 0.5}
    for config, said, message in (
        ({"model_type": "bert"}, {"attention": "linear"}, "no variant is defined for bert"),
        ({"model_type": "llava"}, {"attention": "linear"}, "no variant is defined for llava"),
        ({"model_type": "llama"}, soft, "llama turns pairs of axes"),
        ({"model_type": "gpt2", "n_head": 1}, soft, "one soft head"),
    ):
        with pytest.raises(CheckpointError, match=message):
            initialise({**config, KEY: said}, seed=0)
    with pytest.raises(VariantError, match="do not divide 10 axes"):
        Variant(normaliser="symmetriser", mixing="uniform").refuse_for("gpt2", 3, 10)


@pytest.mark.parametrize("circuit", ["qk", "ov"])
@pytest.mark.parametrize("name", ["triangular", "sine"])
def test_operators_of_soft_heads_are_dense_windows(name: str, circuit: str) -> None:
    """W_q diag(W_h) W_kᵀ, and W_v diag(W_h) W_o."""
    model = varied(VARIANTS[name])
    checkpoint = open_checkpoint(model, convention=Convention(circuit=circuit))
    d = model.config.n_embd
    variant = variant_of(model.config)
    W = SoftHeads(3, d // 3, variant.heads, variant.overlap or 0.0).weights()
    for layer, block in enumerate(model.transformer.h):
        of_queries, of_keys, of_values = block.attn.c_attn.weight.detach().split(d, dim=1)
        left, right = (of_queries, of_keys.T)
        if circuit == "ov":
            left, right = of_values, block.attn.c_proj.weight.detach()
        factors = checkpoint.read_layer(layer)
        assert factors.queries.shape == (3, d, checkpoint.d_head)
        for h in range(3):
            found = factors.queries[h] @ factors.keys[factors.key_of_head[h]].T
            torch.testing.assert_close(found, left @ W[h].diag() @ right, rtol=0, atol=1e-14)
    assert checkpoint.initialisation(0) is None


def test_without_overlap_the_factors_are_those_of_hard_heads_to_the_bit() -> None:
    hard, soft = (
        open_checkpoint(varied(it)) for it in (Variant(), Variant(heads="sine", overlap=0.0))
    )
    for layer in range(2):
        assert torch.equal(hard.read_layer(layer).queries, soft.read_layer(layer).queries)
        assert torch.equal(hard.read_layer(layer).keys, soft.read_layer(layer).keys)


@pytest.mark.parametrize("name", ["softmax", "window", "triangular", "sine", "rmsnorm", "none"])
def test_operators_from_weights_score_as_the_model_does(name: str) -> None:
    """softmax over x Q_h K_hᵀ y of the normalised states, at the scale that the checkpoint says."""
    model, ids = varied(VARIANTS[name]), some_ids()
    for block in model.transformer.h:
        block.attn.c_attn.bias.data.zero_()
    checkpoint = open_checkpoint(model)
    for frozen in live_blocks(find_stack(model, ids), ids):
        block = model.transformer.h[frozen.layer]
        factors = checkpoint.read_layer(frozen.layer)
        with torch.no_grad():
            x = block.ln_1(frozen.input)[:, None]
        scores = x @ factors.queries @ factors.keys.mT @ x.mT
        scores = scores * checkpoint.layers[frozen.layer].scale
        seen = frozen.probabilities > 0
        expected = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        torch.testing.assert_close(frozen.probabilities, expected, rtol=0, atol=1e-13)
        wrong = (1.01 * scores).masked_fill(~seen, -torch.inf).softmax(-1)
        assert (frozen.probabilities - wrong).abs().max() > 1e-5


@pytest.mark.parametrize("name", ["rmsnorm", "none", "layernorm"])
def test_a_replaced_norm_is_folded_as_what_it_is(name: str) -> None:
    architecture = "llama" if name == "layernorm" else "gpt2"
    model = varied(VARIANTS[name], architecture)
    plain, folded = (
        open_checkpoint(model, convention=Convention(fold_norm=it)).read_layer(1).queries
        for it in (False, True)
    )
    expected = plain
    if name != "none":
        norm = model.model.layers[1].input_layernorm if architecture == "llama" else None
        norm = norm or model.transformer.h[1].ln_1
        expected = norm.weight.detach()[:, None] * plain
        if name == "layernorm":
            expected = expected - expected.mean(1, keepdim=True)
    torch.testing.assert_close(folded, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("symmetriser", {"fold_norm": True}),
        ("linear", {"scale": True}),
        ("linear", {"rope_offset": 1}),
    ],
)
def test_options_without_a_meaning_are_refused(name: str, option: dict[str, Any]) -> None:
    model = varied(VARIANTS[name], "llama")
    assert open_checkpoint(varied(Variant(), "llama"), convention=Convention(**option))
    with pytest.raises(CheckpointError, match=f"{next(iter(option))} has no meaning for llama"):
        open_checkpoint(model, convention=Convention(**option))


@pytest.mark.parametrize("name", ["sine", "symmetriser", "linear"])
def test_an_initialisation_is_drawn_of_the_variant(name: str) -> None:
    config = varied(VARIANTS[name]).config.to_dict()
    drawn = initialise(config, seed=1)
    assert drawn.read_layer(0).queries.shape[2] == drawn.d_head
    found = load_model(drawn).model
    assert is_set_up(found)
    assert logits(found, some_ids()).isfinite().all()


# ------ Its states


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_every_variant_is_affine_when_frozen(name: str, architecture: str, tmp_path: Path) -> None:
    model = varied(VARIANTS[name], architecture)
    recording = record(model, some_ids(), tmp_path)
    found = {guard.guard: guard.value for guard in recording.guards}
    assert found["affinity"] < 1e-13
    assert found["replay"] < 1e-13
    assert (kind(recording), norm_placement(recording)) == ("decoder", "pre")
    for block in recording.blocks():
        P = block.probabilities
        torch.testing.assert_close(P.sum(-1), torch.ones_like(P[..., 0]))
        assert ((P > 0).sum(-1).max() == 3) == ("window" in name)


@pytest.mark.parametrize("name", ["window", "linear", "sine"])
def test_tokens_are_told_apart_in_every_attention(name: str) -> None:
    """The derivative of each token by itself: a diagonal block of the whole one.

    Which is that of central differences, step 1e-6.
    """
    model, ids, i, h = varied(VARIANTS[name]), some_ids(1, 5), 2, 1e-6
    block = next(live_blocks(find_stack(model, ids), ids))
    along = torch.zeros_like(block.input)
    along[:, i] = torch.linspace(-1, 2, along.shape[-1])
    apart, whole = block.tangent_apart(along), block.tangent(along)
    torch.testing.assert_close(apart[:, i], whole[:, i], atol=1e-12, rtol=0)
    assert not apart[:, i + 1 :].any()
    assert whole[:, i + 1 : i + 3].abs().min() > 1e-6
    ahead, behind = (block.live(block.input + s * h * along) for s in (1, -1))
    torch.testing.assert_close(whole, (ahead - behind) / (2 * h), rtol=1e-6, atol=1e-7)


def test_a_symmetriser_whose_scales_are_not_held_bends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(held, "HeadScale", type(None))
    with pytest.raises(GuardError, match="guard affinity failed"):
        record(varied(VARIANTS["symmetriser"]), some_ids(), tmp_path)


@pytest.mark.parametrize("name", ["window", "linear", "sine"])
def test_a_recording_without_the_rule_is_not_the_model(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(attention, "attention_rule", lambda _: None)
    with pytest.raises(GuardError, match="guard eager failed"):
        record(varied(VARIANTS[name]), some_ids(), tmp_path)


def test_a_copy_of_a_variant_is_the_variant() -> None:
    model = varied(VARIANTS["symmetriser, linear"])
    again = copy.deepcopy(model)
    assert is_set_up(again)
    assert torch.equal(logits(again, some_ids()), logits(model, some_ids()))


def test_layers_of_a_variant_are_measured(tmp_path: Path) -> None:
    saved("sine", "gpt2", tmp_path)
    table = ha.measure(tmp_path, nulls=1)
    assert table["epsilon"].gt(0).all()
    assert (table["d_head"] == open_folder(tmp_path).d_head).all()
