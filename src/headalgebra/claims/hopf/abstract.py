"""The abstract, which is all of the paper that is at hand: every reading of it is ours."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy import stats

from headalgebra.claims.bounds import Bound, on_every_bound
from headalgebra.claims.claim import Claim, counted_models
from headalgebra.claims.finding import (
    CONTRADICTED,
    TRUE_OF_ANYTHING,
    Evidence,
    Finding,
    not_measured,
    weakest,
)
from headalgebra.claims.rules import on_every_model, on_identity
from headalgebra.claims.statistics import CONFIDENCE, numbers, share
from headalgebra.claims.study import Study

ABSTRACT = "abstract"
"""Where the paper says what it claims."""

OF_A_SYSTEM = ("update_r2", "update_r2_without_first", "impulse_share", "state_r2")
"""Quantities of a model. The first token may have most of the variance, which it alone explains."""


def time_invariant(study: Study) -> Finding:
    """How much of the updates a linear map explains, and of an impulse's response a convolution."""
    r2, impulse = "R² of a layer's update", "convolution share of the response to an impulse"
    later = f"{r2}, without the first token"
    measured, beside, not_judged = {}, [], {}
    for model, rows in study.rows("convolution"):
        of_update, of_later, of_impulse, of_state = (_of(rows, it) for it in OF_A_SYSTEM)
        if any(it.empty or it["value"].isna().any() for it in (of_update, of_later)):
            not_judged[model] = "no R² of its updates: it takes four tokens for each axis"
            continue
        if of_impulse.empty:
            not_judged[model] = "no response to an impulse"
            continue
        measured[model] = [
            _least(model, called, found)
            for called, found in ((r2, of_update), (later, of_later), (impulse, of_impulse))
        ]
        if of_state["value"].notna().any():
            beside.append(_least(model, "R² of the next state", of_state))
    return on_every_bound(
        [
            Bound(called=f"smallest {r2}", limit=study.thresholds.update_r2),
            Bound(called=f"smallest {later}", limit=study.thresholds.update_r2),
            Bound(called=f"smallest {impulse}", limit=study.thresholds.impulse_share),
        ],
        measured,
        beside=beside,
        not_judged=not_judged,
        nothing=study.nothing_measured,
    )


def convolution(study: Study) -> Finding:
    """Share of each model's heads whose attention is mostly a convolution."""
    deciding, beside = {}, []
    for model, rows in study.rows("convolution"):
        heads = rows[rows["head"].notna()]
        n = len(heads)
        if not n:
            continue
        shares = numbers(heads["value"])
        most = int((shares >= study.thresholds.convolution_share).sum())
        deciding[model] = share(model, "share of heads that are mostly a convolution", most, n)
        beside.append(
            Evidence(on=model, statistic="mean convolution share", value=float(shares.mean()), n=n)
        )
        null = numbers(heads["null"].dropna())
        if len(null):
            statistic = "the same of permuted rows"
            beside.append(
                Evidence(on=model, statistic=statistic, value=float(null.mean()), n=len(null))
            )
    return on_every_model(
        "smallest share of heads that are mostly a convolution",
        deciding,
        study.thresholds.share,
        beside=beside,
        not_judged={},
        nothing=study.nothing_measured,
    )


RESIDUALS = {
    "chen_residual": "largest residual of Chen's identity",
    "antipode_residual": "largest residual of the antipode",
}
"""Of the two identities by column; either may be asked of some orders alone."""


def _hopf_residuals(
    study: Study, models: Iterable[str]
) -> tuple[dict[str, list[Evidence]], list[str], dict[str, str]]:
    """Residuals of each model, where they are no rounding, and why a model has none."""
    found: dict[str, list[Evidence]] = {}
    doubts, not_judged = [], {}
    rough, tolerance = study.not_in_double, study.thresholds.identity_residual
    for model, rows in study.rows("dyson", list(models)):
        if model in rough:
            not_judged[model] = rough[model]
            continue
        of_model = []
        for column, statistic in RESIDUALS.items():
            residual = numbers(rows[column].dropna())
            if len(residual):
                most, n = float(residual.max()), len(residual)
                of_model.append(Evidence(on=model, statistic=statistic, value=most, n=n))
        if len(of_model) < len(RESIDUALS):
            not_judged[model] = "one of the two identities was not computed"
            continue
        found[model] = of_model
        doubts += [
            f"{model}: {number.statistic} is {number.value:.2g}"
            for number in of_model
            if number.value > tolerance
        ]
    return found, doubts, not_judged


def unit(study: Study) -> Finding:
    """Whether the residual stream is the unit of the product of paths through the layers."""
    found, doubts, not_judged = _hopf_residuals(study, study.counted["model"])
    return on_identity(
        study,
        TRUE_OF_ANYTHING,
        "largest residual of Chen's identity and of the antipode",
        [number for of_model in found.values() for number in of_model],
        doubts=doubts,
        not_judged=not_judged,
        nothing=study.nothing_measured.note,
    )


def initial_models(study: Study) -> list[str]:
    """Models at their initialisation."""
    return list(study.models["model"][study.models["source"] == "init"])


def coherence(study: Study) -> Finding:
    """Whether the invariant holds of models that have learnt nothing as it does of trained ones."""
    trained, initial = counted_models(study), initial_models(study)
    found, doubts, not_judged = _hopf_residuals(study, [*trained, *initial])
    every = [number for of_model in found.values() for number in of_model]
    for kind, models in (("trained", trained), ("initialised", initial)):
        if trained and not found.keys() & set(models):
            reasons = [f"{model}: {why}" for model, why in not_judged.items()]
            missing = f"no {kind} model with both identities, and it takes both kinds"
            return not_measured("; ".join([missing, *reasons]), every)
    return on_identity(
        study,
        CONTRADICTED,
        "largest residual of Chen's identity and of the antipode, trained or not",
        every,
        doubts=doubts,
        not_judged=not_judged,
        nothing=study.nothing_measured.note,
    )


OF_THE_GRADIENT = (
    "gradient_cosine",
    "gradient_cosine_se",
    "gradient_cosine_chance_sd",
    "gradient_sequences",
)
"""Quantities of a layer of a decoder."""


def gradient(study: Study) -> Finding:
    """Cosine of each layer's update with the descent of the loss, in decoders."""
    if study.counted.empty:
        return study.nothing_counts
    deciding, beside, not_judged = {}, [], {}
    statistic = "cosine of a layer's update with the loss's descent"
    for model, rows in study.rows("convolution", study.of_kind("kind", "decoder")):
        by_layer = rows.pivot(index="layer", columns="quantity", values="value")
        if "gradient_cosine" not in by_layer:
            not_judged[model] = "no gradient of its loss"
            continue
        mean, error, chance, sequences = (
            numbers(by_layer[name]) if name in by_layer else np.full(len(by_layer), np.nan)
            for name in OF_THE_GRADIENT
        )
        # The standard error is over sequences, and few of them.
        half = error * stats.t.ppf((1 + CONFIDENCE) / 2, sequences - 1)
        of_layers = [
            Evidence(on=model, statistic=statistic, value=m, low=m - h, high=m + h, n=1)
            for m, h in zip(mean.tolist(), half.tolist(), strict=True)
        ]
        deciding[model] = weakest(of_layers, f"smallest {statistic}")
        # The error of a mean is no more than the mean of the errors, however they go together.
        over_all, within, n = float(mean.mean()), float(half.mean()), len(mean)
        beside.append(
            Evidence(
                on=model,
                statistic=f"mean over the layers of the {statistic}",
                value=over_all,
                low=over_all - within,
                high=over_all + within,
                n=n,
            )
        )
        if np.isfinite(chance).any():
            called = "standard deviation of the cosine by chance, mean over the layers"
            spread = float(np.nanmean(chance))
            beside.append(Evidence(on=model, statistic=called, value=spread, n=n))
    return on_every_model(
        f"smallest {statistic}",
        deciding,
        study.thresholds.gradient_cosine,
        beside=beside,
        not_judged=not_judged,
        nothing=not_measured("no trained decoder could be judged"),
    )


def _of(rows: pd.DataFrame, quantity: str) -> pd.DataFrame:
    return rows[rows["quantity"] == quantity]


def _least(model: str, statistic: str, rows: pd.DataFrame) -> Evidence:
    values = numbers(rows["value"].dropna())
    return Evidence(
        on=model, statistic=f"smallest {statistic}", value=float(values.min()), n=len(values)
    )


CLAIMS = (
    Claim(
        id="hopf-lti",
        title="A transformer is linear and time-invariant",
        section=ABSTRACT,
        statement="a transformer is a linear time-invariant system",
        paper_value="such a system",
        criterion="a linear map with an offset explains R² ≥ {update_r2:g} of the update of every "
        "layer on tokens that it was not fitted to, of all tokens and with the first of each "
        "sequence left out, and a convolution {impulse_share:g} of the response to an impulse, in "
        "every trained model; R² of the next state is high for any residual network and stands "
        "beside",
        reads={"convolution": ("quantity", "value")},
        quantities=OF_A_SYSTEM,
        rule=time_invariant,
    ),
    Claim(
        id="hopf-convolution",
        title="Attention is a convolution",
        section=ABSTRACT,
        statement="attention computes a generalised convolution",
        paper_value="a convolution transform",
        criterion="a kernel of the distance of tokens alone, with the softmax's factor of each "
        "row, explains at least {convolution_share:g} of the logarithm of attention in at least "
        "{share:.0%} of the heads of every trained model",
        reads={"convolution": ("head", "quantity", "value", "null")},
        quantities=("convolution_share",),
        figures=("convolution",),
        rule=convolution,
    ),
    Claim(
        id="hopf-impulse",
        title="The residual stream is the unit",
        section=ABSTRACT,
        statement="the residual stream serves as the unit impulse",
        paper_value="a unit",
        criterion="our reading: paths through the layers, joined end to end, have the path through "
        "none of them as unit, for any layers, so true of anything; borne out where Chen's "
        "identity and the antipode hold to {identity_residual:g} in every trained model run in "
        "float64",
        identity="m(S⊗id)Δ = ηε",
        reads={"dyson": ("order", *RESIDUALS), "runs": ("dtype",)},
        rule=unit,
    ),
    Claim(
        id="hopf-coherence",
        title="Learning enforces Hopf coherence",
        section=ABSTRACT,
        statement="a transformer learns by enforcing an invariant between attention and the "
        "residual stream, Hopf coherence",
        paper_value="an invariant that learning enforces",
        criterion="our reading is an identity of any residual network: borne out where the "
        "residuals of Chen's identity and of the antipode are at most {identity_residual:g} in "
        "trained models and in models at their initialisation, which have learnt nothing, alike",
        identity="m(S⊗id)Δ = ηε",
        reads={"dyson": ("order", *RESIDUALS), "runs": ("dtype",)},
        models=lambda study: [*counted_models(study), *initial_models(study)],
        rule=coherence,
    ),
    Claim(
        id="hopf-gradient",
        title="The gradient occurs within single layers",
        section=ABSTRACT,
        statement="the gradient of the loss occurs within single layers, and no backward pass is "
        "needed",
        paper_value="no backward pass",
        criterion="the mean cosine of a layer's update with the loss's descent at its input is at "
        "least {gradient_cosine:g} in every layer of every trained decoder",
        reads={"convolution": ("quantity", "value"), "runs": ("kind",)},
        quantities=OF_THE_GRADIENT,
        figures=("gradient",),
        rule=gradient,
    ),
    Claim(
        id="hopf-building-blocks",
        title="All building blocks are one Hopf algebra",
        section=ABSTRACT,
        statement="every building block of a transformer is one concept, a combinatorial Hopf "
        "algebra",
        paper_value="all of them",
        criterion="none here: the construction is not in the text at hand, which is an abstract",
        rule=lambda _: not_measured("no construction to test: the abstract does not give it"),
        of_trained_models=False,
    ),
)
