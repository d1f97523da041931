"""Measures of states and of attention patterns, against patterns and states of known values."""

import math
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from reading_models import reading_model, some_tokens
from torch import Tensor

from headalgebra.states import open_recording, record
from headalgebra.states.layers import layer_states
from headalgebra.states.patterns import (
    INDUCTION_TOKENS,
    attention_to_first,
    distance_ratio,
    entropy_share,
    induction_score,
    induction_tokens,
    visible_pairs,
)
from headalgebra.states.resume import logits_from
from headalgebra.states.saturation import (
    divergence,
    mean_cosine,
    stable_rank,
    token_cosine,
    token_update_ratio,
    update_ratio,
)
from headalgebra.states.structure import find_stack

T = 9
CAUSAL = torch.ones(T, T).tril().bool()
WINDOW = CAUSAL & ~torch.ones(T, T).tril(-4).bool()
MASKS = {"causal": CAUSAL, "window": WINDOW, "all": torch.ones(T, T).bool()}
near = pytest.approx


def randoms(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def uniform(visible: Tensor) -> Tensor:
    rows = visible.double()
    return (rows / rows.sum(-1, keepdim=True)).expand(2, 3, -1, -1)


def random_pattern(visible: Tensor) -> Tensor:
    scores = randoms(2, 3, len(visible), len(visible))
    return scores.masked_fill(~visible, -torch.inf).softmax(-1)


@pytest.mark.parametrize("mask", MASKS)
def test_uniform_attention_is_the_unit_of_distance_and_entropy(mask: str) -> None:
    visible = MASKS[mask]
    P = uniform(visible)
    assert torch.equal(visible_pairs(P), visible)
    assert distance_ratio(P, visible) == near(1, rel=1e-14)
    assert distance_ratio(P, visible, without_first=True) == near(1, rel=1e-14)
    assert entropy_share(P, visible) == near(1, rel=1e-14)
    itself = torch.eye(T, dtype=torch.float64).expand(2, 3, -1, -1)
    assert distance_ratio(itself, visible) == 0
    assert distance_ratio(itself, visible, without_first=True) == 0
    assert entropy_share(itself, visible) == 0
    assert attention_to_first(itself) == 0


def test_attention_to_the_token_before_has_its_closed_form() -> None:
    """Distance 1 from T − 1 tokens, against i/2 on average from token i."""
    before = torch.eye(T, dtype=torch.float64).roll(1, 0)
    before[0] = torch.eye(T)[0]
    P = before.expand(1, 1, -1, -1)
    assert distance_ratio(P, CAUSAL) == near(4 / T, rel=1e-14)
    # Token 1 has nothing left but itself and gives it nothing; token i has (i − 1)/2.
    expected = (T - 2) / sum((i - 1) / 2 for i in range(2, T))
    assert distance_ratio(P, CAUSAL, without_first=True) == near(expected, rel=1e-14)


def test_half_the_tokens_at_random_have_the_entropy_of_two() -> None:
    P = torch.zeros(1, 1, T, T, dtype=torch.float64)
    P[..., 2] = P[..., 5] = 0.5
    assert entropy_share(P, MASKS["all"]) == near(math.log(2) / math.log(T), rel=1e-14)


def test_attention_to_first_leaves_the_first_token_out() -> None:
    expected = sum(1 / (i + 1) for i in range(1, T)) / (T - 1)
    assert attention_to_first(uniform(CAUSAL)) == near(expected, rel=1e-14)


def test_a_sink_is_renormalised_away() -> None:
    """Attention to the first token alone changes nothing of what is measured without it."""
    P = random_pattern(CAUSAL)
    sunk = 0.25 * P
    sunk[..., 0] += 0.75
    without = distance_ratio(P, CAUSAL, without_first=True)
    assert distance_ratio(sunk, CAUSAL, without_first=True) == near(without, rel=1e-13)
    assert distance_ratio(sunk, CAUSAL) != near(distance_ratio(P, CAUSAL), rel=1e-2)
    # Or the other way: rows of a head with a sink of its own sum to less than 1.
    assert distance_ratio(0.25 * P, CAUSAL) == near(distance_ratio(P, CAUSAL), rel=1e-13)
    all_first = torch.zeros_like(P)
    all_first[..., 0] = 1
    assert math.isnan(distance_ratio(all_first, CAUSAL, without_first=True))


def test_patterns_turned_round_are_as_far() -> None:
    P, visible = random_pattern(MASKS["all"]), MASKS["all"]
    assert distance_ratio(P.flip(-1, -2), visible) == near(distance_ratio(P, visible), rel=1e-13)


def test_induction_sequences_repeat_distinct_tokens_of_the_text() -> None:
    text = torch.arange(100, 150).repeat(2)[None]
    tokens = induction_tokens(text, torch.Generator().manual_seed(0))
    assert tokens is not None and tokens.shape == (1, 2 * INDUCTION_TOKENS)
    first, second = tokens[0].split(INDUCTION_TOKENS)
    assert torch.equal(first, second)
    assert len(set(first.tolist())) == INDUCTION_TOKENS
    assert set(first.tolist()) <= set(range(100, 150))
    again, other = (induction_tokens(text, torch.Generator().manual_seed(s)) for s in (0, 1))
    assert again is not None and other is not None
    assert torch.equal(again, tokens) and not torch.equal(other, tokens)
    few = torch.arange(INDUCTION_TOKENS - 1)[None]
    assert induction_tokens(few, torch.Generator().manual_seed(0)) is None


def test_an_induction_head_scores_1_and_others_do_not() -> None:
    n = 5
    P = torch.zeros(1, 2, 2 * n, 2 * n, dtype=torch.float64)
    for i in range(n):
        P[0, 0, n + i, i + 1] = 1
    P[0, 1] = uniform(torch.ones(2 * n, 2 * n).tril().bool())[0, 0]
    chance = sum(1 / (n + i + 1) for i in range(n)) / n
    assert induction_score(P).tolist() == near([1, chance], rel=1e-14)


def test_a_scaled_state_has_known_changes() -> None:
    x = randoms(2, 5, 4)
    assert update_ratio(x, 1.5 * x) == near(0.5, rel=1e-14)
    assert token_update_ratio(x, 1.5 * x) == near(0.5, rel=1e-14)
    assert token_cosine(x, 1.5 * x) == near(1, rel=1e-14)
    assert token_cosine(x, -x) == near(-1, rel=1e-14)
    turned = x.clone()
    turned[..., :2], turned[..., 2:] = -x[..., 2:], x[..., :2]
    assert token_cosine(x, turned) == near(0, abs=1e-14)


def test_a_first_token_that_drowns_the_others_is_left_out() -> None:
    x = randoms(2, 5, 4)
    y = 1.5 * x
    x[:, 0] *= 1e6
    y[:, 0] = x[:, 0]
    assert update_ratio(x, y) < 1e-5
    assert token_update_ratio(x, y) == near(0.5, rel=1e-14)


def test_stable_rank_counts_equal_directions() -> None:
    directions = torch.linalg.qr(randoms(6, 6)).Q[:, :3].T
    states = torch.cat([directions, -directions])[None] + randoms(6)
    assert stable_rank(states) == near(3, rel=1e-13)
    line = torch.arange(5.0, dtype=torch.float64)[None, :, None] * randoms(7) + randoms(7)
    assert stable_rank(line) == near(1, rel=1e-12)
    # More tokens than coordinates, and fewer: the same number by either Gram matrix.
    for shape in ((2, 9, 4), (1, 3, 8)):
        X = randoms(*shape).flatten(0, 1)
        X = X - X.mean(0)
        expected = float(torch.linalg.matrix_norm(X) / torch.linalg.matrix_norm(X, 2)) ** 2
        assert stable_rank(randoms(*shape)) == near(expected, rel=1e-12)


def test_mean_cosine_is_that_of_all_pairs() -> None:
    states = randoms(2, 3, 4)
    units = states.flatten(0, 1) / states.flatten(0, 1).norm(dim=-1, keepdim=True)
    pairs = [float(units[i] @ units[j]) for i in range(6) for j in range(6) if i != j]
    assert mean_cosine(states) == near(sum(pairs) / len(pairs), rel=1e-12)
    assert mean_cosine(states[:1, :1].expand(2, 3, -1)) == near(1, rel=1e-14)


def test_divergence_of_two_outcomes() -> None:
    p, q = torch.tensor([0.25, 0.75]).double(), torch.tensor([0.5, 0.5]).double()
    expected = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert divergence(p.log() + 3, q.log() - 2) == near(expected, rel=1e-13)
    assert divergence(p.log() + 3, p.log()) == near(0, abs=1e-15)


@pytest.mark.parametrize("family", ["gpt2", "gptj", "gemma2", "mixtral"])
def test_a_model_goes_on_from_its_own_states_as_it_did(family: str, tmp_path: Path) -> None:
    model, tokens = reading_model(family, head=True), some_tokens()
    model.set_experts_implementation("eager")
    recording = record(model, tokens, tmp_path)
    assert recording.stack.predicts
    with torch.no_grad():
        expected = model(input_ids=tokens).logits
        for layer in range(recording.n_blocks + 1):
            logits = logits_from(recording.stack, recording.state(layer), layer)
            # The model's own pass rounds to float32 in places.
            assert (logits - expected).norm() < 1e-5 * expected.norm()
        early = logits_from(recording.stack, recording.state(0), recording.n_blocks)
        assert (early - expected).norm() > 1e-2 * expected.norm()


def test_gradients_go_through_the_blocks_that_are_left(tmp_path: Path) -> None:
    recording = record(reading_model("gpt2", head=True, n_layer=3), some_tokens(), tmp_path)
    state = recording.state(1).requires_grad_()
    loss = logits_from(recording.stack, state, 1).square().sum()
    (gradient,) = torch.autograd.grad(loss, state)
    dx, h = randoms(*state.shape), 1e-6
    with torch.no_grad():
        ahead, behind = (
            logits_from(recording.stack, state + s * h * dx, 1).square().sum() for s in (1, -1)
        )
    assert float((ahead - behind) / (2 * h)) == near(float((gradient * dx).sum()), rel=1e-6)


def test_models_that_predict_nothing_cannot_go_on() -> None:
    stack = find_stack(reading_model("bert"), some_tokens())
    with pytest.raises(ValueError, match="BertModel predicts no next token"):
        logits_from(stack, randoms(1, 2, 12), 0)
    stack = find_stack(reading_model("gpt2", head=True, n_layer=2), some_tokens())
    with pytest.raises(ValueError, match=r"layer 3 is none of 0\.\.2"):
        logits_from(stack, randoms(1, 2, 12), 3)


def test_every_layer_of_a_decoder_has_every_measure(tmp_path: Path) -> None:
    settings = {"n_layer": 3, "vocab_size": 50, "max_position_embeddings": 64}
    model = reading_model("gpt2", head=True, **settings)
    tokens = torch.randint(0, 50, (4, 16), generator=torch.Generator().manual_seed(5))
    recording = record(model, tokens, tmp_path)
    rows = list(layer_states(recording))
    assert [row.layer for row in rows] == [0, 1, 2]
    for row in rows:
        assert row.note == ""
        assert all(math.isfinite(v) for v in vars(row).values() if isinstance(v, float))
    assert [row.norm for row in rows[:-1]] == near([row.norm_before for row in rows[1:]])
    assert rows[-1].kl_to_last == near(0, abs=1e-12)
    assert min(row.kl_to_last for row in rows[:-1]) > 1e-3
    assert [row.induction for row in layer_states(recording, seed=1)] != near(
        [row.induction for row in rows], rel=1e-3
    )


def test_what_an_encoder_does_not_have_is_said(tmp_path: Path) -> None:
    rows = list(layer_states(record(reading_model("distilbert"), some_tokens(), tmp_path)))
    for row in rows:
        assert math.isnan(row.kl_to_last) and math.isnan(row.induction)
        assert row.note == (
            "the text has too few distinct tokens for induction; no head predicts the next token"
        )
        assert math.isfinite(row.attention_distance)


@pytest.mark.parametrize("family", ["llama", "bert"])
def test_passes_of_few_sequences_find_what_one_pass_does(family: str, tmp_path: Path) -> None:
    model = reading_model(family, head=family == "llama")
    # Sequences of other tokens: no pass is like another.
    tokens = some_tokens(5)
    whole = record(model, tokens, tmp_path / "whole")
    parts = record(model, tokens, tmp_path / "parts", per_pass=2)
    assert [part.stop - part.start for part in parts.passes] == [2, 2, 1]
    for some in (slice(None), slice(1, 4), slice(2, 4), slice(0, 5, 2)):
        for place in range(whole.n_blocks + 1):
            torch.testing.assert_close(parts.state(place, some), whole.state(place, some))
    for block, other in zip(whole.blocks(), parts.blocks(), strict=True):
        torch.testing.assert_close(other(block.input), block.output)
    for one, other in zip(layer_states(whole), layer_states(parts), strict=True):
        assert asdict(other) == pytest.approx(asdict(one), rel=1e-10, nan_ok=True)
    opened = open_recording(model, tokens, tmp_path / "parts")
    assert torch.equal(opened.state(1), parts.state(1))
