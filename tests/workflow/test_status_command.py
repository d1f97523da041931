"""The profile finds out which of Slurm's commands tells the states of jobs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runs import ROOT

PROFILE = """
import runpy, sys, yte
status = runpy.run_path("slurm/status_command.py")
status["refusal"].__globals__["PATIENCE"] = 1.0
runpy.run_path = lambda path: status
print(yte.process_yaml(open("slurm/config.yaml"), require_use_yte=True)["slurm-status-command"])
"""
DISABLED = "echo 'Slurm accounting storage is disabled' >&2; exit 1"
NO_CONTROLLER = "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"


def chosen(
    folder: Path, commands: dict[str, str], site: dict[str, str] | None = None
) -> tuple[str, list[str]]:
    """What the profile sets where these are the commands of Slurm, and the lines it says."""
    for name, does in commands.items():
        (folder / name).write_text(f"#!/bin/sh\n{does}\n")
        (folder / name).chmod(0o755)
    unset = {key: value for key, value in os.environ.items() if "HEADALGEBRA" not in key}
    done = subprocess.run(
        [sys.executable, "-c", PROFILE],
        cwd=ROOT,
        env={**unset, "PATH": f"{folder}:/usr/bin:/bin", **(site or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == bool(done.stdout)
    return done.stdout.strip(), done.stderr.splitlines()


def test_sacct_is_asked_where_it_answers(tmp_path: Path) -> None:
    asked = chosen(tmp_path, {"sacct": "exit 0", "squeue": "exit 0"})
    assert asked == ("sacct", ["Slurm: sacct tells the states of jobs"])


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (DISABLED, "Slurm accounting storage is disabled"),
        ("exit 3", "it failed without a word"),
        ("exec sleep 60", "no answer within 1 s"),
    ],
)
def test_squeue_is_asked_where_sacct_does_not_answer(tmp_path: Path, does: str, why: str) -> None:
    asked = chosen(tmp_path, {"sacct": does, "squeue": "exit 0"})
    assert asked == ("squeue", [f"Slurm: squeue tells the states of jobs (sacct: {why})"])


def test_a_site_without_either_is_refused_in_one_line(tmp_path: Path) -> None:
    asked = chosen(tmp_path, {"sacct": DISABLED, "squeue": NO_CONTROLLER})
    reasons = (
        "sacct: Slurm accounting storage is disabled; "
        "squeue: slurm_load_jobs error: Unable to contact slurm controller"
    )
    refusal = f"--profile slurm: neither sacct nor squeue answers here ({reasons})"
    assert asked == ("", [refusal])


def test_what_a_site_chose_is_not_asked_about(tmp_path: Path) -> None:
    choice = "HEADALGEBRA_SLURM_STATUS_COMMAND"
    refusal = f"{choice}: qstat is neither sacct nor squeue"
    assert chosen(tmp_path, {}, {choice: "qstat"}) == ("", [refusal])
    site = {choice: "squeue"}
    commands = {"sacct": "exit 0", "squeue": f"touch {tmp_path}/asked"}
    assert chosen(tmp_path, commands, site) == ("squeue", [])
    assert not (tmp_path / "asked").exists()
