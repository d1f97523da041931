"""What to do about a lock that another run holds, or that a killed one left."""

import re
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


def _orphans() -> str:
    """How the jobs of the last run on a cluster are ended."""
    for log in sorted(STATE.glob("log/*.log"), reverse=True):
        if run := re.search(r"SLURM run ID: (\S+)", log.read_text(errors="replace")):
            return f" end what jobs it left (scancel --name {run[1]}),"
    return ""
