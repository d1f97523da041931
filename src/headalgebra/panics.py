"""Panics of libraries that are written in Rust, as exceptions that can be handled."""

from collections.abc import Iterator
from contextlib import contextmanager


class PanicError(RuntimeError):
    """A library stopped at a state that its authors held impossible."""


@contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise `PanicError` where a library panics, which is no `Exception` of its own.

    PyO3 gives the class of panics no module to import it from, so that it is known by its name.
    """
    try:
        yield
    except BaseException as raised:
        if type(raised).__name__ != "PanicException":
            raise
        raise PanicError(str(raised)) from raised
