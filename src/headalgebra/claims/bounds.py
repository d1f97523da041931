"""Claims with several bounds that every model must keep, and those judged apart by kind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from headalgebra.claims.finding import (
    NOT_REPRODUCED,
    Evidence,
    Finding,
    not_measured,
    strongest,
    verdict_if,
    weakest,
)
from headalgebra.claims.study import Study


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What every model must keep to.

    Attributes
    ----------
    called
        What the number that is farthest from it, over the models, is called.
    limit
        What a number is held against.
    at_most
        Whether it may be no larger; otherwise no smaller.
    beyond
        Whether it may not be as large as the limit either.
    """

    called: str
    limit: float
    at_most: bool = False
    beyond: bool = False

    def holds(self, measured: Evidence) -> bool:
        """Whether a number keeps it."""
        if self.beyond and measured.value == self.limit:
            return False
        return measured.value <= self.limit if self.at_most else measured.value >= self.limit

    def extreme(self, found: Sequence[Evidence]) -> Evidence:
        """The number of several that is farthest from it."""
        return strongest(found, self.called) if self.at_most else weakest(found, self.called)


def on_every_bound(
    bounds: Sequence[Bound],
    measured: Mapping[str, Sequence[Evidence]],
    *,
    beside: Sequence[Evidence] = (),
    not_judged: Mapping[str, str],
    nothing: Finding,
) -> Finding:
    """Reproduced if every model keeps every bound; the number shown is of the first that fails.

    Parameters
    ----------
    bounds
        Where all are kept, the number shown is of the first.
    measured
        By model, a number for each bound, in their order.
    beside
        Numbers to show with these.
    not_judged
        By model, why it was not.
    nothing
        What is found where no model was judged.
    """
    note = "; ".join(f"{model}: {reason}" for model, reason in not_judged.items())
    if not measured:
        return not_measured(note or nothing.note, beside)
    columns = list(zip(*measured.values(), strict=True))
    extremes = [bound.extreme(found) for bound, found in zip(bounds, columns, strict=True)]
    failing = [
        found for bound, found in zip(bounds, extremes, strict=True) if not bound.holds(found)
    ]
    return Finding(
        verdict=verdict_if(not failing),
        deciding=(failing or extremes)[0],
        evidence=(*(number for of_model in measured.values() for number in of_model), *beside),
        note=note,
    )


def by_placement(study: Study, judge: Callable[[list[str]], Finding]) -> Finding:
    """The finding on models that normalise before a block's parts, and after, each by itself.

    One kind against the claim is enough; of a kind of which there is no model nothing is said.

    Parameters
    ----------
    judge
        Gives the finding on models of one kind.
    """
    if study.counted.empty:
        return study.nothing_counts
    found = {
        called: judge(study.of_kind("norm_placement", placement))
        for placement, called in (("pre", "pre-norm"), ("post", "post-norm"))
    }
    told = "; ".join(
        f"{called}: {finding.verdict}" + (f" ({finding.note})" if finding.note else "")
        for called, finding in found.items()
    )
    judged = {called: finding for called, finding in found.items() if finding.deciding}
    against = [called for called in judged if judged[called].verdict == NOT_REPRODUCED]
    evidence = tuple(number for finding in found.values() for number in finding.evidence)
    if not judged:
        return not_measured(told, evidence)
    shown = (against or list(judged))[0]
    number = judged[shown].deciding
    assert number is not None
    return Finding(
        verdict=judged[shown].verdict,
        deciding=replace(number, statistic=f"{number.statistic}, {shown} models"),
        evidence=evidence,
        note=told,
    )
