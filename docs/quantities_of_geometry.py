"""What the pages say of norms, scores, axes and drift in the models of the study `demo`.

As in `quantities`: a number is what the tables give, a statement is true or the page is wrong.
"""

from collections.abc import Callable, Mapping

import pandas as pd

from quantities import DECODER, ENCODER
from study_tables import Tables, between, number

EXACT = 1e-12
"""A change of the loss or of the last state up to this is rounding."""

ALIKE = 3.0
"""Means that are no more than so many standard errors apart are alike."""


def of_norms(study: Tables, quantity: str, model: str) -> pd.Series:
    """A quantity of every norm."""
    return study.rows("geometry", model=model, quantity=quantity)["value"]


def of_layers(study: Tables, quantity: str, model: str) -> pd.Series:
    """Mean over the heads of each layer, or the layer's own number."""
    rows = study.rows("geometry", model=model, quantity=quantity)
    return rows.groupby("layer")["value"].mean()


def permuted(study: Tables, model: str, which: str, moved: str) -> pd.Series:
    """What permutations of a kind do: the row of axes.csv."""
    return study.rows("axes", model=model, permuted=which, moved=moved).iloc[0]


def harm(study: Tables, model: str, which: str, moved: str) -> str:
    """Its mean, as a page has it."""
    return number(float(permuted(study, model, which, moved)["mean"]), 2)


def last_drift(study: Tables) -> pd.Series:
    """Median drift of the decoder's last state, before its norm, by offset."""
    rows = study.rows("drift", model=DECODER, place="before")
    return rows[rows["layer"] == rows["layer"].max()].set_index("offset")["median"].sort_index()


def alike(study: Tables, model: str) -> bool:
    """Whether axes of the stream that are moved across blocks do what those within do."""
    within, across = (permuted(study, model, "stream", moved) for moved in ("within", "across"))
    error = (within["standard_error"] ** 2 + across["standard_error"] ** 2) ** 0.5
    return bool(abs(across["mean"] - within["mean"]) <= ALIKE * error)


NUMBERS_OF_GEOMETRY: Mapping[str, Callable[[Tables], str]] = {
    "encoder_second_eigenvalue": lambda s: between(of_norms(s, "lambda_2", ENCODER), 2),
    "isotropic_second_eigenvalue": lambda s: number(
        s.rows("geometry", model=ENCODER, quantity="lambda_2")["null"].mean(), 2
    ),
    "encoder_angle": lambda s: between(of_layers(s, "score_cosine_r2", ENCODER), 2),
    "decoder_angle": lambda s: between(of_layers(s, "score_cosine_r2", DECODER), 2),
    "encoder_off": lambda s: between(of_layers(s, "off_share", ENCODER), 2),
    "decoder_off": lambda s: between(of_layers(s, "off_share", DECODER), 2),
    "encoder_joint_across": lambda s: harm(s, ENCODER, "joint", "across"),
    "decoder_joint_across": lambda s: harm(s, DECODER, "joint", "across"),
    "decoder_stream_within": lambda s: harm(s, DECODER, "stream", "within"),
    "decoder_stream_across": lambda s: harm(s, DECODER, "stream", "across"),
    "decoder_drift": lambda s: number(float(last_drift(s).iloc[-1]), 2),
    "decoder_drift_growth": lambda s: number(
        float(last_drift(s).iloc[-1] / last_drift(s).iloc[-2]), 2
    ),
}

STATEMENTS_OF_GEOMETRY: Mapping[str, Callable[[Tables], bool]] = {
    "nulls_one": lambda s: bool((of_norms(s, "nulled", ENCODER) == 1).all()),
    "nulls_none": lambda s: bool((of_norms(s, "nulled", DECODER) == 0).all()),
    "joint_is_exact": lambda s: all(
        abs(permuted(s, model, "joint", "within")["mean"]) <= EXACT for model in (ENCODER, DECODER)
    ),
    "stream_is_alike": lambda s: all(alike(s, model) for model in (ENCODER, DECODER)),
}
