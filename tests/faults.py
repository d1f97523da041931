"""What a run loses when the machine fails it: faults made on purpose, and the same command again.

A small study is run once undisturbed. Each fault then meets a copy of the repository; afterwards
the same command is given again, and every file of results must have the bytes that it has in the
undisturbed run. Files that two undisturbed runs do not share, as those of times, are left out.

    python tests/faults.py [--times 20] [--seed 0] [--only disk-full ...]

prints a row of docs/faults.md for each fault. It needs root: a disk that is full or read only is a
small tmpfs, a machine without memory is a cgroup, and another user's checkout is given to one.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from runs import bytes_of, copy_of_repository, environment_of, processes_of, snakemake

STUDY = ("--config", "models=tiny-init", 'hydra=["study.wings=[algebra]","model.one_job=false"]')
LOCKED = "give the same command with --unlock"
CGROUP = Path("/sys/fs/cgroup/memory")
SMALL_MACHINE = 700e6
"""Bytes: enough for Snakemake and one job, and not for two."""
TELLS = r"died with|rror|[Nn]o space|ead.only|may not write|is gone|[Kk]ill|lock|exit status"
USERS_OWN = 65534
"""The number of a user who owns nothing."""


@dataclass
class Trial:
    """A copy of the repository, and what an undisturbed run leaves in its results."""

    folder: Path
    expected: Mapping[str, bytes]
    random: random.Random

    @property
    def results(self) -> Path:
        """Where results lie."""
        return self.folder / "results"

    def run(self) -> subprocess.CompletedProcess[str]:
        """The command."""
        return snakemake(self.folder, *STUDY)

    def begin(self) -> subprocess.Popen[str]:
        """The command, without waiting for its end; all it starts is in one group."""
        command = [sys.executable, "-m", "snakemake", *STUDY, "--cores", "2", "--nocolor"]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment_of(self.folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def again(self) -> str:
        """The same command, after --unlock where the first line says so; what became of it."""
        done = self.run()
        asked = ""
        if done.returncode and LOCKED in done.stderr:
            snakemake(self.folder, *STUDY, "--unlock")
            done, asked = self.run(), " after --unlock"
        if done.returncode and (gone := re.search(r"delete the folder (\S+),", done.stderr)):
            shutil.rmtree(self.folder / gone[1])
            done, asked = self.run(), " after it was told to delete the folder of factors"
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return f"NOT RUN AGAIN: {said(done.stderr)}"
        return f"the same bytes{asked}" if self.is_whole() else "OTHER BYTES"

    def is_whole(self) -> bool:
        """Whether the results are those of an undisturbed run."""
        found = bytes_of(self.results)
        differing = [path for path in self.expected if found.get(path) != self.expected[path]]
        for path in differing:
            print(f"  differs: {path}", file=sys.stderr)
        return not differing


def said(stderr: str) -> str:
    """The line that tells a user what is wrong: the first that is no progress."""
    told = [line.strip() for line in stderr.splitlines() if re.search(TELLS, line)]
    # Of two trials that are told the same, only folders and times differ.
    return re.sub(r"/\S+/|\d+", "…", (told or ["NO LINE"])[0])[:200]


def kill_a_job(trial: Trial) -> str:
    """SIGKILL of a job at a random moment."""
    process = trial.begin()
    time.sleep(trial.random.uniform(2, 30))
    while process.poll() is None and not (jobs := processes_of(trial.folder)):
        time.sleep(0.05)
    if process.poll() is None:
        os.kill(trial.random.choice(jobs), signal.SIGKILL)
    _, stderr = process.communicate()
    told = "told by its name" if re.search(r"failed after .*: ", stderr) else "NO LINE"
    return f"{told if process.returncode else 'no job was left'}; {trial.again()}"


def kill_the_run(trial: Trial) -> str:
    """SIGKILL of Snakemake and of all its jobs at a random moment."""
    process = trial.begin()
    time.sleep(trial.random.uniform(2, 30))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return trial.again()


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Callable[[str], None]]:
    """A disk of so many bytes in place of a folder; gives what mounts it anew."""
    folder.mkdir(exist_ok=True)

    def mount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)

    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill_the_disk(trial: Trial) -> str:
    """No space left after a random share of the results."""
    size = sum(map(len, trial.expected.values()))
    with disk(trial.results, int(size * trial.random.uniform(0.02, 0.98)) + 65536) as mount:
        done = trial.run()
        told = "it fitted" if not done.returncode else said(done.stderr)
        mount(f"size={10 * size}")
        return f"{told}; {trial.again()}"


def make_the_disk_read_only(trial: Trial) -> str:
    """A disk of results that takes nothing any more, half way."""
    size = 100 * sum(map(len, trial.expected.values()))
    with disk(trial.results, size) as mount:
        trial.run()
        lost = sorted((trial.results / "models").rglob("epsilon.parquet"))[0]
        lost.unlink()
        mount(f"size={size},ro")
        done = trial.run()
        told = said(done.stderr) if done.returncode else "NOTHING WAS SAID"
        mount(f"size={size},rw")
        return f"{told}; {trial.again()}"


def lose_everything(trial: Trial) -> str:
    """The folder of results is deleted."""
    trial.run()
    shutil.rmtree(trial.results)
    return trial.again()


def lose_half(trial: Trial) -> str:
    """Half of the files of results are deleted, at random."""
    trial.run()
    files = sorted(path for path in trial.results.rglob("*") if path.is_file())
    for path in trial.random.sample(files, len(files) // 2):
        path.unlink()
    return trial.again()


def cut_files_off(trial: Trial) -> str:
    """Five tables or weights lose their ends, and keep their times."""
    trial.run()
    files = sorted(
        path
        for kind in ("parquet", "safetensors", "csv")
        for path in trial.results.rglob(f"*.{kind}")
        if str(path.relative_to(trial.results)) in trial.expected
    )
    for path in trial.random.sample(files, 5):
        was = path.stat()
        with path.open("r+b") as file:
            file.truncate(trial.random.randrange(was.st_size))
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    return trial.again()


def run_twice_at_once(trial: Trial) -> str:
    """A second run in the same checkout while the first goes on."""
    process = trial.begin()
    while process.poll() is None and not processes_of(trial.folder):
        time.sleep(0.05)
    second = trial.run()
    told = said(second.stderr) if second.returncode else "BOTH RAN"
    process.communicate()
    return f"{told}; the first: {'OTHER BYTES' if not trial.is_whole() else 'the same bytes'}"


def run_in_a_checkout_of_another_user(trial: Trial) -> str:
    """A checkout that may be read and not written."""
    trial.run()
    for path in [trial.folder, *trial.folder.rglob("*")]:
        os.chown(path, USERS_OWN, USERS_OWN, follow_symlinks=False)
    # Root may write anywhere, unless that right is taken from it.
    without = ("setpriv", "--bounding-set=-dac_override,-fowner", "--inh-caps=-all")
    refused = snakemake(trial.folder, *STUDY, "--forcerun", "measure_epsilon", prefix=without)
    told = said(refused.stderr) if refused.returncode else "it ran"
    return f"{told}; {trial.again()}"


def set_the_clock_back(trial: Trial) -> str:
    """All that was made is a day in the future, and some of it is made anew."""
    trial.run()
    tomorrow = time.time() + 86_400
    for path in [*trial.folder.rglob("*")]:
        os.utime(path, (tomorrow, tomorrow), follow_symlinks=False)
    sorted((trial.results / "models").rglob("epsilon.parquet"))[0].unlink()
    first = trial.again()
    planned = snakemake(trial.folder, *STUDY, "--dry-run").stdout
    settled = "" if "Nothing to be done" in planned else ", AND MORE IS TO BE DONE"
    return first + settled


def run_out_of_memory(trial: Trial) -> str:
    """A machine on which the kernel ends what takes more than there is."""
    group = CGROUP / f"faults{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(int(SMALL_MACHINE)))
        process = trial.begin()
        (group / "cgroup.procs").write_text(str(process.pid))
        _, stderr = process.communicate()
        told = said(stderr) if process.returncode else "it fitted"
    finally:
        for _ in range(50):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.2)
    return f"{told}; {trial.again()}"


FAULTS: dict[str, tuple[Callable[[Trial], str], bool]] = {
    "kill-job": (kill_a_job, True),
    "kill-run": (kill_the_run, True),
    "disk-full": (fill_the_disk, True),
    "read-only": (make_the_disk_read_only, False),
    "all-lost": (lose_everything, False),
    "half-lost": (lose_half, True),
    "cut-off": (cut_files_off, True),
    "two-runs": (run_twice_at_once, False),
    "two-users": (run_in_a_checkout_of_another_user, False),
    "clock": (set_the_clock_back, False),
    "memory": (run_out_of_memory, False),
}
"""By name; whether it is a matter of chance, and so is made many times."""


def new_copy(folder: Path) -> Path:
    """A copy of the repository in a folder that is not there yet."""
    folder.mkdir()
    return copy_of_repository(folder)


def undisturbed(folder: Path) -> dict[str, bytes]:
    """What one run of the study leaves that a second one leaves as well."""
    first, second = (new_copy(folder / name) for name in ("first", "second"))
    for copy in (first, second):
        done = snakemake(copy, *STUDY)
        if done.returncode:
            sys.exit(done.stderr)
    found, other = bytes_of(first / "results"), bytes_of(second / "results")
    return {path: content for path, content in found.items() if other.get(path) == content}


def main() -> None:
    """Make every fault, and print a row for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="of faults that chance decides")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        expected = undisturbed(folder)
        print(f"{len(expected)} files are compared.", file=sys.stderr)
        print("| fault | times | what became of it |\n|---|---|---|")
        for name in arguments.only:
            fault, by_chance = FAULTS[name]
            outcomes = Counter()
            for number in range(arguments.times if by_chance else 1):
                chance = random.Random(f"{arguments.seed} {name} {number}")
                copy = new_copy(folder / f"{name}-{number}")
                outcomes[fault(Trial(copy, expected, chance))] += 1
                shutil.rmtree(copy)
            assert fault.__doc__
            told = "; ".join(f"{outcome} ({times})" for outcome, times in outcomes.items())
            print(f"| {fault.__doc__} | {outcomes.total()} | {told} |", flush=True)


if __name__ == "__main__":
    main()
