"""A checkpoint that gives its layers one at a time, stored or drawn."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._assembly import (
    FactorInitialisation,
    RoundedWeights,
    Weights,
    assemble,
    factor_initialisation,
    refuse_meaningless,
    sides,
)
from headalgebra.checkpoints._config import Architecture, read_json, recognise
from headalgebra.checkpoints._digest import CheckpointFiles, Provenance
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._factors import LayerFactors, refuse_unsound_factors
from headalgebra.checkpoints._families import AttentionLayer, AttentionShape, Norm, Projection
from headalgebra.checkpoints._weights import StoredTensor, StoredWeights, files_to_open, locate
from headalgebra.checkpoints.convention import Convention

CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint(AttentionShape, ABC):
    """Factors of the attention of a transformer.

    Attributes
    ----------
    n_layers, n_heads, n_kv_heads, d_model, d_head
        Its sizes: L, H, G, d and r. In the circuit ``"ov"`` r is the width of the values.
    family
        Its `model_type`.
    dtype
        The type of its weights.
    origin
        Its name in error messages.
    provenance
        Which one it is, and what was read of it.
    convention
        How operators are built from the weights.
    layers
        Where the weights of each layer are, and what the model does with them.
    """

    family: str
    dtype: torch.dtype
    origin: str
    provenance: Provenance = field(repr=False)
    convention: Convention
    layers: tuple[AttentionLayer, ...] = field(repr=False)

    @property
    def revision(self) -> str:
        """Which one it is: a commit of the hub, a digest of the content, or a package's version.

        A digest of the content needs all of the wanted weights: those of layers that have not been
        read by then are read for it.
        """
        return self.provenance.revision

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 digest, in hex, of each file read; `hashed` says what it is taken over."""
        return self.provenance.files

    @property
    def hashed(self) -> dict[str, Literal["whole", "read"]]:
        """What the digest of each file is taken over.

        ``"whole"``: all of the file. A file whose digest was given has been hashed and compared
        with it, as every small one has been; that of weights from the hub is the one under which
        the hub has them. ``"read"``: its header, with the eight bytes of its length, followed by
        the SHA-256 digest of the bytes of each wanted tensor in the order of their places in the
        file.
        """
        return self.provenance.hashed

    def read_layer(self, layer: int, dtype: str | None = None) -> LayerFactors:
        """Copy the weights of one layer into memory and build its factors.

        Parameters
        ----------
        layer
            0-based.
        dtype
            Type that the weights are rounded to before anything else is done with them:
            ``"float64"``, ``"float32"``, ``"float16"`` or ``"bfloat16"``; their own by default.

        Returns
        -------
        LayerFactors
            queries [H, d, r], keys [G, d, r], key_of_head [H]. They have the type of the weights
            under the paper's convention. Under any other, and where the model multiplies its
            projections by weights of its own before the scores, they are float64. In the circuit
            ``"ov"`` the keys are [H, d, r].

        Raises
        ------
        CheckpointError
            If there is no such layer or type, or the weights are not finite or overflow the type.
        """
        attention = self._layer(layer)
        weights = self._weights(layer)
        if dtype is not None:
            weights = RoundedWeights(weights, dtype)
        factors = assemble(weights, attention, self, self.convention)
        refuse_unsound_factors(vars(factors), f"{self.origin}, layer {layer}")
        return factors

    def initialisation(self, layer: int) -> FactorInitialisation | None:
        """The law of a layer's factors at the architecture's own initialisation.

        It holds under the checkpoint's convention; norms multiply by 1 at initialisation, and
        rotations leave the law as it is.

        Parameters
        ----------
        layer
            0-based.

        Returns
        -------
        FactorInitialisation or None
            None where the factors do not start as matrices of independent normal numbers of one
            width.

        Raises
        ------
        CheckpointError
            If there is no such layer.
        """
        return factor_initialisation(self._layer(layer), self.convention)

    def _layer(self, layer: int) -> AttentionLayer:
        if not 0 <= layer < self.n_layers:
            raise CheckpointError(
                self.origin, f"no layer {layer}", f"ask for one of 0..{self.n_layers - 1}"
            )
        return self.layers[layer]

    @abstractmethod
    def _weights(self, layer: int) -> Weights:
        """Weights of a layer that exists."""


@dataclass(frozen=True, kw_only=True)
class Outline(AttentionShape):
    """What can be said of a checkpoint before its weights are there.

    Attributes
    ----------
    n_layers, n_heads, n_kv_heads, d_model, d_head, family, origin, revision
        As a `Checkpoint` has them.
    sizes
        Bytes of each file that is fetched to open it.
    """

    family: str
    origin: str
    revision: str
    sizes: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class StoredCheckpoint(Checkpoint):
    """A checkpoint in safetensors files."""

    tensors: Mapping[str, StoredTensor] = field(repr=False)

    def _weights(self, layer: int) -> Weights:
        return StoredWeights(self.tensors)


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

    def _weights(self, layer: int) -> Weights:
        # Values and outputs are other numbers than the queries and keys of the same seed.
        key = (layer,) if self.convention.circuit == "qk" else (layer, 1)
        stream = np.random.SeedSequence(self.seed, spawn_key=key)
        return DrawnWeights(np.random.Generator(np.random.PCG64(stream)), self.dtype)


def stored_checkpoint(
    files: CheckpointFiles, revision: str | None, convention: Convention
) -> StoredCheckpoint:
    """Open the checkpoint that these files make up.

    Parameters
    ----------
    files
        At least config.json and the safetensors weights.
    revision
        Its revision; by default a digest of the weights.
    convention
        How operators are built from the weights.

    Raises
    ------
    CheckpointError
        If the files are no checkpoint of a known family, or the convention has no meaning for it.
    """
    architecture = _architecture(files, convention)
    tensors, dtype = locate(files, architecture.attention, convention)
    weights = {tensor.file_name: tensor.file for tensor in tensors.values()}
    provenance = Provenance(
        revision,
        files.digests,
        {name: file.digest for name, file in weights.items() if name not in files.digests},
        tuple(sorted(weights)),
    )
    return StoredCheckpoint(
        **_sizes(architecture, convention),
        family=architecture.model_type,
        dtype=dtype,
        origin=files.origin,
        provenance=provenance,
        convention=convention,
        layers=architecture.attention.layers,
        tensors=tensors,
    )


def outline(
    files: CheckpointFiles,
    revision: str,
    sizes: Mapping[str, int | None],
    convention: Convention,
) -> Outline:
    """Outline the checkpoint that these files make up, fetching none that holds weights.

    Parameters
    ----------
    files, revision, convention
        As in `stored_checkpoint`.
    sizes
        Bytes of each file, as far as they are known.

    Raises
    ------
    CheckpointError
        As `stored_checkpoint`, as far as no weights are needed to see it; or if the size of a file
        is not known.
    """
    architecture = _architecture(files, convention)
    fetched: dict[str, int] = {}
    for name in sorted({CONFIG, *files_to_open(files, architecture.attention, convention)}):
        size = sizes.get(name)
        if size is None:
            raise CheckpointError(
                files.where(name),
                "its size is not known",
                "ask a hub that has the whole checkpoint",
            )
        fetched[name] = size
    return Outline(
        **_sizes(architecture, convention),
        family=architecture.model_type,
        origin=files.origin,
        revision=revision,
        sizes=fetched,
    )


def drawn_checkpoint(
    architecture: Architecture,
    convention: Convention,
    *,
    seed: int,
    origin: str,
    provenance: Provenance,
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
        **_sizes(architecture, convention),
        family=architecture.model_type,
        dtype=torch.float32,
        origin=origin,
        provenance=provenance,
        convention=convention,
        layers=architecture.attention.layers,
        seed=seed,
    )


def _architecture(files: CheckpointFiles, convention: Convention) -> Architecture:
    """What config.json describes, if the convention has a meaning for it."""
    where = files.where(CONFIG)
    architecture = recognise(read_json(files.hashed(CONFIG), where), where)
    refuse_meaningless(architecture.attention, convention, architecture.model_type, where)
    return architecture


def _sizes(architecture: Architecture, convention: Convention) -> dict[str, int]:
    """Sizes of the attention, with the width of the factors under the convention."""
    reading, _ = sides(architecture.attention.layers[0], convention)
    return vars(architecture.attention.shape) | {"d_head": reading.heads.width}
