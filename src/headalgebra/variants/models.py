"""Models of transformers as variants: their norms replaced, their attention another function."""

from functools import cache
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from headalgebra.variants.attention import NAME
from headalgebra.variants.normalisers import Symmetriser
from headalgebra.variants.variant import OWN_NORMALISER, Variant, variant_of

NORMS = (nn.LayerNorm, nn.RMSNorm, LlamaRMSNorm, Symmetriser)


@cache
def varied_class(kind: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """A class of transformers whose models are set up as the variant that their configuration says.

    It has the name of the other, which stands in a saved configuration and by which transformers
    finds a model's loss.
    """

    def initialise(self: PreTrainedModel, config: Any, *given: Any, **named: Any) -> None:
        kind.__init__(self, config, *given, **named)
        _set_up(self)

    content = {"__init__": initialise, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), content)


def is_set_up(model: PreTrainedModel) -> bool:
    """Whether a model computes what its configuration says it does.

    transformers loads the folder of a variant as the usual model, without a word; so does a copy
    under another attention.
    """
    variant = variant_of(model.config)
    attention = model.config._attn_implementation
    if variant.varies_attention != (attention == NAME):
        return False
    if variant.normaliser is None:
        return True
    expected = _norm_class(variant.normaliser, model.config.model_type)
    norms = {type(module) for module in model.modules() if isinstance(module, NORMS)}
    return norms == ({expected} - {nn.Identity})


def without_decay(model: nn.Module) -> frozenset[str]:
    """Names of the parameters of norms, which weight decay is not for.

    Decay would pull a symmetriser's mixing to 1/H, wherever it started.
    """
    return frozenset(
        f"{name}.{parameter}"
        for name, module in model.named_modules()
        if isinstance(module, NORMS)
        for parameter, _ in module.named_parameters()
    )


def _set_up(model: PreTrainedModel) -> None:
    """Make a usual model, as its class leaves it, the variant that its configuration says."""
    config = model.config
    variant = variant_of(config)
    if variant.said():
        variant.refuse_for(config.model_type, config.num_attention_heads, config.hidden_size)
    if variant.varies_attention:
        config._attn_implementation = NAME
    if variant.normaliser not in (None, OWN_NORMALISER.get(config.model_type)):
        own = _norm_class(None, config.model_type)
        for parent in list(model.modules()):
            for name, module in list(parent.named_children()):
                if type(module) is own:
                    setattr(parent, name, _norm(variant, config))


def _norm_class(normaliser: str | None, model_type: str) -> type[nn.Module]:
    own = OWN_NORMALISER[model_type]
    return {
        "layernorm": nn.LayerNorm,
        "rmsnorm": LlamaRMSNorm if own == "rmsnorm" else nn.RMSNorm,
        "none": nn.Identity,
        "symmetriser": Symmetriser,
    }[normaliser or own]


def _norm(variant: Variant, config: Any) -> nn.Module:
    d = config.hidden_size
    epsilon = config.rms_norm_eps if config.model_type == "llama" else config.layer_norm_epsilon
    match variant.normaliser:
        case "layernorm":
            return nn.LayerNorm(d, epsilon)
        case "rmsnorm":
            return nn.RMSNorm(d, epsilon)
        case "symmetriser":
            return Symmetriser(d, config.num_attention_heads, epsilon, variant.mixing or "uniform")
        case _:
            return nn.Identity()
