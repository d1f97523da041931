"""Texts to train on: files in three parts, of which no two have a file or a text in common.

Which part a file belongs to is decided by the hash of its path alone, so that a file that is added
or changed moves no other one.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

from headalgebra.defaults import TRAINING_PACKAGES
from headalgebra.text._packages import python_sources
from headalgebra.text._prose import whole_docstrings
from headalgebra.text.corpora import plain, read_file, versions
from headalgebra.text.errors import TextError

TRAINED_BELOW, VALIDATED_BELOW = 0.9, 0.95
"""Hashes of paths, as shares of the largest one, where the first two of three parts end."""

LEADING_COMMENT = re.compile(r"(?:[^\S\n]*(?:#[^\n]*)?\n)*")
LICENCE = re.compile(r"copyright|licen[cs]e", re.IGNORECASE)


@dataclass(frozen=True)
class Split:
    """Texts by the path of the file that each is from, in three parts.

    The texts of a part are in the order of the hashes of their paths: like a draw without
    replacement, but the same one everywhere.

    Attributes
    ----------
    name
        What it is called in messages.
    train, validation, test
        About 90, 5 and 5 % of the files. Each text stands once in all of them together.
    origins
        What they were made from, by name: the version of a package, the SHA-256 digest of a file.
    """

    name: str
    train: Mapping[str, str] = field(repr=False)
    validation: Mapping[str, str] = field(repr=False)
    test: Mapping[str, str] = field(repr=False)
    origins: Mapping[str, str] = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of all paths and texts in their order."""
        found = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            for path, text in part.items():
                for piece in (path.encode(), text.encode()):
                    found.update(len(piece).to_bytes(8, "little") + piece)
        return found.hexdigest()


def split_source(packages: Sequence[str] = TRAINING_PACKAGES) -> Split:
    """The Python source code of installed packages, without the licences at the head of files.

    Parameters
    ----------
    packages
        Names under which they were installed. Their tests are left out, and so are the files that
        differ from build to build.

    Raises
    ------
    TextError
        If a package is not installed, or a part has no text.
    """
    return _split_packages("source", packages, lambda code: [without_licence(code)])


def split_docstrings(packages: Sequence[str] = TRAINING_PACKAGES) -> Split:
    """The docstrings of installed packages as they stand, an empty line between two.

    Parameters
    ----------
    packages
        As in `split_source`. They are read and not imported.

    Raises
    ------
    TextError
        As in `split_source`.
    """
    return _split_packages("docstrings", packages, whole_docstrings)


def split_folder(path: str | PathLike[str]) -> Split:
    """The files of a folder and of the folders in it, but for hidden ones.

    Raises
    ------
    TextError
        If there is no folder, a file is not UTF-8, or a part has no text.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise TextError(str(path), "no such folder", "give the path of a folder of text files")
    origins: dict[str, str] = {}

    def texts() -> Iterator[tuple[str, list[str]]]:
        for found in sorted(folder.rglob("*")):
            within = found.relative_to(folder)
            if found.is_file() and not any(part.startswith(".") for part in within.parts):
                text, origins[within.as_posix()] = read_file(found, str(found))
                yield within.as_posix(), [text]

    train, validation, test = _parts(str(path), texts())
    return Split(str(path), train, validation, test, origins)


def without_licence(code: str) -> str:
    """Python source without the comment that it begins with, if that speaks of a licence."""
    comment = LEADING_COMMENT.match(code)
    assert comment is not None  # it matches nothing at all, too
    return code[comment.end() :] if LICENCE.search(comment.group()) else code


def hashed(path: str) -> float:
    """The hash of a path, uniform in [0, 1)."""
    # Of the first 53 bits, which a float has room for.
    first = hashlib.sha256(path.encode()).digest()[:7]
    return (int.from_bytes(first, "big") >> 3) / 2**53


def _split_packages(
    name: str, packages: Sequence[str], kept: Callable[[str], Iterable[str]]
) -> Split:
    texts = (
        (path, list(kept(plain(found.read_text(encoding="utf-8")))))
        for package in packages
        for path, found in python_sources(package).items()
    )
    train, validation, test = _parts(name, texts)
    return Split(name, train, validation, test, versions(packages))


def _parts(name: str, texts: Iterable[tuple[str, list[str]]]) -> list[dict[str, str]]:
    """What is left of the texts of each file where each is taken once, in the three parts."""
    seen: set[str] = set()
    kept: dict[str, str] = {}
    for path, pieces in texts:
        new = [piece for piece in dict.fromkeys(pieces) if piece.strip() and piece not in seen]
        seen |= {*new}
        if new:
            kept[path] = "\n\n".join(new)
    ordered = {path: kept[path] for path in sorted(kept, key=hashed)}
    parts: list[dict[str, str]] = []
    for part, start, end in (
        ("training", 0.0, TRAINED_BELOW),
        ("validation", TRAINED_BELOW, VALIDATED_BELOW),
        ("test", VALIDATED_BELOW, 1.0),
    ):
        parts.append({path: it for path, it in ordered.items() if start <= hashed(path) < end})
        if not parts[-1]:
            raise TextError(
                name,
                f"the {part} part has no text: files are drawn into parts by their paths, and of "
                f"{len(kept)} none fell into it",
                "give more files",
            )
    return parts
