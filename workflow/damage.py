"""What became of results since the jobs that left them ended."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import paths
from headalgebra.fingerprints import ENDING, compared, read_fingerprints, write_fingerprints


def damaged_results(*, dry_run: bool) -> Iterator[str]:
    """Those that are not as their jobs left them: cut off, overwritten, or short of files.

    A run notes the new times of files that were copied, so that the next one need not read them.
    """
    for record in sorted(Path(paths.LOGS).rglob(f"*{ENDING}")):
        taken = read_fingerprints(record)
        differ, now = compared(taken)
        if now != taken and not dry_run:
            write_fingerprints(record, now)
        yield from differ


def delete_damaged_results(*, dry_run: bool) -> Iterator[str]:
    """Delete them, so that they are made again; a line for each, which a dry run says as well."""
    for path in damaged_results(dry_run=dry_run):
        if dry_run:
            yield f"{path} is not what its job left there: a run deletes it and makes it again."
            continue
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink()
        yield f"{path} is not what its job left there: it was deleted, and is made again."
