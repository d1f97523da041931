"""Section 5: heads as blocks of axes, and what the blocks' borders mean."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
from scipy import stats

from headalgebra.claims.claim import Claim
from headalgebra.claims.experiments import by_experiment, comparisons, settled_by
from headalgebra.claims.finding import CONTRADICTED, Evidence, Finding, not_measured
from headalgebra.claims.rules import on_identity
from headalgebra.claims.statistics import CONFIDENCE, listed
from headalgebra.claims.study import Study
from headalgebra.claims.wording import shown

HARM = {
    "cross_entropy": "rise of the loss in nats",
    "last_state": "relative change of the last state",
}
"""What permuting axes does to a decoder, and to a model without a loss."""

WITHIN_HEADS = ("joint", "within")
SHOWN = {
    WITHIN_HEADS: "axes from queries to outputs permuted within heads",
    ("joint", "across"): "axes from queries to outputs permuted across heads",
    ("stream", "within"): "the state's axes permuted within blocks",
    ("stream", "across"): "the state's axes permuted across blocks",
    ("stream", "relabelled within"): "the state's axes permuted within relabelled blocks",
    ("stream", "relabelled across"): "the state's axes permuted across relabelled blocks",
}
"""What is permuted and where it goes, in words."""

SIGNS = {
    ("stream", "across"): 1,
    ("stream", "within"): -1,
    ("stream", "relabelled across"): -1,
    ("stream", "relabelled within"): 1,
}
"""Of the harms, in what the state's own blocks do beyond any others."""


def shuffled(study: Study) -> Finding:
    """Harm of permutations within and across heads, and of those of the state's own axes."""
    if study.counted.empty:
        return study.nothing_counts
    found: list[Evidence] = []
    beside: list[Evidence] = []
    doubts, not_judged, apart = [], {}, []
    rough, limit = study.not_in_double, study.thresholds.standard_errors
    for model, rows in study.rows("axes"):
        # Of all layers at once.
        kinds = rows[rows["layer"].isna()].set_index(["permuted", "moved"])
        kinds = kinds.reindex(pd.MultiIndex.from_tuples(list(SHOWN)))
        there = kinds.dropna(subset=["mean", "standard_error"])
        harms = {
            kind: _harm(model, kind, row)
            for kind, row in zip(SHOWN, kinds.to_dict("records"), strict=True)
            if kind in there.index
        }
        beside += harms.values()
        if model in rough:
            not_judged[model] = rough[model]
            continue
        if len(missing := kinds.drop(there.index)):
            notes = [str(note) for note in missing["note"].dropna() if note]
            lacking = [f"no harm, with its error, of {SHOWN[kind]}" for kind in missing.index]
            not_judged[model] = listed(list(dict.fromkeys(notes)) or lacking[:1])
            continue
        identity = harms[WITHIN_HEADS]
        size = abs(identity.value)
        called = f"size of the {identity.statistic}"
        found.append(Evidence(on=model, statistic=called, value=size, n=identity.n))
        if size > study.thresholds.identity_residual:
            doubts.append(f"{model}: {called} is {size:.2g}")
        excess, error = _excess(there)
        beside.append(_with_interval(model, EXCESS, excess, error, identity.n))
        if abs(excess) > limit * error:
            apart.append(f"{model}: {EXCESS} is {excess:.2g} ± {error:.2g}")
    finding = on_identity(
        study,
        CONTRADICTED,
        "largest harm of permuting axes from queries to outputs within heads",
        found,
        doubts=doubts,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured.note,
    )
    if not apart:
        return finding
    unlike = "symmetry expects none of models on average, and this is not borne out: "
    note = "; ".join(filter(None, (unlike + "; ".join(apart), finding.note)))
    return not_measured(note, finding.evidence)


EXCESS = "harm across less within blocks of the state's axes, less that of relabelled blocks"


def _excess(kinds: pd.DataFrame) -> tuple[float, float]:
    """What the state's own blocks do beyond relabelled ones, and its standard error."""
    means, errors = (kinds[column].astype(float) for column in ("mean", "standard_error"))
    excess = math.fsum(sign * means[kind] for kind, sign in SIGNS.items())
    return excess, math.hypot(*(errors[kind] for kind in SIGNS))


def _harm(model: str, kind: tuple[str, str], row: Mapping[Hashable, Any]) -> Evidence:
    mean, error, n = float(row["mean"]), float(row["standard_error"]), int(row["permutations"])
    return _with_interval(model, f"{HARM[row['quantity']]}, {SHOWN[kind]}", mean, error, n)


def _with_interval(on: str, statistic: str, mean: float, error: float, n: int) -> Evidence:
    half = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Evidence(on=on, statistic=statistic, value=mean, low=mean - half, high=mean + half, n=n)


def lost_with_the_optimiser(study: Study, experiment: str, effect: str) -> Finding:
    """Whether axes lose their kurtosis when the optimiser's are turned, if they have any."""
    finding = by_experiment(study, experiment, effect)
    usual = [
        row.mean - row.measured.value
        for row in comparisons(study, experiment, effect)
        if row.measured and not math.isnan(row.bound)
    ]
    if finding.deciding is None or min(usual) > 0:
        return finding
    nothing = (
        "with the optimiser in the usual basis the kurtosis over axes exceeds that over axes "
        f"turned at random by {shown(min(usual))}: there is nothing to lose"
    )
    return not_measured("; ".join((nothing, finding.note)), finding.evidence)


CLAIMS = (
    Claim(
        id="geometry-axes",
        title="Meaning is encoded in axes",
        section="5.2, 5.4",
        statement="heads take contiguous axes, so that training puts related features on "
        "contiguous axes, and shuffling axes across heads will do far more harm than as many "
        "within heads",
        paper_value="significantly more across",
        criterion="scores and outputs are sums over a head's axes, so that permuting those of "
        "queries, keys, values and outputs alike within heads does nothing and across heads "
        "something, in any model: the difference that is predicted is an identity, and no evidence "
        "of meaning; the axes of the state that attention reads belong to no head, and blocks of "
        "them are exchangeable where initialisation and optimiser treat axes alike; borne out "
        "where within heads the harm (of the loss in decoders, of the last state in encoders) is "
        "at most {identity_residual:g}, and across less within blocks of the state's axes is that "
        "of relabelled blocks to {standard_errors:g} standard errors, in every trained model run "
        "in float64; only training with an optimiser that treats axes otherwise could tell more",
        identity="Σ_a q_a k_a = Σ_a q_π(a) k_π(a)",
        reads={
            "axes": (
                *("permuted", "quantity", "moved", "permutations", "mean", "standard_error"),
                "note",
            ),
            "runs": ("dtype",),
        },
        figures=("axes",),
        rule=shuffled,
    ),
    settled_by(
        "axes-optimiser",
        "difference in kurtosis of states over their axes, less that over axes turned at random",
        id="geometry-axes-optimiser",
        title="Heads make axes carry meaning",
        section="5.2",
        statement="that heads take blocks of axes is what makes training encode meaning in axes",
        paper_value="a strong incentive",
        criterion="AdamW, which scales the step of each axis by itself, tells axes apart as well: "
        "states of decoders trained here lie along few axes where their kurtosis over the axes is "
        "above that over axes turned at random; if heads are the cause, this excess stays where "
        "AdamW steps in a basis of the residual stream that is turned at random, and if AdamW is, "
        "it is lost; the excess less that with AdamW in the usual basis lies above 0; a loss is "
        "against the claim, and no difference known is neither for it nor against it; not "
        "measured where AdamW in the usual basis makes no excess",
        rule=lost_with_the_optimiser,
    ),
    settled_by(
        "soft-heads",
        "difference in test loss, nats a token",
        id="geometry-soft-heads",
        title="Soft heads are more powerful",
        section="5.4",
        statement="heads that share axes, as weights that overlap, group features more flexibly "
        "and may be more powerful",
        paper_value="a proposal",
        criterion="the test loss of decoders trained here with soft heads, of any form and "
        "overlap, less that with hard heads and the same seed, lies below 0",
    ),
    settled_by(
        "grid",
        "difference in test loss less loss on the training text, nats a token",
        id="geometry-grid",
        title="The mismatch of d − 2 and d regularises",
        section="5.5",
        statement="that norms leave d − 2 dimensions and heads divide d axes is a mismatch that "
        "regularises training",
        paper_value="a hypothesis",
        criterion="the test loss less that on what was trained on, of decoders trained here whose "
        "heads divide all d axes, less the same of decoders of the same seed and as many "
        "parameters whose heads have fewer, lies below 0; rotary positions take heads of even "
        "width, so that d − 2 itself cannot be divided",
    ),
)
