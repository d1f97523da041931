"""A checkpoint that gives its layers one at a time, stored or drawn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._config import Architecture, read_json, recognise
from headalgebra.checkpoints._digest import VerifiedFiles, content_revision
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._factors import LayerFactors, refuse_unsound_factors
from headalgebra.checkpoints._families import AttentionShape
from headalgebra.checkpoints._weights import StoredHeads, locate_heads

CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint(AttentionShape, ABC):
    """Queries and keys of a transformer.

    Attributes
    ----------
    n_layers, n_heads, n_kv_heads, d_model, d_head
        Its sizes: L, H, G, d and r.
    family
        Its `model_type`.
    dtype
        The type of its weights.
    origin
        Its name in error messages.
    revision
        Which one it is: a commit of the hub, a digest of the content, or a package's version.
    files
        SHA-256 digest, in hex, of each file read.
    """

    family: str
    dtype: torch.dtype
    origin: str
    revision: str
    files: Mapping[str, str]

    def read_layer(self, layer: int) -> LayerFactors:
        """Copy the factors of one layer into memory.

        Parameters
        ----------
        layer
            0-based.

        Returns
        -------
        LayerFactors
            queries [H, d, r], keys [G, d, r] in the checkpoint's own type, key_of_head [H].

        Raises
        ------
        CheckpointError
            If there is no such layer, or its weights are not finite.
        """
        if not 0 <= layer < self.n_layers:
            raise CheckpointError(
                self.origin, f"no layer {layer}", f"ask for one of 0..{self.n_layers - 1}"
            )
        queries, keys = self._queries_and_keys(layer)
        factors = LayerFactors(queries, keys, self.key_of_head())
        refuse_unsound_factors(vars(factors), f"{self.origin}, layer {layer}")
        return factors

    @abstractmethod
    def _queries_and_keys(
        self, layer: int
    ) -> tuple[Float[Tensor, "H d r"], Float[Tensor, "G d r"]]:
        """Factors of a layer that exists."""


@dataclass(frozen=True, kw_only=True)
class StoredCheckpoint(Checkpoint):
    """A checkpoint in safetensors files."""

    layers: tuple[tuple[StoredHeads, StoredHeads], ...] = field(repr=False)

    def _queries_and_keys(
        self, layer: int
    ) -> tuple[Float[Tensor, "H d r"], Float[Tensor, "G d r"]]:
        queries, keys = self.layers[layer]
        return queries.read(self.d_head), keys.read(self.d_head)


@dataclass(frozen=True, kw_only=True)
class DrawnCheckpoint(Checkpoint):
    """An architecture at its random initialisation: independent normal weights."""

    std: float
    seed: int

    def _queries_and_keys(
        self, layer: int
    ) -> tuple[Float[Tensor, "H d r"], Float[Tensor, "G d r"]]:
        stream = np.random.SeedSequence(self.seed, spawn_key=(layer,))
        generator = np.random.Generator(np.random.PCG64(stream))

        def draw(n_heads: int) -> Tensor:
            normal = generator.standard_normal((n_heads, self.d_model, self.d_head))
            return torch.from_numpy(self.std * normal).to(self.dtype)

        return draw(self.n_heads), draw(self.n_kv_heads)


def stored_checkpoint(files: VerifiedFiles, revision: str | None) -> StoredCheckpoint:
    """Open the checkpoint that these files make up.

    Parameters
    ----------
    files
        At least config.json and the safetensors weights.
    revision
        Its revision; by default a digest of the weights.

    Raises
    ------
    CheckpointError
        If the files are no checkpoint of a known family.
    """
    architecture = recognise(
        read_json(files.path(CONFIG), files.where(CONFIG)), files.where(CONFIG)
    )
    layers = locate_heads(files, architecture)
    weights = sorted({heads.file for pair in layers for heads in pair})
    return StoredCheckpoint(
        **vars(architecture.shape),
        family=architecture.model_type,
        dtype=layers[0][0].dtype,
        origin=files.origin,
        revision=revision or content_revision(files.digests[name] for name in weights),
        files=files.digests,
        layers=layers,
    )


def drawn_checkpoint(
    architecture: Architecture,
    *,
    seed: int,
    origin: str,
    revision: str,
    files: Mapping[str, str],
) -> DrawnCheckpoint:
    """Set up the random initialisation of an architecture, in float32.

    Raises
    ------
    CheckpointError
        If the seed is negative or the architecture's `initializer_range` is not positive.
    """
    if seed < 0:
        raise CheckpointError(origin, f"seed is {seed}", "give a non-negative integer")
    std = architecture.initial_std
    if not (math.isfinite(std) and std > 0):
        raise CheckpointError(origin, f"initializer_range is {std}", "give a positive number")
    return DrawnCheckpoint(
        **vars(architecture.shape),
        family=architecture.model_type,
        dtype=torch.float32,
        origin=origin,
        revision=revision,
        files=files,
        std=std,
        seed=seed,
    )
