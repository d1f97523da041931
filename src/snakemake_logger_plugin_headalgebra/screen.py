"""Lines on a stream, above one bar where the stream is a terminal."""

import os
from typing import NoReturn, TextIO

from tqdm import tqdm

RED, YELLOW = 31, 33
BAR = "{percentage:3.0f}% |{bar:20}| {n_fmt} of {total_fmt} jobs, {elapsed}  {desc}"


class Screen:
    """A stream that a person reads.

    Parameters
    ----------
    stream
        Where lines go. No terminal gets a bar or a control character but one that understands them.
    colour
        Whether a terminal may show failures and warnings in colour.
    """

    def __init__(self, stream: TextIO, *, colour: bool = True) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = colour and self.is_terminal
        self._bar: tqdm[NoReturn] | None = None

    def line(self, text: str, colour: int | None = None) -> None:
        """Write a line, or several; the bar moves down."""
        # In the C locale there is no ε, and what cannot be written must not stop a run.
        encoding = self.stream.encoding or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        if colour is not None and self._colour:
            text = f"\033[{colour}m{text}\033[0m"
        if self._bar is not None:
            self._bar.clear()
        self.stream.write(f"{text}\n")
        self.stream.flush()
        if self._bar is not None:
            self._bar.refresh()

    def bar(self, done: int, total: int, doing: str) -> None:
        """Show how many jobs are done, and what is being done."""
        if not self.is_terminal:
            return
        if self._bar is None:
            self._bar = tqdm(
                total=total,
                file=self.stream,
                bar_format=BAR,
                dynamic_ncols=True,
                leave=False,
                miniters=total + 1,
            )
        self._bar.n, self._bar.total = done, total
        self._bar.set_description_str(doing, refresh=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
