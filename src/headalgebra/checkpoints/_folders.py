"""Folders on this machine, and the files of a checkpoint in them."""

from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path

from headalgebra.checkpoints._config import CONFIG
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._holdings import transformer_folder


def folder_files(path: Path, expected: Mapping[str, str]) -> CheckpointFiles:
    """The files directly in a folder, or in that of its transformer."""
    if not path.is_dir():
        raise CheckpointError(str(path), "no such folder", "correct the path")
    nested = path.glob("*_Transformer/*")
    names = {str(it.relative_to(path)) for it in (*path.iterdir(), *nested) if it.is_file()}
    return files_beside(path / transformer_folder(names) / CONFIG, expected)


def files_beside(file: Path, expected: Mapping[str, str]) -> CheckpointFiles:
    """The files in the folder of this one, itself among them; none may lie elsewhere.

    The links of a snapshot in a Hugging Face cache lead to the blobs of the same model there.
    """
    path = file.parent
    if not path.is_dir():
        raise CheckpointError(str(path), "no such folder", "correct the path")
    allowed = [path.resolve()]
    if path.resolve().parent.name == "snapshots":
        allowed.append(path.resolve().parent.parent / "blobs")

    def inside(name: str) -> Path:
        file = path / name
        if not any(file.resolve().is_relative_to(folder) for folder in allowed):
            raise CheckpointError(
                str(file),
                f"a symbolic link that leads out of the folder, to {file.resolve()}",
                "put the file itself into the folder",
            )
        return file

    names = {entry.name for entry in path.iterdir() if entry.is_file()}
    return CheckpointFiles(str(path), names, inside, expected)


def folder_in_package(distribution: str, folder: str) -> Path:
    """The folder inside one of the import packages that a distribution installed.

    `find_spec` locates a top-level package without running its code.
    """
    where = f"package {distribution}"
    candidates = set()
    for name, owners in metadata.packages_distributions().items():
        spec = util.find_spec(name) if distribution in owners else None
        for location in (spec and spec.submodule_search_locations) or ():
            root = Path(location).resolve()
            inside = (root / folder).resolve()
            if not inside.is_relative_to(root):
                raise CheckpointError(
                    where, f"folder {folder!r} leaves the package", "give a path inside it"
                )
            if inside.is_dir():
                candidates.add(inside)
    if len(candidates) != 1:
        raise CheckpointError(
            where,
            f"folder {folder!r} was found {len(candidates)} times in it",
            "give the path of one folder inside the package",
        )
    return candidates.pop()
