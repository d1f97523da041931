"""A penalty's placebo: gradients as large as its own, in directions that mean nothing."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedModel

from headalgebra.training.penalties.penalty import Penalty, step_seed
from headalgebra.training.weights import Block, query_key_blocks


@dataclass(frozen=True, kw_only=True)
class Placebo:
    """Pushes queries and keys as hard as a penalty does, at random.

    ε grows and shrinks with the weights, so that any push changes it; what a penalty does beyond
    its placebo is its own. Each layer's queries, and its keys, get a gradient of the norm that the
    penalty's has, in a random direction orthogonal to them, another at every step. Its value is 0
    to rounding.

    Attributes
    ----------
    penalty
        The one that it stands in for.
    seed
        Of the directions.
    """

    penalty: Penalty
    seed: int = 0

    def __call__(self, model: PreTrainedModel, step: int = 0) -> Float[Tensor, ""]:
        """What is added to the loss at a step of training, as a :class:`Penalty` gives it."""
        layers = query_key_blocks(model)
        parameters = list({block.parameter: None for pair in layers for block in pair})
        value = self.penalty(model, step)
        gradients = dict(zip(parameters, torch.autograd.grad(value, parameters), strict=True))
        terms = []
        for layer, pair in enumerate(layers):
            generator = np.random.default_rng(step_seed(self.seed, "placebos", layer, step))
            for block in pair:
                push = _push(block, block.part(gradients[block.parameter]), generator)
                terms.append((push * block.weights).sum())
        return torch.stack(terms).sum()


def _push(block: Block, gradient: Tensor, generator: np.random.Generator) -> Tensor:
    """A random direction orthogonal to the weights, of a gradient's norm."""
    weights = block.weights.detach()
    drawn = torch.from_numpy(generator.standard_normal(tuple(weights.shape))).to(weights)
    drawn = drawn - weights * ((drawn * weights).sum() / weights.square().sum())
    return drawn * (torch.linalg.vector_norm(gradient) / torch.linalg.vector_norm(drawn))
