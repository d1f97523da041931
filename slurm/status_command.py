"""Which of Slurm's commands tells the states of jobs on this site.

The plugin asks sacct wherever it is installed. On a site without accounting it is installed and
does not answer, and a run would wait for ever for jobs that have ended.
"""

import os
import subprocess
import sys

CHOSEN = "HEADALGEBRA_SLURM_STATUS_COMMAND"
ASKED = {
    "sacct": ["sacct", "--allocations", "--noheader", "--format=JobIdRaw,State"],
    "squeue": ["squeue", "--noheader", "--format=%i"],
}
"""Commands that list jobs of this user, the preferred first: sacct remembers jobs the longest."""
PATIENCE = 20.0
"""Seconds for an answer; a controller that is down is asked again for about ten."""


def answering() -> str:
    """The command that the site chose, or the first that answers, and say which.

    Raises
    ------
    SystemExit
        Where none answers, or the site chose another, with one line that says so.
    """
    if chosen := os.environ.get(CHOSEN):
        if chosen not in ASKED:
            sys.exit(f"{CHOSEN}: {chosen} is neither sacct nor squeue")
        return chosen
    silent: list[str] = []
    for command, arguments in ASKED.items():
        why = refusal(arguments)
        if not why:
            because = f" ({'; '.join(silent)})" if silent else ""
            print(f"Slurm: {command} tells the states of jobs{because}", file=sys.stderr)
            return command
        silent.append(f"{command}: {why}")
    sys.exit(f"--profile slurm: neither sacct nor squeue answers here ({'; '.join(silent)})")


def refusal(arguments: list[str]) -> str:
    """Why a command gives no answer, in its own last words; nothing where it gives one."""
    try:
        done = subprocess.run(
            arguments, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except OSError as error:
        return error.strerror or str(error)
    except subprocess.TimeoutExpired:
        return f"no answer within {PATIENCE:.0f} s"
    said = done.stderr.strip().splitlines() or ["it failed without a word"]
    return said[-1].removeprefix(f"{arguments[0]}: ") if done.returncode else ""
