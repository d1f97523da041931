"""Unpack a zip archive that several installed Python packages carry in parts, beside the first.

    python envs/unpack_parts.py PACKAGE PACKAGE …

Each package has one part, a file whose name ends in `.zip.001`, `.zip.002` and so on. What the
archive holds is then a folder of the first package, which `source: package` of a model file names.
"""

import argparse
import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

PART = re.compile(r"(.+\.zip)\.([0-9]{3})")
"""The name of a part: that of the whole, and its number from 1."""


def part_of(package: str) -> Path:
    """The part that a package carries.

    Raises
    ------
    ValueError
        When the package is not installed, or carries none or several.
    """
    try:
        files = metadata.distribution(package).files or []
    except metadata.PackageNotFoundError:
        raise ValueError(f"{package} is not installed") from None
    found = [Path(str(file.locate())) for file in files if PART.fullmatch(file.name)]
    if len(found) != 1:
        raise ValueError(f"{package} has {len(found)} files *.zip.001, *.zip.002, …, not one")
    return found[0]


def whole(parts: Iterable[Path]) -> list[Path]:
    """The parts in order.

    Raises
    ------
    ValueError
        When they are of several archives, or a number is missing or there twice.
    """
    named = {path: PART.fullmatch(path.name) for path in parts}
    numbers = {path: int(name[2]) for path, name in named.items() if name}
    ordered = sorted(numbers, key=numbers.__getitem__)
    alike = {name[1] for name in named.values() if name}
    if len(alike) != 1 or [numbers[path] for path in ordered] != [*range(1, len(named) + 1)]:
        told = ", ".join(sorted(path.name for path in named))
        raise ValueError(f"{told}: not the parts of one archive, each once from 001 on")
    return ordered


def unpack(parts: Sequence[Path], target: Path) -> list[str]:
    """Unpack the archive that the parts are when joined, all of it or nothing.

    Returns
    -------
    list
        Names in the target that it has made or replaced.

    Raises
    ------
    ValueError
        When they are no archive, or a name in it is not a plain path inside of it.
    """
    with tempfile.TemporaryDirectory(dir=target, prefix=".unpacking-") as aside:
        with tempfile.TemporaryFile(dir=aside) as joined:
            for part in parts:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, joined)
            try:
                with ZipFile(joined) as archive:
                    refuse_outside(archive.namelist())
                    archive.extractall(aside)
            except BadZipFile as error:
                raise ValueError(f"{parts[0].name} and what follows: {error}") from None
        made = sorted(Path(aside).iterdir())
        for path in made:
            there = target / path.name
            if there.is_dir():
                shutil.rmtree(there)
            path.rename(there)
        return [path.name for path in made]


def refuse_outside(names: Iterable[str]) -> None:
    """Raise a ValueError for a name in an archive that leads out of it, on any system."""
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", name):
            raise ValueError(f"the archive has a file {name!r}, which leads out of it")


def main() -> None:
    """Unpack what the packages carry beside the first part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", nargs="+", help="installed, with one part each")
    try:
        parts = whole(map(part_of, parser.parse_args().package))
        unpack(parts, parts[0].parent)
    except ValueError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
