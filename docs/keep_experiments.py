"""Keep the tables of experiments that a study has run, beside this file.

python docs/keep_experiments.py results/stability --hours 0.5 --command "snakemake ..."

Each goes to docs/experiments/<name>/, with what made it: the command, the digests of the texts, of
their tokens and of each run's last weights, the type of processor (keep them on the machine that
trained them), and the hours of one core.
"""

import argparse
import hashlib
import json
from pathlib import Path

import pandas as pd
import torch

from headalgebra.csv_files import read_csv, write_csv
from headalgebra.training import read_trained
from kept_experiments import KEPT

TABLES = ("experiments", "trainings", "training_values")


def keep(study: Path, command: str, hours: float, kept: Path = KEPT) -> list[Path]:
    """Write the folder of each experiment of a study, and say which.

    Parameters
    ----------
    study
        The folder of a finished study, beside those of the trainings.
    command
        That made it.
    hours
        Of one core, of all its trainings.
    kept
        Where the folders go.
    """
    tables = {name: read_csv(study / f"tables/{name}.csv") for name in TABLES}
    folders = []
    for experiment in tables["trainings"]["experiment"].unique():
        folder = kept / str(experiment)
        folder.mkdir(parents=True, exist_ok=True)
        own = {name: table[table["experiment"] == experiment] for name, table in tables.items()}
        for name, rows in own.items():
            write_csv(folder / f"{name}.csv", rows)
        made = {"command": command, "hours": hours} | described(own["trainings"], study.parent)
        content = json.dumps(made, indent=1, sort_keys=True) + "\n"
        (folder / "made.json").write_text(content, encoding="utf-8")
        folders.append(folder)
    return folders


def described(trainings: pd.DataFrame, results: Path) -> dict[str, object]:
    """Digests of what runs read and of their last weights, and the packages that trained them."""
    runs: dict[str, str] = {}
    packages: dict[str, str] = {}
    corpora: dict[str, object] = {}
    for run in trainings["run"]:
        trained = read_trained(results / f"trained/{run}")
        weights = trained.folder / str(trained.checkpoints[-1]) / "model.safetensors"
        runs[run] = hashlib.sha256(weights.read_bytes()).hexdigest()
        provenance = json.loads((trained.folder / "provenance.json").read_text(encoding="utf-8"))
        packages |= provenance["packages"]
        corpora[trained.tokens] = None
    for path in results.glob("corpora/*/corpus.json"):
        corpus = json.loads(path.read_text(encoding="utf-8"))
        if corpus["sha256"] in corpora:
            corpora[corpus["sha256"]] = corpus
    return {
        "runs": runs,
        "packages": packages,
        "processor": processor(),
        "corpora": list(corpora.values()),
    }


def processor() -> str:
    """The type of this machine's processor, on which the last digits of a training depend."""
    told = {}
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        told[name.strip()] = value.strip()
    number = f"family {told.get('cpu family')}, model {told.get('model')}"
    return f"{told.get('model name')}, {number}, {torch.backends.cpu.get_cpu_capability()}"


def main() -> None:
    """Keep the experiments of a study's folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, help="the folder of a finished study")
    parser.add_argument("--command", required=True, help="that made it")
    parser.add_argument("--hours", type=float, required=True, help="of one core")
    given = parser.parse_args()
    for folder in keep(given.study, given.command, given.hours):
        print(folder)


if __name__ == "__main__":
    main()
