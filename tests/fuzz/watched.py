"""What reading a file of others may do: little memory, little time, and no file of anybody else."""

import os
import signal
import site
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from resident_memory import peak_above_the_start

SECONDS = 1.0
"""Of the CPU, after which reading a small file hangs."""
ROOM = 1 << 24
"""Bytes that reading takes whatever the file: buffers, and parsed values of a small header."""

OUR_OWN = tuple(
    {
        os.path.realpath(path)
        for path in (
            *(sys.prefix, sys.base_prefix, *site.getsitepackages(), "/proc/self", "/sys", "/dev"),
            *("/usr/lib", "/usr/share", "/etc/localtime", "/etc/mime.types"),
            Path(__file__).parents[2],
        )
    }
)
"""Folders of Python and of this repository, which are imported from."""


class Hangs(BaseException):
    """Reading took longer than it may."""


_opened: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _opened is not None and isinstance(arguments[0], str | bytes):
        _opened.append(os.fsdecode(arguments[0]))


sys.addaudithook(_hook)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise Hangs(f"more than {seconds} s of the CPU")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def assert_harmless(
    read: Callable[[], object],
    refusals: tuple[type[Exception], ...],
    folder: Path,
    size: int,
) -> str:
    """Read a broken file, and say how it was refused; empty where it was not.

    Parameters
    ----------
    read
        Reads it.
    refusals
        What it may end in, an exception of one line.
    folder
        All that it may open.
    size
        Of the files there, in bytes; at most twice as many are taken, beside some room.
    """
    global _opened
    said = ""

    def attempt() -> None:
        nonlocal said
        try:
            with _within(SECONDS):
                read()
        except refusals as error:
            said = str(error)

    _opened = []
    try:
        taken = peak_above_the_start(attempt)
    finally:
        opened, _opened = _opened, None
    assert said == " ".join(said.split()), "a refusal is one line"
    assert taken <= 2 * size + ROOM, f"{taken} bytes for a file of {size}"
    allowed = (*OUR_OWN, os.path.realpath(folder))
    strange = [it for it in opened if not os.path.realpath(it).startswith(allowed)]
    assert not strange, f"opened {strange}"
    return said


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def new_folder(name: str) -> Iterator[Path]:
    """An empty one, in memory where the system has such a place, and gone in the end."""
    shared = Path("/dev/shm")
    where = shared if shared.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=where) as folder:
        yield Path(folder)
