"""Heads in safetensors files: found by name, checked by header, read slice by slice."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from headalgebra.checkpoints._config import Architecture, read_json
from headalgebra.checkpoints._digest import VerifiedFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import HeadSlices

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".ckpt", ".pt", ".pth")
CONVERSION = (
    'convert them with: python -c "import transformers as t; '
    "t.AutoModel.from_pretrained('CHECKPOINT').save_pretrained('FOLDER')\" and open FOLDER"
)
STORED_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}


@dataclass(frozen=True)
class StoredHeads:
    """The heads of one projection in a file on disk.

    Attributes
    ----------
    file
        The file's name in the checkpoint.
    path
        The file.
    where
        The file's name in error messages.
    tensor
        The full name of the matrix in it.
    slices
        Where the heads lie in the matrix.
    dtype
        The type it is stored in.
    """

    file: str
    path: Path
    where: str
    tensor: str
    slices: HeadSlices
    dtype: torch.dtype

    def read(self, d_head: int) -> Float[Tensor, "heads d r"]:
        """Copy the heads out of the file, one at a time, as factors [d, r]."""
        axis = self.slices.head_axis
        heads = torch.empty(
            len(self.slices.starts), self.slices.shape[1 - axis], d_head, dtype=self.dtype
        )
        with opened(self.path, self.where) as file:
            matrix = file.get_slice(self.tensor)
            for head, start in zip(heads, self.slices.starts, strict=True):
                span = slice(start, start + d_head)
                head.copy_(matrix[span, :].T if axis == 0 else matrix[:, span])
        return heads


@contextmanager
def opened(path: Path, where: str) -> Iterator[Any]:
    """Open a safetensors file.

    Raises
    ------
    CheckpointError
        If it is not one, or is cut short.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise CheckpointError(where, str(error), "fetch the file again") from error


def locate_heads(
    files: VerifiedFiles, architecture: Architecture
) -> tuple[tuple[StoredHeads, StoredHeads], ...]:
    """Find the queries and the keys of every layer, and check them by the files' headers.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights, or a wanted tensor is missing, ambiguous, of another
        shape than the configuration says, or not of one floating-point type throughout.
    """
    file_of_tensor = _file_of_tensor(files)
    shape = architecture.shape
    wanted = [architecture.family.head_slices(shape, layer) for layer in range(shape.n_layers)]
    prefix = _prefix(wanted[0][0].tensor, file_of_tensor, files.origin)
    layers = tuple(
        (
            _stored(queries, prefix, file_of_tensor, files),
            _stored(keys, prefix, file_of_tensor, files),
        )
        for queries, keys in wanted
    )
    first = layers[0][0]
    for heads in (heads for pair in layers for heads in pair):
        if heads.dtype != first.dtype:
            raise CheckpointError(
                heads.where,
                f"{heads.tensor} is {heads.dtype}, but {first.tensor} is {first.dtype}",
                "use a checkpoint with one type throughout",
            )
    return layers


def _file_of_tensor(files: VerifiedFiles) -> dict[str, str]:
    """The file that holds each tensor, by tensor name."""
    if SINGLE in files.names:
        with opened(files.path(SINGLE), files.where(SINGLE)) as file:
            return dict.fromkeys(file.keys(), SINGLE)
    if INDEX in files.names:
        weight_map = read_json(files.path(INDEX), files.where(INDEX)).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(name, str) for name in weight_map.values()
        ):
            raise CheckpointError(
                files.where(INDEX), "weight_map does not map names to files", "fetch it again"
            )
        return weight_map
    pickled = sorted(name for name in files.names if name.endswith(PICKLED))
    if pickled:
        raise CheckpointError(
            files.where(pickled[0]), "pickled weights, which can run code, are not read", CONVERSION
        )
    raise CheckpointError(
        files.origin, f"neither {SINGLE} nor {INDEX}", "point at a folder with one of them"
    )


def _prefix(suffix: str, names: Iterable[str], where: str) -> str:
    """What stands before the family's own tensor names, such as ``bert.``, or nothing."""
    matches = sorted(name for name in names if name == suffix or name.endswith(f".{suffix}"))
    if not matches:
        raise CheckpointError(
            where, f"tensor {suffix} is missing", "use a checkpoint with this family's own names"
        )
    if len(matches) > 1:
        raise CheckpointError(
            where,
            f"tensor {suffix} is ambiguous: {matches[0]} or {matches[1]}",
            "save the model that is meant in a folder of its own",
        )
    return matches[0].removesuffix(suffix)


def _stored(
    slices: HeadSlices, prefix: str, file_of_tensor: Mapping[str, str], files: VerifiedFiles
) -> StoredHeads:
    """Check the header of the matrix that holds these heads."""
    tensor = prefix + slices.tensor
    if tensor not in file_of_tensor:
        raise CheckpointError(
            files.origin,
            f"tensor {tensor} is missing",
            "correct the number of layers in config.json, or fetch the whole checkpoint",
        )
    name = file_of_tensor[tensor]
    path, where = files.path(name), files.where(name)
    with opened(path, where) as file:
        matrix = file.get_slice(tensor)
        shape, dtype = tuple(matrix.get_shape()), matrix.get_dtype()
    if shape != slices.shape:
        raise CheckpointError(
            where,
            f"tensor {tensor} has shape {list(shape)}, expected {list(slices.shape)}",
            "correct config.json, or fetch the weights that belong to it",
        )
    if dtype not in STORED_DTYPES:
        raise CheckpointError(
            where,
            f"tensor {tensor} is stored as {dtype}, not as one of {', '.join(STORED_DTYPES)}",
            "use the checkpoint it was quantised from",
        )
    return StoredHeads(name, path, where, tensor, slices, STORED_DTYPES[dtype])
