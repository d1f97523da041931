"""What became of results since the jobs that left them ended."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import paths
from headalgebra.fingerprints import ENDING, changed, read_fingerprints


def damaged_results() -> Iterator[str]:
    """Those that are not as their jobs left them: cut off, overwritten, or short of files."""
    for record in sorted(Path(paths.LOGS).rglob(f"*{ENDING}")):
        yield from changed(read_fingerprints(record))


def delete_damaged_results(*, dry_run: bool) -> Iterator[str]:
    """Delete them, so that they are made again; a line for each, which a dry run says as well."""
    for path in damaged_results():
        if dry_run:
            yield f"{path} is not what its job left there: a run deletes it and makes it again."
            continue
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink()
        yield f"{path} is not what its job left there: it was deleted, and is made again."
