"""A job as a person knows it: what it does, for how long, and what its log says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOLD = "| "
"""What begins a line of a log that the terminal shows too (scripts/stage.py writes them)."""

HOW_FAR = re.compile(r"^[\w ]+ \d+ of \d+, \d+ s$", re.MULTILINE)
TAIL = 4000
"""Bytes of a log's end that are read for how far its stage is."""


@dataclass(frozen=True)
class Job:
    """A job that has begun.

    Attributes
    ----------
    rule
        The rule's name.
    label
        What it does, in the words of the rule's message; without one the rule and its wildcards.
    logs
        Where it writes.
    begun
        When, in seconds since 1970.
    """

    rule: str
    label: str
    logs: tuple[str, ...]
    begun: float

    def told(self) -> list[str]:
        """Lines of its logs that the terminal shows too; none where there is no log yet."""
        return [
            line.removeprefix(TOLD)
            for log in self.logs
            for line in _text(Path(log)).splitlines()
            if line.startswith(TOLD)
        ]

    def how_far(self) -> str:
        """What the log that it wrote to last says of it, as ``layer 12 of 30, 41 s``."""
        written = [log for log in map(Path, self.logs) if log.is_file()]
        said = HOW_FAR.findall(_text(max(written, key=_changed), TAIL)) if written else []
        return said[-1] if said else ""


def label(message: str | None, rule: str, wildcards: Mapping[str, str]) -> str:
    """What a job is called."""
    return message or " ".join([rule, *wildcards.values()])


def duration(seconds: float) -> str:
    """A time as a person says it: ``4 s``, ``2 min 5 s``, ``3 h 7 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(number: int, what: str) -> str:
    """So many of them."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(items: Sequence[str], at_most: int) -> str:
    """The first of them, and how many more there are."""
    more = len(items) - at_most
    return ", ".join(items[:at_most]) + (f" and {more} more" if more > 0 else "")


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _text(path: Path, tail: int | None = None) -> str:
    """A log's text, or its end; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            if tail is not None:
                file.seek(max(0, path.stat().st_size - tail))
            return file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
