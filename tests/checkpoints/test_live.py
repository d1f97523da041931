"""A live model gives what its saved folder gives, from its own parameters, or is refused."""

import copy
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from headalgebra.checkpoints import Checkpoint, CheckpointError, open_checkpoint, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention

OV = Convention(circuit="ov")
QUERY = "encoder.layer.3.attention.self.query"


def assert_equal(one: Checkpoint, other: Checkpoint) -> None:
    """To the bit, in the same types."""
    assert one.n_layers == other.n_layers
    for layer in range(one.n_layers):
        factors = zip(*(vars(c.read_layer(layer)).values() for c in (one, other)), strict=True)
        for found, expected in factors:
            assert found.dtype == expected.dtype
            assert torch.equal(found, expected)


@pytest.fixture
def bert(shared_model: Callable) -> Any:
    """A BERT of its own, to be changed."""
    return copy.deepcopy(shared_model("bert").model)


def refusal(model: Any) -> str:
    """How it is refused."""
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(model)
    return str(refused.value)


@pytest.mark.parametrize("head", [False, True], ids=["bare", "prefixed"])
def test_factors_are_those_of_the_saved_folder(
    shared_model: Callable, family: str, head: bool
) -> None:
    """Whatever the family calls its modules in memory."""
    tiny = shared_model(family, head=head)
    for convention in (PAPER, OV):
        live = open_checkpoint(tiny.model, convention=convention)
        stored = open_folder(tiny.folder, convention=convention)
        assert_equal(live, stored)
        assert (live.family, live.dtype) == (stored.family, stored.dtype)


@pytest.mark.parametrize("family", ["gpt2", "gemma", "t5", "olmo", "esm"])
def test_norms_are_folded_as_from_the_folder(shared_model: Callable, family: str) -> None:
    tiny = shared_model(family)
    fold = Convention(fold_norm=True, scale=True)
    assert_equal(
        open_checkpoint(tiny.model, convention=fold), open_folder(tiny.folder, convention=fold)
    )


@pytest.mark.parametrize("family", ["vit", "gemma3_text", "mixtral"])
def test_a_loaded_model_is_read_under_its_stored_names(shared_model: Callable, family: str) -> None:
    """transformers renames some tensors when it loads them, and back when it saves."""
    import transformers

    tiny = shared_model(family, head=True)
    kind = getattr(transformers, tiny.blueprint.head)
    loaded = kind.from_pretrained(tiny.folder, dtype=torch.float64)
    assert_equal(open_checkpoint(loaded), open_folder(tiny.folder))


def test_the_parameters_themselves_are_read(bert: Any) -> None:
    """Opening copies none of them; a layer has the values of the moment it is read."""
    checkpoint = open_checkpoint(bert)
    own = {parameter.untyped_storage().data_ptr() for parameter in bert.parameters()}
    assert {tensor.untyped_storage().data_ptr() for tensor in checkpoint.tensors.values()} <= own
    before = checkpoint.read_layer(3)
    kept = before.queries.clone()
    with torch.no_grad():
        bert.get_submodule(QUERY).weight.mul_(2)
    assert torch.equal(before.queries, kept)
    assert torch.equal(checkpoint.read_layer(3).queries, 2 * kept)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_parameters_on_a_gpu_are_read_on_the_cpu(shared_model: Callable) -> None:
    tiny = shared_model("llama")
    fold = Convention(fold_norm=True)
    live = open_checkpoint(copy.deepcopy(tiny.model).cuda(), convention=fold)
    assert live.read_layer(0).queries.device.type == "cpu"
    assert_equal(live, open_folder(tiny.folder, convention=fold))


def test_what_was_read_is_not_said_to_be_verified(bert: Any) -> None:
    """Its commit names where it came from; no file was hashed."""
    checkpoint = open_checkpoint(bert)
    assert (checkpoint.revision, checkpoint.files, checkpoint.hashed) == ("live", {}, {})
    bert.config._commit_hash = "c0ffee"
    assert open_checkpoint(bert).revision == "c0ffee"


def test_models_with_adapters_are_refused(bert: Any) -> None:
    """Wrapped ones, those that carry a configuration of peft, and tensors beside a projection."""
    mend = "; merge the adapter first: model = model.merge_and_unload()"
    wrapper = type("PeftModel", (type(bert),), {"__module__": "peft.peft_model"})
    wrapped = copy.copy(bert)
    wrapped.__class__ = wrapper
    assert refusal(wrapped) == f"live PeftModel: it carries adapters beside its own weights{mend}"
    bert.peft_config = {"default": "…"}
    assert refusal(bert) == f"live BertModel: it carries adapters beside its own weights{mend}"
    del bert.peft_config
    bert.get_submodule(QUERY).lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(12, 2)})
    assert refusal(bert) == (
        f"live BertModel: tensor {QUERY}.lora_A.default.bias belongs to an adapter that is not "
        f"merged into {QUERY}.weight{mend}"
    )


@pytest.mark.parametrize("layers", [[3], range(12)], ids=["one layer", "all layers"])
def test_a_projection_inside_an_adapter_is_refused(bert: Any, layers: Sequence[int]) -> None:
    """As adapters leave the model that they wrapped."""
    for layer in layers:
        attention = bert.get_submodule(f"encoder.layer.{layer}.attention.self")
        attention.query = torch.nn.ModuleDict({"base_layer": attention.query})
    text = refusal(bert)
    assert f"encoder.layer.{layers[0]}.attention.self.query.base_layer.bias" in text
    assert text.endswith("merge the adapter first: model = model.merge_and_unload()")


class Packed(torch.Tensor):
    """A tensor that says float64 and holds something else, as quantised ones do."""


@pytest.mark.parametrize(
    ("replace", "complaint"),
    [
        (lambda w: w.to(torch.int8), r"is torch\.int8, not one of .*before it was quantised"),
        (lambda w: w.to(torch.float8_e4m3fn), r"is torch\.float8_e4m3fn, not one of"),
        (lambda w: w.as_subclass(Packed), "is a Packed, no plain tensor; .*quantised or sharded"),
        (lambda w: w.to("meta"), "is on the device meta: .*without offloading"),
        (lambda w: w[:8].clone(), r"has shape \[8, 12\], expected \[12, 12\]; give the model"),
        (lambda w: w.half(), r"is torch\.float16, but encoder.*float64"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    bert: Any, replace: Callable[[torch.Tensor], torch.Tensor], complaint: str
) -> None:
    """On opening, by name."""
    module = bert.get_submodule(QUERY)
    weight = replace(module.weight.detach())
    del module.weight
    module.register_buffer("weight", weight)
    text = refusal(bert)
    assert f"{QUERY}.weight " in text
    assert re.search(complaint, text)


def test_quantised_models_are_refused(bert: Any) -> None:
    """By tensors that only they have, or by modules that are not the model's own."""
    from transformers.integrations.bitnet import AutoBitLinear

    expected = open_checkpoint(bert)
    bert.config.quantization_config = {"quant_method": "bitnet", "linear_class": "autobitlinear"}
    # It says how the file was: as long as the modules hold plain weights, they are read.
    assert_equal(open_checkpoint(bert), expected)
    module = bert.get_submodule(QUERY)
    rounds = AutoBitLinear(12, 12, bias=True, online_quant=True, dtype=torch.float64)
    rounds.load_state_dict(module.state_dict())
    inputs = torch.eye(12, dtype=torch.float64)
    with torch.compiler.set_stance("force_eager"):
        assert not torch.allclose(rounds(inputs), module(inputs), rtol=0.1)
    bert.set_submodule(QUERY, rounds)
    assert refusal(bert) == (
        f"live BertModel: quantization_config: {QUERY} is a AutoBitLinear, which may quantise; use "
        "the model as it was before it was quantised"
    )
    bert.set_submodule(QUERY, module)
    module.register_buffer("SCB", torch.ones(3))
    assert f"tensor {QUERY}.SCB: the weights are quantised" in refusal(bert)


def test_pruned_modules_are_refused(bert: Any) -> None:
    """Their weight is made of two others whenever the module runs."""
    from torch.nn.utils import prune

    prune.l1_unstructured(bert.get_submodule(QUERY), "weight", amount=2)
    assert f"tensor {QUERY}.weight_mask makes {QUERY}.weight anew whenever" in refusal(bert)


def test_parametrised_modules_are_refused(bert: Any) -> None:
    """Of every kind that torch has, in any layer."""
    from torch.nn.utils import parametrizations, spectral_norm

    for change in (
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
        spectral_norm,
    ):
        changed = copy.deepcopy(bert)
        change(changed.get_submodule(QUERY))
        text = refusal(changed)
        assert re.search(
            rf"tensor {QUERY}\.(parametrizations\.weight|weight_[ouv]).* makes {QUERY}\.weight "
            "anew whenever the model runs; make it a plain weight first",
            text,
        )


def test_a_configuration_that_is_not_understood_is_refused(bert: Any) -> None:
    bert.config.num_attention_heads = 5
    assert "live BertModel, config: num_attention_heads 5 does not divide" in refusal(bert)
    bert.config.num_attention_heads = 3
    with pytest.raises(CheckpointError, match="live BertModel: fold_norm has no meaning for bert"):
        open_checkpoint(bert, convention=Convention(fold_norm=True))


def test_importing_the_package_imports_no_transformers() -> None:
    code = "import sys, headalgebra.checkpoints; print('transformers' in sys.modules)"
    source = Path(__file__).resolve().parents[2] / "src"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(source)}, capture_output=True
    )
    assert found.stdout.strip() == b"False", found.stderr
