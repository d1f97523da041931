"""The files of a checkpoint, hashed before anything is read from them."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from headalgebra.checkpoints._errors import CheckpointError


class VerifiedFiles:
    """The files of a checkpoint, each hashed and compared before its path is given out.

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

    Attributes
    ----------
    digests
        The SHA-256 digest, in hex, of each file given out so far.

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
    ) -> None:
        """Check every expected digest."""
        self.origin = origin
        self.names = frozenset(names)
        self.digests: dict[str, str] = {}
        self._fetch = fetch
        self._expected = expected
        self._paths: dict[str, Path] = {}
        for name in expected:
            self.path(name)

    def where(self, name: str) -> str:
        """Name a file of this checkpoint for an error message."""
        return f"{self.origin}/{name}"

    def path(self, name: str) -> Path:
        """Fetch, hash and verify a file the first time it is asked for.

        Raises
        ------
        CheckpointError
            If the checkpoint has no such file, or its digest is not the expected one.
        """
        if name not in self._paths:
            if name not in self.names:
                raise CheckpointError(
                    self.where(name), "no such file in the checkpoint", "check the name, or add it"
                )
            path = self._fetch(name)
            self.digests[name] = self._verified_digest(name, path)
            self._paths[name] = path
        return self._paths[name]

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


def content_revision(digests: Iterable[str]) -> str:
    """Short name of the weights with these file digests, in this order."""
    listed = list(digests)
    whole = listed[0] if len(listed) == 1 else hashlib.sha256("".join(listed).encode()).hexdigest()
    return f"sha256:{whole[:12]}"
