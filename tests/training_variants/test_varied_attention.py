"""Window, linear attention and soft heads: what they are, by loops and by their limits."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from varied_models import CASES, VARIANTS, T, logits, some_ids, varied

from headalgebra.variants import KEY, SoftHeads, Variant
from headalgebra.variants.attention import AttentionRule, attend

N, H, R = 2, 3, 4
SHAPES = st.sampled_from(["triangular", "sine"])


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def module_of(variant: Variant) -> nn.Module:
    module = nn.Module()
    module.config = SimpleNamespace(num_attention_heads=H, hidden_size=H * R)
    if said := variant.said():
        setattr(module.config, KEY, said)
    return module


def causal_mask(padding: int = 0) -> Tensor:
    """Of one padded sequence and one whole, as transformers makes it."""
    seen = torch.ones(T, T).tril().bool().repeat(N, 1, 1, 1)
    seen[0, ..., :padding] = False
    return torch.zeros(seen.shape).double().masked_fill(~seen, torch.finfo(torch.float64).min)


def attended(variant: Variant, padding: int = 0) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    parts = tuple(gaussian(N, H, T, R, seed=seed) for seed in range(3))
    return *attend(module_of(variant), *parts, causal_mask(padding)), parts


def similarity(variant: Variant, q: Tensor, k: Tensor) -> float:
    if variant.attention == "linear":
        features = [torch.where(x > 0, x + 1, x.exp()) for x in (q, k)]
        return float(features[0] @ features[1])
    return math.exp(float(q @ k) / R**0.5)


@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("name", ["softmax", "window", "linear"])
def test_attention_is_what_loops_say(name: str, padding: int) -> None:
    """Each row its own sum, over the tokens before it in the window that are no padding."""
    variant = VARIANTS[name]
    read, P, (query, key, value) = attended(variant, padding)
    for n, h, i in ((n, h, i) for n in range(N) for h in range(H) for i in range(T)):
        start = max(padding if n == 0 else 0, i + 1 - (variant.width or T))
        weights = {
            j: similarity(variant, query[n, h, i], key[n, h, j]) for j in range(start, i + 1)
        }
        if not weights:  # padding itself, which nobody reads
            continue
        total = sum(weights.values())
        expected = sum(weight / total * value[n, h, j] for j, weight in weights.items())
        torch.testing.assert_close(read[n, i, h], expected, rtol=1e-13, atol=1e-14)
        assert float(P[n, h, i].sum()) == pytest.approx(1, abs=1e-14)
        others = [j for j in range(T) if j not in weights]
        assert not P[n, h, i, others].any()


@pytest.mark.parametrize("name", ["softmax", "window", "linear", "triangular"])
def test_padding_gives_no_gap(name: str) -> None:
    """A token that sees nothing has no sum to divide by."""
    read, P, _ = attended(VARIANTS[name], padding=2)
    assert read.isfinite().all()
    assert P.isfinite().all()


@given(st.integers(2, 5), st.integers(1, 6), SHAPES, st.floats(0, 1))
def test_windows_share_every_axis_out(heads: int, r: int, shape: str, overlap: float) -> None:
    soft = SoftHeads(heads, r, shape, overlap)
    W = soft.weights()
    torch.testing.assert_close(W.sum(0), torch.ones(heads * r).double(), rtol=0, atol=1e-15)
    assert (W >= 0).all()
    # One form, r axes apart; nothing is left out of the support.
    assert all(torch.equal(W[h], W[0].roll(h * r)) for h in range(heads))
    assert (W > 0).sum() == heads * soft.width
    assert soft.rescaling == pytest.approx(math.sqrt(r / float(W[0].square().sum())))


@given(st.integers(2, 5), st.integers(2, 6), SHAPES, st.floats(0.01, 1))
def test_windows_are_the_formula_of_their_shape(
    heads: int, r: int, shape: str, overlap: float
) -> None:
    """Half where hard heads have their border, if an axis were there; even around the centre."""
    window = SoftHeads(heads, r, shape, overlap).window
    torch.testing.assert_close(window, window.flip(0), rtol=0, atol=1e-14)
    for place, weight in enumerate(window.tolist()):
        reach = (len(window) - r) // 2
        u = abs((place - reach + 0.5) / r - 0.5)
        fallen = min(max((u - (1 - overlap) / 2) / overlap, 0), 1)
        expected = math.cos(math.pi / 2 * fallen) ** 2 if shape == "sine" else 1 - fallen
        assert weight == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("overlap", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("shape", ["triangular", "sine"])
def test_soft_heads_are_their_sums_over_all_axes(shape: str, overlap: float) -> None:
    """score_h = Σ_a W_ha q_a k_a / √(Σ_a W_ha²), and Σ_h P_h (v ⊙ W_h), with dense W."""
    read, P, parts = attended(Variant(heads=shape, overlap=overlap))
    W = SoftHeads(H, R, shape, overlap).weights()
    query, key, value = (part.transpose(1, 2).flatten(2) for part in parts)
    scores = torch.einsum("ha,nia,nja->nhij", W, query, key)
    scores = scores / W.square().sum(1).sqrt()[None, :, None, None] + causal_mask()
    torch.testing.assert_close(P, scores.softmax(-1), rtol=1e-13, atol=1e-14)
    expected = torch.einsum("nhij,ha,nja->nia", scores.softmax(-1), W, value)
    torch.testing.assert_close(read.flatten(2), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shape", ["triangular", "sine"])
def test_without_overlap_soft_heads_are_hard_ones(shape: str) -> None:
    """The same numbers; products of other strides may round otherwise."""
    soft, hard = varied(Variant(heads=shape, overlap=0.0)), varied(Variant())
    expected = logits(hard, some_ids())
    torch.testing.assert_close(logits(soft, some_ids()), expected, rtol=0, atol=1e-14)
    assert torch.equal(SoftHeads(H, R, shape, 0.0).weights(), torch.eye(H).repeat_interleave(R, 1))
    little = varied(Variant(heads=shape, overlap=0.5))
    assert (logits(little, some_ids()) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_a_window_wide_enough_is_softmax_to_the_bit(architecture: str) -> None:
    """Where nothing is rounded to float32 on the way, as llama's own softmax is."""
    usual = varied(Variant(), architecture)
    found = [
        logits(varied(Variant(attention="window", width=width), architecture), some_ids())
        for width in (T, T - 1)
    ]
    expected = logits(usual, some_ids())
    if architecture == "gpt2":
        assert torch.equal(found[0], expected)
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-6)
    assert (found[1] - expected).abs().max() > 1e-4


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_no_token_sees_a_later_one(name: str, architecture: str) -> None:
    model, ids = varied(VARIANTS[name], architecture), some_ids()
    other = ids.clone()
    other[:, 5] = (other[:, 5] + 1) % 16
    change = (logits(model, other) - logits(model, ids)).abs().amax((0, 2))
    assert not change[:5].any()
    assert (change[5:8] > 1e-6).all()
    if "window" in name:  # two layers of three tokens reach four back
        assert not logits(model, other)[:, 10:].sub(logits(model, ids)[:, 10:]).any()


def test_a_mask_that_lets_all_through_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AttentionRule, "narrowed", lambda _, mask: torch.zeros_like(mask))
    model, ids = varied(VARIANTS["linear"]), some_ids()
    other = ids.clone()
    other[:, 5] = (other[:, 5] + 1) % 16
    assert (logits(model, other) - logits(model, ids))[:, :5].abs().max() > 1e-6


@pytest.mark.parametrize(
    ("name", "architecture"),
    # In float64 llama's own softmax, in float32, makes padding no numbers.
    [case for case in CASES if case[1] == "gpt2" or VARIANTS[case[0]].varies_attention],
)
def test_padding_in_front_changes_nothing(name: str, architecture: str) -> None:
    model, ids, k = varied(VARIANTS[name], architecture), some_ids(), 3
    padded = torch.cat([torch.zeros(len(ids), k, dtype=torch.int64), ids], 1)
    seen = torch.cat([torch.zeros(len(ids), k), torch.ones(ids.shape)], 1).long()
    places = torch.arange(-k, T).clamp_min(0).expand(len(ids), -1)
    found = logits(model, padded, attention_mask=seen, position_ids=places)[:, k:]
    expected = logits(model, ids)
    digits = 1e-12 if architecture == "gpt2" else 1e-6  # llama has rotary tables in float32
    torch.testing.assert_close(found, expected, rtol=0, atol=digits)
    everything = torch.ones_like(seen)
    unmasked = logits(model, padded, attention_mask=everything, position_ids=places)[:, k:]
    assert (unmasked - expected).abs().max() > 1e-5


@pytest.mark.parametrize("name", ["window", "linear", "sine, window", "symmetriser, linear"])
def test_a_text_read_token_by_token_is_the_text(name: str) -> None:
    """With the keys and values of before kept, as in generation."""
    model, ids = varied(VARIANTS[name]), some_ids()
    past: Any = None
    found = []
    with torch.no_grad():
        for part in ids.split([4, 1, 1, 3], 1):
            output = model(input_ids=part, past_key_values=past, use_cache=True)
            past = output.past_key_values
            found.append(output.logits)
    torch.testing.assert_close(torch.cat(found, 1), logits(model, ids), rtol=0, atol=1e-12)


def test_dropout_is_as_wide_as_asked() -> None:
    module = module_of(VARIANTS["linear"]).train()
    parts = [gaussian(N, H, T, R, seed=seed) for seed in range(3)]
    torch.manual_seed(0)
    _, P = attend(module, *parts, causal_mask(), dropout=0.5)
    _, whole = attend(module, *parts, causal_mask())
    kept = P > 0
    torch.testing.assert_close(P[kept], 2 * whole[kept])
    assert 0.3 < float(kept.sum() / (whole > 0).sum()) < 0.7


@pytest.mark.parametrize(("name", "architecture"), CASES)
def test_every_parameter_learns(name: str, architecture: str) -> None:
    model, ids = varied(VARIANTS[name], architecture).train(), some_ids()
    model(input_ids=ids, labels=ids).loss.backward()
    for parameter, weights in model.named_parameters():
        assert weights.grad is not None, parameter
        assert weights.grad.isfinite().all(), parameter
        assert weights.grad.abs().max() > 1e-9, parameter
