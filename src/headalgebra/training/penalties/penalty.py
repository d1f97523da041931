"""What penalties have in common: a weight, and the mean over the layers of a model."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from headalgebra.seeds import layer_seed
from headalgebra.training.weights import head_factors


@dataclass(frozen=True, kw_only=True)
class Penalty(ABC):
    """λ times the mean over layers of a function of the head operators ``A_h = Q_h K_hᵀ``.

    Attributes
    ----------
    weight
        λ.
    """

    weight: float

    def __call__(self, model: PreTrainedModel, step: int = 0) -> Float[Tensor, ""]:
        """What is added to the loss at a step of training.

        It is a function of the weights, the step and the penalty's own seed alone, so that a run
        that goes on after a kill goes on with the same numbers.

        Parameters
        ----------
        model
            Of `headalgebra.training.models.build_model`, not wrapped.
        step
            Counted from 0.

        Raises
        ------
        ValueError
            If the model has a single head, or the penalty has no value for it.
        """
        layers = head_factors(model)
        if len(layers[0][0]) < 2:
            raise ValueError("a single head has no commutator to be penalised")
        values = [self.of_layer(Q, K, layer, step) for layer, (Q, K) in enumerate(layers)]
        return self.weight * torch.stack(values).mean()

    @abstractmethod
    def of_layer(
        self, Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"], layer: int, step: int
    ) -> Float[Tensor, ""]:
        """The function of one layer, from the factors of its heads."""


def squared_norms(Q: Float[Tensor, "H d s"], K: Float[Tensor, "H d s"]) -> Float[Tensor, " H"]:
    """``‖A_h‖² = tr(QᵀQ KᵀK)``, Frobenius."""
    return ((Q.mT @ Q) * (K.mT @ K)).sum((-2, -1))


def step_seed(seed: int, purpose: str, layer: int, step: int) -> np.random.SeedSequence:
    """Seed of one purpose in one layer at one step of training."""
    root = layer_seed(seed, purpose, layer)
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, step))
