"""A file of the hub of which only the wanted ranges are fetched, when they are read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from io import SEEK_CUR, SEEK_END, RawIOBase
from itertools import pairwise
from pathlib import Path
from typing import Any

from headalgebra.checkpoints._hub_ranges import RangeError
from headalgebra.checkpoints._kept_ranges import KeptRanges, Span
from headalgebra.checkpoints._reads import ReadFile

BEGINNING = 1 << 16
"""Bytes that are fetched first: most headers are shorter."""
FURTHEST = 1 << 20
"""Bytes that are fetched ahead of what is read of a longer one."""
SMALLEST = 4 * BEGINNING
"""Bytes of a file from which on it is worth looking at its beginning first."""
BESIDE = 100_001
"""Bytes of a file that may be fetched beside what is wanted of it, unless its header is longer."""


class RangedFile(ReadFile):
    """A file of the hub, fetched in ranges where these are less than half of it.

    Its beginning is fetched before anything else, and shows whether the server knows of ranges. A
    file that is not worth it, or whose server does not give what it is asked for, is fetched whole.

    Parameters
    ----------
    where
        Its name in error messages.
    size
        Its bytes.
    kept
        What of it is on this machine.
    fetch
        Gives the bytes of a range, or raises `RangeError`.
    fetch_whole
        Gives the path of the whole file, and its SHA-256 digest where that is known.
    ahead
        Whether more of a long header is fetched than is read next, since it does not say how long
        it is.
    """

    def __init__(
        self,
        where: str,
        size: int,
        kept: KeptRanges,
        fetch: Callable[[int, int], Iterator[bytes]],
        fetch_whole: Callable[[], tuple[Path, str | None]],
        *,
        ahead: bool = False,
    ) -> None:
        super().__init__(where)
        self.n_bytes = size
        self._kept = kept
        self._fetch = fetch
        self._fetch_whole = fetch_whole
        self._ahead = FURTHEST if ahead else 0
        self._offered: bool | None = None
        self._begun = min(BEGINNING, size)
        self._wanted: list[Span] | None = None
        self._whole: Path | None = None

    def offered(self) -> bool:
        """Whether the server gives ranges, by its answer for the beginning if need be."""
        if self._offered is None:
            try:
                self._reach(0, 1)
                self._offered = True
            except RangeError:
                self._offered = False
        return self._offered

    def cost(self, wanted: Iterable[Span]) -> int:
        """Bytes that are fetched for the header, which has been read, and these; or all.

        What is kept already counts too.
        """
        cost = self._begun + sum(
            stop - start for start, stop in self._requests(wanted, [(0, self._begun)])
        )
        return cost if 2 * cost < self.n_bytes else self._begun + self.n_bytes

    def settle(self, wanted: Iterable[Span]) -> None:
        """Decide how these are fetched, once the header has been read."""
        if self._whole is not None:
            return
        self._wanted = [*wanted]
        if self.cost(self._wanted) > self.n_bytes:  # that of the whole file
            self._whole, self.known = self._fetch_whole()

    def whole(self) -> Path:
        """Where all of it is; what was read before has been hashed for itself."""
        if self._whole is None:
            self._whole, _ = self._fetch_whole()
        return self._whole

    def _requests(self, wanted: Iterable[Span], covered: Iterable[Span]) -> list[Span]:
        return joined(missing(wanted, covered), max(0, BESIDE - self._begun))

    def _open(self) -> RawIOBase:
        if self._whole is None and not self.offered():
            self._whole, self.known = self._fetch_whole()
        return _Reader(self) if self._whole is None else self._whole.open("rb", buffering=0)

    def read_at(self, place: int, content: memoryview) -> int:
        """Read what there is in one piece from a byte on, and say how many bytes these are."""
        count = min(len(content), self.n_bytes - place)
        if count <= 0:
            return 0
        if self._wanted is None and self._begun < place + count:
            further = self._begun + min(self._begun, self._ahead)
            self._begun = min(max(place + count, further), self.n_bytes)
        (start, stop), path = self._found(place, count)
        with path.open("rb", buffering=0) as file:
            file.seek(place - start)
            return file.readinto(content[: min(count, stop - place)])

    def _found(self, place: int, count: int) -> tuple[Span, Path]:
        """A range that holds a byte, and its file; all of it if the server changed its mind."""
        if self._whole is None:
            try:
                return self._reach(place, count)
            except RangeError:
                pass  # the server has changed its mind
        return (0, self.n_bytes), self.whole()

    def _reach(self, place: int, count: int) -> tuple[Span, Path]:
        """A kept range that holds a byte, and its file, fetched if there is none."""
        if found := self._kept.holding(place):
            return found
        with self._kept.alone():
            self._kept.look_again()
            if found := self._kept.holding(place):
                return found
            span = self._to_request(place, count)
            self._kept.keep(span, self._fetch(*span))
        found = self._kept.holding(place)
        assert found is not None
        return found

    def _to_request(self, place: int, count: int) -> Span:
        if self._wanted is None:
            return place, self._begun
        requests = self._requests(self._wanted, [(0, self._begun), *self._kept.spans])
        holding = (span for span in requests if span[0] <= place < span[1])
        return next(holding, (place, place + count))


def missing(wanted: Iterable[Span], covered: Iterable[Span]) -> list[Span]:
    """What is wanted and not covered, in order and without overlap."""
    taken = sorted(covered)
    left: list[Span] = []
    place = 0
    for start, stop in sorted(wanted):
        place = max(place, start)
        for first, last in taken:
            if first >= stop:
                break
            if last > place:
                if first > place:
                    left.append((place, first))
                place = last
        if place < stop:
            left.append((place, stop))
            place = stop
    return left


def joined(spans: Sequence[Span], allowance: int) -> list[Span]:
    """Neighbours joined, the closest first, as far as the bytes between them are allowed."""
    gaps = sorted((after[0] - before[1], after[0]) for before, after in pairwise(spans))
    bridged = set[int]()
    for gap, start in gaps:
        allowance -= gap
        if allowance < 0:
            break
        bridged.add(start)
    together: list[Span] = []
    for start, stop in spans:
        if start in bridged:
            together[-1] = together[-1][0], stop
        else:
            together.append((start, stop))
    return together


class _Reader(RawIOBase):
    """A place in a file of which ranges are fetched."""

    def __init__(self, file: RangedFile) -> None:
        self._file = file
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        from_where = {SEEK_CUR: self._place, SEEK_END: self._file.n_bytes}
        self._place = from_where.get(whence, 0) + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        count = self._file.read_at(self._place, memoryview(buffer).cast("B"))
        self._place += count
        return count
