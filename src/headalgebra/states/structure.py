"""Which modules of a model are its blocks, found by watching a few tokens pass.

Blocks are modules of one class, elements of a list, of which each takes the state that the one
before left. A module that is called several times, as ALBERT's is, is as many blocks.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from headalgebra.states.attention import NAME, implementation
from headalgebra.states.by_hand import BY_HAND, ByHand
from headalgebra.states.guards import BLOCKS, refuse
from headalgebra.variants import KEY, variant_of
from headalgebra.variants.attention import NAME as VARIED
from headalgebra.variants.models import is_set_up


@dataclass(frozen=True)
class Stack:
    """The part of a model that reads tokens, and the blocks in it.

    Attributes
    ----------
    model
        The whole model.
    module
        The encoder of an encoder-decoder, the model without its head otherwise.
    blocks
        In the order in which they are called.
    by_hand
        What its family computes without modules.
    n_outputs
        How many things a block returns in a tuple, the state first; 0 if it returns the state.
    """

    model: PreTrainedModel
    module: nn.Module
    blocks: tuple[nn.Module, ...]
    by_hand: ByHand
    n_outputs: int = 0

    @property
    def predicts(self) -> bool:
        """Whether the model has a head that predicts the next token."""
        return type(self.model).__name__ in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()

    @property
    def attention(self) -> str:
        """Name of the attention that it is run with."""
        return "eager" if self.by_hand.attention else NAME

    @property
    def untouched(self) -> str:
        """Name of the attention that it runs with by itself, which takes float64."""
        return VARIED if variant_of(self.model.config).varies_attention else "eager"

    @property
    def dtype(self) -> torch.dtype:
        """Of its weights."""
        return next(self.module.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Of its weights."""
        return next(self.module.parameters()).device

    def read(self, tokens: Int[Tensor, "N T"], attention: str) -> None:
        """Let the tokens pass."""
        # Keys of the past would be added to those of now when a block is run again.
        takes = inspect.signature(self.module.forward).parameters
        named = {"use_cache": False} if "use_cache" in takes else {}
        with torch.no_grad(), implementation(self.module, attention):
            self.module(input_ids=tokens.to(self.device), **named)


@dataclass(frozen=True)
class Call:
    """A block with all that it was given beside the state, by reference.

    Attributes
    ----------
    block
        The module.
    given, named
        Masks, tables of positions, and so on.
    """

    block: nn.Module
    given: tuple[Any, ...]
    named: Mapping[str, Any]

    @classmethod
    def split(
        cls, block: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]
    ) -> tuple["Call", Tensor]:
        """Take the state out of what a block was given."""
        if given:
            return cls(block, given[1:], named), given[0]
        rest = dict(named)
        return cls(block, (), rest), rest.pop("hidden_states")

    def __call__(self, state: Float[Tensor, "N T d"]) -> Float[Tensor, "N T d"]:
        """The state that the block leaves."""
        return left_by(self.block(state, *self.given, **self.named))


def left_by(output: Any) -> Tensor:
    """The state in what a block returned."""
    return output if isinstance(output, Tensor) else output[0]


def find_stack(model: PreTrainedModel, tokens: Int[Tensor, "N T"]) -> Stack:
    """Find the blocks of a model.

    Raises
    ------
    GuardError
        If no chain of blocks reads the tokens, or more than one does.
    ValueError
        If the model is being trained, is neither float32 nor float64, takes no tokens, or is not
        the variant that its configuration says.
    """
    if model.training:
        raise ValueError("the model is in training mode, where dropout is random; call eval()")
    dtype = next(model.parameters()).dtype
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"the model is {dtype}; load it as float64, or float32 if it is large")
    if not is_set_up(model):
        raise ValueError(
            f"the model does not compute what its {KEY} says; load its folder with "
            "headalgebra.checkpoints.load_model"
        )
    module = model.get_encoder() if model.config.is_encoder_decoder else model.base_model
    if module.main_input_name != "input_ids":
        raise ValueError(
            f"{type(module).__name__} takes {module.main_input_name}; only models of text are read"
        )
    by_hand = BY_HAND.get(model.config.model_type, ByHand())
    calls = _calls_of_listed(Stack(model, module, (), by_hand), tokens[:1, :4])
    chain = _longest_chain(calls, type(module).__name__)
    blocks = tuple(call.module for call in chain)
    return Stack(model, module, blocks, by_hand, chain[0].n_outputs)


@dataclass(frozen=True)
class _Passed:
    module: nn.Module
    before: Tensor
    after: Tensor
    n_outputs: int = 0

    def follows(self, other: "_Passed") -> bool:
        return self.before.shape == other.after.shape and torch.equal(self.before, other.after)


def _calls_of_listed(stack: Stack, tokens: Tensor) -> list[_Passed]:
    """What the elements of lists in a model take and leave, outer ones first."""
    passed: list[_Passed] = []
    waiting: list[int] = []

    def enter(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        _, state = Call.split(module, given, named)
        waiting.append(len(passed))
        passed.append(_Passed(module, state, state))

    def leave(module: nn.Module, _: Any, output: Any) -> None:
        place = waiting.pop()
        n_outputs = 0 if isinstance(output, Tensor) else len(output)
        passed[place] = _Passed(module, passed[place].before, left_by(output), n_outputs)

    hooks = []
    for parent in stack.module.modules():
        for module in parent if isinstance(parent, nn.ModuleList) else ():
            takes = list(inspect.signature(module.forward).parameters)
            if takes[:1] == ["hidden_states"] or takes[:1] == ["x"]:
                hooks.append(module.register_forward_pre_hook(enter, with_kwargs=True))
                hooks.append(module.register_forward_hook(leave))
    try:
        stack.read(tokens, stack.untouched)
    finally:
        for hook in hooks:
            hook.remove()
    return passed


def _longest_chain(calls: list[_Passed], where: str) -> list[_Passed]:
    by_class: dict[type, list[_Passed]] = {}
    for call in calls:
        by_class.setdefault(type(call.module), []).append(call)
    chains = [
        chain
        for chain in by_class.values()
        if chain[0].before.ndim == 3
        and chain[0].after.shape == chain[0].before.shape
        and all(later.follows(earlier) for earlier, later in pairwise(chain))
    ]
    if not chains:
        raise refuse(BLOCKS, f"{where} is no chain of blocks of one class")
    return max(chains, key=len)
