"""Ranges of files of the hub that are kept on this machine, beside the hub's own cache."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

Span = tuple[int, int]
"""The first byte, and that after the last."""

NAME = re.compile(r"(?P<start>\d+)-(?P<stop>\d+)-of-(?P<size>\d+)\.(?P<digest>[0-9a-f]{64})")
PARTIAL = ".part"


def kept_folder(model: str, commit: str) -> Path:
    """Where ranges of a model's files are kept: huggingface_hub's place for other libraries."""
    from huggingface_hub import constants

    # The commit is what a server calls it, which may be anything.
    names = model.replace("/", "--"), re.sub(r"\W", "-", commit)
    return Path(constants.HF_ASSETS_CACHE, "headalgebra", *names)


def kept_sizes(folder: Path) -> dict[str, int]:
    """The bytes of each whole file of which a folder has ranges, by its path in the repository."""
    ranges = ((path, NAME.fullmatch(path.name)) for path in folder.rglob("*-of-*"))
    found = ((path.parent.relative_to(folder), name) for path, name in ranges if name)
    return {file.as_posix(): int(name["size"]) for file, name in found}


class KeptRanges:
    """Ranges of one file's bytes, each in a file of its own.

    The name says which bytes these are, of how many, and their SHA-256 digest. Before a range is
    used it is held against that; one that is damaged is deleted.

    Parameters
    ----------
    folder
        That of the ranges of this file. It is made when there is one to be kept.
    size
        Bytes of the whole file.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._folder = folder
        self._size = size
        self._paths: dict[Span, Path] = {}
        self._sound: set[Path] = set()
        self.look_again()

    @property
    def spans(self) -> list[Span]:
        """Those that are there, sound or not."""
        return [*self._paths]

    def look_again(self) -> None:
        """Find what others have added."""
        found = [(path, NAME.fullmatch(path.name)) for path in self._folder.glob("*-of-*")]
        self._paths = {
            (int(name["start"]), int(name["stop"])): path
            for path, name in found
            if name and int(name["size"]) == self._size
        }

    def holding(self, place: int) -> tuple[Span, Path] | None:
        """The range that reaches furthest from a byte on, if there is one, and its file."""
        holding = [span for span in self._paths if span[0] <= place < span[1]]
        for span in sorted(holding, key=lambda span: span[1], reverse=True):
            path = self._paths[span]
            if self._is_sound(path, span):
                return span, path
            path.unlink(missing_ok=True)
            del self._paths[span]
        return None

    def _is_sound(self, path: Path, span: Span) -> bool:
        """Whether it is what its name says; each is hashed once."""
        if path in self._sound:
            return True
        if not path.is_file() or path.stat().st_size != span[1] - span[0]:
            return False
        with path.open("rb") as file:
            sound = path.suffix == "." + hashlib.file_digest(file, "sha256").hexdigest()
        if sound:
            self._sound.add(path)
        return sound

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other process add ranges of this file meanwhile."""
        from huggingface_hub.utils import WeakFileLock

        self._folder.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(self._folder / "lock"):
            yield

    def keep(self, span: Span, content: Iterable[bytes]) -> None:
        """Keep a range, which is there as a whole or not at all; call this `alone`."""
        for left in self._folder.glob(f"*{PARTIAL}"):  # of a process that was killed
            left.unlink()
        start, stop = span
        partial, digest = self._folder / f"{start}-{stop}{PARTIAL}", hashlib.sha256()
        with partial.open("wb") as file:
            for part in content:
                file.write(part)
                digest.update(part)
        path = self._folder / f"{start}-{stop}-of-{self._size}.{digest.hexdigest()}"
        partial.replace(path)
        self._paths[span] = path
        self._sound.add(path)
