"""AdamW in another basis of the residual stream, so that no axis of the stream is its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor
from torch.optim import AdamW, Optimizer
from transformers import PreTrainedModel, Trainer, TrainingArguments

from headalgebra.seeds import layer_seed
from headalgebra.training.residual import residual_axes


def random_rotation(d: int, seed: int) -> Float64[Tensor, "d d"]:
    """An orthogonal matrix, uniform among those that leave the vector of ones where it is.

    LayerNorm takes off the mean over the axes, which is the part along that vector. It commutes
    with such a matrix, and with no other.
    """
    generator = np.random.default_rng(layer_seed(seed, "rotations", 0))
    one, other = _frame(d, generator), _frame(d, generator)
    return one @ other.T


def _frame(d: int, generator: np.random.Generator) -> Float64[Tensor, "d d"]:
    """A random orthonormal basis, the first vector of which is that of ones, scaled."""
    columns = torch.from_numpy(generator.standard_normal((d, d)))
    columns[:, 0] = 1
    Q, R = torch.linalg.qr(columns)
    return Q * R.diagonal().sign()


def rotate_steps(
    optimizer: Optimizer, axes: Mapping[Tensor, int], rotation: Float64[Tensor, "d d"]
) -> None:
    """Let an optimizer take its steps in another basis of the residual stream.

    Before each step it is given ``R w`` and ``R ∂w`` in place of a parameter w and its gradient,
    R acting on the parameter's residual axis; after it, parameters are turned back. What it keeps
    of its own, such as running means, is in the other basis. Turning is in float64, so that
    parameters do not drift by it.

    Parameters
    ----------
    optimizer
        Any one of torch.
    axes
        The residual axis of each parameter that has one. Others are left as they are.
    rotation
        R, orthogonal.
    """
    R = rotation.to(next(iter(axes)).device)
    gradients: dict[Tensor, Tensor] = {}

    @torch.no_grad()
    def turn(*_: Any) -> None:
        for parameter, axis in axes.items():
            if (gradient := parameter.grad) is not None:
                gradients[parameter] = gradient
                parameter.grad = _turned(R, gradient, axis)
                parameter.copy_(_turned(R, parameter, axis))

    @torch.no_grad()
    def turn_back(*_: Any) -> None:
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
            parameter.copy_(_turned(R.T, parameter, axes[parameter]))
        gradients.clear()

    optimizer.register_step_pre_hook(turn)
    optimizer.register_step_post_hook(turn_back)


def _turned(R: Float64[Tensor, "d d"], tensor: Tensor, axis: int) -> Tensor:
    """R on one axis of a tensor."""
    turned = torch.tensordot(tensor.to(R), R, ([axis], [1]))
    return turned.movedim(-1, axis).to(tensor.dtype)


class RotatedAdamW(AdamW):
    """AdamW in another basis of the residual stream.

    AdamW divides a gradient by its size axis by axis, so that the axes of the residual stream are
    not as any others to it. Here they are those of R. Its decay multiplies parameters by a number,
    which is the same in every basis.

    Parameters
    ----------
    params
        Of which it trains, or groups of them, as torch's optimizers take them.
    axes, rotation
        As :func:`rotate_steps` takes them.
    **settings
        Of AdamW.
    """

    def __init__(
        self,
        params: Any,
        *,
        axes: Mapping[Tensor, int],
        rotation: Float64[Tensor, "d d"],
        **settings: Any,
    ) -> None:
        super().__init__(params, **settings)
        rotate_steps(self, axes, rotation)


def rotated_adamw(
    model: PreTrainedModel, arguments: TrainingArguments, seed: int
) -> tuple[type[Optimizer], dict[str, Any]]:
    """What Trainer takes to make the AdamW of its arguments in a random basis.

    Parameters
    ----------
    model
        In the form of GPT-2 or Llama.
    arguments
        With `optim="adamw_torch"`.
    seed
        Of the basis.

    Raises
    ------
    ValueError
        As :func:`~headalgebra.training.residual.residual_axes`.
    """
    _, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)
    rotation = random_rotation(model.config.hidden_size, seed)
    return RotatedAdamW, {**settings, "axes": residual_axes(model), "rotation": rotation}
