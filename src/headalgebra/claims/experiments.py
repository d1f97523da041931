"""Claims on training, judged by experiments on decoders that a study trains.

An experiment is some rows of the table ``experiments``. Each has an effect over runs of different
seeds, its interval, and the bound and the side of it that the claim is about.
"""

import math
from collections.abc import Callable, Sequence

from headalgebra.claims.claim import Claim
from headalgebra.claims.comparison import Comparison, comparison
from headalgebra.claims.doubt import Reads
from headalgebra.claims.finding import (
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    Evidence,
    Finding,
    not_measured,
    strongest,
    weakest,
)
from headalgebra.claims.statistics import listed
from headalgebra.claims.study import Study
from headalgebra.claims.wording import shown

READS: Reads = {
    "experiments": (
        *("experiment", "statistic", "arm", "control", "n", "mean", "effect", "low", "high"),
        *("bound", "side", "needs", "p_holm", "detectable", "diverged", "excluded"),
        *("above_floor", "parameters", "note"),
    )
}

LEVEL = 0.05
"""Of a test after the correction: that of the intervals beside it."""

LIES = (
    "a number lies there where its 95 % interval does, its p after Holm's correction over all "
    f"experiments is below {LEVEL:g} and none of its runs diverged; an interval wholly on "
    "the other side is against the claim, any other decides nothing; judged only if all decoders "
    "that are held against beat the loss of bigrams"
)
"""What every experiment has in its criterion."""


def settled_by(
    experiment: str,
    effect: str,
    *,
    id: str,
    title: str,
    section: str,
    statement: str,
    paper_value: str,
    criterion: str,
    rule: Callable[[Study, str, str], Finding] | None = None,
) -> Claim:
    """A claim that an experiment answers.

    Parameters
    ----------
    experiment
        Its name.
    effect
        What is measured, in a few words.
    criterion
        Which number must lie where; when it does is the same for all experiments, and is added.
    rule
        Given the study and these two, what is found; by default :func:`by_experiment`.
    """
    judge = rule or by_experiment
    return Claim(
        id=id,
        title=title,
        section=section,
        statement=statement,
        paper_value=paper_value,
        criterion=f"{criterion}; {LIES}",
        reads=READS,
        quantities=(experiment,),
        figures=(f"experiment_{experiment}",),
        rule=lambda study: judge(study, experiment, effect),
        of_trained_models=False,
    )


def by_experiment(study: Study, experiment: str, effect: str) -> Finding:
    """Reproduced where all rows held against a bound, or any, lie where the claim has them.

    Which of the two it takes the rows say. Where it takes all, one on the other side is enough for
    not reproduced; where any is enough, all must be.
    """
    return on_comparisons(study, experiment, effect, comparisons(study, experiment, effect))


def comparisons(study: Study, experiment: str, effect: str) -> list[Comparison]:
    """The rows of an experiment, in their order.

    Parameters
    ----------
    effect
        What is measured, in a few words.
    """
    return [comparison(row, effect) for row in study.comparisons(experiment).to_dict("records")]


def on_comparisons(
    study: Study, experiment: str, effect: str, found: Sequence[Comparison]
) -> Finding:
    """What rows of an experiment say of a claim, as :func:`by_experiment` has it."""
    if not found:
        return not_measured(
            f"experiments.csv has no row of {experiment}; "
            f"snakemake --cores all --config experiment={experiment} measures it"
        )
    evidence = [row.measured for row in found if row.measured]
    judged = [row for row in found if not math.isnan(row.bound)]
    if not judged:
        return not_measured(f"no row of {experiment} is held against a bound", evidence)
    told = _runs_in_words(judged)
    if above := max(row.above_floor for row in judged):
        return not_measured(
            f"{above} of the decoders that are held against did not beat the loss of bigrams, and "
            f"what such a one does says nothing; {told}",
            evidence,
        )
    holding, refuting = [row.holds(LEVEL) for row in judged], [row.refutes for row in judged]
    needs_all = all(row.needs_all for row in judged)
    if all(holding) if needs_all else any(holding):
        verdict = REPRODUCED
    elif any(refuting) if needs_all else all(refuting):
        verdict = NOT_REPRODUCED
    else:
        # The number is told all the same: its interval shows what is left open.
        verdict = NOT_MEASURED
        told = "; ".join((*(why for row in judged if (why := row.undecided(LEVEL))), told))
    return Finding(
        verdict=verdict, deciding=_deciding(judged, effect), evidence=tuple(evidence), note=told
    )


def _deciding(judged: Sequence[Comparison], effect: str) -> Evidence | None:
    """The effect that is the least as the claim has it, or, where any is enough, the most."""
    measured = [row.measured for row in judged if row.measured]
    if not measured:
        return None
    if len(measured) == 1:
        return measured[0]
    first = judged[0]
    if (first.claimed > 0) == first.needs_all:
        return weakest(measured, f"smallest {effect}")
    return strongest(measured, f"largest {effect}")


def _runs_in_words(judged: Sequence[Comparison]) -> str:
    """What decoders it is, how many runs there are and are not, and the chances."""
    size = max(row.parameters for row in judged)
    runs = listed(list(dict.fromkeys(row.runs for row in judged)))
    # The note of a row says why runs are not in it.
    lost = [
        f"{row.on}: {row.diverged} diverged, {row.excluded} left out otherwise"
        + (f" ({row.note})" if row.note else "")
        for row in judged
        if row.diverged or row.excluded
    ]
    chances = listed([f"{row.on} {shown(row.p)}" for row in judged if not math.isnan(row.p)])
    other = [row for row in judged if not (row.diverged or row.excluded)]
    notes = [f"{row.on}: {row.note}" for row in other if row.note]
    return "; ".join(
        filter(
            None,
            (
                f"in decoders of {size / 1e6:.2g} M parameters, {runs} each",
                listed(lost) or "none diverged or was left out",
                f"p after Holm's correction: {chances}" if chances else "",
                *notes,
            ),
        )
    )
