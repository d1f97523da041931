"""The files of a model on the Hugging Face hub, at one commit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headalgebra.checkpoints._digest import VerifiedFiles
from headalgebra.checkpoints._errors import CheckpointError


def hub_files(model: str, revision: str, expected: Mapping[str, str]) -> tuple[VerifiedFiles, str]:
    """List a model's files and fetch the wanted ones into huggingface_hub's own cache.

    Parameters
    ----------
    model
        ``owner/name``, or a bare name.
    revision
        A branch, a tag or a commit.
    expected
        SHA-256 digests by file name.

    Returns
    -------
    files
        Those at the root of the repository.
    commit
        What the revision resolved to.

    Raises
    ------
    CheckpointError
        If the hub does not give them.
    """
    # Imported here because only those who use the hub need it.
    from huggingface_hub import HfApi

    hub = HfApi()
    with _hub_failures(model, revision):
        listing = hub.model_info(model, revision=revision)
    commit = listing.sha
    if commit is None or listing.siblings is None:
        raise CheckpointError(
            f"{model} at {revision}", "the hub gave no commit or no list of files", "try again"
        )

    def fetch(name: str) -> Path:
        with _hub_failures(model, revision):
            return Path(hub.hf_hub_download(model, name, revision=commit))

    names = {file.rfilename for file in listing.siblings if "/" not in file.rfilename}
    return VerifiedFiles(f"{model} at {commit[:12]}", names, fetch, expected), commit


@contextmanager
def _hub_failures(model: str, revision: str) -> Iterator[None]:
    """Turn what the hub's client raises into one line that says what to do."""
    from httpx2 import HTTPError
    from huggingface_hub import errors

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
    except (HTTPError, OSError) as error:
        raise CheckpointError(
            where,
            f"not fetched: {type(error).__name__}: {error}",
            "run this where the hub can be reached, or bring a folder made elsewhere with: "
            f"hf download {model} --revision {revision} --local-dir FOLDER",
        ) from error
