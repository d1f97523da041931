"""Wall time of a call and memory of this process, as every benchmark takes them."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Best wall time of some calls, after one that is not timed."""
    call()
    best = float("inf")
    for _ in range(repeats):
        start = perf_counter()
        call()
        best = min(best, perf_counter() - start)
    return best


def account(file: str, entry: str) -> int:
    """A number from one of the kernel's accounts of this process."""
    for line in Path(f"/proc/self/{file}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == entry:
            return int(value.split()[0])
    raise ValueError(f"/proc/self/{file} has no {entry}")


def peak_bytes() -> int:
    """Most memory that was resident at any time."""
    return 1024 * account("status", "VmHWM")
