"""The one exception of the package."""


class TextError(ValueError):
    """A text that cannot be had or read as asked, said in one line.

    Parameters
    ----------
    where
        The file or package at fault.
    problem
        What is wrong with it.
    mend
        What to do about it.
    """

    def __init__(self, where: str, problem: str, mend: str) -> None:
        """Join the parts as ``where: problem; mend``."""
        super().__init__(" ".join(f"{where}: {problem}; {mend}".split()))
