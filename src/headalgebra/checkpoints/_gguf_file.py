"""Tensors in GGUF files, whose rows are read and turned into numbers a few at a time."""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._gguf_header import GgufTensor, read_header
from headalgebra.checkpoints._reads import FETCH_AGAIN, ReadFile
from headalgebra.checkpoints._safetensors import STORED_DTYPES


@dataclass(frozen=True)
class RowType:
    """How rows of numbers are stored.

    Attributes
    ----------
    name
        As ggml calls it: ``F32``, ``Q4_1``, ``Q6_K``, …
    numbers, bytes
        A row is cut into blocks of so many numbers, each stored in so many bytes.
    """

    name: str
    numbers: int
    bytes: int

    @property
    def dtype(self) -> torch.dtype:
        """The type that holds the numbers as they are."""
        return STORED_DTYPES.get(self.name, torch.float32)


@cache
def row_type(kind: int) -> RowType | None:
    """The type of this number, if the gguf library knows one."""
    # Imported here because only those who open such a file need it.
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        known = GGMLQuantizationType(kind)
    except ValueError:
        return None
    return RowType(known.name, *GGML_QUANT_SIZES[known])


@cache
def _is_readable(kind: int) -> bool:
    """Whether rows of a known type can be turned into numbers."""
    from gguf import GGMLQuantizationType, dequantize

    known = row_type(kind)
    assert known is not None
    if known.name in STORED_DTYPES:
        return True
    try:
        dequantize(np.zeros((1, known.bytes), dtype=np.uint8), GGMLQuantizationType(kind))
    except NotImplementedError:
        return False
    return True


class GgufFile:
    """A GGUF file, of which the header and wanted rows are read and nothing else.

    Parameters
    ----------
    file
        The file. What is read of it is hashed, unless the digest of all of it is known.

    Attributes
    ----------
    path, where
        As they were given.
    header
        What it says of itself.

    Raises
    ------
    CheckpointError
        If it is no GGUF file, is cut short, or has tensors that overlap or leave gaps.
    """

    def __init__(self, file: ReadFile) -> None:
        self.where = file.where
        self._file = file
        self._digests: dict[str, _Digest] = {}
        self.header = read_header(self._file)
        self._refuse_disorder()

    @property
    def path(self) -> Path:
        """All of it on this machine, fetched if it is not there."""
        return self._file.whole()

    def spans(self, wanted: Iterable[str]) -> list[tuple[int, int]]:
        """Where the bytes of some tensors of known types are."""
        return [self._span(self.header.tensors[name]) for name in wanted]

    def settle(self, wanted: Iterable[str]) -> None:
        """Learn which tensors will be read."""
        self._file.settle(self.spans(wanted))

    def _span(self, tensor: GgufTensor) -> tuple[int, int]:
        kind = row_type(tensor.kind)
        assert kind is not None
        blocks = math.prod(tensor.shape) // kind.numbers
        return tensor.start, tensor.start + blocks * kind.bytes

    def _refuse_disorder(self) -> None:
        """Raise unless each tensor begins where the one before ends, as far as types are known."""
        alignment, end = self.header.alignment, None
        tensors = self.header.tensors.items()
        for name, tensor in sorted(tensors, key=lambda item: item[1].start):
            if end is not None and tensor.start != -(-end // alignment) * alignment:
                raise CheckpointError(
                    self.where,
                    f"tensor {name} begins at byte {tensor.start}, where the one before ends at "
                    f"{end}",
                    FETCH_AGAIN,
                )
            kind = row_type(tensor.kind)
            if kind is None:
                end = None
                continue
            if tensor.shape[-1] % kind.numbers:
                raise CheckpointError(
                    self.where,
                    f"tensor {name} has rows of {tensor.shape[-1]} numbers, which blocks of "
                    f"{kind.numbers}, as {kind.name} has them, do not fill",
                    FETCH_AGAIN,
                )
            _, end = self._span(tensor)
            if end > self.header.size:
                raise CheckpointError(
                    self.where,
                    f"the file is cut short: it has {self.header.size} bytes, and tensor {name} "
                    f"ends at byte {end}",
                    FETCH_AGAIN,
                )

    def tensor(self, name: str, expected: tuple[int, ...]) -> "GgufRows":
        """A tensor of these sizes whose rows can be turned into numbers.

        Raises
        ------
        CheckpointError
            If it has other sizes, or its type is unknown or not of numbers.
        """
        tensor = self.header.tensors[name]
        kind = row_type(tensor.kind)
        if kind is None or not _is_readable(tensor.kind):
            called = f"number {tensor.kind}" if kind is None else kind.name
            raise CheckpointError(
                self.where,
                f"tensor {name} has the type {called}, which is not read",
                "use a file with another quantisation of the model",
            )
        if tensor.shape != expected:
            raise CheckpointError(
                self.where,
                f"tensor {name} has shape {list(tensor.shape)}, expected {list(expected)}",
                "fetch the file again, or one that was converted anew",
            )
        return GgufRows(self, name, tensor, kind)

    def read(self, tensor: GgufTensor, kind: RowType, name: str, first: int, last: int) -> Tensor:
        """Rows of a tensor as the bytes they are stored in, hashed on the way."""
        width = tensor.shape[-1] // kind.numbers * kind.bytes
        content = torch.empty(last - first, width, dtype=torch.uint8)
        with self._file.opened() as file:
            file.seek(tensor.start + first * width)
            self._file.fill(file, content.view(-1).numpy().data)
        if self._file.known is None:
            self._digests.setdefault(name, _Digest()).follow(first * width, content)
        return content

    def digest(self, wanted: Iterable[str]) -> str:
        """SHA-256, in hex, of the whole file if known, otherwise of the header and what is wanted.

        The latter is the digest of the header's bytes, followed by the digest of each wanted
        tensor's bytes in the order of their places in the file. A tensor that has not been read
        from its beginning to its end is read for it, a little at a time.

        Raises
        ------
        CheckpointError
            If the file ends before a wanted tensor does.
        """
        if self._file.known is not None:
            return self._file.known
        tensors = self.header.tensors
        combined = hashlib.sha256(bytes.fromhex(self.header.digest))
        for name in sorted(wanted, key=lambda name: tensors[name].start):
            start, stop = self._span(tensors[name])
            digest = self._digests.get(name)
            if digest is None or digest.end < stop - start:
                combined.update(self._file.hashed(start, stop))
            else:
                combined.update(digest.sha256.digest())
        return combined.hexdigest()


class _Digest:
    """Of a tensor's bytes from its beginning as far as they have been read in order."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.end = 0

    def follow(self, start: int, content: Tensor) -> None:
        """Take these bytes if they are the next ones."""
        if start == self.end:
            self.sha256.update(content.numpy().data)
            self.end += content.numel()


@dataclass(frozen=True)
class GgufRows:
    """The rows of a tensor in a file on disk.

    Attributes
    ----------
    file
        The file.
    name
        The tensor's name in it.
    tensor
        Its sizes and place.
    kind
        How its rows are stored.
    """

    file: GgufFile
    name: str
    tensor: GgufTensor
    kind: RowType

    def rows(self, first: int, last: int) -> Float[Tensor, "rows columns"]:
        """Rows `first` to `last`, without the latter, as numbers of `kind.dtype`."""
        content = self.file.read(self.tensor, self.kind, self.name, first, last)
        if self.kind.name in STORED_DTYPES:
            return content.view(self.kind.dtype)
        from gguf import GGMLQuantizationType, dequantize

        # What overflows is infinite, and factors that hold it are refused.
        with np.errstate(all="ignore"):
            numbers = dequantize(content.numpy(), GGMLQuantizationType(self.tensor.kind))
        return torch.from_numpy(numbers)
