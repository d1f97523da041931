"""Whether the axes of the state are other directions than any (002, section 5)."""

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.defaults import SEQUENCES
from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.run import Run


def axis_kurtosis(run: Run) -> list[Value]:
    """How much states lie along few axes, more than along few of any orthogonal directions.

    ``axis_kurtosis`` is the mean over layers of :func:`excess_along_axes` of the state that a block
    of the last checkpoint leaves, the mean over the tokens of
    :data:`~headalgebra.defaults.SEQUENCES` test sequences. The first token of each is left out: in
    many decoders its state is of another kind than all others.
    """
    recording = run.recording(run.last, SEQUENCES)
    layers = range(1, recording.n_blocks + 1)
    means = [float(excess_along_axes(recording.state(it)[:, 1:]).mean()) for it in layers]
    return [Value.of("axis_kurtosis", sum(means) / len(means))]


def excess_along_axes(states: Float[Tensor, "*tokens d"]) -> Float[Tensor, "*tokens"]:
    """Kurtosis of a state's d coordinates, less its mean over all orthogonal bases.

    The kurtosis is about 0, ``d Σ x⁴ / (Σ x²)²``: d for a state along one axis, 1 for one at the
    same angle to all. As Elhage et al. (2023) have it, it is of the coordinates of one token. In a
    basis turned at random a state is uniform on its sphere, and the mean is ``3d/(d + 2)`` exactly,
    so that no basis is drawn.

    References
    ----------
    Elhage, Lasenby and Olah (2023), "Privileged bases in the transformer residual stream",
    Transformer Circuits Thread.
    """
    d = states.shape[-1]
    shares = torch.nn.functional.normalize(states.double(), dim=-1, eps=0.0).square()
    return d * shares.square().sum(-1) - 3 * d / (d + 2)
