"""Small decoders trained on texts that are the same everywhere, as a source of weights."""

from headalgebra.recipe import Recipe, checkpoint_steps
from headalgebra.training.floors import Floors, ngram_floors
from headalgebra.training.gradients import gradient_norms
from headalgebra.training.sizes import SIZES, Size
from headalgebra.training.tokens import (
    TrainingTokens,
    load_tokens,
    make_tokenizer,
    save_tokens,
    tokenise_split,
)
from headalgebra.training.trained import Trained, read_trained
from headalgebra.training.training import train

__all__ = [
    "SIZES",
    "Floors",
    "Recipe",
    "Size",
    "Trained",
    "TrainingTokens",
    "checkpoint_steps",
    "gradient_norms",
    "load_tokens",
    "make_tokenizer",
    "ngram_floors",
    "read_trained",
    "save_tokens",
    "tokenise_split",
    "train",
]
