"""What a figure is left out for."""


class NothingToShow(Exception):  # noqa: N818
    """The tables hold nothing that the figure could show; the message says why, in one phrase."""
