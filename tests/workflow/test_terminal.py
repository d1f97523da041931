"""What the terminal shows of Snakemake's events: lines, a bar, failures, where results are."""

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

import snakemake_logger_plugin_headalgebra.handler as handler_module
import stage
from snakemake_logger_plugin_headalgebra import LogHandler
from snakemake_logger_plugin_headalgebra.jobs import TOLD, duration, listed
from snakemake_logger_plugin_headalgebra.results import count_verdicts, where_results_are

ROOT = Path(__file__).resolve().parents[2]
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

CLAIMS = """\
id,statement,verdict
a,"ε grows, always",reproduced
b,one,not reproduced
c,two,not reproduced
"""


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Run:
    """Snakemake's events of a run, given to the handler one by one."""

    def __init__(self, stream: io.StringIO, **settings: Any) -> None:
        usual = dict.fromkeys(
            ("printshellcmds", "nocolor", "debug_dag", "verbose", "show_failed_logs", "stdout"),
            False,
        )
        self.stream = stream
        self.handler = LogHandler(
            SimpleNamespace(**usual | {"dryrun": False, "quiet": set()} | settings), None
        )
        logger.addHandler(self.handler)

    @property
    def said(self) -> str:
        return self.stream.getvalue()

    def event(self, kind: LogEvent | None, said: str | None = None, **extra: Any) -> None:
        level = logging.ERROR if kind in (LogEvent.JOB_ERROR, LogEvent.ERROR) else logging.INFO
        logger.log(level, said, extra={**extra, **({} if kind is None else {"event": kind})})

    def plan(self, **counts: int) -> None:
        stats = counts | {"total": sum(counts.values())}
        self.event(LogEvent.RUN_INFO, "Job stats:\njob count\ntotal 3\n", stats=stats)

    def begin(
        self, jobid: int, rule: str, message: str | None = None, log: str = "", **wildcards: str
    ) -> None:
        self.event(
            LogEvent.JOB_INFO,
            f" Rule: {rule}, Jobid: {jobid}",
            **{"jobid": jobid, "rule_name": rule, "rule_msg": message, "wildcards": wildcards},
            **{"log": [log] if log else [], "input": ["in.csv"], "output": ["out.csv"]},
            **{"reason": "Missing output files: out.csv; Code has changed since last execution"},
            **{"local": True, "is_checkpoint": False, "benchmark": None, "priority": 0},
            **{"threads": 1, "resources": {}},
        )

    def finish(self, jobid: int) -> None:
        self.event(LogEvent.JOB_FINISHED, f"Finished jobid: {jobid}", job_id=jobid)

    def fail(self, jobid: int, rule: str, log: str, said: str | None = None, **aux: str) -> None:
        self.event(
            LogEvent.JOB_ERROR,
            f"Error in rule {rule}, jobid: {jobid}",
            **{"jobid": jobid, "rule_name": rule, "rule_msg": said, "log": [log], "aux": aux},
            **{"input": [], "output": ["out.csv"], "conda_env": None, "shellcmd": None},
        )

    def close(self) -> str:
        logger.removeHandler(self.handler)
        self.handler.close()
        return self.said


Begin = Callable[..., Run]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begins a run, on a stream that is a terminal or not; in a folder of its own."""
    runs = []
    monkeypatch.setenv("TERM", "xterm")
    before, level = list(logger.filters), logger.level
    logger.setLevel(logging.INFO)

    def begin_run(terminal: bool = False, **settings: Any) -> Run:
        stream = Terminal() if terminal else io.StringIO()
        monkeypatch.setattr(sys, "stdout" if settings.get("stdout") else "stderr", stream)
        runs.append(Run(stream, **settings))
        return runs[-1]

    yield begin_run
    for run in runs:
        run.close()
    logger.setLevel(level)
    assert logger.filters == before


# ------ A run


def test_a_job_is_a_line_when_it_ends(begin: Begin) -> None:
    run = begin()
    run.plan(measure_epsilon=1, draw=1)
    run.begin(1, "measure_epsilon", "ε and commutators of minilm", span="minilm")
    run.begin(2, "draw", model="minilm")
    run.finish(2)
    run.finish(1)
    lines = run.close().splitlines()
    assert lines[0] == "2 jobs to do"
    assert re.fullmatch(r"1/2  draw minilm +0 s", lines[1])
    assert re.fullmatch(r"2/2  ε and commutators of minilm +0 s", lines[2])
    assert lines[3] == "2 jobs done in 0 s"
    assert len(lines) == 4
    assert not CONTROL.search(run.said)
    assert "out.csv" not in run.said


def test_a_terminal_has_a_bar_that_names_what_runs_and_goes_away(
    begin: Begin, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text("measure_epsilon minilm, 1 thread\nlayer 12 of 30, 41 s\nguard: 0\n")
    run = begin(terminal=True)
    run.plan(measure_epsilon=1, draw=2)
    run.begin(1, "measure_epsilon", "ε of minilm", str(log))
    run.begin(2, "draw", "figures")
    run.finish(2)
    bars = run.said.split("\r")
    assert any("0 of 3 jobs" in bar and "ε of minilm (layer 12 of 30, 41 s)" in bar for bar in bars)
    assert "1 of 3 jobs" in bars[-1]
    # A line is on a row of its own.
    (line,) = (part for part in run.said.split("\n") if "1/3  figures" in part)
    assert line.split("\r")[-1].startswith("1/3  figures")
    last = run.close().split("\n")[-3:]
    assert "jobs, " not in last[-2].split("\r")[-1]


def test_what_snakemake_says_of_itself_is_hidden_and_all_else_is_shown(begin: Begin) -> None:
    run = begin()
    for said in (
        *("Building DAG of jobs...", "Select jobs to execute...", "Using shell: /bin/bash"),
        "Auto-selected partition 'cpu' for job epsilon with score 0.000",
        *("Adding phases.svg (48.32 KB).", "Loading script code for rule draw_phases"),
    ):
        run.event(None, said)
    run.event(LogEvent.RESOURCES_INFO, "Provided cores: 2")
    assert run.said == ""
    shown = (
        "Nothing to be done (all requested files are present and up to date).",
        "SLURM run ID: headalgebra_1",
        "Will exit after finishing currently running jobs (scheduler).",
        "Terminating processes on user request, this might take some time.",
        "Unlocking working directory.",
        "Something new in Snakemake 10.",
    )
    for said in shown:
        run.event(None, said)
    logger.warning("The code used to generate one or several output files has changed")
    locked = "LockException:\nError: Directory cannot be locked."
    run.event(LogEvent.ERROR, locked, exception="LockException")
    missing = "MissingInputException in rule a:\nMissing input files for rule a:\n    x.csv"
    run.event(LogEvent.ERROR, missing, exception="MissingInputException")
    said = run.close()
    assert [*shown] == said.splitlines()[: len(shown)]
    for text in ("output files has changed", locked, missing):
        assert text in said


def test_verbose_shows_the_files(begin: Begin) -> None:
    run = begin(printshellcmds=True)
    run.plan(draw=1)
    run.begin(1, "draw", "figures")
    run.finish(1)
    said = run.close()
    assert "rule draw:" in said and "input: in.csv" in said and "output: out.csv" in said
    assert "Finished jobid: 1" in said and "1/1" not in said


def test_a_dry_run_says_what_would_run_and_why(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(dryrun=True, stdout=True)
    run.plan(draw=1)
    run.begin(1, "draw", "figures of the study")
    run.plan(draw=1)
    said = run.close()
    assert said.count("Job stats:") == 1
    assert "figures of the study: missing output files, code has changed" in said
    assert "out.csv" not in said and "done" not in said


def test_silence_is_broken_where_there_is_no_bar(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler_module, "TICK", 0.01)
    monkeypatch.setattr(handler_module, "SILENCE", 0.05)
    log = tmp_path / "log"
    log.write_text("layer 3 of 6, 9 s\n")
    run = begin()
    run.plan(measure_epsilon=1)
    run.begin(1, "measure_epsilon", "ε of minilm", str(log))
    run.handler._stop.wait(1)
    said = [line for line in run.said.splitlines() if "after" in line]
    assert said[0] == "  after 0 s: ε of minilm (layer 3 of 6, 9 s)"
    # Each time after twice as long.
    assert 2 <= len(said) <= 5


# ------ Failures


def test_a_failure_is_the_line_of_its_script_and_where_its_log_is(
    begin: Begin, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text(f"start\nTraceback\n{TOLD}extract_weights: config/model/x.yaml: mend it\n")
    run = begin()
    run.plan(extract_weights=2)
    run.begin(1, "extract_weights", "the weights of x", str(log))
    command = "CalledProcessError in file a.smk, line 11:\nCommand 'python a.py'"
    said = f"RuleException:\n{command} returned non-zero exit status 1."
    run.event(LogEvent.ERROR, said, exception="RuleException")
    run.fail(1, "extract_weights", str(log))
    run.event(None, "Complete log(s): /a/.snakemake/log/1.log")
    run.event(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
    lines = run.close().splitlines()
    assert lines[1] == "extract_weights: config/model/x.yaml: mend it"
    assert lines[2] == f"  failed after 0 s: the weights of x; log: {log}"
    assert "1 failed (the weights of x); 0 of 2 jobs done" in lines[3]
    assert "/a/.snakemake/log/1.log" in lines[3]
    assert len(lines) == 4


def test_what_kills_a_job_is_shown_and_so_is_what_a_cluster_says(begin: Begin) -> None:
    run = begin()
    run.plan(a=1, b=1)
    run.begin(1, "a", log="no/such.log")
    command = "CalledProcessError in file a.smk, line 11:\nCommand 'python a.py'"
    for how in ("died with <Signals.SIGKILL: 9>.", "returned non-zero exit status 137."):
        run.event(LogEvent.ERROR, f"RuleException:\n{command} {how}", exception="RuleException")
        assert run.said.splitlines()[-1] == f"A job's process {how}"
    run.fail(1, "a", "no/such.log", "SLURM status is: OUT_OF_MEMORY", external_jobid="77")
    run.event(None, "Trying to restart job 1.")
    said = run.close()
    assert "a: failed, and its log does not say why" in said
    assert "SLURM status is: OUT_OF_MEMORY" in said and "external_jobid: 77" in said
    assert "tried again: a" in said


def test_a_job_that_succeeds_when_it_is_tried_again_has_not_failed(begin: Begin) -> None:
    run = begin()
    run.plan(a=1, b=1)
    run.begin(1, "a")
    run.fail(1, "a", "a.log")
    run.begin(1, "a")
    run.finish(1)
    run.begin(2, "b")
    run.fail(2, "b", "b.log")
    assert "1 failed (b); 1 of 2 jobs done" in run.close().splitlines()[-1]


def test_what_was_interrupted_has_not_failed(begin: Begin) -> None:
    run = begin()
    run.plan(a=2)
    run.begin(1, "a", "the weights of x")
    run.event(None, "Terminating processes on user request, this might take some time.")
    run.fail(1, "a", "a.log")
    *_, job_line, last = run.close().splitlines()
    assert job_line == "  interrupted: the weights of x"
    assert "failed" not in last and "0 of 2 jobs done" in last


def test_failures_are_red_on_a_terminal_unless_no_colour_is_asked_for(begin: Begin) -> None:
    for nocolor in (False, True):
        run = begin(terminal=True, nocolor=nocolor)
        logger.error("no")
        assert ("\033[31mno" in run.close()) != nocolor


def test_a_letter_that_a_locale_lacks_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    handler_module.Screen(stream).line("ε of minilm")
    stream.seek(0)
    assert stream.read() == "? of minilm\n"


# ------ The end


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The folder of a study's results."""
    (tmp_path / "demo/tables").mkdir(parents=True)
    (tmp_path / "demo/index.html").touch()
    (tmp_path / "demo/tables/claims.csv").write_text(CLAIMS)
    return tmp_path / "demo"


def page_and_claims(results: Path) -> tuple[str, str]:
    return str(results / "index.html"), str(results / "tables/claims.csv")


@pytest.mark.parametrize("planned", [0, 1])
def test_the_end_says_where_the_results_are(begin: Begin, results: Path, planned: int) -> None:
    run = begin()
    run.event(None, "Study demo: two models", results=page_and_claims(results))
    if planned:
        run.plan(results=1)
        run.begin(0, "results")
        run.finish(0)
    else:
        run.event(None, "Nothing to be done (all requested files are present and up to date).")
    expected = [f"Results: {results}/index.html", "Claims: 2 not reproduced, 1 reproduced"]
    assert run.close().splitlines()[-2:] == expected


def test_a_run_that_fails_does_not_say_that_there_are_results(begin: Begin, results: Path) -> None:
    run = begin()
    run.event(None, "Study demo: two models", results=page_and_claims(results))
    run.plan(a=1, results=1)
    run.begin(1, "a")
    run.fail(1, "a", "a.log")
    assert "Results" not in run.close() and "Claims" not in run.said


def test_nor_does_a_run_for_something_else(begin: Begin, results: Path) -> None:
    run = begin()
    run.event(None, "Study demo: two models", results=page_and_claims(results))
    run.plan(estimate=1)
    run.begin(0, "estimate")
    run.finish(0)
    assert run.close().splitlines()[-1] == "1 job done in 0 s"


@pytest.mark.parametrize(
    "content",
    [
        *(None, b"", b"id,statement\na,b\n", b"id,verdict\na\n", b"verdict\n\xff\xfe\n"),
        *(b"verdict\n\x00\n", b"verdict\n\x1b[2J\n", b'verdict\n"' + b"a" * 200_000),
    ],
)
def test_no_table_of_claims_breaks_the_end(results: Path, content: bytes | None) -> None:
    claims = results / "tables/claims.csv"
    claims.unlink()
    if content is not None:
        claims.write_bytes(content)
    assert not count_verdicts(claims)
    assert where_results_are(results / "index.html", claims) == [f"Results: {results}/index.html"]
    (results / "index.html").unlink()
    assert where_results_are(results / "index.html", claims) == []


# ------ Words


def test_times_and_lists_as_a_person_says_them() -> None:
    times = [duration(seconds) for seconds in (0.4, 59.6, 125, 3599, 11_220)]
    assert times == ["0 s", "1 min 0 s", "2 min 5 s", "59 min 59 s", "3 h 7 min"]
    assert listed(["a"], 2) == "a" and listed(["a", "b", "c"], 2) == "a, b and 1 more"


def test_what_a_stage_tells_is_what_the_terminal_looks_for() -> None:
    assert stage.TOLD == TOLD


# ------ Snakemake itself

SNAKEFILE = """
from snakemake.logging import logger

made = ("results/toy/index.html", "results/toy/tables/claims.csv")
logger.info("Study toy: two jobs", extra={"results": made})

rule all:
    input: "a", "b"

rule good:
    output: "a"
    log: "good.log"
    message: "what is done well"
    params: fails=False
    script: "script.py"

rule bad:
    output: "b"
    log: "bad.log"
    message: "what fails"
    params: fails=True
    script: "script.py"
"""
SCRIPT = f"""
import os
import sys
sys.path[:0] = ["{ROOT}/scripts", "{ROOT}/src"]
from stage import job, progress, tell
with job(snakemake):
    print("to standard error", file=sys.stderr)
    os.write(2, b"from a compiled library\\n")
    tell("one model is not run")
    for layer in progress([0, 1]):
        pass
    if snakemake.params.fails:
        raise ValueError("file.yaml: mend it\\nmore")
    open(snakemake.output[0], "w").close()
"""


def test_a_run_of_snakemake(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "profiles/default").mkdir(parents=True)
    profile = (ROOT / "profiles/default/config.yaml").read_text()
    (tmp_path / "profiles/default/config.yaml").write_text(profile)
    assert yaml.safe_load(profile) == {"logger": "headalgebra"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    # Snakemake's own, of which no profile can be silent.
    profiled, *lines = done.stderr.splitlines()
    assert profiled.startswith("Using workflow specific profile")
    assert lines[0] == "Study toy: two jobs"
    assert lines[1] == "3 jobs to do"
    assert sum(bool(re.match(r"1/3  what is done well +\d+ s", line)) for line in lines) == 1
    assert sum(line.strip() == "one model is not run" for line in lines) == 2
    assert "bad: file.yaml: mend it" in lines
    assert sum(line.startswith("  failed after") for line in lines) == 1
    assert "1 failed (what fails); 1 of 3 jobs done" in lines[-1]
    assert len(lines) == 8, done.stderr
    assert not CONTROL.search(done.stderr)
    # Snakemake's log has the files, whether or not a rule has a message.
    (log,) = tmp_path.glob(".snakemake/log/*.log")
    assert "rule good:\n    output: a\n    log: good.log" in log.read_text()
    said = (tmp_path / "good.log").read_text().splitlines()
    assert said[1:3] == ["to standard error", "from a compiled library"]
    assert said[-2].split() == ["out", "a,", "0", "bytes"]
    assert "Traceback" in (tmp_path / "bad.log").read_text()
