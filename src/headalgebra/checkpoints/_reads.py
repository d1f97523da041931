"""Plain reads of a file: of what is asked for, and nothing beside it.

The pages of a mapped file count as this process's memory for as long as the mapping lives, and
reading ahead fetches what nobody asked for.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, FileIO
from pathlib import Path

from headalgebra.checkpoints._errors import CheckpointError

CHUNK = 1 << 20
FETCH_AGAIN = "fetch the file again"


class PlainFile:
    """A file that is read where it is asked to be.

    Parameters
    ----------
    path
        The file.
    where
        Its name in error messages.
    """

    def __init__(self, path: Path, where: str) -> None:
        self.where = where
        self._path = path

    @contextmanager
    def opened(self) -> Iterator[FileIO]:
        """Open it without a buffer, which would read beyond what is asked for."""
        try:
            with self._path.open("rb", buffering=0) as file:
                yield file
        except OSError as error:
            raise CheckpointError(self.where, str(error), FETCH_AGAIN) from error

    def size(self, file: FileIO) -> int:
        """Bytes that it has; the next read is at its beginning."""
        size = file.seek(0, SEEK_END)
        file.seek(0)
        return size

    def fill(self, file: FileIO, content: memoryview) -> None:
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
