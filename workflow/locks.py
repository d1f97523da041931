"""What to do about a folder that no run can work in, and about a lock that is in the way."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

STATE = Path(".snakemake")


def advice() -> str | None:
    """What to tell a user whose folder is locked; None where it is not.

    Snakemake's own message names ``--unlock`` alone. On a cluster the jobs of a killed run go on
    writing, and have to be ended before.
    """
    if not any(STATE.glob("locks/*")):
        return None
    return (
        "This folder is locked by a run that goes on, or by one that was killed. Let the one end; "
        f"after the other{_orphans()} give the same command with --unlock, then as it was. "
        "See docs/hpc.md."
    )


def unwritable(folders: Iterable[Path]) -> str | None:
    """What to tell a user who may not write where a run has to; None where there is no such place.

    A folder that is not there yet is made in the one above it.
    """
    for folder in folders:
        place = folder if folder.exists() else folder.parent
        if not os.access(place, os.W_OK):
            return (
                f"{place.resolve()}: you may not write here, or the disk is read only; a run keeps "
                "its state and its results there. Work in a clone of your own, or mend the rights."
            )
    return None


def _orphans() -> str:
    """How the jobs of the last run on a cluster are ended."""
    for log in sorted(STATE.glob("log/*.log"), reverse=True):
        if run := re.search(r"SLURM run ID: (\S+)", log.read_text(errors="replace")):
            return f" end what jobs it left (scancel --name {run[1]}),"
    return ""
