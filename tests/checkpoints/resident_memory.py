"""How much memory something takes, by Linux's accounts of this process."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="needs Linux's accounts of memory"
)


def peak_above_the_start(action: Callable[[], object]) -> int:
    """Bytes by which resident memory peaks while something is done."""

    def account(kind: str) -> int:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return 1024 * int(line.split()[1])
        raise AssertionError(kind)

    ctypes.CDLL(None).malloc_trim(0)  # what is free already would hide what is taken
    Path("/proc/self/clear_refs").write_text("5")
    before = account("VmHWM")
    action()
    return account("VmHWM") - before
