"""Transformer families whose attention weights can be read, by `model_type`."""

from headalgebra.checkpoints._families._family import AttentionShape, Family, HeadSlices
from headalgebra.checkpoints._families.bert import Bert
from headalgebra.checkpoints._families.gpt2 import Gpt2

FAMILIES: dict[str, Family] = {"bert": Bert(), "gpt2": Gpt2()}

__all__ = ["FAMILIES", "AttentionShape", "Family", "HeadSlices"]
