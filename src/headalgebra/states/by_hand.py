"""What families compute without a module and without the registry of attention."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class ByHand:
    """Functions of torch that blocks of a family call, and whose results are held.

    Attributes
    ----------
    attention
        Whether its attention is computed by its own code, once a block, by ``softmax``: that is
        held, and the family is run with its eager attention.
    factors
        Functions ``h`` in ``h(u) v``, of an activation or a gate that is no module. What is held
        is constant: a function that stands alone may not be here.
    """

    attention: bool = False
    factors: frozenset[Callable[..., Any]] = frozenset()


OWN_ATTENTION = ByHand(attention=True)
SIGMOID_GATES = ByHand(
    factors=frozenset((nn.functional.sigmoid, torch.sigmoid, Tensor.sigmoid)),
)

BY_HAND = {
    "bloom": OWN_ATTENTION,
    "codegen": OWN_ATTENTION,
    "deberta-v2": OWN_ATTENTION,
    # u (1 + erf(u/√2))/2
    "esm": ByHand(factors=frozenset((torch.erf, Tensor.erf))),
    "falcon": OWN_ATTENTION,
    "gpt_neo": OWN_ATTENTION,
    "gptj": OWN_ATTENTION,
    "mpnet": OWN_ATTENTION,
    # the weight of the expert that all tokens share
    "qwen2_moe": SIGMOID_GATES,
}
"""By ``model_type``."""
