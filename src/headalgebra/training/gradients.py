"""Sizes of the gradient in the blocks of a decoder."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


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
    """
    norms = [
        nn.utils.get_total_norm(gradients)
        for block in _blocks(model)
        for gradients in (_of_queries_and_keys(block), _of_all(block))
    ]
    values = torch.stack(norms).tolist()
    return values[::2], values[1::2]


def _blocks(model: PreTrainedModel) -> Iterable[Any]:
    base: Any = model.base_model
    return base.h if hasattr(base, "h") else base.layers


def _of_all(module: nn.Module) -> list[Tensor]:
    return [it.grad for it in module.parameters() if it.grad is not None]


def _of_queries_and_keys(block: Any) -> list[Tensor]:
    if hasattr(block, "attn"):
        # One matrix for queries, keys and values, in columns.
        gradient = block.attn.c_attn.weight.grad
        return [gradient[:, : 2 * gradient.shape[1] // 3]]
    return [it.weight.grad for it in (block.self_attn.q_proj, block.self_attn.k_proj)]
