"""The header of a GGUF file, scanned without trusting anything in it.

It holds named values, then the name, sizes, type and place of each tensor. Most of it is the
tokenizer, which is passed over. Nothing is given room before it is known to be in the file.

References
----------
The ggml authors, "GGUF", https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import hashlib
import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import RawIOBase
from struct import calcsize, unpack, unpack_from
from typing import Any, NoReturn

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._reads import FETCH_AGAIN, ReadFile

VERSIONS = (2, 3)
LARGEST_HEADER = 100_000_000
"""Bytes; a tokenizer of a quarter of a million tokens takes a tenth of it."""
MOST_ENTRIES = 1 << 16
"""Of named values, and of tensors; real files have some hundreds."""
LONGEST_TEXT = 1 << 12
"""Bytes of a name, and of a text that is kept."""
LONGEST_ARRAY = 1 << 12
"""Numbers of an array that is kept."""
MOST_AXES = 4
PART = 1 << 16
"""Bytes read at once."""

NUMBERS = {
    **{0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?"},
    **{10: "<Q", 11: "<q", 12: "<d"},
}
"""Types of values that are single numbers, in the notation of `struct`."""
TEXT, ARRAY = 8, 9
COUNT, KIND = "<Q", "<I"

Number = int | float | bool
Value = Number | str | list[Number]


@dataclass(frozen=True)
class GgufTensor:
    """What a header says of a tensor.

    Attributes
    ----------
    shape
        Its sizes; numbers along the last axis are neighbours in the file.
    kind
        The number of its type.
    start
        The byte of the file where it begins.
    """

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True)
class GgufHeader:
    """What a file says of itself.

    Attributes
    ----------
    values
        Named values, but for those of the tokenizer, long texts, and long arrays or such of texts.
    tensors
        By name.
    digest
        SHA-256 of the header's bytes, in hex.
    alignment
        Tensors begin at multiples of so many bytes, counted from the first of them.
    size
        Bytes of the file.
    """

    values: Mapping[str, Value]
    tensors: Mapping[str, GgufTensor]
    digest: str
    alignment: int
    size: int


def read_header(file: ReadFile) -> GgufHeader:
    """Scan a file's header.

    Raises
    ------
    CheckpointError
        If it is no GGUF file of a version that is read, ends before its header does, or claims
        what cannot be.
    """
    with file.opened() as opened:
        scan = _Scan(file, opened)
        if (magic := scan.take(4)) != b"GGUF":
            scan.refuse(f"no GGUF file: it begins with {magic!r}")
        version = scan.take(4)
        if int.from_bytes(version, "little") not in VERSIONS:
            if int.from_bytes(version, "big") in VERSIONS:
                scan.refuse("its numbers are big-endian, which is not read")
            number = int.from_bytes(version, "little")
            scan.refuse(f"GGUF version {number} is not read, only {VERSIONS[0]} and {VERSIONS[1]}")
        n_tensors, n_values = scan.number(COUNT), scan.number(COUNT)
        for count, what in ((n_tensors, "tensors"), (n_values, "named values")):
            if count > MOST_ENTRIES:
                scan.refuse(f"it claims {count} {what}, where up to {MOST_ENTRIES} are read")
        values: dict[str, Value] = {}
        seen = set[str]()
        for _ in range(n_values):
            name = scan.name()
            _once(scan, name, seen)
            value = scan.value(scan.number(KIND), name)
            if value is not None and not name.startswith("tokenizer."):
                values[name] = value
        tensors: dict[str, GgufTensor] = {}
        for _ in range(n_tensors):
            name = scan.name()
            _once(scan, f"tensor {name}", seen)
            tensors[name] = scan.tensor(name)
        alignment = values.get("general.alignment", 32)
        if type(alignment) is not int or alignment <= 0 or alignment % 8:
            scan.refuse(f"general.alignment is {alignment!r}, no multiple of 8")
        data = -(-scan.place // alignment) * alignment
    return GgufHeader(
        values,
        {
            name: GgufTensor(tensor.shape, tensor.kind, data + tensor.start)
            for name, tensor in tensors.items()
        },
        scan.digest(),
        alignment,
        scan.size,
    )


def _once(scan: "_Scan", name: str, seen: set[str]) -> None:
    if name in seen:
        scan.refuse(f"{reprlib.repr(name)} is given twice")
    seen.add(name)


class _Scan:
    """A place in a header that moves on and never beyond the file."""

    def __init__(self, file: ReadFile, opened: RawIOBase) -> None:
        self.size = file.size(opened)
        self._file = file
        self._opened = opened
        self._digest = hashlib.sha256()
        self._part = b""
        self._read = 0  # bytes of the file up to the end of the part
        self._at = 0  # in the part

    def refuse(self, problem: str) -> NoReturn:
        raise CheckpointError(self._file.where, problem, FETCH_AGAIN)

    @property
    def place(self) -> int:
        """The next byte of the file."""
        return self._read - len(self._part) + self._at

    def _require(self, count: int) -> None:
        """Raise unless so many bytes follow."""
        if count > self.size - self.place:
            self.refuse("the file is cut short: it ends before its header does")
        if self.place + count > LARGEST_HEADER:
            self.refuse(f"the header has more than {LARGEST_HEADER} bytes")

    def _next_part(self) -> None:
        """Drop what was passed and read on."""
        self._digest.update(self._part[: self._at])
        content = bytearray(min(PART, self.size - self._read))
        self._file.fill(self._opened, memoryview(content))
        self._read += len(content)
        self._part, self._at = self._part[self._at :] + content, 0

    def take(self, count: int) -> bytes:
        """The next bytes; few, as the caller has seen to."""
        self._require(count)
        while len(self._part) - self._at < count:
            self._next_part()
        self._at += count
        return self._part[self._at - count : self._at]

    def skip(self, count: int) -> None:
        """Pass over the next bytes."""
        self._require(count)
        while (here := len(self._part) - self._at) < count:
            self._at += here
            count -= here
            self._next_part()
        self._at += count

    def number(self, code: str) -> Any:
        return unpack(code, self.take(calcsize(code)))[0]

    def text(self, length: int) -> str:
        content = self.take(length)
        try:
            return content.decode()
        except UnicodeDecodeError:
            self.refuse(f"{reprlib.repr(content)} is no UTF-8 text")

    def name(self) -> str:
        length = self.number(COUNT)
        if not 0 < length <= LONGEST_TEXT:
            self.refuse(f"a name would have {length} bytes, where 1 to {LONGEST_TEXT} can be")
        return self.text(length)

    def value(self, kind: int, name: str) -> Value | None:
        """A value that is worth keeping, or nothing."""
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == TEXT:
            length = self.number(COUNT)
            if length <= LONGEST_TEXT and not name.startswith("tokenizer."):
                return self.text(length)
            self.skip(length)
            return None
        if kind != ARRAY:
            self.refuse(f"{reprlib.repr(name)} is of the unknown type {kind}")
        return self._array(name)

    def _array(self, name: str) -> list[Number] | None:
        kind, count = self.number(KIND), self.number(COUNT)
        if kind == TEXT:
            self._require(count * calcsize(COUNT))
            self._skip_texts(count)
            return None
        if kind not in NUMBERS:
            self.refuse(f"{reprlib.repr(name)} is an array of the unknown type {kind}")
        code = NUMBERS[kind]
        if count > LONGEST_ARRAY:
            self.skip(count * calcsize(code))
            return None
        return [self.number(code) for _ in range(count)]

    def _skip_texts(self, count: int) -> None:
        """Pass over texts, of which a tokenizer has hundreds of thousands."""
        while count:
            if len(self._part) - self._at < calcsize(COUNT):
                self._require(calcsize(COUNT))
                self._next_part()
            at, last = self._at, len(self._part) - calcsize(COUNT)
            while count and at <= last:
                at += calcsize(COUNT) + unpack_from(COUNT, self._part, at)[0]
                count -= 1
            self.skip(at - self._at)

    def tensor(self, name: str) -> GgufTensor:
        """What comes after a tensor's name; its place is counted from the end of the header."""
        n_axes = self.number(KIND)
        if not 1 <= n_axes <= MOST_AXES:
            self.refuse(f"tensor {name} would have {n_axes} axes, where 1 to {MOST_AXES} can be")
        sizes = [self.number(COUNT) for _ in range(n_axes)]
        if math.prod(sizes) == 0:
            self.refuse(f"tensor {name} would have the sizes {sizes}")
        return GgufTensor(tuple(reversed(sizes)), self.number(KIND), self.number(COUNT))

    def digest(self) -> str:
        """SHA-256 of all that was passed."""
        whole = self._digest.copy()
        whole.update(self._part[: self._at])
        return whole.hexdigest()
