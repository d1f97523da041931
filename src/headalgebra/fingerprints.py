"""Whether files are still as they were left: their sizes, times and SHA-256."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ENDING = ".left.json"
"""Of the file that keeps the fingerprints of what a job left, beside its log."""


class Fingerprint(NamedTuple):
    """What one file was when it was finished.

    The digest alone tells whether it is still the same. While size and time are what they were, it
    is not computed.
    """

    size: int
    mtime_ns: int
    sha256: str


Fingerprints = Mapping[str, Mapping[str, Fingerprint]]
"""By file or folder, the fingerprint of each file in it; of a file, its own under an empty name."""


def take_fingerprints(paths: Iterable[str]) -> Fingerprints:
    """Of some files, and of all files in some folders.

    Raises
    ------
    OSError
        When one of them is not there.
    """
    return {
        path: {name: _fingerprint(Path(path, name)) for name in _files_in(Path(path))}
        for path in paths
    }


def write_fingerprints(file: Path, taken: Fingerprints) -> None:
    """Keep them in a file, as JSON, which is whole whenever it is there."""
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(json.dumps(taken), encoding="utf-8")
    partial.replace(file)


def read_fingerprints(file: Path) -> Fingerprints:
    """What `write_fingerprints` wrote; nothing where the file is not that."""
    try:
        return {
            path: {name: Fingerprint(*fingerprint) for name, fingerprint in files.items()}
            for path, files in json.loads(file.read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def compared(taken: Fingerprints) -> tuple[list[str], Fingerprints]:
    """Which of the files and folders still there are not as they were, and the renewed record.

    What lies in a folder beside the files that it had is let be. The fingerprints that are given
    back have the present time of each file that is as it was: with these, a copy is read once.
    """
    differ = []
    now: dict[str, Mapping[str, Fingerprint]] = {}
    for path, files in taken.items():
        found = {name: _as_it_was(Path(path, name), was) for name, was in files.items()}
        if Path(path).exists() and None in found.values():
            differ.append(path)
        now[path] = {name: found[name] or was for name, was in files.items()}
    return differ, now


def _as_it_was(path: Path, was: Fingerprint) -> Fingerprint | None:
    """The fingerprint of a file whose bytes are those it had."""
    try:
        found = path.stat()
        same = found.st_size == was.size and (
            found.st_mtime_ns == was.mtime_ns or _sha256(path) == was.sha256
        )
    except OSError:
        return None
    return was._replace(mtime_ns=found.st_mtime_ns) if same else None


def _fingerprint(path: Path) -> Fingerprint:
    found = path.stat()
    return Fingerprint(found.st_size, found.st_mtime_ns, _sha256(path))


def _files_in(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield ""
        return
    for inside in sorted(path.rglob("*")):
        if inside.is_file():
            yield str(inside.relative_to(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
