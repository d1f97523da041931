"""Small decoders trained on texts that are the same everywhere, as a source of weights."""

from headalgebra.training.floors import Floors, ngram_floors
from headalgebra.training.gradients import gradient_norms
from headalgebra.training.recipe import Recipe, checkpoint_steps
from headalgebra.training.sizes import SIZES, Size
from headalgebra.training.tokens import TrainingTokens, make_tokenizer, tokenise_split
from headalgebra.training.training import Trained, train

__all__ = [
    "SIZES",
    "Floors",
    "Recipe",
    "Size",
    "Trained",
    "TrainingTokens",
    "checkpoint_steps",
    "gradient_norms",
    "make_tokenizer",
    "ngram_floors",
    "tokenise_split",
    "train",
]
