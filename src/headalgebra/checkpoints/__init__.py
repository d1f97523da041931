"""Attention weights of trained or freshly initialised transformers, one layer at a time.

`open_checkpoint` takes a local folder, a model of the Hugging Face hub or a live transformers
model; others open an installed Python package, or draw an architecture's own initialisation. All
give a `Checkpoint`, which says what it is and gives the `LayerFactors` of a layer, built from its
weights as a `headalgebra.checkpoints.convention.Convention` says. Stored weights are read from
safetensors and GGUF files only, head by head; nothing in a checkpoint is ever executed.
"""

from headalgebra.checkpoints._assembly import FactorInitialisation
from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._factors import LayerFactors, load_factors, load_group, save_factors
from headalgebra.checkpoints._hub import is_kept
from headalgebra.checkpoints._open import open_checkpoint
from headalgebra.checkpoints._outline import Outline
from headalgebra.checkpoints._running import (
    ModelOutline,
    RunnableModel,
    fetch_model,
    load_model,
    outline_model,
)
from headalgebra.checkpoints._sources import (
    initialise,
    initialise_from_hub,
    open_folder,
    open_hub,
    open_package,
    outline_hub,
)
from headalgebra.checkpoints._tokenizer import load_tokenizer

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "FactorInitialisation",
    "LayerFactors",
    "ModelOutline",
    "Outline",
    "RunnableModel",
    "fetch_model",
    "initialise",
    "initialise_from_hub",
    "is_kept",
    "load_factors",
    "load_group",
    "load_model",
    "load_tokenizer",
    "open_checkpoint",
    "open_folder",
    "open_hub",
    "open_package",
    "outline_hub",
    "outline_model",
    "save_factors",
]
