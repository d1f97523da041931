"""What must hold before a frozen block may be believed, and the refusal of what fails.

That a frozen block gives back its own output proves little: one with a wrong mask does so too.
Each guard is a number held against a tolerance, and refuses by name.
"""

from dataclasses import dataclass

import torch

from headalgebra.rounding import UNIT_ROUNDOFF

EAGER = "eager"
"""(a) The recorded pass agrees with the untouched model, run with eager attention."""
KEYWORDS = "keywords"
"""(b) Attention is given nothing that it does not know what to do with."""
PROBABILITIES = "probabilities"
"""(c) Each block computes exactly one attention pattern."""
AFFINITY = "affinity"
"""(d) What is held makes each block affine, far from where it was recorded too."""
BLOCKS = "blocks"
"""The model is a chain of blocks that each take the state that the one before left."""
HOLDING = "holding"
"""Every norm and activation is of a kind whose factor can be held."""
REPLAY = "replay"
"""A block run again, live or frozen, gives the state that was recorded."""
LOCALITY = "feed-forward locality"
"""What is not attention acts on each token by itself."""

AGREEMENT = {torch.float64: 2e-6, torch.float32: 1e-4}
"""Of (a). In float64 many families still round to float32 inside their blocks. In float32 the order
of sums differs, which depth amplifies: to 6e-6 in a model of 16 blocks and d = 2048."""

AFFINE_UNITS = 9000.0
"""Of (d) and of the replay, in unit roundoffs: 1e-12 in float64."""


@dataclass(frozen=True)
class Guard:
    """What a guard found.

    Attributes
    ----------
    guard
        Which one.
    value
        The largest of all blocks: a relative error, or a number of things too many or too few.
    tolerance
        What it may be at most.
    note
        Where it was found, or empty.
    """

    guard: str
    value: float
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is within the tolerance; one that is not a number is not."""
        return self.value <= self.tolerance

    def demand(self) -> "Guard":
        """Return it if it passed.

        Raises
        ------
        GuardError
            If it did not.
        """
        if not self.passed:
            raise GuardError(self)
        return self


class GuardError(ValueError):
    """A model that cannot be measured, and the guard that it failed.

    Attributes
    ----------
    guard, value, tolerance
        As in :class:`Guard`.
    """

    def __init__(self, failed: Guard) -> None:
        self.failed = failed
        self.guard, self.value, self.tolerance = failed.guard, failed.value, failed.tolerance
        of_what = f": {failed.note}" if failed.note else ""
        super().__init__(
            f"guard {failed.guard} failed with {failed.value:.3g} against {failed.tolerance:.3g}"
            f"{of_what}"
        )


def refuse(guard: str, note: str, count: float = 1.0) -> GuardError:
    """A refusal of something that should not be there at all."""
    return GuardError(Guard(guard, count, 0.0, note))


def affine_tolerance(dtype: torch.dtype) -> float:
    """Of (d) and of the replay, in a dtype."""
    return AFFINE_UNITS * UNIT_ROUNDOFF[dtype]
