"""Plain reads of a file: of what is asked for, and nothing beside it.

The pages of a mapped file count as this process's memory for as long as the mapping lives, and
reading ahead fetches what nobody asked for.
"""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import SEEK_END, RawIOBase
from pathlib import Path

from headalgebra.checkpoints._errors import CheckpointError

CHUNK = 1 << 20
FETCH_AGAIN = "fetch the file again"


class ReadFile(ABC):
    """A file that is read where it is asked to be.

    Parameters
    ----------
    where
        Its name in error messages.
    known
        SHA-256 digest of the whole file, in hex, where it is known without reading it.
    """

    def __init__(self, where: str, known: str | None = None) -> None:
        self.where = where
        self.known = known

    @abstractmethod
    def _open(self) -> RawIOBase:
        """Without a buffer, which would read beyond what is asked for."""

    @abstractmethod
    def whole(self) -> Path:
        """All of it on this machine, fetched if it is not there."""

    @contextmanager
    def opened(self) -> Iterator[RawIOBase]:
        """Open it at its beginning."""
        try:
            with self._open() as file:
                yield file
        except OSError as error:
            raise CheckpointError(self.where, str(error), FETCH_AGAIN) from error

    @abstractmethod
    def settle(self, wanted: Iterable[tuple[int, int]]) -> None:
        """Learn what will be read beside the header: spans of bytes, the last not included."""

    def size(self, file: RawIOBase) -> int:
        """Bytes that it has; the next read is at its beginning."""
        size = file.seek(0, SEEK_END)
        file.seek(0)
        return size

    def fill(self, file: RawIOBase, content: memoryview) -> None:
        """Read on until the room is full.

        Raises
        ------
        CheckpointError
            If the file ends before that.
        """
        while len(content):
            count = file.readinto(content)
            if not count:
                raise CheckpointError(self.where, "the file is cut short", FETCH_AGAIN)
            content = content[count:]

    def hashed(self, start: int, stop: int) -> bytes:
        """SHA-256 digest of a span of bytes, read a little at a time."""
        digest, buffer = hashlib.sha256(), memoryview(bytearray(CHUNK))
        with self.opened() as file:
            file.seek(start)
            for begin in range(start, stop, CHUNK):
                part = buffer[: min(CHUNK, stop - begin)]
                self.fill(file, part)
                digest.update(part)
        return digest.digest()


class PlainFile(ReadFile):
    """A file on this machine, the same one each time that it is opened.

    What was checked of it when it was opened first holds of no other file that its path, or a link
    on the way, leads to later.

    Parameters
    ----------
    path
        The file.
    where, known
        As a `ReadFile` has them.
    """

    def __init__(self, path: Path, where: str, known: str | None = None) -> None:
        super().__init__(where, known)
        self._path = path
        self._identity: tuple[int, ...] | None = None

    def settle(self, wanted: Iterable[tuple[int, int]]) -> None:
        """It is all there."""

    def whole(self) -> Path:
        """Where it is."""
        return self._path

    def _open(self) -> RawIOBase:
        file = self._path.open("rb", buffering=0)
        found = os.fstat(file.fileno())
        identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if identity != (self._identity or identity):
            file.close()
            raise CheckpointError(
                self.where, "the file was changed while it was read", "let it be, and begin again"
            )
        self._identity = identity
        return file
