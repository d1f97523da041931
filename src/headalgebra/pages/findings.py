"""What a study says in three plain sentences, chosen and worded from its claims."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
)
from headalgebra.claims.ledger import CLAIMS
from headalgebra.claims.wording import in_a_sentence

FINDINGS = 3
"""As many as a person takes in at once."""

MODELS_NAMED = 4
"""So many models are named, more are counted."""


@dataclass(frozen=True)
class Wording:
    """A verdict in plain words.

    Attributes
    ----------
    statistic
        How the name of the number begins that the words are about; a claim of several bounds is
        decided now by one of them, now by another.
    headline, sentence
        What was found, and by which number: format strings over the columns of the claims'
        table, ``value`` to three digits, ``percent`` the same as a percentage, ``models`` by name
        or number.
    """

    statistic: str
    headline: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """A finding as a person reads it: of which claim, in words, and the picture that shows it."""

    claim: str
    topic: str
    headline: str
    sentence: str
    picture: str


RHO = "smallest Spearman's ρ of ε and layer"
THIRD = "smallest share of a third's layers inside its range"
JACOBIATOR = "largest ‖J‖"
LIFTED = "largest relative residual of δφ₁ + ½[φ₁,φ₁]_G"
WITHIN_HEADS = "largest harm of permuting axes from queries to outputs within heads"
PRODUCT = "largest relative residual of frozen blocks and of the sum of all orders"
SECOND_ORDER = "largest error of the sum to second order"
SMALL = "smallest share of layers of small updates"
COSINE = "smallest share of heads whose scores are functions of the cosine"
CONVOLUTION = "smallest share of heads that are mostly a convolution"

Wordings = Mapping[str, Mapping[str, Wording]]

BY_DEPTH: Wordings = {
    "eps-monotone": {
        NOT_REPRODUCED: Wording(
            RHO,
            "ε need not grow with depth",
            "ε says how far the heads of a layer are from commuting. The paper has it grow from "
            "the first layer to the last. Spearman's rank correlation of ε and depth, which is 1 "
            "where that is so and −1 where ε falls instead, is {value} at its lowest ({models}).",
        ),
        REPRODUCED: Wording(
            RHO,
            "ε grows with depth",
            "ε says how far the heads of a layer are from commuting. As the paper has it, it grows "
            "with depth: Spearman's rank correlation of ε and depth is at least {value} "
            "({models}).",
        ),
    },
    "eps-depth": {
        NOT_REPRODUCED: Wording(
            THIRD,
            "ε need not lie where the paper has it",
            "ε says how far the heads of a layer are from commuting. The paper gives a range of ε "
            "for each third of the depth. In the model and third where this holds least, {percent} "
            "of the layers are inside ({models}).",
        ),
        REPRODUCED: Wording(
            THIRD,
            "ε lies where the paper has it",
            "ε says how far the heads of a layer are from commuting. The paper gives a range of ε "
            "for each third of the depth. In every model and third, at least {percent} of the "
            "layers are inside ({models}).",
        ),
    },
}

BY_MATHEMATICS: Wordings = {
    "jacobi-range": {
        CONTRADICTED: Wording(
            JACOBIATOR,
            "The Jacobiator is zero, whatever the weights",
            "Commutators of matrices satisfy the Jacobi identity exactly. The paper's claim that "
            "its violation is systematically not zero cannot hold of any model: the largest that "
            "was measured, {value}, is rounding.",
        ),
    },
    "obstruction-class": {
        CONTRADICTED: Wording(
            LIFTED,
            "The obstruction can always be lifted",
            "The paper has an obstruction that no second-order term lifts. An identity gives such "
            "a term for any matrices, and it is borne out to a residual of {value}.",
        ),
    },
    "geometry-axes": {
        CONTRADICTED: Wording(
            WITHIN_HEADS,
            "Axes within a head can be exchanged",
            "The paper has training put meaning into neighbouring axes. Permuting the axes of a "
            "head, from its queries to its outputs alike, changes nothing in any model: the "
            "largest harm that was measured, {value}, is rounding.",
        ),
    },
    "dyson-product": {
        TRUE_OF_ANYTHING: Wording(
            PRODUCT,
            "The sum over all orders is exact, and says nothing of a model",
            "With its attention held fixed, a forward pass is a product of one factor a layer. "
            "Multiplied out, it is a sum over orders. That holds of any model; the residual is "
            "{value}.",
        ),
    },
}

OF_STATES: Wordings = {
    "dyson-perturbative": {
        NOT_REPRODUCED: Wording(
            SECOND_ORDER,
            "Depth need not be a perturbation series",
            "Were each layer a small perturbation of the states, a few orders of the Dyson series "
            "would give the last state. The sum up to the second order misses it by up to {value} "
            "times its own size ({models}).",
        ),
        REPRODUCED: Wording(
            SECOND_ORDER,
            "Depth is a perturbation series",
            "Each layer is a small perturbation of the states: the sum of the Dyson series up to "
            "the second order gives the last state to within {value} of its size ({models}).",
        ),
    },
    "dyson-small": {
        NOT_REPRODUCED: Wording(
            SMALL,
            "Layers need not change the states by little",
            "A perturbation series needs layers that change the states by little. In the model "
            "where this holds least, it holds of {percent} of the layers ({models}).",
        ),
        REPRODUCED: Wording(
            SMALL,
            "Layers change the states by little",
            "As a perturbation series needs it, at least {percent} of the layers of every model "
            "change the states by little ({models}).",
        ),
    },
    "geometry-cosine": {
        NOT_REPRODUCED: Wording(
            COSINE,
            "Attention need not compare angles",
            "The paper has scores depend on the angle between query and key alone. In the model "
            "where this holds least, it holds of {percent} of the heads ({models}).",
        ),
        REPRODUCED: Wording(
            COSINE,
            "Attention compares angles",
            "In every model, at least {percent} of the heads have scores that are functions of "
            "the angle between query and key ({models}).",
        ),
    },
    "hopf-convolution": {
        NOT_REPRODUCED: Wording(
            CONVOLUTION,
            "Attention need not be a convolution",
            "The paper calls attention a convolution. In the model where this holds least, a "
            "convolution explains most of the attention of {percent} of the heads ({models}).",
        ),
        REPRODUCED: Wording(
            CONVOLUTION,
            "Attention is mostly a convolution",
            "In every model, a convolution explains most of the attention of at least {percent} "
            "of the heads ({models}).",
        ),
    },
}

OF_EXPERIMENTS: Wordings = {
    claim: {
        verdict: Wording(
            "",
            f"{{title}}: {verdict}",
            "The paper: {statement}. Measured on decoders trained here, {statistic}: {value} "
            "({models}).",
        )
        for verdict in (REPRODUCED, NOT_REPRODUCED)
    }
    for claim in (
        *("stability", "regularise", "expressivity", "balance", "universality", "phase-design"),
        *("gauge-init", "capacity"),
        *("geometry-axes-optimiser", "geometry-soft-heads", "geometry-grid"),
        "geometry-symmetriser",
    )
}

TOPICS = {
    "What the weights are": BY_DEPTH,
    "What mathematics settles": BY_MATHEMATICS,
    "What the states do": OF_STATES,
    "What training makes of it": OF_EXPERIMENTS,
}
"""Each tells at most one finding: of the first of its claims that a study has one of."""


def findings(claims: pd.DataFrame, pictures: Collection[str]) -> list[Told]:
    """The first few topics of which a study has a number and a picture; none where it has none.

    Parameters
    ----------
    claims
        In the columns of :data:`headalgebra.columns.CLAIMS`.
    pictures
        Names of the study's figures.
    """
    rows = {row["id"]: row for row in claims.to_dict("records")}
    told = (_first(topic, wordings, rows, pictures) for topic, wordings in TOPICS.items())
    return [finding for finding in told if finding is not None][:FINDINGS]


def _first(
    topic: str,
    wordings: Wordings,
    rows: Mapping[str, Mapping[Any, Any]],
    pictures: Collection[str],
) -> Told | None:
    for claim, by_verdict in wordings.items():
        row = rows.get(claim)
        if row is None or pd.isna(row["value"]):
            continue
        wording = by_verdict.get(row["verdict"])
        picture = next((name for name in CLAIMS[claim].figures if name in pictures), None)
        if not (wording and picture and row["statistic"].startswith(wording.statistic)):
            continue
        words = {
            **row,
            "title": CLAIMS[claim].title,
            "value": in_a_sentence(row["value"]),
            "percent": f"{100 * row['value']:.0f}\N{NO-BREAK SPACE}%",
            "models": _named(row["models"]),
        }
        return Told(
            claim=claim,
            topic=topic,
            headline=wording.headline.format_map(words),
            sentence=wording.sentence.format_map(words),
            picture=picture,
        )
    return None


def _named(models: str) -> str:
    names = models.split(", ")
    return models if len(names) <= MODELS_NAMED else f"{len(names)} models"
