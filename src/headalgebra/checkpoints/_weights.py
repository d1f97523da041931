"""Weights in safetensors files: found by name, checked by header, read slice by slice."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from headalgebra.checkpoints._assembly import Weights, matrices, norms, sides
from headalgebra.checkpoints._config import read_json
from headalgebra.checkpoints._digest import VerifiedFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Attention, Norm, Projection
from headalgebra.convention import Convention

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".ckpt", ".pt", ".pth")
QUANTISED = (
    ".SCB",
    ".absmax",
    ".qweight",
    ".weight_packed",
    ".weight_scale",
    ".weight_scale_inv",
)
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
class StoredTensor:
    """A tensor in a file on disk.

    Attributes
    ----------
    file
        The file's name in the checkpoint.
    path
        The file.
    where
        The file's name in error messages.
    name
        The tensor's full name in it.
    dtype
        The type it is stored in.
    """

    file: str
    path: Path
    where: str
    name: str
    dtype: torch.dtype


@dataclass(frozen=True)
class StoredWeights(Weights):
    """Tensors on disk, by their names without the prefix of the model around them."""

    tensors: Mapping[str, StoredTensor]

    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """Copy the heads out of the file, one at a time, as factors [d, r]."""
        slices = projection.heads
        stored, axis = self.tensors[slices.tensor], slices.head_axis
        heads = torch.empty(
            len(slices.starts), slices.shape[1 - axis], slices.width, dtype=stored.dtype
        )
        with opened(stored.path, stored.where) as file:
            matrix = file.get_slice(stored.name)
            for head, start in zip(heads, slices.starts, strict=True):
                span = slice(start, start + slices.width)
                head.copy_(matrix[span, :].T if axis == 0 else matrix[:, span])
        return heads

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """Copy the whole vector."""
        stored = self.tensors[norm.tensor]
        with opened(stored.path, stored.where) as file:
            return file.get_tensor(stored.name).clone()


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


def locate(
    files: VerifiedFiles, attention: Attention, convention: Convention
) -> tuple[StoredWeights, torch.dtype]:
    """Find what the factors of every layer are made of, and check it by the files' headers.

    Returns
    -------
    weights
        The wanted tensors.
    dtype
        The type of the projections.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights, or a wanted tensor is missing, ambiguous, of another
        shape than the configuration says, or not of a floating-point type, or if projections
        differ in type.
    """
    file_of_tensor = _file_of_tensor(files)
    projections = {
        slices.tensor: slices.shape
        for layer in attention.layers
        for side in sides(layer, convention)
        for slices in matrices(side)
    }
    gammas = {
        norm.tensor: (norm.size,) for layer in attention.layers for norm in norms(layer, convention)
    }
    first = next(iter(projections))
    _refuse_quantised(file_of_tensor, files)
    prefix = _prefix(first, file_of_tensor, attention.other_parts, files.origin)
    tensors = {
        name: _stored(name, shape, prefix, file_of_tensor, files)
        for name, shape in (projections | gammas).items()
    }
    for name in projections:
        one, other = tensors[name], tensors[first]
        if one.dtype != other.dtype:
            raise CheckpointError(
                one.where,
                f"{one.name} is {one.dtype}, but {other.name} is {other.dtype}",
                "use a checkpoint with one type throughout",
            )
    return StoredWeights(tensors), tensors[first].dtype


def _file_of_tensor(files: VerifiedFiles) -> dict[str, str]:
    """The file that holds each tensor, by tensor name."""
    if SINGLE in files.names:
        with opened(files.path(SINGLE), files.where(SINGLE)) as file:
            return dict.fromkeys(file.keys(), SINGLE)
    if INDEX in files.names:
        where = files.where(INDEX)
        weight_map = read_json(files.path(INDEX), where).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(name, str) for name in weight_map.values()
        ):
            raise CheckpointError(
                where, "weight_map does not map names to files", "fetch the file again"
            )
        for tensor, name in weight_map.items():
            if name in ("", "..") or PurePosixPath(name).name != name or "\\" in name:
                raise CheckpointError(
                    where,
                    f"tensor {tensor} is mapped to {name!r}, which is no name of a file beside it",
                    "fetch the file again",
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


def _refuse_quantised(file_of_tensor: Mapping[str, str], files: VerifiedFiles) -> None:
    """Raise on the first tensor that only quantised checkpoints have."""
    for name, file in sorted(file_of_tensor.items()):
        if name.endswith(QUANTISED):
            raise CheckpointError(
                files.where(file),
                f"tensor {name}: the weights are quantised",
                "use the checkpoint they were quantised from",
            )


def _prefix(suffix: str, names: Iterable[str], other_parts: frozenset[str], where: str) -> str:
    """What stands before the family's own tensor names, such as ``bert.``, or nothing."""
    matches = sorted(
        name
        for name in names
        if name == suffix
        or (name.endswith(f".{suffix}") and other_parts.isdisjoint(name.split(".")))
    )
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
    name: str,
    expected: tuple[int, ...],
    prefix: str,
    file_of_tensor: Mapping[str, str],
    files: VerifiedFiles,
) -> StoredTensor:
    """Check the header of a tensor."""
    tensor = prefix + name
    if tensor not in file_of_tensor:
        raise CheckpointError(
            files.origin,
            f"tensor {tensor} is missing",
            "correct the number of layers in config.json, or fetch the whole checkpoint",
        )
    file_name = file_of_tensor[tensor]
    if file_name not in files.names:
        raise CheckpointError(
            files.where(file_name),
            f"no such file, but tensor {tensor} should be in it",
            "fetch the whole checkpoint",
        )
    path, where = files.path(file_name), files.where(file_name)
    with opened(path, where) as file:
        if tensor not in file.keys():  # noqa: SIM118
            raise CheckpointError(
                where, f"tensor {tensor} is not in it", f"fetch it again, or correct {INDEX}"
            )
        header = file.get_slice(tensor)
        shape, dtype = tuple(header.get_shape()), header.get_dtype()
    if shape != expected:
        raise CheckpointError(
            where,
            f"tensor {tensor} has shape {list(shape)}, expected {list(expected)}",
            "correct config.json, or fetch the weights that belong to it",
        )
    if dtype not in STORED_DTYPES:
        raise CheckpointError(
            where,
            f"tensor {tensor} is stored as {dtype}, not as one of {', '.join(STORED_DTYPES)}",
            "use the checkpoint it was quantised from",
        )
    return StoredTensor(file_name, path, where, tensor, STORED_DTYPES[dtype])
