"""The files of a checkpoint, and the digests that say what was read of them."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._ranged_file import RangedFile
from headalgebra.checkpoints._reads import PlainFile, ReadFile

POINTER = b"version https://git-lfs.github.com/spec/"
LARGEST_POINTER = 300

Ranged = Callable[[str, Callable[[], tuple[Path, str | None]]], RangedFile | None]
"""Gives a file of which ranges can be fetched, by its name and what fetches it whole."""


class CheckpointFiles:
    """The files of a checkpoint, each fetched when it is asked for.

    Parameters
    ----------
    origin
        The checkpoint's name in error messages.
    names
        The files it has.
    fetch
        Gives the local path of one of them.
    expected
        SHA-256 digests, in hex, by file name. All of them are checked here.
    stated
        Gives the SHA-256 digest of a whole file, in hex, where it is known without reading it.
    in_ranges
        Gives a file of which ranges can be fetched, or None where it is fetched whole. One whose
        digest is expected always is.

    Attributes
    ----------
    digests
        The SHA-256 digest, in hex, of each file that is known whole so far.

    Raises
    ------
    CheckpointError
        If an expected digest is malformed, differs, or names a file that is not there.
    """

    def __init__(
        self,
        origin: str,
        names: Iterable[str],
        fetch: Callable[[str], Path],
        expected: Mapping[str, str],
        stated: Callable[[Path], str | None] = lambda _: None,
        in_ranges: Ranged = lambda *_: None,
    ) -> None:
        """Check every expected digest."""
        self.origin = origin
        self.names = frozenset(names)
        self.digests: dict[str, str] = {}
        self._fetch = fetch
        self._expected = expected
        self._stated = stated
        self._in_ranges = in_ranges
        self._paths: dict[str, Path] = {}
        self._ranged: dict[str, RangedFile] = {}
        for name in expected:
            self.hashed(name)

    def where(self, name: str) -> str:
        """Name a file of this checkpoint for an error message."""
        return f"{self.origin}/{name}"

    def path(self, name: str) -> Path:
        """Fetch a file the first time it is asked for, and read nothing of it.

        Raises
        ------
        CheckpointError
            If the checkpoint has no such file, or a pointer in its place.
        """
        if name not in self._paths:
            if name not in self.names:
                raise CheckpointError(
                    self.where(name), "no such file in the checkpoint", "check the name, or add it"
                )
            path = self._fetch(name)
            if _is_pointer(path):
                raise CheckpointError(
                    self.where(name),
                    "a Git LFS pointer, which stands for the file in a clone without it",
                    "fetch the files with: git lfs pull",
                )
            if stated := self._stated(path):
                self.digests[name] = stated
            self._paths[name] = path
        return self._paths[name]

    def ranged(self, name: str) -> RangedFile | None:
        """A file of which ranges can be fetched, the same each time; None of one that is whole."""
        if name not in self._ranged and name in self.names and name not in self._paths:

            def whole() -> tuple[Path, str | None]:
                return self.path(name), self.digests.get(name)

            if found := self._in_ranges(name, whole):
                self._ranged[name] = found
        return self._ranged.get(name)

    def parts(self, name: str) -> ReadFile:
        """A file that is read in parts.

        Raises
        ------
        CheckpointError
            As `path`.
        """
        if ranged := self.ranged(name):
            return ranged
        return PlainFile(self.path(name), self.where(name), self.digests.get(name))

    def hashed(self, name: str) -> Path:
        """Fetch a file, hash it whole, and compare with the expected digest if there is one.

        Raises
        ------
        CheckpointError
            If the checkpoint has no such file, or its digest is not the expected one.
        """
        path = self.path(name)
        self.digests[name] = self._verified_digest(name, path)
        return path

    def _verified_digest(self, name: str, path: Path) -> str:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        expected = self._expected.get(name, found).lower()
        if not re.fullmatch("[0-9a-f]{64}", expected):
            raise CheckpointError(
                self.where(name), f"sha256 {expected!r} is no digest", "give 64 hex digits"
            )
        if expected != found:
            raise CheckpointError(
                self.where(name),
                f"sha256 expected {expected}, found {found}",
                "fetch the file again, or correct the digest if this is the file you mean",
            )
        return found


def _is_pointer(path: Path) -> bool:
    """Whether Git has left a note of a large file where the file should be."""
    if path.stat().st_size > LARGEST_POINTER:
        return False
    with path.open("rb") as file:
        return file.read(len(POINTER)) == POINTER


@dataclass(frozen=True)
class Provenance:
    """Which checkpoint it is, and what was read of it.

    Parameters
    ----------
    named
        The revision its source gives it, or None where its content does.
    whole
        Digests of whole files, by name.
    parts
        Gives the digest of what is wanted of a file, by name.
    content
        The files that a revision made from the content covers, in order.
    unread
        Keys of the configuration that were let pass without being understood, and why.
    note
        What else a reader of the numbers should know.
    """

    named: str | None
    whole: Mapping[str, str]
    parts: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    content: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def files(self) -> dict[str, str]:
        """The digest of each file read."""
        return {**self.whole, **{name: digest() for name, digest in self.parts.items()}}

    @property
    def hashed(self) -> dict[str, Literal["whole", "read"]]:
        """What each of those digests is taken over."""
        return {**dict.fromkeys(self.whole, "whole"), **dict.fromkeys(self.parts, "read")}

    @property
    def revision(self) -> str:
        """The name given, or that of the content."""
        if self.named is not None:
            return self.named
        files = self.files
        return content_revision(files[name] for name in self.content)


def content_revision(digests: Iterable[str]) -> str:
    """Short name of the weights with these file digests, in this order."""
    listed = list(digests)
    whole = listed[0] if len(listed) == 1 else hashlib.sha256("".join(listed).encode()).hexdigest()
    return f"sha256:{whole[:12]}"
