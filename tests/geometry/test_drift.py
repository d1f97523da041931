"""Drift of states is zero where nothing moves, and what the model itself says elsewhere."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reading_models import reading_model
from torch import Tensor

from headalgebra.geometry.drift import Drift, window_drift, window_length, window_offsets
from headalgebra.measurement.drift import DriftError, measure_drift
from headalgebra.rounding import UNIT_ROUNDOFF
from headalgebra.states import Recording
from headalgebra.states.structure import find_stack

LENGTH, T = 24, 30
OFFSETS = (1, 3, 6)
TOLERANCE = 1000 * UNIT_ROUNDOFF[torch.float64]
FLOAT32 = 1e-5
"""Where the model's own pass rounds inside of it."""


def long_model(family: str, **settings: Any) -> Any:
    positions = "n_positions" if family == "gpt2" else "max_position_embeddings"
    return reading_model(family, **{positions: 64} | settings)


def text(n: int = 3, seed: int = 1) -> Tensor:
    return torch.randint(3, 16, (n, T), generator=torch.Generator().manual_seed(seed))


def drifts(model: Any, tokens: Tensor, offsets: tuple[int, ...] = OFFSETS) -> list[Drift]:
    return window_drift(find_stack(model, tokens), tokens, length=LENGTH, offsets=offsets)


def with_wide_rotations(model: Any) -> Any:
    """Tables of cosines and sines in float64, which the family rounds to float32."""
    rotary = model.rotary_emb

    def tables(_: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        angles = position_ids[..., None].double() * rotary.inv_freq.double()
        angles = torch.cat([angles, angles], -1)
        return angles.cos(), angles.sin()

    rotary.forward = tables
    return model


@given(tokens=st.integers(0, 10_000))
def test_windows_lie_in_their_sequences(tokens: int) -> None:
    length = window_length(tokens)
    offsets = window_offsets(length)
    assert length + length // 4 <= tokens < 10 or length + length // 4 > tokens - 10
    assert length + max(offsets, default=0) <= tokens
    if length:
        assert offsets[0] == 1
        assert offsets == sorted(set(offsets))
        # What saturation is judged by.
        assert {length // 4, length // 8} <= set(offsets)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2", "bloom", "gpt_neox"])
def test_a_window_that_does_not_slide_does_not_drift(family: str) -> None:
    model = long_model(family)
    still, moved = (drifts(model, text(), (k,)) for k in (0, 1))
    assert [one.layer for one in still] == list(range(len(still)))
    for one in still:
        assert float(one.before.abs().max()) == 0
        assert one.after is not None and float(one.after.abs().max()) == 0
    assert all(float(one.before.median()) > 1e-3 for one in moved[1:])


@pytest.mark.parametrize(
    ("family", "norms"),
    [
        ("gpt2", ["h.0.ln_1", "h.1.ln_1", "ln_f"]),
        ("llama", ["layers.0.input_layernorm", "layers.1.input_layernorm", "norm"]),
        ("gpt_neox", ["layers.0.input_layernorm", "layers.1.input_layernorm", "final_layer_norm"]),
    ],
)
def test_drift_is_that_between_two_passes_of_the_model(family: str, norms: list[str]) -> None:
    """Each window read by the untouched model, and its norms applied to its states."""
    model, tokens = long_model(family), text()
    norms_ = [model.get_submodule(name) for name in norms]

    def states(start: int) -> list[tuple[Tensor, Tensor]]:
        entered: list[tuple[Tensor, Tensor]] = []
        hooks = [
            norm.register_forward_hook(lambda _, given, left: entered.append((given[0], left)))
            for norm in norms_
        ]
        with torch.no_grad():
            model(input_ids=tokens[:, start : start + LENGTH], use_cache=False)
        for hook in hooks:
            hook.remove()
        return entered

    found = drifts(model, tokens)
    first = states(0)
    for place, k in enumerate(OFFSETS):
        for layer, (here, there) in enumerate(zip(first, states(k), strict=True)):
            one = found[layer * len(OFFSETS) + place]
            assert (one.layer, one.offset) == (layer, k)
            for value, x, y in zip((one.before, one.after), here, there, strict=True):
                change = (x[:, k:] - y[:, : LENGTH - k]).norm(dim=-1)
                expected = change / x[:, k:].norm(dim=-1)
                torch.testing.assert_close(value, expected, rtol=FLOAT32, atol=FLOAT32)


def test_where_the_first_state_drifts() -> None:
    """By positions that are learned; rotations come later."""
    model, tokens = long_model("gpt2"), text()
    e, p = (part.weight.detach() for part in (model.wte, model.wpe))
    for one in drifts(model, tokens)[: len(OFFSETS)]:
        k = one.offset
        x = e[tokens[:, k:LENGTH]] + p[k:LENGTH]
        expected = (p[k:LENGTH] - p[: LENGTH - k]).norm(dim=-1) / x.norm(dim=-1)
        torch.testing.assert_close(one.before, expected)
    for one in drifts(long_model("llama"), tokens)[: len(OFFSETS)]:
        assert float(one.before.abs().max()) == 0
        assert one.after is not None and float(one.after.abs().max()) == 0


def test_the_first_token_of_a_window_has_no_past() -> None:
    """Its state is that of the token read alone, whatever stands before it in the text."""
    model, tokens = with_wide_rotations(long_model("llama")), text()
    norms = [layer.input_layernorm for layer in model.layers]

    def states(read: Tensor) -> list[Tensor]:
        entered: list[Tensor] = []
        hooks = [
            norm.register_forward_pre_hook(lambda _, x: entered.append(x[0])) for norm in norms
        ]
        with torch.no_grad():
            model(input_ids=read, use_cache=False)
        for hook in hooks:
            hook.remove()
        return entered

    for one in drifts(model, tokens)[: len(norms) * len(OFFSETS)]:
        k = one.offset
        x = states(tokens[:, :LENGTH])[one.layer][:, k]
        alone = states(tokens[:, k : k + 1])[one.layer][:, 0]
        expected = (x - alone).norm(dim=-1) / x.norm(dim=-1)
        torch.testing.assert_close(one.before[:, 0], expected, rtol=FLOAT32, atol=FLOAT32)


def test_a_text_of_one_token_does_not_drift_where_positions_are_relative() -> None:
    tokens = torch.full((2, T), 5)
    for one in drifts(long_model("llama"), tokens):
        assert float(one.before.max()) < TOLERANCE
    assert all(float(one.before.median()) > 0.1 for one in drifts(long_model("gpt2"), tokens))


WINDOW, LAYERS = 5, 3
SLIDING = {"sliding_window": WINDOW, "num_hidden_layers": LAYERS}


def reach(layer: int) -> int:
    """Tokens before a token that its state depends on."""
    return layer * (WINDOW - 1)


@pytest.mark.parametrize("family", ["mistral", "starcoder2"])
def test_attention_in_a_window_forgets_what_has_left_it(family: str) -> None:
    """From local index l(W − 1) on nothing drifts, one token earlier something does."""
    found = drifts(with_wide_rotations(long_model(family, **SLIDING)), text())
    for one in found:
        last = one.layer == LAYERS
        assert one.after is not None
        # The last norm is outside of the blocks, and rounded to float32.
        for values, tolerance in (
            (one.before, TOLERANCE),
            (one.after, 1e-6 if last else TOLERANCE),
        ):
            assert float(values[:, reach(one.layer) :].max()) < tolerance
            if one.layer:
                assert float(values[:, reach(one.layer) - 1].max()) > 1e-4


def test_tables_rounded_to_float32_drift_by_their_angles() -> None:
    """By T/2^24 radians at the most, of queries and of keys, in each layer."""
    found = drifts(long_model("mistral", **SLIDING), text())
    left = max(float(one.before[:, reach(one.layer) :].max()) for one in found)
    assert TOLERANCE < left < 2 * LAYERS * T * UNIT_ROUNDOFF[torch.float32]


def test_without_the_window_it_remembers() -> None:
    model = with_wide_rotations(long_model("mistral", **SLIDING | {"sliding_window": None}))
    for one in drifts(model, text()):
        if one.layer:
            assert float(one.before[:, reach(one.layer) :].median()) > 1e-2


def test_states_that_no_norm_reads_have_no_drift_after_it() -> None:
    found = drifts(long_model("olmo2"), text())
    assert [one.after is None for one in found] == [True] * 2 * len(OFFSETS) + [False] * 3
    assert not any(one.normalised for one in found)


def test_windows_outside_of_the_text_are_refused() -> None:
    for offset in (-1, T - LENGTH + 1):
        with pytest.raises(ValueError, match=r"windows of 24 tokens at \[.*\] in sequences of 30"):
            drifts(long_model("llama"), text(), (offset,))


def recording(model: Any, tokens: Tensor) -> Recording:
    """Nothing of it is read but the model and the tokens."""
    return Recording(find_stack(model, tokens), tokens, Path(), per_pass=len(tokens))


def test_rows_of_a_decoder() -> None:
    model, tokens = long_model("llama"), text(5)
    rows = measure_drift(recording(model, tokens), sequences=2)
    found = drifts(model, tokens[:2])
    assert (window_length(T), tuple(window_offsets(LENGTH))) == (LENGTH, OFFSETS)
    expected = [
        {
            "layer": one.layer,
            "offset": one.offset,
            "place": place,
            "median": float(values.quantile(0.5)),
            "n": 2 * (LENGTH - one.offset),
            "note": "",
        }
        for one in found
        for place, values in (("before", one.before), ("after", one.after))
    ]
    assert rows == expected
    assert [row["median"] > 0 for row in rows] == [False] * 6 + [True] * 12


@pytest.mark.parametrize(
    ("family", "settings", "note"),
    [
        ("olmo2", {}, "no norm reads this state"),
        (
            "opt",
            {"do_layer_norm_before": False, "num_hidden_layers": 2},
            "no norm reads this state, which is what a norm left",
        ),
    ],
)
def test_rows_say_that_no_norm_reads_a_state(family: str, settings: Any, note: str) -> None:
    rows = measure_drift(recording(long_model(family, **settings), text()))
    after = [row for row in rows if row["layer"] == 1 and row["place"] == "after"]
    assert {(row["median"], row["note"]) for row in after} == {(None, note)}
    assert all(row["median"] is not None for row in rows if row["place"] == "before")


def test_what_begins_every_text_slides_out_of_none() -> None:
    model, tokens = long_model("llama"), text()
    expected = measure_drift(recording(model, tokens[:, 1:]))
    tokens[:, 0] = 3
    assert measure_drift(recording(model, tokens)) != expected
    model.config.bos_token_id = 3
    assert measure_drift(recording(model, tokens)) == expected


def test_encoders_and_short_texts_have_no_drift() -> None:
    with pytest.raises(DriftError, match="an encoder's token sees all of its window"):
        measure_drift(recording(long_model("bert"), text()))
    with pytest.raises(DriftError, match="sequences of 9 tokens are too short"):
        measure_drift(recording(long_model("llama"), text()[:, :9]))
