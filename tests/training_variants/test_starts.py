"""Where models start: the family's own numbers, frames that commute or do not, and a scale."""

from typing import Any

import pytest
import torch
from torch import Tensor
from varied_models import VARIANTS, configuration

from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.training.models import Start, build_model
from headalgebra.training.weights import head_factors, query_key_blocks
from headalgebra.variants import Variant, VariantError
from headalgebra.variants.models import without_decay

ARCHITECTURES = ("gpt2", "llama")


def epsilons(model: Any) -> Tensor:
    found = [pair_commutators(gram_blocks(it)).epsilon for it in operators(model)]
    return torch.tensor(found, dtype=torch.float64)


def operators(model: Any) -> list[HeadOperators]:
    with torch.no_grad():
        return [HeadOperators.from_factors(*pair) for pair in head_factors(model)]


def state(model: Any) -> dict[str, Tensor]:
    return dict(model.named_parameters())


def started(
    architecture: str = "gpt2", variant: Variant = VARIANTS["softmax"], **start: Any
) -> Any:
    return build_model(configuration(architecture), variant, Start(**start), seed=4)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_usual_start_is_transformers_own(architecture: str) -> None:
    import transformers

    before = torch.get_rng_state()
    model = started(architecture)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    kind = transformers.GPT2LMHeadModel if architecture == "gpt2" else transformers.LlamaForCausalLM
    own = state(kind(configuration(architecture)))
    assert all(torch.equal(it, own[name]) for name, it in state(model).items())
    assert model.training
    assert type(model).__name__ == kind.__name__
    assert "headalgebra_variant" not in model.config.to_dict()
    torch.manual_seed(5)
    other = state(kind(configuration(architecture)))
    assert not all(torch.equal(it, other[name]) for name, it in state(model).items())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_arms_of_a_seed_share_what_they_do_not_change(architecture: str) -> None:
    usual = state(started(architecture))
    for variant in VARIANTS.values():
        if variant.heads == "hard" or architecture == "gpt2":
            varied = state(started(architecture, variant))
            assert all(torch.equal(varied[name], usual[name]) for name in varied.keys() & usual)
    for start in ({"orientation": "commuting"}, {"orientation": "opposed"}, {"qk_scale": 3.0}):
        model = started(architecture, **start)
        blocks = [block for pair in query_key_blocks(model) for block in pair]
        changed = {id(block.parameter) for block in blocks}
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, usual[name]) == (id(parameter) not in changed)
        if architecture == "gpt2":  # values lie in the same tensor
            d = model.config.n_embd
            weight = "transformer.h.1.attn.c_attn.weight"
            assert torch.equal(state(model)[weight][:, 2 * d :], usual[weight][:, 2 * d :])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_commuting_heads_annihilate_each_other(architecture: str) -> None:
    model, usual = started(architecture, orientation="commuting"), started(architecture)
    for layer in operators(model):
        assert torch.equal(layer.query_matrix, layer.key_matrix)
        A = [layer.materialise(head) for head in range(layer.n_heads)]
        for i in range(len(A)):
            for j in range(len(A)):
                share = (A[i] @ A[j]).norm() / (A[i].norm() * A[j].norm())
                assert share < 1e-6 if i != j else share > 0.1
    # ε is 0 but for the rounding of weights to float32.
    assert (epsilons(model) < 1e-6 * epsilons(usual)).all()
    for found, expected in zip(operators(model), operators(usual), strict=True):
        torch.testing.assert_close(found.norms(), expected.norms(), rtol=0.5, atol=0)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_opposed_heads_have_the_same_singular_values_and_do_not_commute(architecture: str) -> None:
    opposed, commuting = (started(architecture, orientation=it) for it in ("opposed", "commuting"))
    for each, other in zip(operators(opposed), operators(commuting), strict=True):
        values = [it.singular_values() for it in (each, other)]
        torch.testing.assert_close(*values, rtol=1e-5, atol=0)
    assert (epsilons(opposed) > 1e4 * epsilons(commuting)).all()
    assert (epsilons(opposed) > 0.3 * epsilons(started(architecture))).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("orientation", ["default", "opposed"])
def test_epsilon_goes_with_the_fourth_power_of_the_scale(
    architecture: str, orientation: str
) -> None:
    once = epsilons(started(architecture, orientation=orientation))
    for scale in (4.0, [0.5, 2.0]):  # powers of two, which round nothing
        found = epsilons(started(architecture, orientation=orientation, qk_scale=scale))
        torch.testing.assert_close(found / once, torch.as_tensor(scale).double().expand(2) ** 4)


def test_norms_are_left_out_of_decay_by_name() -> None:
    def names(variant: str, architecture: str = "gpt2") -> set[str]:
        found = without_decay(started(architecture, VARIANTS[variant]))
        assert found <= state(started(architecture, VARIANTS[variant])).keys()
        return {name.removeprefix("transformer.") for name in found if ".0." not in name}

    norms = ("h.1.ln_1", "h.1.ln_2", "ln_f")
    assert names("softmax") == {f"{it}.{of}" for it in norms for of in ("weight", "bias")}
    assert names("rmsnorm") == {f"{it}.weight" for it in norms}
    assert names("none") == set()
    parts = ("weight", "bias", "mixing_logits")
    assert names("symmetriser") == {f"{it}.{of}" for it in norms for of in parts}
    assert without_decay(started("llama")) >= {"model.norm.weight"}


def test_trainers_own_rule_would_decay_some_of_them() -> None:
    """Which is why the names are given."""
    from transformers import Trainer

    for variant in ("rmsnorm", "symmetriser"):
        model = started(variant=VARIANTS[variant])
        decayed = Trainer.get_decay_parameter_names(None, model)  # type: ignore[arg-type]
        assert without_decay(model) & {*decayed}


def test_starts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="qk_scale has 3 numbers for 2 layers"):
        started(qk_scale=[1.0, 2.0, 3.0])
    with pytest.raises(VariantError, match="soft heads share axes"):
        started(variant=VARIANTS["sine"], orientation="commuting")
    wide = configuration("llama", hidden_size=9, head_dim=4)
    with pytest.raises(ValueError, match="12 axes of heads cannot be orthogonal in 9"):
        build_model(wide, start=Start(orientation="commuting"))
    assert build_model(wide, start=Start(orientation="opposed")).config.head_dim == 4
