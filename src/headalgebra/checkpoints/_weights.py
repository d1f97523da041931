"""Weights in safetensors files: found by name, checked by header, read one tensor at a time."""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import SEEK_END, FileIO
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._assembly import Weights, matrices, norms, sides
from headalgebra.checkpoints._config import read_json
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Attention, Norm, Projection
from headalgebra.checkpoints.convention import Convention

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
LARGEST_HEADER = 100_000_000
CHUNK = 1 << 20
FETCH_AGAIN = "fetch the file again"


@dataclass(frozen=True)
class Entry:
    """What a file's header says of a tensor.

    Attributes
    ----------
    dtype
        The type's name in the header.
    shape
        Its sizes.
    start, stop
        Where its bytes are in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class WeightsFile:
    """A safetensors file, of which the header and whole tensors are read and nothing else.

    Plain reads: the pages of a mapped file count as this process's memory for as long as the
    mapping lives, and reading ahead fetches what nobody asked for.

    Parameters
    ----------
    path
        The file.
    where
        Its name in error messages.
    known
        The digest of the whole file, if there is one; otherwise what is read is hashed.

    Attributes
    ----------
    entries
        What the header says, by tensor name.
    wanted
        The tensors that `digest` covers.

    Raises
    ------
    CheckpointError
        If it is no safetensors file, or is cut short.
    """

    def __init__(self, path: Path, where: str, known: str | None) -> None:
        """Read the header."""
        self.where = where
        self.wanted: set[str] = set()
        self._path = path
        self._known = known
        self._digests: dict[str, bytes] = {}
        with self._opened() as file:
            size = file.seek(0, SEEK_END)
            file.seek(0)
            length = bytearray(8)
            self._fill(file, memoryview(length))
            header = bytearray(_bounded(int.from_bytes(length, "little"), size - 8, where))
            self._fill(file, memoryview(header))
        self.entries = _entries(bytes(header), size, where)
        self._header = hashlib.sha256(length + header)

    def read(self, name: str, dtype: torch.dtype) -> Float[Tensor, "..."]:
        """Copy a tensor out of the file.

        Raises
        ------
        CheckpointError
            If the file ends before the tensor does.
        """
        entry = self.entries[name]
        tensor = torch.empty(entry.shape, dtype=dtype)
        content = tensor.view(-1).view(torch.uint8).numpy().data
        with self._opened() as file:
            file.seek(entry.start)
            self._fill(file, content)
        if self._known is None and name not in self._digests:
            self._digests[name] = hashlib.sha256(content).digest()
        return tensor

    def digest(self) -> str:
        """SHA-256, in hex, of the whole file if known, otherwise of the header and what is wanted.

        The latter is the digest of the header's bytes, its length before them, followed by the
        digest of each wanted tensor's bytes in the order of their places in the file. What has not
        been read by then is read for it, a little at a time.

        Raises
        ------
        CheckpointError
            If the file ends before a wanted tensor does.
        """
        if self._known is not None:
            return self._known
        combined = self._header.copy()
        for name in sorted(self.wanted, key=lambda name: self.entries[name].start):
            if name not in self._digests:
                self._digests[name] = self._hashed(self.entries[name])
            combined.update(self._digests[name])
        return combined.hexdigest()

    def _hashed(self, entry: Entry) -> bytes:
        digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
        with self._opened() as file:
            file.seek(entry.start)
            for start in range(entry.start, entry.stop, CHUNK):
                part = buffer[: min(CHUNK, entry.stop - start)]
                self._fill(file, part)
                digest.update(part)
        return digest.digest()

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        try:
            # Without a buffer: it would read beyond what is asked for.
            with self._path.open("rb", buffering=0) as file:
                yield file
        except OSError as error:
            raise CheckpointError(self.where, str(error), FETCH_AGAIN) from error

    def _fill(self, file: FileIO, content: memoryview) -> None:
        while len(content):
            count = file.readinto(content)
            if not count:
                raise CheckpointError(self.where, "the file is cut short", FETCH_AGAIN)
            content = content[count:]


def _bounded(length: int, room: int, where: str) -> int:
    """The header's length, if it can be one."""
    if not 0 < length <= min(room, LARGEST_HEADER):
        raise CheckpointError(
            where,
            f"the header would have {length} bytes, where 1 to {min(room, LARGEST_HEADER)} can be",
            FETCH_AGAIN,
        )
    return length


def _entries(header: bytes, size: int, where: str) -> dict[str, Entry]:
    """What a header says of each tensor; together they must fill the rest of the file."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            raise ValueError("a name is given twice")
        return content

    try:
        content = json.loads(header.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(where, f"the header is not JSON: {error}", FETCH_AGAIN) from error
    if not isinstance(content, dict):
        raise CheckpointError(where, "the header is no JSON object", FETCH_AGAIN)
    content.pop("__metadata__", None)
    data = 8 + len(header)
    entries = {name: _entry(name, found, data, where) for name, found in content.items()}
    end = data
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise CheckpointError(
                where,
                f"tensor {name} begins at byte {entry.start}, where the one before ends at {end}",
                FETCH_AGAIN,
            )
        end = entry.stop
    if end != size:
        raise CheckpointError(
            where, f"the file has {size} bytes, but its header describes {end}", FETCH_AGAIN
        )
    return entries


def _entry(name: str, found: Any, data: int, where: str) -> Entry:
    """One tensor's part of a header, whose offsets count from the end of it."""
    match found:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, stop]} if all(
            type(number) is int and number >= 0 for number in (*shape, start, stop)
        ):
            entry = Entry(dtype, tuple(shape), data + start, data + stop)
        case _:
            raise CheckpointError(where, f"the header's entry of {name} is malformed", FETCH_AGAIN)
    stored = STORED_DTYPES.get(dtype)
    if stop < start or (stored and stop - start != math.prod(shape) * stored.itemsize):
        raise CheckpointError(
            where,
            f"tensor {name} has {stop - start} bytes, which {dtype} {shape} does not fill",
            FETCH_AGAIN,
        )
    return entry


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file on disk.

    Attributes
    ----------
    file_name
        The file's name in the checkpoint.
    file
        The file.
    name
        The tensor's full name in it.
    dtype
        The type it is stored in.
    """

    file_name: str
    file: WeightsFile
    name: str
    dtype: torch.dtype

    def read(self) -> Float[Tensor, "..."]:
        """Copy it into memory."""
        return self.file.read(self.name, self.dtype)


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
        """Copy the heads out of the matrix as factors [d, r]."""
        slices = projection.heads
        matrix, axis = self._read(slices.tensor), slices.head_axis
        heads = torch.empty(
            len(slices.starts), slices.shape[1 - axis], slices.width, dtype=matrix.dtype
        )
        for head, start in zip(heads, slices.starts, strict=True):
            rows = matrix.narrow(axis, start, slices.width)
            head.copy_(rows.T if axis == 0 else rows)
        return heads

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """Read the whole vector."""
        return self._read(norm.tensor)

    def _read(self, name: str) -> Tensor:
        if self._last is None or self._last[0] != name:
            self._last = None  # two at a time would be one too many in memory
            self._last = name, self._tensors[name].read()
        return self._last[1]


def locate(
    files: CheckpointFiles, attention: Attention, convention: Convention
) -> tuple[dict[str, StoredTensor], torch.dtype]:
    """Find what the factors of every layer are made of, and check it by the files' headers.

    Returns
    -------
    tensors
        Those wanted, by their names without the prefix of the model around them.
    dtype
        The type of the projections.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights, or a wanted tensor is missing, ambiguous, of another
        shape than the configuration says, or not of a floating-point type, or if projections
        differ in type.
    """

    @cache
    def opened(name: str) -> WeightsFile:
        path = files.path(name)
        return WeightsFile(path, files.where(name), files.digests.get(name))

    if SINGLE in files.names:
        file_of_tensor: Mapping[str, str] = dict.fromkeys(opened(SINGLE).entries, SINGLE)
    else:
        file_of_tensor = _indexed(files)
    projections, gammas = _wanted(attention, convention)
    first = next(iter(projections))
    _refuse_quantised(file_of_tensor, files)
    prefix = _prefix(first, file_of_tensor, attention.other_parts, files.origin)
    tensors = {
        name: _stored(name, shape, prefix, file_of_tensor, files, opened)
        for name, shape in (projections | gammas).items()
    }
    for name in projections:
        one, other = tensors[name], tensors[first]
        if one.dtype != other.dtype:
            raise CheckpointError(
                one.file.where,
                f"{one.name} is {one.dtype}, but {other.name} is {other.dtype}",
                "use a checkpoint with one type throughout",
            )
    return tensors, tensors[first].dtype


def files_to_open(files: CheckpointFiles, attention: Attention, convention: Convention) -> set[str]:
    """Name the files that `locate` opens, without opening any that holds weights.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights, or by their index a wanted tensor is missing or
        ambiguous.
    """
    if SINGLE in files.names:
        return {SINGLE}
    file_of_tensor = _indexed(files)
    projections, gammas = _wanted(attention, convention)
    _refuse_quantised(file_of_tensor, files)
    prefix = _prefix(next(iter(projections)), file_of_tensor, attention.other_parts, files.origin)
    wanted = (prefix + name for name in projections | gammas)
    return {INDEX, *(_holder(tensor, file_of_tensor, files) for tensor in wanted)}


def _wanted(
    attention: Attention, convention: Convention
) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Shapes of the projections and of the norms' weights that factors are made of, by name."""
    projections: dict[str, tuple[int, ...]] = {
        slices.tensor: slices.shape
        for layer in attention.layers
        for side in sides(layer, convention)
        for slices in matrices(side)
    }
    gammas: dict[str, tuple[int, ...]] = {
        norm.tensor: (norm.size,) for layer in attention.layers for norm in norms(layer, convention)
    }
    return projections, gammas


def _indexed(files: CheckpointFiles) -> Mapping[str, str]:
    """The file that holds each tensor, by tensor name, of weights in several files."""
    if INDEX in files.names:
        where = files.where(INDEX)
        weight_map = read_json(files.hashed(INDEX), where).get("weight_map")
        if not isinstance(weight_map, dict) or not all(
            isinstance(name, str) for name in weight_map.values()
        ):
            raise CheckpointError(where, "weight_map does not map names to files", FETCH_AGAIN)
        for tensor, name in weight_map.items():
            if name in ("", "..") or PurePosixPath(name).name != name or "\\" in name:
                raise CheckpointError(
                    where,
                    f"tensor {tensor} is mapped to {name!r}, which is no name of a file beside it",
                    FETCH_AGAIN,
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


def _refuse_quantised(file_of_tensor: Mapping[str, str], files: CheckpointFiles) -> None:
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


def _holder(tensor: str, file_of_tensor: Mapping[str, str], files: CheckpointFiles) -> str:
    """The file that holds a tensor, if there is one."""
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
    return file_name


def _stored(
    name: str,
    expected: tuple[int, ...],
    prefix: str,
    file_of_tensor: Mapping[str, str],
    files: CheckpointFiles,
    opened: Callable[[str], WeightsFile],
) -> StoredTensor:
    """Check the header of a tensor."""
    tensor = prefix + name
    file_name = _holder(tensor, file_of_tensor, files)
    file = opened(file_name)
    if tensor not in file.entries:
        raise CheckpointError(
            file.where, f"tensor {tensor} is not in it", f"fetch it again, or correct {INDEX}"
        )
    entry = file.entries[tensor]
    if entry.shape != expected:
        raise CheckpointError(
            file.where,
            f"tensor {tensor} has shape {list(entry.shape)}, expected {list(expected)}",
            "correct config.json, or fetch the weights that belong to it",
        )
    if entry.dtype not in STORED_DTYPES:
        raise CheckpointError(
            file.where,
            f"tensor {tensor} is stored as {entry.dtype}, not as one of {', '.join(STORED_DTYPES)}",
            "use the checkpoint it was quantised from",
        )
    file.wanted.add(tensor)
    return StoredTensor(file_name, file, tensor, STORED_DTYPES[entry.dtype])
