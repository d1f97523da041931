"""Measures of a recorded pass: whole tables, and what must hold of blocks."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from reading_models import reading_model, some_tokens
from torch import Tensor, nn

from headalgebra import columns
from headalgebra.algebra.operators import HeadOperators
from headalgebra.measurement.blocks import measure_blocks
from headalgebra.measurement.convolution import _linearity, measure_convolution
from headalgebra.measurement.normality import draw_portrait, measure_normality
from headalgebra.measurement.orders import depth_orders, expand_orders
from headalgebra.measurement.resummation import lengths_of, resum_depth
from headalgebra.measurement.states import guard_rows, measure_states, refused_row, run_row
from headalgebra.states import FrozenBlock, GuardError, Recording, record
from headalgebra.states.kind import norm_placement
from headalgebra.states.recording import live_blocks
from heads import gaussian_heads

# In one process, so that what its fixtures make is made once.
pytestmark = pytest.mark.xdist_group("state stages")

KINDS = {"gpt2": ("decoder", "pre"), "bert": ("encoder", "post")}


@pytest.fixture(scope="module", params=list(KINDS))
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Recording]:
    """A tiny decoder with its head, and a tiny encoder."""
    family = request.param
    folder = tmp_path_factory.mktemp(family)
    return family, record(reading_model(family, head=family == "gpt2"), some_tokens(), folder)


def columns_of(rows: list[dict[str, Any]]) -> set[tuple[str, ...]]:
    return {tuple(row) for row in rows}


def test_every_table_has_its_columns(recorded: tuple[str, Recording]) -> None:
    family, recording = recorded
    layers = range(recording.n_blocks)
    run = run_row(recording, text="docstrings", text_sha256="0" * 64)
    assert tuple(run) == tuple(refused_row("why")) == columns.RUNS
    assert (run["kind"], run["norm_placement"]) == KINDS[family]
    assert columns_of(guard_rows(recording.guards)) == {columns.GUARDS}
    assert all(row["passed"] for row in guard_rows(recording.guards))
    states = measure_states(recording)
    assert columns_of(states) == {columns.STATES}
    assert [row["layer"] for row in states] == [*layers]
    later = {row["attention_to_later"] > 0 for row in states}
    assert later == {family == "bert"}
    convolution = measure_convolution(recording, pattern_sequences=2, impulse_positions=3)
    assert columns_of(convolution) == {columns.CONVOLUTION}
    effect = [row["value"] for row in convolution if row["quantity"].startswith("convolved_")]
    assert len(effect) == recording.n_blocks and all(map(math.isfinite, effect))
    with_gradient = {row["layer"] for row in convolution if row["quantity"] == "gradient_cosine"}
    assert with_gradient == (set(layers) if family == "gpt2" else set())


def test_orders_sum_up_and_their_identities_hold(recorded: tuple[str, Recording]) -> None:
    _, recording = recorded
    blocks = recording.n_blocks
    rows = expand_orders(recording, depth_orders(recording, 2), certified_sequences=1, grades=2)
    assert columns_of(rows) == {columns.DYSON}
    assert [row["order"] for row in rows] == [*range(blocks + 1)]
    # A block is some tens of products of d terms deep.
    assert 0 < rows[-1]["partial_error"] < 1e-13
    for row in rows:
        certified = row["order"] <= 2
        for identity in ("chen_residual", "antipode_residual"):
            assert (row[identity] is None) != certified
            assert not certified or row[identity] < 1e-13


def test_estimates_are_of_every_method_and_have_an_entropy_where_there_is_a_head(
    recorded: tuple[str, Recording],
) -> None:
    family, recording = recorded
    orders = depth_orders(recording, 1)
    rows = resum_depth(recording, orders, tokens=recording.tokens.shape[1], terms=8)
    assert columns_of(rows) == {columns.RESUMMATION}
    assert {row["sequence"] for row in rows} == {"states", "orders"}
    assert {row["m"] for row in rows} == set(lengths_of(recording.n_blocks, 8))
    assert {row["cross_entropy"] is None for row in rows} == {family == "bert"}
    assert all(row["q1"] <= row["median"] <= row["q3"] for row in rows)


def test_numbers_of_terms_are_spread_over_the_depth() -> None:
    assert lengths_of(1, 8) == []
    assert lengths_of(6, 8) == [1, 2, 3, 4, 5]
    assert lengths_of(30, 8) == [1, 5, 9, 13, 15, 17, 21, 25, 29]


def first_block(recording: Recording, tokens: int) -> FrozenBlock:
    return next(live_blocks(recording.stack, recording.tokens[:1, :tokens]))


def dense(map_: Any, shape: torch.Size) -> np.ndarray:
    units = torch.eye(shape.numel(), dtype=torch.float64).view(-1, *shape)
    return np.stack([map_(unit).reshape(-1).numpy() for unit in units], axis=1)


@pytest.mark.parametrize("map_", ["linear", "tangent"])
def test_tokens_on_their_own_have_the_eigenvalues_of_a_causal_block(
    recorded: tuple[str, Recording], map_: str
) -> None:
    """And not those of a block in which tokens see one another."""
    family, recording = recorded
    block = first_block(recording, 3)
    shape = block.input.shape
    whole = np.linalg.eigvals(dense(getattr(block, map_), shape))
    apart = np.linalg.eigvals(dense(getattr(block, f"{map_}_apart"), shape))
    # Characteristic polynomials by their power sums, which no order of eigenvalues changes.
    sums = [abs((whole**k).sum() - (apart**k).sum()) / abs(whole**k).sum() for k in (1, 2, 3)]
    assert (max(sums) < 1e-11) == (family == "gpt2")


def test_a_first_token_that_outweighs_the_others_makes_no_layer_linear(
    monkeypatch: pytest.MonkeyPatch, recorded: tuple[str, Recording]
) -> None:
    """The others' update is a product of two axes, of which no affine map has any."""
    draw = torch.randn(8, 40, 6, dtype=torch.float64, generator=torch.manual_seed(0))
    states = [draw, draw + draw.roll(1, -1) * draw.roll(2, -1)]
    for place, state in enumerate(states):
        state[:, 0] = 1000.0 * (place + 1)
    monkeypatch.setattr(Recording, "n_blocks", 1)
    monkeypatch.setattr(Recording, "state", lambda _, place: states[place])
    found = {row["quantity"]: row["value"] for row in _linearity(recorded[1])}
    assert found["update_r2"] > 0.99 and found["update_r2_without_first"] < 0.1


def test_attention_that_is_given_takes_the_place_of_the_models_own(
    recorded: tuple[str, Recording],
) -> None:
    block = next(live_blocks(recorded[1].stack, recorded[1].tokens[:1]))
    own = block.attending(block.probabilities[0], block.input)
    # The same sums in the same order.
    assert torch.equal(own, block.output)
    even = torch.ones_like(block.probabilities[0]) / block.probabilities.shape[-1]
    change = torch.linalg.vector_norm(block.attending(even, block.input) - own)
    assert change > 1e-3 * torch.linalg.vector_norm(own)
    assert torch.equal(block.live(block.input), block.output)


def test_adjoints_of_both_maps_are_adjoint(recorded: tuple[str, Recording]) -> None:
    block = first_block(recorded[1], 5)
    x, y = torch.randn(2, *block.input.shape, dtype=torch.float64, generator=torch.manual_seed(0))
    for onward, back in (
        (block.linear, block.adjoint),
        (block.tangent, block.tangent_adjoint),
    ):
        one, other = (onward(x) * y).sum(), (x * back(y)).sum()
        assert one == pytest.approx(float(other), rel=1e-11)
        assert one != pytest.approx(float((x * back(2 * y)).sum()), rel=1e-3)


def test_blocks_are_held_against_normal_operators(recorded: tuple[str, Recording]) -> None:
    _, recording = recorded
    rows = measure_blocks(recording, layers=1, tokens=4, draws=2)
    assert columns_of(rows) == {columns.NORMALITY}
    found = {(row["operator"], row["quantity"]): row["value"] for row in rows if not row["layer"]}
    for operator in ("frozen block", "tangent block"):
        assert found[operator, "norm"] >= found[operator, "numerical_abscissa"]
        assert found[operator, "radius"] <= found[operator, "norm"]
    assert not {q for o, q in found if o == "growth"} - {"growth"}
    growth = [row["value"] for row in rows if row["operator"] == "growth"]
    assert len(growth) == recording.n_blocks
    # The gain of a random perturbation is no more than that of the worst one.
    assert growth[0] < found["tangent block", "norm"]


def test_where_every_block_is_measured_growth_is_foretold(
    recorded: tuple[str, Recording],
) -> None:
    _, recording = recorded
    rows = measure_blocks(recording, layers=9, tokens=4, draws=2)
    found = {(row["operator"], row["quantity"], row["layer"]): row["value"] for row in rows}
    last = recording.n_blocks - 1
    for product, factor in (
        ("product_of_radii", "radius"),
        ("product_of_pseudospectral_radii", "pseudospectral_radius"),
    ):
        factors = [found["tangent block", factor, layer] for layer in range(last + 1)]
        assert found["growth", product, last] == pytest.approx(math.prod(factors), rel=1e-12)
    for layer in range(last + 1):
        radius = found["tangent block", "radius", layer]
        assert found["tangent block", "pseudospectral_radius", layer] > radius
    norms = [found["tangent block", "norm", layer] for layer in range(last + 1)]
    assert found["growth", "norm_of_product", 0] == pytest.approx(norms[0], rel=1e-5)
    assert found["growth", "norm_of_product", last] <= math.prod(norms) * (1 + 1e-5)
    assert found["growth", "growth", last] <= found["growth", "norm_of_product", last] * 1.01


class Mixing(nn.Module):
    """A feed-forward part that lets a little of the token before through."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(self, state: Tensor) -> Tensor:
        """The part's output, and a thousandth of that of the token before."""
        left: Tensor = self.part(state)
        return left + 1e-3 * left.roll(1, 1)


def test_a_feed_forward_part_that_couples_tokens_is_seen(tmp_path: Path) -> None:
    model = reading_model("gpt2")
    model.h[1].mlp = Mixing(model.h[1].mlp)
    with pytest.raises(GuardError, match=r"guard feed-forward locality failed .*: block 1"):
        record(model, some_tokens(), tmp_path)


@pytest.mark.parametrize(
    ("family", "placement"),
    [("llama", "pre"), ("gemma2", "pre"), ("olmo2", "pre"), ("roberta", "post")],
)
def test_a_norm_of_what_is_added_leaves_the_stream_as_it_is(
    family: str, placement: str, tmp_path: Path
) -> None:
    assert norm_placement(record(reading_model(family), some_tokens(), tmp_path)) == placement


def test_heads_have_every_quantity_and_the_portrait_its_columns() -> None:
    operators: HeadOperators = gaussian_heads(0, 2, 16, 3)
    rows = measure_normality(5, operators)
    assert columns_of(rows) == {columns.NORMALITY}
    assert {row["operator"] for row in rows} == {"head 0", "head 1"}
    found = {row["quantity"]: row["value"] for row in rows if row["operator"] == "head 1"}
    assert 0 < found["radius_over_norm"] < 1
    assert found["pseudospectral_radius_1"] > found["pseudospectral_radius_2"]
    assert all(math.isfinite(value) for value in found.values())
    drawn = draw_portrait(5, 1, found["henrici"], operators)
    assert columns_of(drawn) == {columns.PORTRAIT}
