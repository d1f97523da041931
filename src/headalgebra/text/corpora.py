"""Texts to choose sequences from: prose or code of installed packages, or a file."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

from headalgebra.defaults import PACKAGES
from headalgebra.text._packages import python_sources, version_of
from headalgebra.text._prose import prose
from headalgebra.text.errors import TextError


@dataclass(frozen=True)
class Corpus:
    """A text.

    Attributes
    ----------
    name
        What it is called in messages.
    text
        Its characters; lines end in ``\\n``.
    origins
        What it was made from, by name: the version of a package, the SHA-256 digest of a file.
    """

    name: str
    text: str = field(repr=False)
    origins: Mapping[str, str]

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the text in UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def docstrings(packages: Sequence[str] = PACKAGES) -> Corpus:
    """English prose: paragraphs of the docstrings of installed packages, each on a line.

    The packages are read and not imported, since importing some adds docstrings that differ from
    machine to machine. Paragraphs come in the order of packages, paths and lines; code, tables,
    lists, parameters and formulas are left out, and so is what was there before.

    Parameters
    ----------
    packages
        Names under which they were installed.

    Raises
    ------
    TextError
        If a package is not installed or has no docstrings of prose.
    """
    return Corpus("docstrings", _joined(packages, prose), versions(packages))


def source(packages: Sequence[str] = PACKAGES) -> Corpus:
    """The Python source code of installed packages, one file after the other.

    Parameters
    ----------
    packages
        As in `docstrings`.

    Raises
    ------
    TextError
        If a package is not installed or has no Python source.
    """
    return Corpus("source", _joined(packages, lambda code: [code]), versions(packages))


def file(path: str | PathLike[str]) -> Corpus:
    """A text file in UTF-8.

    Raises
    ------
    TextError
        If it cannot be read, or is empty or not UTF-8.
    """
    where = str(path)
    text, digest = read_file(Path(path).expanduser(), where)
    if not text.strip():
        raise TextError(where, "the file is empty", "give a file with text in it")
    return Corpus(where, text, {where: digest})


def read_file(path: Path, where: str) -> tuple[str, str]:
    """Characters of a file in UTF-8, and the SHA-256 digest, in hex, of its bytes."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TextError(where, error.strerror or str(error), "give a text file's path") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TextError(
            where,
            f"byte {error.start} is not UTF-8",
            "convert it, for example by iconv -f latin1 -t utf-8",
        ) from error
    return plain(text), hashlib.sha256(content).hexdigest()


def _joined(packages: Sequence[str], kept: Callable[[str], Iterable[str]]) -> str:
    """What is kept of each source file of each package."""
    parts: dict[str, None] = {}  # in order, each once
    for package in packages:
        before = len(parts)
        for path in python_sources(package).values():
            parts |= dict.fromkeys(kept(plain(path.read_text(encoding="utf-8"))))
        if len(parts) == before:
            raise TextError(
                f"package {package}", "it has no text of this kind", "name another package"
            )
    return "\n".join(parts) + "\n"


def plain(text: str) -> str:
    """With lines that end in ``\\n``."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of installed packages, by their names."""
    return {package: version_of(package) for package in packages}
