"""What is said of feed-forward parts, against vectors, spectra and codes of known values."""

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reading_models import reading_model, some_tokens
from torch import Tensor, nn

from headalgebra.geometry import filter as filter_module
from headalgebra.geometry.filter import (
    EXPERTS,
    NOTHING,
    ONE_SEQUENCE,
    STEPS,
    WHY_NONE,
    Found,
    entropy,
    filter_quantities,
    gaussian_twin,
    hoyer_sparsity,
    independent_participation,
    participation_ratios,
)
from headalgebra.measurement.filter import Filters
from headalgebra.seeds import layer_seed
from headalgebra.states import FrozenBlock, record
from headalgebra.states.inside import ActivationSeen

near = pytest.approx
GAUSSIAN_BITS = 0.5 * math.log2(2 * math.pi * math.e) + math.log2(STEPS)
"""Of a Gaussian in steps of 1/64 of its standard deviation."""


def randoms(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def block_of(family: str, folder: Path, n: int = 3, **settings: int) -> FrozenBlock:
    model = reading_model(family, **settings)
    if family == "mixtral":
        model.set_experts_implementation("eager")
    recording = record(model, some_tokens(n), folder)
    return next(iter(recording.blocks(looking_inside=True)))


def by_quantity(found: list[Found]) -> dict[str, Found]:
    return {one.quantity: one for one in found}


@given(seed=st.integers(0, 99), size=st.floats(1e-3, 1e3))
def test_sparsity_forgets_size_sign_and_order(seed: int, size: float) -> None:
    x = randoms(4, 9, seed=seed)
    expected = hoyer_sparsity(x)
    assert hoyer_sparsity(-size * x.flip(-1)).tolist() == near(expected.tolist(), rel=1e-12)
    assert bool(((expected > 0) & (expected < 1)).all())


def test_sparsity_of_known_vectors() -> None:
    one, all_, half = torch.zeros(16), torch.ones(16), torch.arange(16) % 4 < 1
    found = hoyer_sparsity(torch.stack([one.index_fill(0, torch.tensor(3), -2), all_, half]))
    # Four equal entries of 16: (4 − 2)/(4 − 1).
    assert found.tolist() == near([1, 0, 2 / 3], abs=1e-7)
    assert bool(hoyer_sparsity(one).isnan())


def by_eigenvalues(X: Tensor) -> float:
    spectrum = torch.linalg.eigvalsh(torch.cov(X.T))
    return float(spectrum.sum() ** 2 / spectrum.square().sum())


@given(
    seed=st.integers(0, 99),
    n=st.integers(1, 4),
    t=st.integers(3, 9),
    m=st.integers(2, 12),
    panel=st.integers(1, 13),
)
def test_participation_is_that_of_the_eigenvalues(
    seed: int, n: int, t: int, m: int, panel: int
) -> None:
    x = randoms(n, t, m, seed=seed) * torch.arange(1, m + 1) + 5
    x[:, 0] *= 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(filter_module, "PANEL", panel)
        found = participation_ratios(x)
    assert found[0] == near(by_eigenvalues(x.flatten(0, 1)), rel=1e-5)
    assert found[1] == near(by_eigenvalues(x[:, 1:].flatten(0, 1)), rel=1e-5)
    assert 1 - 1e-5 < found[0] < m * (1 + 1e-5)


def test_participation_of_known_states() -> None:
    line = torch.arange(10.0).view(2, 5, 1) * randoms(7) + randoms(7)
    assert participation_ratios(line) == near((1, 1), rel=1e-6)
    axes = torch.cat([torch.eye(6), -torch.eye(6)]).double()[None]
    assert participation_ratios(axes)[0] == near(6, rel=1e-6)
    frame = torch.linalg.qr(randoms(6, 6)).Q
    assert participation_ratios(1e3 * axes @ frame + 7)[0] == near(6, rel=1e-5)
    assert all(math.isnan(ratio) for ratio in participation_ratios(torch.ones(2, 3, 4)))


def test_a_first_token_that_outweighs_all_is_left_out() -> None:
    x = randoms(3, 50, 8)
    without = participation_ratios(x)[1]
    assert without > 6
    x[:, 0] += 1e6 * torch.eye(8)[0]
    drowned = participation_ratios(x)
    assert drowned[0] == near(1, abs=1e-3)
    assert drowned[1] == without


def test_independent_units_have_the_participation_foretold() -> None:
    variance = torch.arange(1.0, 13).double()
    n, draws = 20, 400
    covariances = [torch.cov((randoms(n, 12, seed=s) * variance.sqrt()).T) for s in range(draws)]
    traces = torch.stack([c.trace() for c in covariances])
    squares = torch.stack([c.square().sum() for c in covariances])
    ratio = traces.mean() ** 2 / squares.mean()
    error = float(squares.std() / squares.mean() + 2 * traces.std() / traces.mean()) / draws**0.5
    # The squares of sample variances also scatter about σ⁴, by 2/(n − 1) of it.
    trace, diagonal = variance.sum(), variance.square().sum()
    scattered = float(diagonal * 2 / (n - 1) / (diagonal + trace**2 / (n - 1)))
    found = independent_participation(variance, n)
    assert found * (1 - scattered) < float(ratio) * (1 + 3 * error)
    assert found > float(ratio) * (1 - 3 * error)
    assert independent_participation(variance, 10**9) == near(float(trace**2 / diagonal), rel=1e-6)
    assert found < 0.7 * float(trace**2 / diagonal)


@pytest.mark.parametrize("bits", [0, 1, 5])
def test_entropy_of_equally_many(bits: int) -> None:
    values = 0.25 * torch.arange(2**bits).double().repeat(3)
    assert entropy(values, 0.25) == near(bits, abs=1e-14)
    # Steps of half the size tell no more apart, of double the size one bit less.
    assert entropy(values, 0.125) == near(bits, abs=1e-14)
    halves = torch.arange(2**bits).double().repeat_interleave(2) // 2
    assert entropy(halves, 1.0) == near(max(bits - 1, 0) if bits else 0, abs=1e-14)


def test_entropy_of_a_gaussian_is_its_closed_form() -> None:
    x = randoms(400, 500)
    found = entropy(x, 1 / STEPS)
    # The mean of n draws of −log₂ p, and a table of K steps that fits them, low by K/(2n ln 2).
    error = 1 / (math.log(2) * math.sqrt(2 * x.numel()))
    low = 600 / (2 * x.numel() * math.log(2))
    assert found + low == near(GAUSSIAN_BITS, abs=4 * error)
    assert entropy(3 * x, 3 / STEPS) == near(found, abs=1e-4)
    assert entropy(x + 5 / STEPS, 1 / STEPS) == near(found, abs=1e-4)
    assert entropy(x, 2 / STEPS) == near(found - 1, abs=0.01)
    assert math.isnan(entropy(x, 0.0))


def test_entropy_of_few_values_far_apart_takes_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    far = torch.tensor([0.0, 1e12, 1e12, -1e15]).double()
    assert entropy(far, 1e-3) == near(1.5, abs=1e-14)
    x = randoms(1000)
    expected = entropy(x, 1 / STEPS)
    monkeypatch.setattr(filter_module, "BINS", 0)
    assert entropy(x, 1 / STEPS) == near(expected, abs=1e-13)


ACTS: dict[str, nn.Module] = {"gelu": nn.GELU(), "relu": nn.ReLU(), "silu": nn.SiLU()}


@pytest.mark.parametrize("act", [None, "gelu", "silu"])
def test_a_compressor_finds_the_same_bits(act: str | None) -> None:
    """Huffman's code, which needs no more than a tenth of a bit beyond the entropy here."""
    x = randoms(600, 400) - 0.7
    a = ACTS[act](x) if act else x
    step = float(x.std()) / 24
    steps = (a / step).round().long()
    steps -= steps.min()
    assert int(steps.max()) < 256
    code = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    packed = code.compress(steps.to(torch.uint8).numpy().tobytes()) + code.flush()
    assert 0 < 8 * len(packed) / steps.numel() - entropy(a, step) < 0.1


def seen(u: Tensor, a: Tensor) -> ActivationSeen:
    return ActivationSeen("act", u, a)


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.flatten(0, -2).mean(0), x.flatten(0, -2).std(0)


def within(found: Tensor, expected: Tensor, spread: Tensor, n: int) -> bool:
    """Means of n draws, five standard errors from what they should be at the most."""
    return bool(((found - expected).abs() <= 5 * spread / n**0.5 + 1e-12).all())


@pytest.mark.parametrize("act", ACTS)
def test_the_twin_has_the_moments_of_u_and_passes_the_activation(act: str) -> None:
    u = (randoms(4, 500, 6) ** 3 + 1) * torch.arange(6)
    twin = gaussian_twin(seen(u, ACTS[act](u)), ACTS[act], generator())
    assert twin.before.shape == (2000, 6)
    assert torch.equal(twin.after, ACTS[act](twin.before))
    (mean, spread), (expected, expected_spread) = moments(twin.before), moments(u)
    assert within(mean, expected, expected_spread, 2000)
    assert within(spread, expected_spread, expected_spread, 2000)
    # The shape is gone.
    assert float((twin.before[:, 3] - mean[3]).pow(4).mean() / spread[3] ** 4) == near(3, abs=0.6)
    again = gaussian_twin(seen(u, ACTS[act](u)), ACTS[act], generator())
    assert torch.equal(again.before, twin.before)


@pytest.mark.parametrize("act", ACTS)
def test_the_twin_of_a_gate_has_the_moments_of_what_it_multiplies(act: str) -> None:
    u = randoms(4, 500, 6)
    v = 2 * u + randoms(4, 500, 6, seed=3) + 5
    twin = gaussian_twin(seen(u, ACTS[act](u) * v), ACTS[act], generator())
    factor = ACTS[act](twin.before)
    found = (twin.after / factor)[:, 0][factor[:, 0] != 0]
    on = v[..., 0][ACTS[act](u[..., 0]) != 0]
    assert within(found.mean(), on.mean(), on.std(), len(found))
    assert within(found.std(), on.std(), on.std(), len(found))
    # How u and v go together is gone.
    assert (
        abs(float(torch.corrcoef(torch.stack([found, factor[factor[:, 0] != 0][:, 0]]))[0, 1]))
        < 0.1
    )


def test_a_unit_that_is_never_on_stays_off_in_the_twin() -> None:
    u = randoms(2, 50, 3).abs() + 1
    u[..., 1] *= -1
    twin = gaussian_twin(seen(u, nn.ReLU()(u) * randoms(2, 50, 3, seed=3)), nn.ReLU(), generator())
    assert bool(twin.after.isfinite().all())
    assert float(twin.after[:, 1].abs().max()) == 0 < float(twin.after[:, 0].abs().max())


def test_a_twin_is_drawn_for_as_many_tokens_as_its_entries_need(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filter_module, "NULL_ENTRIES", 100)
    u = randoms(4, 50, 6)
    assert gaussian_twin(seen(u, u.relu()), nn.ReLU(), generator()).before.shape == (17, 6)


@pytest.fixture(scope="module", params=["gpt2", "opt", "llama", "bert"])
def block(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> FrozenBlock:
    settings = {"num_hidden_layers": 2} if request.param == "opt" else {}
    return block_of(request.param, tmp_path_factory.mktemp("states"), **settings)


def test_a_block_is_measured_by_what_its_modules_were_given(block: FrozenBlock) -> None:
    """Between what enters the activation and what enters the product, seen by hooks."""
    (one,) = block.inside.activations
    entered: list[Tensor] = []
    products = [it for it in block.module.modules() if type(it).__name__ in ("Linear", "Conv1D")]
    activation = block.module.get_submodule(one.name)
    hooks = [activation.register_forward_pre_hook(lambda _, given: entered.append(given[0]))]
    hooks.append(products[-1].register_forward_pre_hook(lambda _, given: entered.append(given[0])))
    try:
        block.live(block.input)
    finally:
        for hook in hooks:
            hook.remove()
    u, a = (it.reshape(3, -1, it.shape[-1]) for it in entered)
    found = by_quantity(filter_quantities(block, generator()))
    assert list(found) == list(WHY_NONE)
    step = float(u.std()) / STEPS
    off = (u < 0).double().mean((1, 2))
    expected = {
        "off_share": float(off.mean()),
        "off_share_se": float(off.std()) / 3**0.5,
        "sparsity_before": float(hoyer_sparsity(u).mean()),
        "sparsity_after": float(hoyer_sparsity(a).mean()),
        "participation_before": by_eigenvalues(u.flatten(0, 1)),
        "participation_after": by_eigenvalues(a.flatten(0, 1)),
        "participation_before_without_first": by_eigenvalues(u[:, 1:].flatten(0, 1)),
        "participation_after_without_first": by_eigenvalues(a[:, 1:].flatten(0, 1)),
        "bits_before": entropy(u, step),
        "bits_after": entropy(a, step),
    }
    assert {name: one.value for name, one in found.items()} == near(expected, rel=1e-5)
    assert all(one.note == "" for one in found.values())
    assert [name for name, one in found.items() if one.null is None] == [
        "off_share_se",
        "participation_before_without_first",
        "participation_after_without_first",
    ]


def test_rows_name_their_layer(block: FrozenBlock) -> None:
    filters = Filters(7)
    filters.add(block)
    rows = filters.rows()
    stream = np.random.default_rng(layer_seed(7, "gaussian_units", 0))
    found = filter_quantities(block, stream)
    names = ["layer", "norm", "head", "quantity", "value", "null", "note"]
    assert [list(row) for row in rows] == [names] * len(WHY_NONE)
    assert [[*row.values()] for row in rows] == [
        [0, None, None, one.quantity, one.value, one.null, one.note] for one in found
    ]


def test_gaussian_units_are_what_the_null_has(tmp_path: Path) -> None:
    """And units that are more than their two moments are not."""
    block = block_of("gpt2", tmp_path)
    (one,) = block.inside.activations
    act = block.module.get_submodule(one.name)
    u = torch.linspace(-1, 1, 64) + randoms(3, 700, 64)
    block.input = block.input.new_zeros(3, 700, 1)

    def excess(u: Tensor) -> dict[str, float]:
        block.inside.activations[:] = [ActivationSeen(one.name, u, act(u))]
        found = filter_quantities(block, generator())
        return {it.quantity: it.value - it.null for it in found if it.null is not None}

    assert all(abs(value) < 0.02 for name, value in excess(u).items() if name[:4] != "part")
    assert abs(excess(u)["participation_before"]) < 1
    heavy = excess(torch.linspace(-1, 1, 64) + randoms(3, 700, 64) ** 3)
    assert heavy["bits_before"] < -0.5
    assert heavy["sparsity_before"] > 0.1
    together = excess(torch.linspace(-1, 1, 64) + randoms(3, 700, 1))
    assert together["participation_before"] < -40


def test_experts_are_pooled(tmp_path: Path) -> None:
    block = block_of("mixtral", tmp_path, num_local_experts=4)
    parts = block.inside.activations
    assert len(parts) > 2
    found = by_quantity(filter_quantities(block, generator()))
    u = torch.cat([one.before.flatten() for one in parts])
    assert found["off_share"].value == float((u < 0).double().mean())
    assert found["bits_before"].value == near(entropy(u, float(u.std()) / STEPS), rel=1e-12)
    missing = {name for name, one in found.items() if one.value is None}
    assert missing == {"off_share_se", *(name for name in WHY_NONE if name[:4] == "part")}
    assert {one.note for name, one in found.items() if name in missing} == {EXPERTS}
    assert all(one.note == "" for name, one in found.items() if name not in missing)


def test_what_was_not_seen_is_said(tmp_path: Path) -> None:
    block = block_of("gpt2", tmp_path)
    block.module.another = nn.ReLU()
    assert {one.note for one in filter_quantities(block, generator())} == {"another was not seen"}
    block.inside.activations.clear()
    found = filter_quantities(block, generator())
    assert {(one.value, one.null, one.note) for one in found} == {(None, None, NOTHING)}
    block.inside = None
    with pytest.raises(ValueError, match="looking_inside"):
        filter_quantities(block, generator())


def test_one_sequence_has_no_standard_error(tmp_path: Path) -> None:
    found = by_quantity(filter_quantities(block_of("gpt2", tmp_path, n=1), generator()))
    assert (found["off_share_se"].value, found["off_share_se"].note) == (None, ONE_SEQUENCE)
    assert [name for name, one in found.items() if one.value is None] == ["off_share_se"]


def test_a_part_that_does_nothing_has_nothing_to_measure(tmp_path: Path) -> None:
    block = block_of("gpt2", tmp_path)
    (one,) = block.inside.activations
    still = torch.zeros_like(one.before)
    block.inside.activations[:] = [ActivationSeen(one.name, still, still)]
    found = by_quantity(filter_quantities(block, generator()))
    for name, why in WHY_NONE.items():
        if name not in ("off_share", "off_share_se"):
            assert (found[name].value, found[name].note) == (None, why)
    assert found["off_share"].value == found["off_share_se"].value == 0
