"""What a claim of a paper is."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from headalgebra.claims.doubt import Reads
from headalgebra.claims.finding import (
    Finding,
    not_measured,
)
from headalgebra.claims.study import Study


def counted_models(study: Study) -> list[str]:
    """The models that claims on trained models rest on."""
    return list(study.counted["model"])


def all_models(study: Study) -> list[str]:
    """Every model of a study, trained or not: what claims on methods may rest on."""
    return list(study.models["model"])


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of a paper and the rule that judges it.

    Attributes
    ----------
    id, title, section
        A name, the claim in a few words, and where the paper says it.
    statement, paper_value
        What the paper says, in our words, and its figure.
    criterion
        When it is reproduced; a format string over :class:`~headalgebra.claims.study.Thresholds`.
    identity
        The identity that settles it, where one does.
    reads
        Tables and columns that it is judged by, beside which model and layer; the rule is shown no
        others. Where a number of theirs is not finite and ought to be, there is no verdict.
    quantities
        Of tables with a row for each of many quantities, guards or experiments, those that it is
        judged by; none named is all.
    models
        Gives those of a study's models that it rests on.
    figures
        Figures of a study that show it, the most telling first.
    rule
        What gives its finding where all that it is judged by is sound.
    of_trained_models
        Whether only trained models can be evidence of it.
    """

    id: str
    title: str
    section: str
    statement: str
    paper_value: str
    criterion: str
    identity: str = ""
    reads: Reads = field(default_factory=dict)
    quantities: tuple[str, ...] = ()
    models: Callable[[Study], list[str]] = counted_models
    figures: tuple[str, ...] = ()
    rule: Callable[[Study], Finding]
    of_trained_models: bool = True

    @property
    def rests_on(self) -> str:
        """The identity, the columns of each table, and the quantities of those with many."""
        parts = [f"identity {self.identity}"] if self.identity else []
        parts += [f"{table}.csv: {', '.join(names)}" for table, names in self.reads.items()]
        parts += [f"of {', '.join(self.quantities)}"] if self.quantities else []
        return "; ".join(parts) or "none"

    def judge(self, study: Study) -> Finding:
        """What a study says of it; the note names models that it could not be asked of."""
        if lacking := study.lacking(self.reads):
            return not_measured(lacking)
        models = self.models(study)
        if doubts := study.doubts(self.reads, models, self.quantities):
            return not_measured("; ".join(doubts))
        finding = self.rule(study.showing(self.reads, self.quantities))
        absent = study.without_rows(self.reads, models)
        notes = (finding.note, *(f"{model}: {why}" for model, why in absent.items()))
        return replace(finding, note="; ".join(filter(None, notes)))
