"""A small GPT-2 in a folder, and a model file that names it."""

from collections.abc import Callable
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2Model


def save_gpt2(
    folder: Path, n_head: int, edit: Callable[[list[torch.Tensor]], None], n_layer: int = 2
) -> None:
    """A GPT-2 of d = 16; ``edit`` changes its query-key-value weights first."""
    config = GPT2Config(
        n_embd=16,
        n_layer=n_layer,
        n_head=n_head,
        n_positions=4,
        vocab_size=5,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    model = GPT2Model(config)
    with torch.no_grad():
        edit([block.attn.c_attn.weight for block in model.h])
    model.save_pretrained(folder)


def nothing(weights: list[torch.Tensor]) -> None:
    """Leave the weights as they are."""


def path_model(folder: Path, name: str, more: str = "") -> None:
    text = f"source: path\npath: checkpoints/{name}\n{more}"
    (folder / f"config/model/{name}.yaml").write_text(text)
