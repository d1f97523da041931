"""What an experiment asks: which arms it trains, what of them it compares, and with what."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

COMPARISONS = ("mean", "paired", "ratio", "equal_loss", "partial_rank")
SIDES = ("above", "below")
NEEDS = ("all", "any")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A question to several arms, each of which is trained from several seeds.

    Attributes
    ----------
    name
        Of the experiment.
    claim
        Id of the claim that it answers.
    arms
        Names of all arms, in the order of their rows.
    control
        The default arm. ``paired`` and ``ratio`` hold the others against it, and its test loss
        must be below the bigram floor; without one, that of all arms must.
    quantity
        What is compared.
    comparison
        ``mean``: the mean of each arm. ``paired``: the difference arm less control of the same
        seed. ``ratio``: arm over control of the same seed, less 1, by the mean of the logarithms.
        ``equal_loss``: an arm at its last checkpoint, less its placebo of the same seed where that
        had the same validation loss. ``partial_rank``: Spearman's ρ with other quantities over
        all runs.
    bound
        What the effect is held against; of a ratio, the relative change.
    side
        On which side of the bound the claim has the effect.
    needs
        Whether the claim needs all of the judged rows there, or any.
    judged
        Arms whose rows the claim rests on; None for all. The other rows only describe.
    placebo_of
        The placebo of each arm that ``equal_loss`` compares.
    against
        Quantities that ``partial_rank`` correlates the first with, a row for each.
    given
        Quantities whose ranks it takes out of both.
    cells
        Whether it correlates the means of the arms, and not the runs.

    Raises
    ------
    ValueError
        If these contradict one another.
    """

    name: str
    claim: str
    arms: Sequence[str]
    control: str | None = None
    quantity: str
    comparison: str
    bound: float
    side: str
    needs: str
    judged: Sequence[str] | None = None
    placebo_of: Mapping[str, str] = field(default_factory=dict)
    against: Sequence[str] = ()
    given: Sequence[str] = ()
    cells: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for wrong in self._contradictions():
            raise ValueError(f"experiment {self.name}: {wrong}")

    @property
    def compared(self) -> Sequence[str]:
        """Arms that have a row; ``partial_rank`` has rows of all arms together, so none."""
        match self.comparison:
            case "mean":
                return self.arms
            case "equal_loss":
                return [arm for arm in self.arms if arm in self.placebo_of]
            case "partial_rank":
                return []
            case _:
                return [arm for arm in self.arms if arm != self.control]

    def _contradictions(self) -> Iterator[str]:
        for key, values in (("comparison", COMPARISONS), ("side", SIDES), ("needs", NEEDS)):
            if getattr(self, key) not in values:
                yield f"{key} {getattr(self, key)!r}: choose one of {', '.join(values)}"
        if not self.arms:
            yield "no arms: name at least one"
        if twice := _repeated(self.arms):
            yield f"arm {twice!r} is there twice: name each once"
        yield from self._contradictions_of_arms()
        yield from self._contradictions_of_ranks()
        lowest = {"ratio": -1.0, "partial_rank": -1.0}.get(self.comparison, -math.inf)
        highest = {"partial_rank": 1.0}.get(self.comparison, math.inf)
        if not lowest < self.bound < highest:
            yield f"bound {self.bound}: give a number between {lowest} and {highest}"

    def _contradictions_of_arms(self) -> Iterator[str]:
        if self.control is None and self.comparison in ("paired", "ratio"):
            yield f"{self.comparison} has no control: name one of the arms"
        if bool(self.placebo_of) != (self.comparison == "equal_loss"):
            yield "placebo_of goes with equal_loss, and equal_loss with it: give both or neither"
        named = {
            "control": [self.control] if self.control is not None else [],
            "placebo_of": [*self.placebo_of, *self.placebo_of.values()],
            "judged": self.judged or [],
        }
        for key, arms in named.items():
            for arm in arms:
                if arm not in self.arms:
                    yield f"{key} names {arm!r}, which is none of the arms: {', '.join(self.arms)}"
        for arm, placebo in self.placebo_of.items():
            if arm == placebo:
                yield f"{arm!r} is its own placebo: name another arm"
        if not self.compared and self.comparison != "partial_rank":
            yield f"no arm but the control {self.control!r}: name another"
        if self.judged is not None:
            if not self.judged:
                yield "judged is empty: name an arm, or leave it out to judge all"
            for arm in self.judged:
                if arm not in self.compared:
                    yield f"judged names {arm!r}, of which {self.comparison} makes no row"

    def _contradictions_of_ranks(self) -> Iterator[str]:
        if self.comparison != "partial_rank":
            if self.against or self.given or self.cells:
                yield "against, given and cells go with partial_rank alone: leave them out"
        elif not self.against:
            yield "partial_rank has nothing to correlate with: name quantities in against"
        if twice := _repeated([self.quantity, *self.against, *self.given]):
            yield f"quantity {twice!r} is there twice: name each once in quantity, against, given"


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)
