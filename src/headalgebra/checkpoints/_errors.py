"""The one exception of the package."""


class CheckpointError(ValueError):
    """A checkpoint, or a request about one, that cannot be read as asked.

    Parameters
    ----------
    where
        The file or source at fault.
    problem
        The field at fault and what is wrong with it.
    mend
        What to do about it.

    Notes
    -----
    Printed on a single line, whatever the checkpoint's own strings contain.
    """

    def __init__(self, where: str, problem: str, mend: str) -> None:
        """Keep the three parts as `args`."""
        super().__init__(where, problem, mend)

    def __str__(self) -> str:
        """Join the parts as ``where: problem; mend``."""
        where, problem, mend = self.args
        return " ".join(f"{where}: {problem}; {mend}".split())
