"""A number over trainings that differ in their seeds, and what a claim has it held against."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headalgebra.claims.finding import Evidence
from headalgebra.claims.wording import shown

SIDES = {"above": 1, "below": -1}
NEEDS_ALL = {"all": True, "any": False}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A row of the table ``experiments``: a number over runs, and what it is held against.

    Attributes
    ----------
    on
        The arm, and its control where there is one.
    measured
        The effect with its interval; None where there is no effect.
    runs
        What it is over, in words.
    mean
        Of the arm.
    bound
        What the effect is held against; not a number where it is only shown.
    claimed
        1 where the claim has the effect above the bound, −1 where below, 0 where that, or of how
        many rows, is not said.
    needs_all
        Whether all of the experiment's rows must be as claimed, or any.
    p
        After Holm's correction.
    detectable
        Distance from the bound that so many runs find in 80 % of cases.
    diverged, excluded
        Runs that are not in it.
    above_floor
        Runs of what it is held against that did not beat the bigrams.
    parameters
        Of the largest model.
    note
        The row's own.
    """

    on: str
    measured: Evidence | None
    runs: str
    mean: float
    bound: float
    claimed: int
    needs_all: bool
    p: float
    detectable: float
    diverged: int
    excluded: int
    above_floor: int
    parameters: float
    note: str

    @property
    def side(self) -> int:
        """1 where the whole interval lies above the bound, −1 where below, otherwise 0."""
        if self.measured is None:
            return 0
        return int(self.measured.low > self.bound) - int(self.measured.high < self.bound)

    def holds(self, significance: float) -> bool:
        """Whether it lies where the claim has it, neither by chance nor by a choice of runs."""
        as_claimed = self.side == self.claimed != 0
        return as_claimed and self.p < significance and not self.diverged

    @property
    def refutes(self) -> bool:
        """Whether it lies where the claim excludes it."""
        return self.side == -self.claimed != 0

    def undecided(self, significance: float) -> str:
        """Why it is neither for the claim nor against it; empty where it is."""
        if self.refutes or self.holds(significance):
            return ""
        if self.measured is None or math.isnan(self.measured.low):
            return f"{self.on}: {self.runs} give no interval"
        if self.side == 0:
            power = (
                f", and {self.runs} would have found {shown(self.detectable)} away from that in "
                "80 % of cases (at a level of 5 %, without Holm's correction)"
            )
            told = f"{self.on}: {shown(self.bound)} is in the interval"
            return told + ("" if math.isnan(self.detectable) else power)
        if not self.claimed:
            return f"{self.on}: experiments.csv does not say what is claimed of it"
        if self.diverged:
            return f"{self.on}: {self.diverged} of its runs diverged, and the others are a choice"
        return f"{self.on}: p after Holm's correction is {shown(self.p)}"


def comparison(row: Mapping[Any, Any], effect: str) -> Comparison:
    """What a row of the table ``experiments`` says, in whose texts nothing may be no text.

    Parameters
    ----------
    effect
        What is measured, in a few words.
    """
    arm, control, statistic, note = (
        text if isinstance(text := row[name], str) else ""
        for name in ("arm", "control", "statistic", "note")
    )
    n, low, high = int(row["n"]), _number(row["low"]), _number(row["high"])
    if math.isnan(low) or math.isnan(high):
        low = high = math.nan
    on = f"{arm} against {control}" if control else arm or "all arms"
    measured = Evidence(
        on=on,
        # Of all arms there are several numbers, told apart by what they are of.
        statistic=effect if arm else f"{effect}, {statistic}",
        value=_number(row["effect"]),
        low=low,
        high=high,
        n=n,
    )
    return Comparison(
        on=on if arm else statistic,
        measured=None if math.isnan(measured.value) else measured,
        runs=f"{n} {'pairs of runs' if control else 'runs' if arm else 'runs or groups of them'}",
        mean=_number(row["mean"]),
        bound=_number(row["bound"]),
        claimed=SIDES.get(row["side"], 0) if row["needs"] in NEEDS_ALL else 0,
        needs_all=NEEDS_ALL.get(row["needs"], True),
        p=_number(row["p_holm"]),
        detectable=_number(row["detectable"]),
        diverged=int(row["diverged"]),
        excluded=int(row["excluded"]),
        above_floor=int(row["above_floor"]),
        parameters=float(row["parameters"]),
        note=note,
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
