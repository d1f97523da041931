"""The Python source files of installed packages."""

import re
from importlib import metadata
from pathlib import Path, PurePosixPath

from headalgebra.text.errors import TextError

LEFT_OUT = re.compile(
    r"[^/]*/__init__\.py|(?:.*/)?(?:tests?|testing|_vendor|vendored|conftest\.py|__config__\.py"
    r"|_?version\.py|_distributor_init.*\.py|distutils)(?:/.*)?"
)
"""Tests, code of others, and files that are written or changed when a package is built.

Without them the wheels of numpy 2.4.6 and scipy 1.17.1 for Linux, macOS and Windows, and for Python
3.11 and 3.12, have the same files. numpy has distutils before Python 3.12 alone, and the first
module of either is patched for Windows.
"""


def python_sources(package: str) -> dict[str, Path]:
    """Its source files by their names in the folder of packages, in the order of those.

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
    return {name: names[name] for name in sorted(names) if not LEFT_OUT.fullmatch(name)}


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
