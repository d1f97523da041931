"""Penalties: the numbers that the algebra gives by another route, and gradients that are theirs."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from varied_models import VARIANTS, configuration, started, varied

from headalgebra.algebra.commutators import PairCommutators, pair_commutators
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.hochschild import obstruction
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import open_checkpoint
from headalgebra.training.models import Start, build_model
from headalgebra.training.penalties import Commutator, Obstruction, Penalty, Placebo, Target
from headalgebra.training.penalties.commutators import guarded_root
from headalgebra.training.penalties.obstruction import mean_obstruction
from headalgebra.training.weights import head_factors, query_key_blocks
from headalgebra.variants import Variant

PENALTIES = {
    "commutator": Commutator(weight=0.7),
    "obstruction": Obstruction(weight=0.7, probes=3),
    "target": Target(weight=0.7, targets=(0.1, 3.0)),
}
CASES = [
    (name, variant, architecture)
    for name in PENALTIES
    for variant, architecture in (("softmax", "gpt2"), ("softmax", "llama"), ("sine", "gpt2"))
]


def model_of(variant: str, architecture: str) -> Any:
    return varied(VARIANTS[variant], architecture)


def operators(model: Any) -> list[HeadOperators]:
    """From the checkpoint that the model is, without gradients."""
    checkpoint = open_checkpoint(model)
    return [
        HeadOperators.from_factors(*vars(checkpoint.read_layer(layer)).values())
        for layer in range(checkpoint.n_layers)
    ]


def pairs(model: Any) -> list[PairCommutators]:
    return [pair_commutators(gram_blocks(layer)) for layer in operators(model)]


def matrices(layer: HeadOperators) -> list[Tensor]:
    each = [layer.materialise(head) for head in range(layer.n_heads)]
    return [A / torch.linalg.matrix_norm(A) for A in each]


@pytest.mark.parametrize(
    ("variant", "architecture"), [("softmax", "gpt2"), ("softmax", "llama"), ("sine", "gpt2")]
)
def test_values_are_those_of_the_algebra(variant: str, architecture: str) -> None:
    model = model_of(variant, architecture)
    layers = pairs(model)
    expected = sum(float(layer.relative.square().mean()) for layer in layers) / len(layers)
    assert Commutator(weight=2.0)(model).item() == pytest.approx(2 * expected, rel=1e-12)
    targets = (0.1, 3.0)
    logs = [math.log(it.epsilon / t) for it, t in zip(layers, targets, strict=True)]
    expected = sum(log**2 for log in logs) / len(logs)
    assert Target(weight=2.0, targets=targets)(model).item() == pytest.approx(
        2 * expected, rel=1e-12
    )


@pytest.mark.parametrize("variant", ["softmax", "sine"])
def test_the_obstruction_is_that_of_dense_matrices(variant: str) -> None:
    """Probes that see every column alike give the Frobenius norms themselves."""
    model = model_of(variant, "gpt2")
    for (Q, K), layer in zip(head_factors(model), operators(model), strict=True):
        A = matrices(layer)
        n, d = len(A), layer.d_model
        squares = [
            float(obstruction(A[a], A[b], A[c]).square().sum())
            for b in range(n)
            for a in range(n)
            for c in range(a + 1, n)
        ]
        everything = math.sqrt(d) * torch.eye(d, dtype=torch.float64)
        found = float(mean_obstruction(Q, K, everything))
        assert found == pytest.approx(sum(squares) / len(squares), rel=1e-12)


def test_probes_are_right_in_the_mean() -> None:
    """Of 49 steps; within five standard errors."""
    model = model_of("softmax", "gpt2")
    d = model.config.hidden_size
    everything = math.sqrt(d) * torch.eye(d, dtype=torch.float64)
    with torch.no_grad():
        exact = [float(mean_obstruction(Q, K, everything)) for Q, K in head_factors(model)]
        draws = torch.stack([Obstruction(weight=1.0)(model, step) for step in range(49)])
    error = float(draws.std()) / 7
    assert abs(float(draws.mean()) - sum(exact) / len(exact)) < 5 * error < 0.2 * sum(exact)


def test_a_step_has_probes_of_its_own_and_always_the_same() -> None:
    model = model_of("softmax", "gpt2")
    for penalty in (Obstruction(weight=1.0), Obstruction(weight=1.0, seed=1)):
        before = torch.get_rng_state()
        values = [float(penalty(model, step)) for step in (0, 1, 0)]
        assert torch.equal(torch.get_rng_state(), before)
        assert values[0] == values[2] != values[1]
    assert float(Obstruction(weight=1.0)(model)) != values[0]


@pytest.mark.parametrize(("name", "variant", "architecture"), CASES)
def test_gradients_are_central_differences(name: str, variant: str, architecture: str) -> None:
    """Step 1e-6 of weights of size .3: rounding leaves 1e-9 of the value, the cubic term less."""
    model, penalty = model_of(variant, architecture), PENALTIES[name]
    blocks = [block for pair in query_key_blocks(model) for block in pair]
    value = penalty(model, step=4)
    value.backward()
    generator = torch.Generator().manual_seed(0)
    for block in blocks:
        assert block.parameter.grad is not None
        gradient = block.part(block.parameter.grad)
        along = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        ends = []
        for h in (1e-6, -2e-6):
            block.weights.data.add_(h * along)
            ends.append(float(penalty(model, step=4)))
        block.weights.data.add_(1e-6 * along)
        expected = (ends[0] - ends[1]) / 2e-6
        assert float((gradient * along).sum()) == pytest.approx(
            expected, rel=1e-6, abs=1e-7 * abs(float(value))
        )


@pytest.mark.parametrize(("name", "variant", "architecture"), CASES)
def test_gradients_reach_queries_and_keys_alone(name: str, variant: str, architecture: str) -> None:
    model = model_of(variant, architecture)
    PENALTIES[name](model).backward()
    blocks = {block.parameter for pair in query_key_blocks(model) for block in pair}
    for parameter in model.parameters():
        assert (parameter.grad is not None) == (parameter in blocks)
    if architecture == "gpt2":  # values lie in the same tensor
        d = model.config.n_embd
        assert not any(it.grad[:, 2 * d :].any() for it in blocks)


@pytest.mark.parametrize(("name", "variant", "architecture"), CASES)
def test_a_placebo_pushes_as_hard_and_nowhere(name: str, variant: str, architecture: str) -> None:
    model, penalty = model_of(variant, architecture), PENALTIES[name]
    blocks = [block for pair in query_key_blocks(model) for block in pair]

    def gradients(of: Any, step: int) -> list[Tensor]:
        model.zero_grad()
        value = of(model, step)
        value.backward()
        found = [block.part(block.parameter.grad).clone() for block in blocks]
        if isinstance(of, Placebo):
            assert abs(float(value.detach())) < 1e-13 * sum(float(it.norm()) for it in found)
        return found

    true, false, again, later = (
        gradients(of, step)
        for of, step in (
            *((penalty, 2), (Placebo(penalty=penalty), 2)),
            *((Placebo(penalty=penalty), 2), (Placebo(penalty=penalty), 3)),
        )
    )
    for block, g, p, same, other in zip(blocks, true, false, again, later, strict=True):
        weights = block.weights.detach()
        assert float(p.norm() / g.norm()) == pytest.approx(1, rel=1e-13)
        assert abs(float((p * weights).sum())) < 1e-13 * float(p.norm() * weights.norm())
        # Chance aligns two directions of n numbers by 1/√n.
        assert abs(float((p * g).sum() / (p.norm() * g.norm()))) < 5 / math.sqrt(p.numel())
        assert torch.equal(p, same)
        assert not torch.allclose(p / p.norm(), other / other.norm(), atol=1e-3)


def test_a_penalty_falls_along_its_gradient_and_not_along_its_placebos() -> None:
    penalty = PENALTIES["commutator"]
    change = {}
    for name, of in (("own", penalty), ("placebo", Placebo(penalty=penalty))):
        model = model_of("softmax", "gpt2")
        before = penalty(model)
        of(model).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 1e-3 * parameter.grad
        change[name] = float(penalty(model) - before)
    assert change["own"] < 0
    assert abs(change["placebo"]) < 0.3 * abs(change["own"])


def test_the_root_has_a_gradient_where_torchs_has_none() -> None:
    x = torch.tensor([0.0, -1e-18, 4.0], dtype=torch.float64, requires_grad=True)
    root = guarded_root(x)
    root.sum().backward()
    assert root.tolist() == [0, 0, 2]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 0, 0.25]
    (bare,) = torch.autograd.grad(x.sqrt().sum(), x)
    assert not bare[:2].isfinite().any()


@pytest.mark.parametrize("name", PENALTIES)
def test_commuting_heads_have_a_gradient_or_are_refused(name: str) -> None:
    model = build_model(configuration(), start=Start(orientation="commuting"))
    if name == "target":
        with pytest.raises(ValueError, match="the heads of layer 0 commute"):
            PENALTIES[name](model)
        return
    value = PENALTIES[name](model)
    value.backward()
    assert abs(float(value)) < 1e-12
    gradients = [it.grad for it in model.parameters() if it.grad is not None]
    assert gradients
    assert all(it.isfinite().all() for it in gradients)


def test_two_heads_alike_have_a_gradient_too() -> None:
    """One commutator vanishes, and the root of it would have none."""
    model = model_of("softmax", "gpt2")
    r = model.config.n_embd // model.config.n_head
    for pair in query_key_blocks(model):
        for block in pair:
            block.weights.data[:, :r] = block.weights.data[:, r : 2 * r]
    PENALTIES["target"](model).backward()
    assert all(it.grad.isfinite().all() for it in model.parameters() if it.grad is not None)


def test_what_has_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="a single head"):
        Commutator(weight=1.0)(started(Variant(), num_attention_heads=1))
    with pytest.raises(ValueError, match="1 targets are too few for layer 1"):
        Target(weight=1.0, targets=(1.0,))(started(Variant()))
    with pytest.raises(ValueError, match="not all positive"):
        Target(weight=1.0, targets=(1.0, 0.0))
    with pytest.raises(TypeError):
        Penalty(weight=1.0)  # type: ignore[abstract]
