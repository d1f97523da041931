"""Runs of Snakemake in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "config", "workflow", "scripts", "src", "envs", "slurm", "pyproject.toml")
SMOKE = ("--config", "study=smoke")
TARGETS = {"results", "weights", "tables", "figures", "claims"}
OF_THIS_RUN = {"cost.csv", "feasibility.csv"}
"""Tables of times, which no two runs share."""


def snakemake(
    folder: Path, *arguments: str, cores: int = 2, **variables: str
) -> subprocess.CompletedProcess[str]:
    """What Snakemake says and returns, run in a copy of the repository."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), **variables}
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments, "--cores", str(cores), "--nocolor"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def run(folder: Path, *arguments: str, cores: int = 2, **variables: str) -> str:
    """What a run that must succeed says."""
    done = snakemake(folder, *arguments, cores=cores, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(folder: Path, *arguments: str) -> Counter[str]:
    """Jobs that a dry run announces, by rule."""
    log = run(folder, "--dry-run", *arguments)
    if "Nothing to be done" in log:
        return Counter()
    table = log.split("Job stats:")[1].split("\ntotal")[0]
    rules = re.findall(r"^(\w+)\s+(\d+)$", table, re.MULTILINE)
    return Counter({rule: int(count) for rule, count in rules if rule not in TARGETS})


def copy_of_repository(target: Path) -> Path:
    """What a run needs, copied, with fewer draws."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, target / part, ignore=ignored)
        else:
            shutil.copy2(source, target / part)
    # What is tested is which jobs run: two draws of each null will do.
    with (target / "config/analysis/default.yaml").open("a") as analysis:
        analysis.write("null_draws: 2\n")
    return target


def tables(folder: Path, study: str = "smoke") -> dict[str, bytes]:
    """The tables of a study that are the same whenever they are computed."""
    return {
        path.name: path.read_bytes()
        for path in folder.glob(f"results/{study}/tables/*.csv")
        if path.name not in OF_THIS_RUN
    }
