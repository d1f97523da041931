"""Section I: models that see both ways, and those that see what came before."""

import numpy as np
import pandas as pd

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, not_measured, verdict_if
from headalgebra.claims.heads import by_head
from headalgebra.claims.statistics import Values, bootstrap_interval, numbers
from headalgebra.claims.study import Study

FEWEST_LAYERS = 2
"""Of one layer alone no resample differs."""


AGAIN = "; their layers are drawn again, so that the interval says nothing of other models"


def bidirectional(study: Study) -> Finding:
    """Symmetric share of encoders' heads beyond chance, less that of decoders' heads."""
    if study.counted.empty:
        return study.nothing_counts
    by_layer = {model: _beyond_chance(rows) for model, rows in study.rows("normality")}
    kinds = {kind: _of_kind(study, kind, by_layer) for kind in ("encoder", "decoder")}
    statistic = "mean symmetric share of heads less chance"
    evidence = [
        Evidence(on=model, statistic=f"{statistic}, {kind}", value=float(v.mean()), n=len(v))
        for kind, models in kinds.items()
        for model, v in models.items()
    ]
    aside = [f"{model}: {why}" for model, why in study.refused.items() if model in by_layer]
    if missing := [kind for kind, models in kinds.items() if not models]:
        few = f"with heads in at least {FEWEST_LAYERS} layers"
        lacking = [f"no trained {kind} {few}" for kind in missing]
        return not_measured("; ".join([*lacking, *aside]), evidence)
    layers = [values for models in kinds.values() for values in models.values()]
    n_encoders = len(kinds["encoder"])

    def difference(*drawn: Values, axis: int) -> Values:
        means = np.array([np.mean(values, axis=axis) for values in drawn])
        return np.asarray(means[:n_encoders].mean(axis=0) - means[n_encoders:].mean(axis=0))

    low, high = bootstrap_interval(layers, difference, study.seed)
    return Finding(
        verdict=verdict_if(low > 0),
        deciding=Evidence(
            on=", ".join(model for models in kinds.values() for model in models),
            statistic="symmetric share less chance, encoders' mean less decoders'",
            value=float(difference(*layers, axis=0)),
            low=low,
            high=high,
            n=sum(map(len, layers)),
        ),
        evidence=tuple(evidence),
        note="; ".join(
            [f"encoders: {n_encoders}, decoders: {len(layers) - n_encoders}{AGAIN}", *aside]
        ),
    )


def _beyond_chance(rows: pd.DataFrame) -> Values:
    """Mean over the heads of each layer of a model."""
    heads = by_head(rows, ("symmetric_share", "symmetric_share_chance"))
    beyond = heads["symmetric_share"] - heads["symmetric_share_chance"]
    return numbers(beyond.groupby(level="layer").mean())


def _of_kind(study: Study, kind: str, by_layer: dict[str, Values]) -> dict[str, Values]:
    named = (model for model in study.of_kind("kind", kind) if model in by_layer)
    return {model: by_layer[model] for model in named if len(by_layer[model]) >= FEWEST_LAYERS}


CLAIMS = (
    Claim(
        id="dyson-bidirectional",
        title="Encoders are closer to Hermitian",
        section="I",
        statement="models that see both ways have operators closer to Hermitian than those that "
        "see only what came before",
        paper_value="an order",
        criterion="the symmetric share of A_h = W_q W_kᵀ less chance, averaged over the heads of "
        "a layer, the layers of a model and the models of a kind, is larger for encoders than for "
        "decoders: the 95 % interval of the difference, layers of every model drawn again, lies "
        "above 0; it takes a trained model of each kind",
        reads={"normality": ("operator", "quantity", "value"), "runs": ("kind", "note")},
        quantities=("symmetric_share", "symmetric_share_chance"),
        figures=("symmetric_share",),
        rule=bidirectional,
    ),
)
