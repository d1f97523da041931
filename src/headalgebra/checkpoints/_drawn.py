"""An architecture at its random initialisation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._assembly import Weights, refuse_meaningless, sides
from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._config import Architecture
from headalgebra.checkpoints._digest import Provenance
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Norm, Projection
from headalgebra.checkpoints._names import wanted_tensors
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import AS_IT_IS, Reading


@dataclass(frozen=True)
class DrawnWeights(Weights):
    """Independent normal weights, each drawn when it is asked for."""

    generator: np.random.Generator
    dtype: torch.dtype

    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """Drawn in float64 and rounded."""
        slices = projection.heads
        size = (len(slices.starts), slices.shape[1 - slices.head_axis], slices.width)
        std = cast(float, projection.initial_std)  # others were refused on opening
        return torch.from_numpy(std * self.generator.standard_normal(size)).to(self.dtype)

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """What makes the norm multiply by its initial value."""
        stored = norm.initial - 1 if norm.plus_one else norm.initial
        return torch.full((norm.size,), stored, dtype=self.dtype)


@dataclass(frozen=True, kw_only=True)
class DrawnCheckpoint(Checkpoint):
    """An architecture at its random initialisation: independent normal weights."""

    seed: int
    config: Mapping[str, Any] = field(repr=False)

    def _weights(self, layer: int) -> Weights:
        # Values and outputs are other numbers than the queries and keys of the same seed.
        key = (layer,) if self.convention.circuit == "qk" else (layer, 1)
        stream = np.random.SeedSequence(self.seed, spawn_key=key)
        return DrawnWeights(np.random.Generator(np.random.PCG64(stream)), self.dtype)


def drawn_checkpoint(
    architecture: Architecture,
    convention: Convention,
    *,
    seed: int,
    config: Mapping[str, Any],
    origin: str,
    provenance: Provenance,
    reading: Reading = AS_IT_IS,
) -> DrawnCheckpoint:
    """Set up the random initialisation of an architecture, in float32.

    Raises
    ------
    CheckpointError
        If the seed is negative, the architecture's weights start from another law than the normal
        one, or the width of that is not positive, or the convention has no meaning for it.
    """
    if seed < 0:
        raise CheckpointError(origin, f"seed is {seed}", "give a non-negative integer")
    refuse_meaningless(architecture.attention, convention, architecture.model_type, origin)
    wanted_tensors(architecture.attention, convention, reading.layers, origin)
    for side in (
        side for layer in architecture.attention.layers for side in sides(layer, convention)
    ):
        std, tensor = side.initial_std, side.heads.tensor
        if std is None or side.latent:
            raise CheckpointError(
                origin,
                f"{tensor} of {architecture.model_type} does not start as one normal matrix",
                "compare with another null",
            )
        if not (math.isfinite(std) and std > 0):
            raise CheckpointError(
                origin,
                f"{tensor} would start with standard deviation {std}",
                "give a positive initializer_range, or what the family has in its place",
            )
    return DrawnCheckpoint(
        **architecture.sizes(convention),
        family=architecture.model_type,
        dtype=torch.float32,
        origin=origin,
        provenance=provenance,
        convention=convention,
        chosen=reading.layers,
        layers=architecture.attention.layers,
        seed=seed,
        config={key: it for key, it in config.items() if key not in reading.ignore_config},
    )
