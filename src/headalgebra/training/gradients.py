"""Sizes of the gradient in the blocks of a decoder."""

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from headalgebra.training.weights import query_key_blocks


def gradient_norms(model: PreTrainedModel) -> tuple[list[float], list[float]]:
    """Frobenius norms of the gradients that a model has now, block by block.

    Parameters
    ----------
    model
        A decoder of the form of GPT-2 or Llama, after its backward pass.

    Returns
    -------
    query_key
        For each block, of the weights W_q and W_k of all heads together, without biases.
    block
        Of all its parameters.

    Raises
    ------
    ValueError
        As :func:`~headalgebra.training.weights.query_key_blocks`.
    """
    base: Any = model.base_model
    blocks = base.h if hasattr(base, "h") else base.layers
    norms = []
    for block, pair in zip(blocks, query_key_blocks(model), strict=True):
        every = [it.grad for it in block.parameters() if it.grad is not None]
        of_pair = [
            one.part(gradient) for one in pair if (gradient := one.parameter.grad) is not None
        ]
        norms += [nn.utils.get_total_norm(of_pair), nn.utils.get_total_norm(every)]
    values = torch.stack(norms).tolist()
    return values[::2], values[1::2]
