"""`snakemake --profile slurm` on a real Slurm of two nodes, whole and with what can go wrong."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from demand import STAGES
from runs import (
    LONG_TRAINING,
    PATIENCE,
    bytes_of,
    copy_of_repository,
    environment_of,
    processes_of,
    rows_of_training,
    run,
    tables,
    until,
)

START = 'eval "$(tests/two_node_slurm start FOLDER)"'
SITE = os.environ.get("SNAKEMAKE_SLURM_PARTITIONS", "")
CLUSTER = Path(SITE).parent

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.xdist_group("slurm"),
    pytest.mark.skipif(
        not SITE or not (CLUSTER / "slurm.conf").is_file(),
        reason=f"needs the Slurm of two nodes: {START}",
    ),
]

RECIPE = Path(__file__).parents[1] / "two_node_slurm"
PROFILE = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "2")
# A job for each stage, as large models have it.
TINY = ("--config", "models=tiny-init", 'hydra=["text=short","model.one_job=false"]')
TABLES = ("tables", "states", *TINY)
"""Of both wings, of a model that every stage takes seconds for."""


@dataclass(frozen=True)
class SlurmJob:
    """A job as Slurm records it."""

    job_id: int
    name: str
    comment: str
    state: str
    partition: str
    memory: int
    minutes: int
    gpus: str
    restarts: int

    @property
    def rule(self) -> str:
        return re.split("_wildcards_", self.comment.removeprefix("rule_"))[0]


def slurm_jobs(folder: Path) -> list[SlurmJob]:
    """The jobs of a folder's runs, oldest first."""
    listed = subprocess.run(
        ["scontrol", "show", "job", "-o"], capture_output=True, text=True, check=True
    ).stdout
    jobs = []
    for line in listed.splitlines():
        record = dict(pair.split("=", 1) for pair in line.split(" ") if "=" in pair)
        if record.get("WorkDir") != str(folder):
            continue
        hours, minutes, _ = record["TimeLimit"].split("-")[-1].split(":")
        memory = re.search(r"mem=(\d+)([MG])", record["TRES"])
        assert memory is not None
        jobs.append(
            SlurmJob(
                int(record["JobId"]),
                record["JobName"],
                record["Comment"],
                record["JobState"],
                record["Partition"],
                int(memory[1]) * {"M": 1, "G": 1024}[memory[2]],
                60 * int(hours) + int(minutes),
                record.get("TresPerJob", ""),
                int(record["Restarts"]),
            )
        )
    return sorted(jobs, key=lambda job: job.job_id)


def submit(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A run through the profile, started."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *PROFILE, *arguments, "--nocolor"],
        cwd=folder,
        env=environment_of(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def through_slurm(folder: Path, *arguments: str) -> str:
    """What a run through the profile says, which must succeed."""
    process = submit(folder, *arguments)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return said


def completed(folder: Path) -> Counter[str]:
    return Counter(job.rule for job in slurm_jobs(folder) if job.state == "COMPLETED")


def partial_outputs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("results/**/*") if path.name.endswith(".partial")]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the weights fetched, as on the host that submits."""
    folder = copy_of_repository(tmp_path_factory.mktemp("weights"))
    constructed = [f"results/constructed/{it}.csv" for it in ("conditioning", "feasibility")]
    run(folder, "weights", *constructed, *TINY, cores=1)
    return folder


@pytest.fixture(scope="module")
def expected(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables as a run on this machine alone gives them."""
    folder = tmp_path_factory.mktemp("local") / "run"
    shutil.copytree(weights, folder, symlinks=True)
    run(folder, *TABLES)
    return tables(folder, "tiny-init")


@pytest.fixture
def checkout(weights: Path, tmp_path: Path) -> Iterator[Path]:
    """A fresh copy with its weights; what a failed test leaves in the queue is ended."""
    folder = tmp_path / "run"
    shutil.copytree(weights, folder, symlinks=True)
    yield folder
    for job in slurm_jobs(folder):
        if job.state in ("RUNNING", "PENDING"):
            subprocess.run(["scancel", str(job.job_id)], check=False)


def test_a_model_is_the_same_and_its_dense_work_alone_has_the_gpu(
    checkout: Path, expected: dict[str, bytes]
) -> None:
    through_slurm(checkout, *TABLES)
    assert tables(checkout, "tiny-init") == expected
    jobs = slurm_jobs(checkout)
    basis = pd.read_parquet(checkout / "results/models/tiny-init/basis.parquet")
    assert set(basis["route"]) == {"dense"}
    (dense,) = (job for job in jobs if job.gpus)
    assert dense.comment == "rule_extract_linf_dense_wildcards_tiny-init"
    assert (dense.partition, dense.gpus) == ("gpu", "gres:gpu:1")
    assert {job.partition for job in jobs if job != dense} == {"cpu"}
    # One job a stage; the weights and what takes seconds were done here.
    assert completed(checkout) == Counter([*STAGES, "measure_states"])
    assert {job.state for job in jobs} == {"COMPLETED"}
    assert not {"extract_weights", "gather_tables"} & {job.rule for job in jobs}


def test_lost_jobs_are_done_again_and_nothing_else(
    checkout: Path, expected: dict[str, bytes]
) -> None:
    process = submit(checkout, *TABLES)

    def running(rule: str) -> list[SlurmJob]:
        return [j for j in slurm_jobs(checkout) if j.rule == rule and j.state == "RUNNING"]

    def cancel_basis() -> list[SlurmJob]:
        jobs = running("decompose_basis")
        for job in jobs:
            subprocess.run(["scancel", str(job.job_id)], check=True)
        return jobs

    def kill(script: str) -> list[int]:
        processes = processes_of(checkout, script)
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        return processes

    # One ended from outside, two whose processes die, in whatever order Slurm starts them.
    left = {
        "decompose_basis": cancel_basis,
        "measure_tower": lambda: kill("measure_tower"),
        "measure_states": lambda: kill("measure_states"),
    }

    def lose() -> bool:
        for rule in [rule for rule, end in left.items() if end()]:
            del left[rule]
        return not left

    until(lose, "three jobs run")

    # A second run in the same checkout is refused, and told why.
    second = subprocess.run(
        [sys.executable, "-m", "snakemake", *PROFILE, *TABLES],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode != 0
    assert "cannot be locked" in second.stdout + second.stderr
    assert "docs/hpc.md" in second.stdout + second.stderr

    # A node that takes no jobs for a while.
    until(lambda: completed(checkout)["measure_epsilon"], "a stage is finished")
    node = ["scontrol", "update", "nodename=cpu1"]
    subprocess.run([*node, "state=drain", "reason=maintenance"], check=True)
    try:
        until(lambda: any(j.state == "PENDING" for j in slurm_jobs(checkout)), "a job waits")
    finally:
        subprocess.run([*node, "state=resume"], check=True)

    # The controller goes and comes back.
    until(lambda: any(j.state == "RUNNING" for j in slurm_jobs(checkout)), "a job runs again")
    os.kill(int((CLUSTER / "slurmctld.pid").read_text()), signal.SIGTERM)
    until(lambda: not (CLUSTER / "slurmctld.pid").exists(), "the controller has gone")
    time.sleep(3)
    subprocess.run([RECIPE, "controller", CLUSTER], check=True)

    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert tables(checkout, "tiny-init") == expected
    assert set(completed(checkout).values()) == {1}
    lost = {job.rule: job.state for job in slurm_jobs(checkout) if job.state != "COMPLETED"}
    assert lost == {
        "decompose_basis": "CANCELLED",
        "measure_tower": "FAILED",
        "measure_states": "FAILED",
    }
    # States are as large as the model; those of the job that was killed are gone as well.
    assert not list(checkout.glob("results/models/*/.states"))


def test_a_cancelled_training_ends_in_the_same_bytes(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trained = checkout / "results/trained/mine"
    (checkout / "config/model/mine.yaml").write_text(LONG_TRAINING)
    asked = ("training", "--config", "models=mine")
    local = tmp_path_factory.mktemp("trained") / "run"
    shutil.copytree(checkout, local, symlinks=True)
    run(local, *asked)
    process = submit(checkout, *asked)
    until(lambda: rows_of_training(checkout) >= 100, "a training is under way")
    (job,) = (job for job in slurm_jobs(checkout) if job.state == "RUNNING")
    subprocess.run(["scancel", str(job.job_id)], check=True)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert [job.state for job in slurm_jobs(checkout)] == ["CANCELLED", "COMPLETED"]
    assert bytes_of(trained) == bytes_of(local / "results/trained/mine")


def test_a_job_over_its_memory_gets_more(checkout: Path) -> None:
    model = checkout / "config/model/tiny-init.yaml"
    model.write_text(model.read_text() + "resources: {mem_mb: 250, runtime: 7}\n")
    through_slurm(checkout, "epsilon", *TINY)
    first, *again = slurm_jobs(checkout)
    assert (first.memory, first.minutes) == (250, 7)
    assert first.state != "COMPLETED"
    assert [job.state for job in again][-1] == "COMPLETED"
    assert [(job.memory, job.minutes) for job in again] == [(500, 14), (750, 21)][: len(again)]


@pytest.mark.parametrize(
    ("ended_by", "states"),
    # The one takes its jobs with it, the other submits no more and waits for them.
    [(signal.SIGINT, {"CANCELLED"}), (signal.SIGTERM, {"COMPLETED"})],
)
def test_a_run_that_is_ended_leaves_no_job_behind(
    checkout: Path, ended_by: int, states: set[str]
) -> None:
    process = submit(checkout, "basis", *TINY)
    until(lambda: processes_of(checkout, "decompose_basis"), "a script runs")
    process.send_signal(ended_by)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0, said
    until(lambda: {job.state for job in slurm_jobs(checkout)} == states, "its jobs have ended")
    until(lambda: not processes_of(checkout, "decompose_basis"), "the script has ended")
    table = checkout / "results/models/tiny-init/basis.parquet"
    assert table.exists() == (states == {"COMPLETED"})
    through_slurm(checkout, "basis", *TINY)
    assert table.is_file()
    assert completed(checkout) == {"decompose_basis": 1}


def test_what_the_guide_says_of_a_killed_run(checkout: Path, expected: dict[str, bytes]) -> None:
    process = submit(checkout, *TABLES)
    until(lambda: processes_of(checkout, "measure_tower"), "a script runs")
    process.kill()
    process.communicate()

    refused = submit(checkout, *TABLES)
    said, _ = refused.communicate(timeout=PATIENCE)
    assert refused.returncode != 0
    (end_its_jobs,) = set(re.findall(r"scancel --name \S+", said))
    assert "--unlock" in said
    assert "docs/hpc.md" in said
    subprocess.run(end_its_jobs.split(), check=True)
    until(
        lambda: not {j.state for j in slurm_jobs(checkout)} & {"RUNNING", "PENDING", "COMPLETING"},
        "its jobs are ended",
    )
    finished = completed(checkout)
    unlock = submit(checkout, *TABLES, "--unlock")
    said, _ = unlock.communicate(timeout=PATIENCE)
    assert unlock.returncode == 0, said
    through_slurm(checkout, *TABLES)
    assert tables(checkout, "tiny-init") == expected
    assert not partial_outputs(checkout)
    for rule, times in finished.items():
        assert completed(checkout)[rule] == times, f"{rule} was finished and done again"


def start_cluster(folder: Path) -> subprocess.CompletedProcess[str]:
    # Into a file: daemons inherit what they were started with, and would hold a pipe open.
    with (folder / "said").open("w+") as said:
        started = subprocess.run([RECIPE, "start", folder], stdout=said, stderr=said, check=False)
        said.seek(0)
        return subprocess.CompletedProcess(started.args, started.returncode, said.read())


def test_a_cluster_takes_the_place_of_a_dead_one_alone(tmp_path: Path) -> None:
    refused = start_cluster(tmp_path)
    assert refused.returncode == 1
    assert "/etc/slurm/slurm.conf is there" in refused.stdout
    for daemon in ("slurmctld", "cpu1", "gpu1", "munged"):
        os.kill(int((CLUSTER / f"{daemon}.pid").read_text()), signal.SIGKILL)
    until(lambda: start_cluster(CLUSTER).returncode == 0, "the cluster is back")
    assert Path("/etc/slurm/slurm.conf").resolve() == CLUSTER.resolve() / "slurm.conf"
