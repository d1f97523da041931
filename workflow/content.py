"""The files that a local checkpoint is read from, and which content they have."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from availability import roots_of_package

READ = re.compile(
    r"(config|modules)\.json|.*\.index(\.\w+)?\.json|.*\.(safetensors|gguf)|pytorch_.*\.bin|adapter.*"
    r"|(tokenizer|vocab|merges|spiece|special_tokens).*"
)
"""Names of files that decide what is read of a checkpoint's folder, and how it reads a text."""


def files_read(source: Mapping[str, Any]) -> list[str]:
    """Paths of the files that a model on this machine is read from; none of one that is not.

    Parameters
    ----------
    source
        What a model's file says of its weights.
    """
    match source:
        case {"source": "path", "path": str(path), "file": str(file)}:
            return _set_of(file, _in_folders([Path(path, file).expanduser().parent]))
        case {"source": "path", "path": str(path)}:
            return _in_folders([Path(path).expanduser()])
        case {"source": "package", "package": str(package), "file": str(file)}:
            return _set_of(file, _in_package(package, str(Path(file).parent)))
        case {"source": "package", "package": str(package), "folder": str(folder)}:
            return _in_package(package, folder)
    return []


def content_of(files: Iterable[str]) -> dict[str, list[Any]]:
    """What tells one content of these files from another without reading them.

    Snakemake itself takes a file for changed when it is newer than what was made from it. A file
    that was copied with its former time, or a link that leads elsewhere now, is older.

    Returns
    -------
    dict
        By path: where it leads to, its bytes, and when it was changed, in nanoseconds.
    """

    def state(path: Path) -> list[Any]:
        found = path.stat()
        return [str(path.resolve()), found.st_size, found.st_mtime_ns]

    return {file: state(Path(file)) for file in files if Path(file).is_file()}


def _set_of(file: str, found: Iterable[str]) -> list[str]:
    """A GGUF file among those found, with all that belong together with it."""
    alike = re.sub("-[0-9]{5}-of-", "-[0-9]{5}-of-", re.escape(Path(file).name).replace(r"\-", "-"))
    return [path for path in found if re.fullmatch(alike, Path(path).name)]


def _in_folders(folders: Iterable[Path]) -> list[str]:
    """Those in a folder, or in that of its transformer, as sentence-transformers has it."""
    found = [each for folder in folders for each in (folder, *folder.glob("*_Transformer"))]
    return sorted(str(file) for each in found for file in _entries(each))


def _entries(folder: Path) -> Iterable[Path]:
    if folder.is_file():
        return [folder]
    return (file for file in folder.glob("*") if READ.fullmatch(file.name) and file.is_file())


@cache
def _in_package(package: str, folder: str) -> list[str]:
    try:
        distribution = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        return []
    recorded = {
        Path(str(distribution.locate_file(file))).parent
        for file in distribution.files or ()
        if Path(*file.parts[1:-1]) == Path(folder)
    }
    return _in_folders(recorded or [root / folder for root in roots_of_package(distribution.name)])
