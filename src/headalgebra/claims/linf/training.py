"""Section 5: what phases and conditioning do in training, and other kinds of attention."""

from dataclasses import replace

from headalgebra.claims.experiments import comparisons, on_comparisons, settled_by
from headalgebra.claims.finding import Finding, not_measured
from headalgebra.claims.statistics import listed
from headalgebra.claims.study import Study

KINDS_OF_ATTENTION = ("softmax", "window", "linear")
"""Arms of the experiment on strata: what most decoders have, the sparse one and the linear one."""


def strata_alike(study: Study, experiment: str, effect: str) -> Finding:
    """Whether ε orders the layers one way under all kinds of attention, whichever way that is."""
    found = comparisons(study, experiment, effect)
    absent = [kind for kind in KINDS_OF_ATTENTION if kind not in {row.on for row in found}]
    if found and absent:
        return not_measured(f"{experiment} has no row of {listed(absent)}")
    # The first that is known to lie on a side says which is the one for all.
    sides = [row.side for row in found if row.on in KINDS_OF_ATTENTION and row.side]
    told = [
        replace(row, claimed=sides[0] if sides else 1, needs_all=True)
        if row.on in KINDS_OF_ATTENTION
        else replace(row, bound=float("nan"))
        for row in found
    ]
    return on_comparisons(study, experiment, effect, told)


CLAIMS = (
    settled_by(
        "stability",
        "Spearman's ρ of changes of log κ and of the spread of log gradient norms, mean of runs",
        id="stability",
        title="Well-conditioned layers train more stably",
        section="5",
        statement="gradients are more stable in training where layers are well conditioned",
        paper_value="a correlation",
        criterion="in decoders trained here, Spearman's ρ of the changes of log κ with those of "
        "the standard deviation of log gradient norms, over layers and intervals of training and "
        "less each layer's mean, lies above 0.3 in the mean of runs",
    ),
    settled_by(
        "expressivity",
        "Spearman's ρ over layers of ε and mean attention distance, mean of runs",
        id="expressivity",
        title="Phase III is where behaviour is complex",
        section="5",
        statement="layers in phase III are those of long-range and complex behaviour",
        paper_value="a coincidence",
        criterion="in decoders trained here, Spearman's ρ over layers of ε with the mean distance "
        "that attention looks back lies above 0.5 in the mean of runs; of complex behaviour there "
        "is no measure, so that the range alone is judged, and as a correlation",
    ),
    settled_by(
        "balance",
        "partial rank correlation over runs",
        id="balance",
        title="Balanced phases generalise better",
        section="5",
        statement="models with their layers spread evenly over the phases generalise better",
        paper_value="a tendency",
        criterion="in decoders trained here whose layers start in phases I, II and III in all "
        "mixtures, the partial rank correlations over runs of the entropy of their phases' counts, "
        "with the test loss less that on what they were trained on and with the test loss itself, "
        "the scales of queries and keys at the start held fixed, both lie below −0.3",
    ),
    settled_by(
        "universality",
        "Spearman's ρ over layers of ε and layer, mean of runs",
        id="universality",
        title="Sparse and linear attention alike",
        section="5",
        statement="sparse and linear attention have the same strata",
        paper_value="the same phases",
        criterion="in decoders trained here with softmax attention, with a window of it and with "
        "linear attention, Spearman's ρ of ε with the layer lies on one side of 0, the same for "
        "all three, in the mean of runs; two on different sides are against it",
        rule=strata_alike,
    ),
)
