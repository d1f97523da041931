"""Claims that only training, or other architectures, could test (sections 5 and 6)."""

from collections.abc import Callable

from headalgebra.claims._claim import NOT_MEASURED, Claim, Finding, Study

CRITERION = "none here: no experiment of this kind"


def _missing(what: str) -> Callable[[Study], Finding]:
    return lambda _: Finding(NOT_MEASURED, f"no {what}")


CLAIMS = (
    Claim(
        id="stability",
        section="5",
        statement="gradients are more stable in training where layers are well conditioned",
        paper_value="a correlation",
        criterion=CRITERION,
        evidence="none",
        judge=_missing("gradients of a training run: checkpoints hold weights alone"),
    ),
    Claim(
        id="expressivity",
        section="5",
        statement="layers in phase III are those of long-range and complex behaviour",
        paper_value="a coincidence",
        criterion=CRITERION,
        evidence="none",
        judge=_missing("behaviour of a layer on text: attention is not run here"),
    ),
    Claim(
        id="balance",
        section="5",
        statement="models with their layers spread evenly over the phases generalise better",
        paper_value="a tendency",
        criterion=CRITERION,
        evidence="none",
        judge=_missing("trained models that differ in their phases alone, with their test losses"),
    ),
    Claim(
        id="universality",
        section="5",
        statement="sparse and linear attention have the same strata",
        paper_value="the same phases",
        criterion=CRITERION,
        evidence="none",
        judge=_missing("model with sparse or linear attention"),
    ),
    Claim(
        id="regularise",
        section="6",
        statement="a penalty on the obstruction in training leads to cleaner structure",
        paper_value="a proposal",
        criterion=CRITERION,
        evidence="none",
        judge=_missing("training run with such a penalty beside one without"),
    ),
)
