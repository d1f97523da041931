"""A checkpoint in safetensors files, read a layer at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._adapters import refuse_adapters
from headalgebra.checkpoints._assembly import Weights, copy_heads
from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._config import read_architecture
from headalgebra.checkpoints._digest import CheckpointFiles, Provenance
from headalgebra.checkpoints._families import Norm, Projection
from headalgebra.checkpoints._holdings import find_holdings
from headalgebra.checkpoints._lookup import locate
from headalgebra.checkpoints._pickled import PickledFile
from headalgebra.checkpoints._safetensors import StoredTensor, TensorFile, WeightsFile
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading


class StoredWeights(Weights):
    """Weights of one layer on disk, the last tensor kept: one may hold queries and keys.

    Parameters
    ----------
    tensors
        By their names without the prefix of the model around them.
    """

    def __init__(self, tensors: Mapping[str, StoredTensor]) -> None:
        """Read nothing yet."""
        self._tensors = tensors
        self._last: tuple[str, Tensor] | None = None

    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """Copied out of the matrix."""
        return copy_heads(self._read(projection.heads.tensor), projection.heads)

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """Read whole."""
        return torch.cat([self._read(name).flatten() for name in norm.shapes])

    def _read(self, name: str) -> Tensor:
        if self._last is None or self._last[0] != name:
            self._last = None  # two at a time would be one too many in memory
            self._last = name, self._tensors[name].read()
        return self._last[1]


@dataclass(frozen=True, kw_only=True)
class StoredCheckpoint(Checkpoint):
    """A checkpoint in safetensors files."""

    tensors: Mapping[str, StoredTensor] = field(repr=False)
    held: CheckpointFiles = field(repr=False)
    reading: Reading = field(repr=False)

    def _weights(self, layer: int) -> Weights:
        return StoredWeights(self.tensors)


def _note(weights: Mapping[str, TensorFile]) -> str:
    """What a reader of the numbers should know of the files."""
    whole = [n for n, it in weights.items() if isinstance(it, PickledFile) and it.whole]
    return f"read whole, since of torch's format before 1.6: {', '.join(whole)}" if whole else ""


def stored_checkpoint(
    files: CheckpointFiles, revision: str | None, convention: Convention, reading: Reading
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
    reading
        What is read of the files.

    Raises
    ------
    CheckpointError
        If the files are no checkpoint of a known family, or the convention has no meaning for it.
    """
    refuse_adapters(files, reading)
    holdings = find_holdings(files, reading)
    architecture = read_architecture(files, convention, reading)
    located = locate(files, holdings, architecture, convention, reading)
    architecture, tensors = located.architecture, located.tensors
    weights = {tensor.file_name: tensor.file for tensor in tensors.values()}
    wanted: dict[str, list[str]] = {name: [] for name in weights}
    for tensor in tensors.values():
        wanted[tensor.file_name].append(tensor.name)
    provenance = Provenance(
        revision,
        files.digests,
        {
            name: partial(file.digest, wanted[name])
            for name, file in weights.items()
            if isinstance(file, WeightsFile) and name not in files.digests
        },
        tuple(sorted(weights)),
        architecture.unread,
        _note(weights),
    )
    return StoredCheckpoint(
        **architecture.sizes(convention),
        family=architecture.model_type,
        dtype=located.dtype,
        origin=files.origin,
        provenance=provenance,
        convention=convention,
        chosen=reading.layers,
        layers=architecture.attention.layers,
        tensors=tensors,
        held=files,
        reading=reading,
    )
