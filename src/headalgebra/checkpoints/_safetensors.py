"""A safetensors file: its header checked, its tensors read one at a time."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._reads import FETCH_AGAIN, ReadFile

STORED_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
LARGEST_HEADER = 1 << 24
"""Bytes, for about 150,000 tensors: what JSON says takes ten times its own room once it is read."""


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


class TensorFile(ABC):
    """A file of tensors that are read one at a time.

    Attributes
    ----------
    where
        Its name in error messages.
    entries
        What it says of each tensor, by name.
    aliases
        The names of tensors, in some file of the checkpoint, by other names that they have too.
    """

    where: str
    entries: Mapping[str, Entry]
    aliases: Mapping[str, str]

    @abstractmethod
    def read(self, name: str, dtype: torch.dtype) -> Float[Tensor, "..."]:
        """Copy a tensor out of it."""


class WeightsFile(TensorFile):
    """A safetensors file, of which the header and whole tensors are read and nothing else.

    Parameters
    ----------
    file
        The file. What is read of it is hashed, unless the digest of all of it is known.

    Attributes
    ----------
    entries
        What the header says, by tensor name.
    aliases
        Other names of tensors in some file of the checkpoint, by which the header says that the
        model has them too: modules that share a weight store it once.

    Raises
    ------
    CheckpointError
        If it is no safetensors file, or is cut short.
    """

    def __init__(self, file: ReadFile) -> None:
        """Read the header."""
        self.where = where = file.where
        self._file = file
        self._digests: dict[str, bytes] = {}
        with file.opened() as opened:
            size = file.size(opened)
            length = bytearray(8)
            file.fill(opened, memoryview(length))
            header = bytearray(_bounded(int.from_bytes(length, "little"), size - 8, where))
            file.fill(opened, memoryview(header))
        self.entries, self.aliases = _entries(bytes(header), size, where)
        self._header = hashlib.sha256(length + header)

    def spans(self, wanted: Iterable[str]) -> list[tuple[int, int]]:
        """Where the bytes of some tensors are."""
        return [(self.entries[name].start, self.entries[name].stop) for name in wanted]

    def settle(self, wanted: Iterable[str]) -> None:
        """Learn which tensors will be read."""
        self._file.settle(self.spans(wanted))

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
        with self._file.opened() as file:
            file.seek(entry.start)
            self._file.fill(file, content)
        if self._file.known is None and name not in self._digests:
            self._digests[name] = hashlib.sha256(content).digest()
        return tensor

    def digest(self, wanted: Iterable[str]) -> str:
        """SHA-256, in hex, of the whole file if known, otherwise of the header and what is wanted.

        The latter is the digest of the header's bytes, its length before them, followed by the
        digest of each wanted tensor's bytes in the order of their places in the file. What has not
        been read by then is read for it, a little at a time.

        Raises
        ------
        CheckpointError
            If the file ends before a wanted tensor does.
        """
        if self._file.known is not None:
            return self._file.known
        combined = self._header.copy()
        for name in sorted(wanted, key=lambda name: self.entries[name].start):
            if name not in self._digests:
                entry = self.entries[name]
                self._digests[name] = self._file.hashed(entry.start, entry.stop)
            combined.update(self._digests[name])
        return combined.hexdigest()


def _bounded(length: int, room: int, where: str) -> int:
    """The header's length, if it can be one."""
    if not 0 < length <= min(room, LARGEST_HEADER):
        raise CheckpointError(
            where,
            f"the header would have {length} bytes, where 1 to {min(room, LARGEST_HEADER)} can be",
            FETCH_AGAIN,
        )
    return length


def _entries(header: bytes, size: int, where: str) -> tuple[dict[str, Entry], dict[str, str]]:
    """What a header says of each tensor, which together must fill the rest; and other names."""

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
    metadata = content.pop("__metadata__", None)
    if not isinstance(metadata, dict):
        metadata = {}
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
    return entries, {k: v for k, v in metadata.items() if isinstance(v, str) and k not in entries}


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
    file: TensorFile
    name: str
    dtype: torch.dtype

    def read(self) -> Float[Tensor, "..."]:
        """Copy it into memory."""
        return self.file.read(self.name, self.dtype)
