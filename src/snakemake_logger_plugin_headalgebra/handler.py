"""From Snakemake's events to lines."""

import logging
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFormatter, logger, show_logs
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_headalgebra.jobs import Job, counted, duration, label, listed
from snakemake_logger_plugin_headalgebra.results import where_results_are
from snakemake_logger_plugin_headalgebra.screen import RED, YELLOW, Screen

# What Snakemake says of its own working; all else that it says is shown.
HIDDEN = re.compile(
    r"(?:Assuming unrestricted shared filesystem|Building DAG of jobs|Using shell:|"
    r"Conda environments: ignored|Select jobs to execute|Elapsed time:|Complete log\(s\):|"
    r"Shutting down, this might|Exiting because a job execution failed|"
    r"Removing output files of failed job|Job \d+ has been submitted with SLURM jobid|"
    r"Auto-selected partition|Adding .* \([\d.]+ \w+\)\.|Loading script code for rule|None$)"
)
NOTHING = "Nothing to be done"
INTERRUPTED = "Terminating processes on user request"
WHOLE_STUDY = "results"
"""The rule whose end is that of a study; others leave some of its results as they were."""
# A script that fails says why in its log. One that is interrupted or killed cannot.
SCRIPT_FAILED = re.compile(r"returned non-zero exit status (?:1|130)\.$")
ENDED = re.compile(r"(?:returned non-zero exit status|died with) .*$")

TICK = 1.0
"""Seconds between two looks at what is running."""
SILENCE = 60.0
"""Seconds without a line, where there is no bar, until one says what is running; each next wait is
twice as long."""


class LogHandler(LogHandlerBase):
    """A line for each job that ends, one bar, failures with their reason, and where results are.

    With ``--verbose``, ``--printshellcmds`` or ``--debug-dag`` it shows what Snakemake itself does,
    lists of files and all. A record with an attribute ``results`` says where the page of the study
    and its table of claims will be.
    """

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin with nothing shown."""
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self._screen = Screen(stream, colour=not settings.nocolor)
        self._in_full: ColorizingTextHandler | None = None
        if settings.verbose or settings.printshellcmds or settings.debug_dag:
            formatter = DefaultFormatter(settings.quiet, settings.show_failed_logs)
            self._in_full = ColorizingTextHandler(settings.nocolor, stream, formatter)
        self._jobs: dict[int, Job] = {}
        self._running: dict[int, Job] = {}
        self._failed: dict[int, Job] = {}
        self._done = self._total = 0
        self._began = self._spoke = time.time()
        self._patience = SILENCE
        self._results: tuple[str, str] | None = None
        self._log = ""
        self._complete = self._whole = self._interrupted = self._closed = False
        self._message_aside = _MessageAside()
        logger.addFilter(self._message_aside)
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Show what a record says."""
        try:
            event = getattr(record, "event", None)
            self._results = getattr(record, "results", self._results)
            if self._in_full is not None:
                self._in_full.emit(record)
            match event:
                case LogEvent.RUN_INFO:
                    self._plan(record)
                case LogEvent.JOB_INFO:
                    self._begin(record)
                case LogEvent.JOB_FINISHED:
                    self._finish(record)
                case LogEvent.JOB_ERROR:
                    self._fail(record)
                case LogEvent.ERROR:
                    self._raised(record)
                case LogEvent.GROUP_ERROR:
                    self._say(DefaultFormatter().format(record), RED)
                case None | LogEvent.GROUP_INFO:
                    self._remark(record)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Say how the run ended."""
        if self._closed:
            return
        self._closed = True
        self._stop.set()
        logger.removeFilter(self._message_aside)
        self._screen.end()
        if self._total and not self.common_settings.dryrun:
            self._summary()
        if self._whole and self._results is not None:
            for line in where_results_are(*map(Path, self._results)):
                self._screen.line(line)
        super().close()

    def _say(self, text: str, colour: int | None = None) -> None:
        """A line that stands in for Snakemake's own, which are shown in full instead."""
        if self._in_full is None:
            self._screen.line(text, colour)
            self._spoke, self._patience = time.time(), SILENCE

    def _plan(self, record: Any) -> None:
        if self._total:  # a dry run says it twice
            return
        self._total = record.stats.get("total", 0)
        if self.common_settings.dryrun:
            self._say(record.msg)
            return
        self._say(f"{counted(self._total, 'job')} to do")
        self._show()
        self._ticker.start()

    def _begin(self, record: Any) -> None:
        name = label(record.message_of_rule, record.rule_name, record.wildcards or {})
        job = Job(record.rule_name, name, tuple(map(str, record.log)), record.created)
        self._jobs[record.jobid] = job
        if self.common_settings.dryrun:
            self._say(f"{name}: {_reason(record.reason)}")
            return
        self._running[record.jobid] = job
        self._failed.pop(record.jobid, None)
        self._show()

    def _finish(self, record: Any) -> None:
        job = self._running.pop(record.job_id, None)
        self._done += 1
        self._complete = self._done == self._total
        self._show()
        if job is None:
            return
        self._whole |= job.rule == WHOLE_STUDY
        width = len(str(self._total))
        count = f"{self._done:>{width}}/{self._total}"
        self._say(f"{count}  {job.label:<60} {duration(record.created - job.begun):>12}")
        for line in job.told():
            self._screen.line(" " * (len(count) + 2) + line)

    def _fail(self, record: Any) -> None:
        begun = self._running.pop(record.jobid, None) or self._jobs.get(record.jobid)
        logs = tuple(map(str, record.log))
        job = begun or Job(record.rule_name, record.rule_name, logs, record.created)
        self._show()
        if self._interrupted:
            self._say(f"  interrupted: {job.label}")
            return
        self._failed[record.jobid] = job
        told = job.told() or [f"{job.rule}: failed, and its log does not say why"]
        for line in told:
            self._screen.line(line, RED)
        after = duration(record.created - job.begun)
        self._say(f"  failed after {after}: {job.label}; log: {', '.join(logs) or 'none'}", RED)
        for line in [record.rule_msg, *(f"{key}: {value}" for key, value in record.aux.items())]:
            if line:
                self._say(f"  {line}")
        if self.common_settings.show_failed_logs:
            for line in show_logs(logs):
                self._say(line)

    def _raised(self, record: Any) -> None:
        said = record.msg.rstrip()
        if SCRIPT_FAILED.search(said) or said.endswith("did not complete successfully."):
            return
        ended = ENDED.search(said) if "CalledProcessError" in said else None
        self._say(f"A job's process {ended[0]}" if ended else said, RED)

    def _remark(self, record: Any) -> None:
        said = record.msg if isinstance(record.msg, str) else str(record.msg)
        if found := re.match(r"Complete log\(s\): (.*)", said):
            self._log = found[1]
        if said.startswith(NOTHING):
            self._whole = True
        self._interrupted |= said.startswith(INTERRUPTED)
        if again := re.match(r"Trying to restart job (\d+)\.", said):
            job = self._jobs.get(int(again[1]))
            said = f"  tried again: {job.label}" if job else said
        # A dry run has named them job by job.
        if HIDDEN.match(said) or said.startswith("Reasons:"):
            return
        colour = {logging.WARNING: YELLOW, logging.ERROR: RED}.get(record.levelno)
        self._say(said.rstrip(), colour)

    def _summary(self) -> None:
        took = duration(time.time() - self._began)
        if self._complete:
            self._say(f"{counted(self._total, 'job')} done in {took}")
            return
        names = listed([job.label for job in self._failed.values()], at_most=5)
        failed = f"{len(self._failed)} failed ({names}); " if self._failed else ""
        log = f" Full log: {self._log}" if self._log else ""
        self._say(
            f"Stopped after {took}: {failed}{self._done} of {counted(self._total, 'job')} done, "
            f"which stay: the same command goes on from there.{log}",
            RED,
        )

    def _doing(self) -> str:
        """What has run the longest, how far it is, and what runs besides."""
        running = sorted(self._running.values(), key=lambda job: job.begun)
        if not running:
            return ""
        first = running[0]
        how_far = first.how_far()
        labels = [f"{first.label} ({how_far})" if how_far else first.label]
        return listed(labels + [job.label for job in running[1:]], at_most=3)

    def _show(self) -> None:
        if self._in_full is None:
            self._screen.bar(self._done, self._total, self._doing())

    def _tick(self) -> None:
        while not self._stop.wait(TICK):
            self.acquire()
            try:
                if self._running and not self._closed:
                    self._show()
                    self._break_silence()
            finally:
                self.release()

    def _break_silence(self) -> None:
        if self._screen.is_terminal or time.time() - self._spoke < self._patience:
            return
        next_patience = 2 * self._patience
        self._say(f"  after {duration(time.time() - self._began)}: {self._doing()}")
        self._patience = next_patience


class _MessageAside(logging.Filter):
    """Puts the message of a rule where this package alone looks for it.

    For a rule that has one Snakemake's own formatter leaves out its files, and its log would too.
    """

    def filter(self, record: Any) -> bool:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            record.message_of_rule, record.rule_msg = record.rule_msg, None
        return True


def _reason(reason: str) -> str:
    """Why a job would run, without the lists of files."""
    parts = [part.partition(":")[0].strip() for part in reason.split("; ")]
    return ", ".join(part[:1].lower() + part[1:] for part in parts if part)
