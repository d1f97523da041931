"""Which axis of a decoder's parameters is that of the residual stream."""

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from headalgebra.variants.models import NORMS

READERS = {
    *("c_attn", "c_fc", "q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"),
    "lm_head",
}
"""Linear maps of GPT-2 and of Llama that read the stream, by the last part of their names."""

WRITERS = {"c_proj", "o_proj", "down_proj"}
"""Those that add to it."""


def residual_axes(model: PreTrainedModel) -> dict[Tensor, int]:
    """The axis of each parameter that runs over the d axes of the residual stream.

    A linear map that reads the stream has it as its inputs, one that adds to it as its outputs, and
    so its bias. ``Linear`` keeps its weights as [outputs, inputs] and GPT-2's ``Conv1D`` as
    [inputs, outputs]. Embeddings are [tokens, d], and the shifts of norms [d]. Biases inside heads
    and feed-forward parts have no such axis.

    A gain has none either: it multiplies axes one by one, so that it is a diagonal matrix, and in
    another basis it would be none.

    Raises
    ------
    ValueError
        If a parameter is of no kind that GPT-2 and Llama have.
    """
    axes: dict[Tensor, int] = {}
    for name, module in model.named_modules():
        kind = name.rpartition(".")[2]
        if isinstance(module, nn.Embedding):
            axes[module.weight] = 1
        elif isinstance(module, NORMS):
            if (shift := getattr(module, "bias", None)) is not None:
                axes[shift] = 0
        elif isinstance(module, nn.Linear | Conv1D) and kind in READERS:
            axes[module.weight] = 1 if isinstance(module, nn.Linear) else 0
        elif isinstance(module, nn.Linear | Conv1D) and kind in WRITERS:
            axes[module.weight] = 0 if isinstance(module, nn.Linear) else 1
            if module.bias is not None:
                axes[module.bias] = 0
        elif any(True for _ in module.parameters(recurse=False)):
            raise ValueError(
                f"{name}: which of its axes is the residual stream's is known of GPT-2 and Llama "
                f"alone, not of a {type(module).__name__} of {model.config.model_type}"
            )
    return axes


def fix_gains(model: PreTrainedModel) -> None:
    """Leave the gains of all norms where they start, at 1, in training."""
    for module in model.modules():
        if isinstance(module, NORMS):
            module.weight.requires_grad_(False)
