"""Wall time of a call, as every benchmark takes it."""

from collections.abc import Callable
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
