"""What a large study asks a cluster for, and how long Snakemake takes to plan it.

A study of forty models is written into a copy of the repository, with the provenance and the bases
that its first stages would have left; no weights. Dry runs tell the jobs, their memory and time.

    python benchmarks/scale.py [--models 40] [--json]
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "config", "workflow", "scripts", "src", "envs", "slurm", "profiles")


@dataclass(frozen=True)
class Architecture:
    """The shape of a model, and how its file schedules it."""

    layers: int
    d: int
    heads: int
    keys: int
    r: int
    scheduling: str = ""

    @property
    def spans(self) -> list[str]:
        """Folders of its spans of layers, or nothing where it is whole."""
        if not self.scheduling:
            return [""]
        (per_job,) = map(int, re.findall(r"layers_per_job: (\d+)", self.scheduling))
        parts = [
            range(first, min(first + per_job, self.layers))
            for first in range(0, self.layers, per_job)
        ]
        return [f"layers/{part[0]:03d}-{part[-1]:03d}" for part in parts]


SMALL = Architecture(24, 1024, 16, 16, 64)
LARGE = (
    Architecture(126, 16384, 128, 8, 128, "layers_per_job: 2\nthreads: 32\n"),
    Architecture(80, 8192, 64, 8, 128, "layers_per_job: 8\nthreads: 8\n"),
    Architecture(80, 8192, 64, 8, 128, "layers_per_job: 8\nthreads: 8\n"),
    Architecture(32, 4096, 32, 8, 128, "layers_per_job: 8\nthreads: 4\n"),
)


def write_study(folder: Path, n_models: int) -> None:
    """A study of the large models and as many small ones as are left."""
    names = []
    for index in range(n_models):
        shape = LARGE[index] if index < len(LARGE) else SMALL
        name = f"model-{index:02d}"
        names.append(name)
        model = f"source: hub\nid: some/{name}\nrevision: main\nlayers: 0-{shape.layers - 1}\n"
        (folder / f"config/model/{name}.yaml").write_text(model + shape.scheduling)
    listed = "".join(f"  - {name}\n" for name in names)
    (folder / "config/study/scale.yaml").write_text(f"title: At scale\nmodels:\n{listed}")


def write_first_stages(folder: Path, n_models: int) -> None:
    """What weights and basis leave of every model, as far as later jobs' demands rest on it."""
    for index in range(n_models):
        shape = LARGE[index] if index < len(LARGE) else SMALL
        results = folder / f"results/models/model-{index:02d}"
        (results / "factors").mkdir(parents=True)
        provenance = {
            "n_layers": shape.layers,
            "layers": list(range(shape.layers)),
            "n_heads": shape.heads,
            "n_kv_heads": shape.keys,
            "d_model": shape.d,
            "d_head": shape.r,
            "source": {"source": "hub"},
        }
        (results / "provenance.json").write_text(json.dumps(provenance))
        basis = pd.DataFrame({"layer": range(shape.layers)}).assign(
            basis_dim=shape.heads, kappa_used=10.0, route="sampled"
        )
        for span in shape.spans:
            (results / span).mkdir(parents=True, exist_ok=True)
            first, last = (int(end) for end in re.findall(r"\d+", span) or (0, shape.layers - 1))
            part = basis[basis["layer"].between(first, last)]
            part.to_parquet(results / span / "basis.parquet")
            part.to_parquet(results / span / "singular_values.parquet")
            (results / span / "basis_coefficients.safetensors").touch()


def planned(folder: Path) -> tuple[float, str]:
    """Seconds that a dry run takes, and what it says."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--nocolor", "--cores", "64"]
    # Jobs in full, with what they ask for.
    command += ["--printshellcmds"]
    # Costs are gathered from every job that computes.
    command += ["tables", "states", "results/scale/tables/cost.csv"]
    command += ["--rerun-triggers", "mtime", "--config", "study=scale"]
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return time.perf_counter() - start, done.stdout


def demands(plan: str) -> Iterator[dict[str, object]]:
    """Rule, model, memory in GB, time in hours and GPUs of every job that a cluster would get."""
    job = (
        r"^rule (\w+):\n(?:    .*\n)*?    wildcards: (?:span|model)=(\S+)\n"
        r"(?:    .*\n)*?    resources: (.*)"
    )
    for rule, span, resources in re.findall(job, plan, re.MULTILINE):
        asked = dict(entry.split("=", 1) for entry in resources.split(", "))
        if "runtime" in asked:
            yield {
                "rule": rule,
                "model": span.split("/")[0],
                "memory_gb": float(asked["mem_mb"]) / 1000,
                "hours": float(asked["runtime"]) / 60,
                "gpus": int(asked.get("gpu", 0)),
            }


def summary(jobs: pd.DataFrame) -> pd.DataFrame:
    """Jobs of each rule, and the most that a job of a small and of the largest model asks for."""
    largest = jobs["model"] == "model-00"
    small = jobs["model"] >= f"model-{len(LARGE):02d}"
    return pd.DataFrame(
        {
            "jobs": jobs.groupby("rule", sort=False).size(),
            "small_gb": jobs[small].groupby("rule")["memory_gb"].max(),
            "small_h": jobs[small].groupby("rule")["hours"].max(),
            "small_gpus": jobs[small].groupby("rule")["gpus"].max(),
            "largest_gb": jobs[largest].groupby("rule")["memory_gb"].max(),
            "largest_h": jobs[largest].groupby("rule")["hours"].max(),
            "largest_gpus": jobs[largest].groupby("rule")["gpus"].max(),
        }
    )


def measure(n_models: int) -> Mapping[str, object]:
    """Seconds of both dry runs, and the demands."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        write_study(folder, n_models)
        from_nothing, plan = planned(folder)
        total = re.search(r"^total +(\d+)$", plan, re.MULTILINE)
        write_first_stages(folder, n_models)
        after_basis, plan = planned(folder)
    asked = summary(pd.DataFrame(demands(plan)))
    return {
        "jobs": int(total[1]) if total else 0,
        "plan_s": from_nothing,
        "plan_after_basis_s": after_basis,
        "asked": asked,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and with --json the same as one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    measured = dict(measure(options.models))
    asked = measured.pop("asked")
    assert isinstance(asked, pd.DataFrame)
    print(asked.round(1).to_string())
    if options.json:
        print(json.dumps(measured | {"asked": asked.to_dict("index")}))
    else:
        print(json.dumps(measured))


if __name__ == "__main__":
    main()
