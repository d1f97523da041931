"""The Python source files of installed packages."""

import re
from importlib import metadata
from pathlib import Path, PurePosixPath

from headalgebra.text.errors import TextError

LEFT_OUT = re.compile(
    r"(?:.*/)?(?:tests?|testing|_vendor|vendored|conftest\.py|__config__\.py|_?version\.py"
    r"|_distributor_init.*\.py)(?:/.*)?"
)
"""Tests, code of others, and files that are written when a package is built."""


def python_sources(package: str) -> list[Path]:
    """Its source files, in the order of their names.

    Raises
    ------
    TextError
        If it is not installed.
    """
    distribution = _distribution(package)
    names = {
        str(PurePosixPath(*file.parts)): Path(str(distribution.locate_file(file)))
        for file in distribution.files or ()
        if file.suffix == ".py" and ".." not in file.parts
    }
    return [names[name] for name in sorted(names) if not LEFT_OUT.fullmatch(name)]


def version_of(package: str) -> str:
    """The installed version."""
    return _distribution(package).version


def _distribution(package: str) -> metadata.Distribution:
    try:
        return metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise TextError(
            f"package {package}", "not installed", f"pip install --no-deps {package}"
        ) from error
