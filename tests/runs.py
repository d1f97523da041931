"""Runs of Snakemake in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    *("Snakefile", "config", "workflow", "scripts", "src", "envs", "slurm", "profiles"),
    "pyproject.toml",
)
SMOKE = ("--config", "study=smoke")
WEIGHTS_ALONE = 'hydra=["study.wings=[algebra]"]'
"""No model runs, which takes most of the time of a small one."""
TARGETS = {"results", "weights", "tables", "figures", "claims"}
OF_THIS_RUN = {"cost.csv", "feasibility.csv"}
"""Tables of times, which no two runs share."""


LONG_TRAINING = """\
source: train
train:
  {size: tiny, packages: [networkx], vocabulary: 512, tokens: 32, steps: 600, batch: 4,
   checkpoints: 4, validation_sequences: 8, test_sequences: 64}
revisions: [step0, step600]
"""
"""A model file; long enough to be killed on the way."""

PATIENCE = 1200
"""Seconds until what should happen has happened, on the slowest machine."""


OF_COPIES = {"PYTHONDONTWRITEBYTECODE": ""}
"""The library of a copy is compiled once, and not by every job that imports it."""


def until(met: Callable[[], object], what: str) -> None:
    """Wait for it."""
    end = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE} s"
        time.sleep(0.2)


def processes_of(folder: Path, script: str = "") -> list[int]:
    """The Python processes that run a rule's script in a folder; by default those of any rule."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
                inside = (process / "cwd").readlink() == folder
            except OSError:  # it has ended
                continue
            if inside and f"{script}.py".encode() in command:
                found.append(int(process.name))
    return found


def rows_of_training(folder: Path) -> int:
    """Steps that the trainings under way in a folder have written down."""
    written = folder.glob("results/trained/.under_way/*/resumable/rows.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in written)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and in those inside it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def environment_of(folder: Path, **variables: str) -> dict[str, str]:
    """What Snakemake finds around it in a copy of the repository, whose library it imports."""
    return {**os.environ, **OF_COPIES, "PYTHONPATH": str(folder / "src"), **variables}


def snakemake(
    folder: Path,
    *arguments: str,
    cores: int = 2,
    prefix: Sequence[str] = (),
    **variables: str,
) -> subprocess.CompletedProcess[str]:
    """What Snakemake says and returns, run in a copy of the repository, under another command."""
    ending = ("--cores", str(cores), "--nocolor")
    return subprocess.run(
        [*prefix, sys.executable, "-m", "snakemake", *arguments, *ending],
        cwd=folder,
        env=environment_of(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def run(folder: Path, *arguments: str, cores: int = 2, **variables: str) -> str:
    """What a run that must succeed says."""
    done = snakemake(folder, *arguments, cores=cores, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def complaints(failed: subprocess.CompletedProcess[str]) -> list[str]:
    """Lines of standard error, but for Snakemake's own on the profile that it uses."""
    lines = [line for line in failed.stderr.splitlines() if line.strip()]
    return [line for line in lines if not line.startswith("Using workflow specific profile")]


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


def share_constructed(source: Path, target: Path) -> None:
    """Give a copy of the repository what another has measured of layers that are in no model."""
    for part in ("results/constructed", "results/benchmarks/constructed"):
        shutil.copytree(source / part, target / part)


def folder_of(folder: Path, model: str, file: str) -> Path:
    """The one folder of a model's results that has a file of this name."""
    found = [*folder.glob(f"results/models/{model}/{file}")]
    found += folder.glob(f"results/models/{model}@*/{file}")
    assert len(found) == 1, found
    return found[0].parent


def study_of(folder: Path, name: str) -> Path:
    """The one folder of a study's results, whatever digest it has."""
    found = [*folder.glob(f"results/{name}"), *folder.glob(f"results/{name}@*")]
    assert len(found) == 1, found
    return found[0]


def tables(folder: Path, study: str = "smoke") -> dict[str, bytes]:
    """The tables of a study that are the same whenever they are computed."""
    return {
        path.name: path.read_bytes()
        for path in study_of(folder, study).glob("tables/*.csv")
        if path.name not in OF_THIS_RUN
    }
