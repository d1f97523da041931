"""The files of a model on the Hugging Face hub, at one commit."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._holdings import transformer_folder
from headalgebra.checkpoints._hub_ranges import TRIES, range_of
from headalgebra.checkpoints._kept_ranges import KeptRanges, kept_folder, kept_sizes
from headalgebra.checkpoints._ranged_file import SMALLEST, RangedFile
from headalgebra.checkpoints.reading import AS_IT_IS, Reading

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def hub_files(
    model: str,
    revision: str,
    expected: Mapping[str, str],
    file: str | None = None,
    reading: Reading = AS_IT_IS,
) -> tuple[CheckpointFiles, str, dict[str, int | None]]:
    """List a model's files and fetch the wanted ones, or ranges of them.

    Whole files go into huggingface_hub's own cache, ranges beside it. Where the hub cannot be
    reached, or `HF_HUB_OFFLINE` is set, the files are those that are there of the commit that the
    revision was when it was last asked for.

    Parameters
    ----------
    model
        ``owner/name``, or a bare name.
    revision
        A branch, a tag or a commit.
    expected
        SHA-256 digests by file name.
    file
        The path of a GGUF file that is wanted, rather than a checkpoint of safetensors.
    reading
        Whether ranges of files may be fetched.

    Returns
    -------
    files
        Those in the folder of that file, at the root of the repository, or in the folder of its
        transformer.
    commit
        What the revision resolved to.
    sizes
        Bytes of each of them; None where the hub does not say.

    Raises
    ------
    CheckpointError
        If neither the hub nor the cache gives them.
    """
    # Imported here because only those who use the hub need it.
    from huggingface_hub import HfApi, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.utils import build_hf_headers

    hub = HfApi()
    with _hub_failures(model, revision):
        commit = hub.resolve_revision(model, revision=revision).resolved
        listed, reached = _sizes(hub, model, commit, file)
    folder = str(PurePosixPath(file).parent) if file else transformer_folder(listed)
    within = "" if folder in ("", ".") else f"{folder}/"
    sizes = {
        name.removeprefix(within): size
        for name, size in listed.items()
        if name.startswith(within) and "/" not in name.removeprefix(within)
    }

    def fetch(name: str) -> Path:
        with _hub_failures(model, revision):
            return Path(hub.hf_hub_download(model, within + name, revision=commit))

    def in_ranges(name: str, whole: Callable[[], tuple[Path, str | None]]) -> RangedFile | None:
        size = sizes[name]
        here = try_to_load_from_cache(model, within + name, revision=commit)
        if isinstance(here, str) or size is None or size < SMALLEST:
            return None

        def of_hub(start: int, stop: int) -> Iterator[bytes]:
            url = hf_hub_url(model, within + name, revision=commit)
            with _hub_failures(model, revision):
                yield from range_of(url, start, stop, size, build_hf_headers(), tries)

        kept = KeptRanges(kept_folder(model, commit) / within / name, size)
        ahead = name.endswith(".gguf")
        return RangedFile(f"{origin}/{name}", size, kept, of_hub, whole, ahead=ahead)

    tries = TRIES if reached else 0
    origin = f"{model} at {commit[:12]}" + ("" if reached else ", as cached")
    origin += f"/{folder}" if within else ""
    ranged = (lambda *_: None) if reading.fetch == "files" else in_ranges
    return CheckpointFiles(origin, sizes, fetch, expected, _stated_digest, ranged), commit, sizes


def is_kept(model: str, revision: str, file: str) -> bool:
    """Whether ranges of a file are on this machine, at what the revision was when last asked for.

    Parameters
    ----------
    model, revision
        As in `hub_files`.
    file
        Its path in the repository.
    """
    from huggingface_hub import HfApi, errors

    try:
        commit = HfApi().resolve_revision(model, revision=revision, local_files_only=True).resolved
    except errors.RevisionResolutionError:
        return False
    return file in kept_sizes(kept_folder(model, commit))


def _sizes(
    hub: "HfApi", model: str, commit: str, file: str | None
) -> tuple[dict[str, int | None], bool]:
    """Files of a repository and their bytes, and whether the hub was reached."""
    from httpx2 import HTTPError
    from huggingface_hub import errors, try_to_load_from_cache

    try:
        listed = hub.model_info(model, revision=commit, files_metadata=True).siblings or []
    except (HTTPError, errors.OfflineModeIsEnabled) as error:
        answered = isinstance(error, errors.HfHubHTTPError) and error.response.status_code < 500
        wanted = (file,) if file else ("config.json", "0_Transformer/config.json")
        places = (try_to_load_from_cache(model, name, revision=commit) for name in wanted)
        place = next((path for path in places if isinstance(path, str)), None)
        kept = kept_sizes(kept_folder(model, commit))
        if answered or (place is None and file not in kept):
            raise
        cached = kept
        if place is not None:
            snapshot = next(p for p in Path(place).parents if p.parent.name == "snapshots")
            found = (it for it in snapshot.rglob("*") if it.is_file())
            cached |= {str(it.relative_to(snapshot)): it.stat().st_size for it in found}
        return {**cached}, False
    return {it.rfilename: it.size for it in listed}, True


def _stated_digest(path: Path) -> str | None:
    """The digest of a large file, which the cache keeps under it; of others it has another."""
    kept_as = path.resolve().name
    return kept_as if path.is_symlink() and re.fullmatch("[0-9a-f]{64}", kept_as) else None


@contextmanager
def _hub_failures(model: str, revision: str) -> Iterator[None]:
    """Turn what the hub's client raises into one line that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub import constants, errors

    where = f"{model} at {revision}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise CheckpointError(
            where,
            "the model is gated",
            f"accept its terms on the hub's page of {model}, then log in with: hf auth login",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            where,
            "the hub has no such model, or it is private",
            "check the id, or log in with: hf auth login",
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(
            where, "the model has no such revision", "name a branch, a tag or a commit it has"
        ) from error
    except errors.HFValidationError as error:
        raise CheckpointError(where, str(error), "write the id as owner/name") from error
    except (HTTPError, OSError, errors.RevisionResolutionError) as error:
        # What went wrong first is the news: the cache was only the way out.
        cause = error.__cause__ or error
        folder = (
            f"bring a folder made elsewhere with: hf download {model} --revision {revision} "
            "--local-dir FOLDER"
        )
        if constants.HF_HUB_OFFLINE:
            raise CheckpointError(
                where,
                f"HF_HUB_OFFLINE is set, and {constants.HF_HUB_CACHE} does not hold what is wanted",
                "unset it where the hub can be reached, point HF_HOME at a cache that holds the "
                f"model, or {folder}",
            ) from error
        raise CheckpointError(
            where,
            f"not fetched: {type(cause).__name__}: {cause}",
            f"run this where the hub can be reached, or {folder}",
        ) from error
