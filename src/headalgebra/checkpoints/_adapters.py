"""Adapters in files of their own, beside the model that they change."""

import re

from headalgebra.checkpoints._changes import MERGE_ADAPTER
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints.reading import Reading

ADAPTER_FILE = re.compile(
    r"adapter_config\.json|(adapters?|adapter_model|adapter_\d+|pytorch_adapter|pytorch_lora_weights)"
    r"(\.\w+)?\.(safetensors|bin|pt|npz)"
)
"""As peft, AdapterHub, diffusers, torchtune and mlx name them."""
MODEL_FILE = re.compile(r".*\.(safetensors(\.index\.json)?|gguf)|pytorch_model.*")


def refuse_adapters(files: CheckpointFiles, reading: Reading) -> None:
    """Raise if the files are a model and an adapter to it, or an adapter alone.

    Raises
    ------
    CheckpointError
        Names the adapter, unless it is to be ignored and there is a model beside it.
    """
    found = min(filter(ADAPTER_FILE.fullmatch, files.names), default=None)
    others = {name for name in files.names if MODEL_FILE.fullmatch(name)}
    if found and not any(not ADAPTER_FILE.fullmatch(name) for name in others):
        raise CheckpointError(
            files.where(found),
            "an adapter without the model that it changes",
            f"{MERGE_ADAPTER}; model.save_pretrained(FOLDER); and open FOLDER",
        )
    if found and reading.adapters != "ignore":
        raise CheckpointError(
            files.where(found),
            "an adapter beside the model, which does not hold what the two are together",
            f"{MERGE_ADAPTER}, or read the model without it by adapters: ignore",
        )
