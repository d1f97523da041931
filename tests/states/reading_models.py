"""Tiny random models of each family, every weight and bias nonzero, and tokens for them."""

from typing import Any

import torch
from tiny_models import BLUEPRINTS
from torch import Tensor

T = 7
LAYERS = ("num_hidden_layers", "n_layer")


def reading_model(
    family: str, dtype: torch.dtype = torch.float64, *, head: bool = False, **settings: Any
) -> Any:
    """A model of a family, bare or with its head."""
    import transformers

    blueprint = BLUEPRINTS[family]
    # CLIP's text encoder looks for the end of a text.
    ends = {"eos_token_id": 15} if family == "clip_text_model" else {}
    # Two, where no other kind of layer comes later.
    more = family in ("qwen3_next", "smollm3") or "layer_types" in blueprint.settings
    few = ends | {name: 2 for name in LAYERS if name in blueprint.settings and not more}
    config = getattr(transformers, blueprint.config)(**dict(blueprint.settings) | few | settings)
    model = getattr(transformers, blueprint.head if head else blueprint.model)(config)
    generator = torch.Generator().manual_seed(7)
    for name, parameter in model.named_parameters():
        mean = 0.5 if parameter.ndim == 1 and not name.endswith("bias") else 0.0
        parameter.data.normal_(mean, 0.5, generator=generator)
    return model.to(dtype).eval()


def some_tokens(n: int = 3, t: int = T) -> Tensor:
    """N sequences of T tokens, none of them special."""
    return torch.randint(3, 16, (n, t), generator=torch.Generator().manual_seed(1))
