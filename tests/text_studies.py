"""Made-up tables of what models do on a text, everything as the papers have it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import pandas as pd

from claim_studies import (
    NAN,
    Tables,
    described,
    model_layers,
    study_tables,
    together,
)
from headalgebra import columns

L = 9
"""Blocks of a model, from which an order is judged."""

HEADS = 2
"""Of each block."""

ERRORS = (1.0, 0.3, 0.05, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-15)
"""Of the partial sums to order 0 … L: they fall, soon, and the last is rounding."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A model, as it was run on a text.

    Attributes
    ----------
    size
        Of its updates, growth and radii, so that models differ.
    refusal
        Why it could not be run; empty if it was.
    """

    model: str
    kind: str = "decoder"
    norm_placement: str = "pre"
    dtype: str = "float64"
    size: float = 1.0
    refusal: str = ""


def rows_of(ran: Ran) -> dict[str, list[dict[str, object]]]:
    """The rows of one model in each table; of one that was refused, why alone."""
    why = {"guard": "affinity", "value": 0.85, "tolerance": 1e-10, "passed": False}
    if ran.refusal:
        return {
            "runs": [{"note": ran.refusal}],
            "guards": [
                why | {"note": ran.refusal},
                {"guard": "replay", "note": ran.refusal},
                {"guard": "feed-forward locality", "note": ran.refusal},
            ],
        }
    decoder = ran.kind == "decoder"
    run = {"kind": ran.kind, "norm_placement": ran.norm_placement, "dtype": ran.dtype}
    return {
        "runs": [run | {"sequences": 16, "tokens": 128, "note": ""}],
        "guards": [
            {"guard": "replay", "value": 1e-15, "tolerance": 1e-10, "passed": True},
            {"guard": "feed-forward locality", "value": 0.0, "tolerance": 0.0, "passed": True},
        ],
        "states": [
            {
                "layer": layer,
                "update_ratio": 0.25 - 0.01 * layer,
                "update_ratio_without_first": 0.2 - 0.01 * layer,
                "norm_before": 10.0 + layer,
                "norm": 11.0 + layer,
                "stable_rank": 20.0 + layer,
                "stable_rank_without_first": 21.0 + layer,
                "mean_cosine": 0.2,
                "attention_to_self": 0.1 + 0.01 * layer,
                "attention_to_later": 0.0 if decoder else 0.3,
            }
            for layer in range(L)
        ],
        "dyson": [
            {
                "order": order,
                "partial_error": error,
                "partial_error_without_first": error,
                "chen_residual": 2e-16 if order in (2, 3) else NAN,
                "antipode_residual": 1e-16 * order if 0 < order < 5 else NAN,
            }
            for order, error in enumerate(ERRORS)
        ],
        "resummation": [
            {"sequence": sequence, "m": m, "method": method, "median": error / m}
            for sequence in ("states", "orders")
            for m in range(1, L)
            for method, error in METHODS.items()
        ],
        "normality": [*head_rows(ran), *growth_rows(ran.size)],
        "convolution": convolution_rows(decoder),
    }


METHODS = {
    "last": 2.0,
    "linear": 3.0,
    "rre": 1.5,
    "anderson": 1.0,
    "epsilon": 1.4,
    "borel": 1.6,
}
"""Errors of the estimates, times the number of terms."""


def head_rows(ran: Ran) -> list[dict[str, object]]:
    """An encoder's heads are the more symmetric; all act in their block, with low rank."""
    symmetric = 0.7 if ran.kind == "encoder" else 0.55
    quantities = {
        "symmetric_share": symmetric,
        "symmetric_share_chance": 0.5,
        "own_block_share": 0.6,
        "own_block_chance": 0.01,
        "rank_99": 3.0,
        "width": 8.0,
    }
    return [
        {"layer": layer, "operator": f"head {head}", "quantity": name, "value": value}
        for layer in range(L)
        for head in range(HEADS)
        for name, value in (
            quantities | {"symmetric_share": symmetric + 0.01 * head - 0.002 * layer}
        ).items()
    ]


def growth_rows(
    growth: float, radii: float = 1.0, pseudospectral: float | None = None
) -> list[dict[str, object]]:
    """Growth through k blocks, and what is to predict it, each a power of k."""
    of_block = {
        "growth": growth,
        "product_of_radii": radii,
        "product_of_pseudospectral_radii": growth if pseudospectral is None else pseudospectral,
        "norm_of_product": 2 * growth,
    }
    return [
        {"layer": k - 1, "operator": "growth", "quantity": name, "value": value**k}
        for k in range(2, L + 1)
        for name, value in of_block.items()
    ]


def convolution_rows(decoder: bool) -> list[dict[str, object]]:
    """Heads that are convolutions, updates that are linear, and the descent of the loss."""
    of_layer = {"update_r2": 0.95, "update_r2_without_first": 0.95, "state_r2": 0.99}
    if decoder:
        of_layer |= {
            "gradient_cosine": 0.6,
            "gradient_cosine_se": 0.01,
            "gradient_sequences": 16.0,
            "gradient_cosine_chance_sd": 0.15,
        }
    rows: list[dict[str, object]] = []
    for layer in range(L):
        rows += [
            {"layer": layer, "head": head, "quantity": "convolution_share"}
            | {"value": 0.7 + 0.1 * head, "null": 0.01}
            for head in range(HEADS)
        ]
        rows += [{"layer": layer, "quantity": name, "value": v} for name, v in of_layer.items()]
    rows.append({"layer": L - 1, "quantity": "impulse_share", "value": 0.9})
    return rows


TABLES = {
    "runs": columns.MODEL_RUNS,
    "guards": columns.MODEL_GUARDS,
    "states": columns.MODEL_STATES,
    "dyson": columns.MODEL_DYSON,
    "resummation": columns.MODEL_RESUMMATION,
    "normality": columns.MODEL_NORMALITY,
    "convolution": columns.MODEL_CONVOLUTION,
}


def text_tables(*models: Ran) -> Tables:
    """The tables of what models do on a text."""
    by_model = {ran.model: rows_of(ran) for ran in models}
    return {
        table: pd.DataFrame(
            [
                {"model": model} | row
                for model, rows in by_model.items()
                for row in rows.get(table, ())
            ],
            columns=list(names),
        )
        for table, names in TABLES.items()
    }


def with_layers(*models: Ran) -> Tables:
    """Those and the tables of the models' weights."""
    weights = study_tables(*(model_layers(ran.model, [0.2] * L) for ran in models))
    return weights | text_tables(*models)


DECODER = Ran(model="d")
ENCODER = Ran(model="e", kind="encoder", norm_placement="post")
MODELS = together(described("d"), described("e"), described("d-init", source="init"))


@cache
def as_claimed() -> Tables:
    """A decoder, an encoder, and a decoder at its initialisation."""
    return with_layers(DECODER, ENCODER, Ran(model="d-init"))


def changed(
    table: str,
    column: str,
    value: object,
    *,
    tables: Tables | None = None,
    at: Iterable[int] | None = None,
    **where: object,
) -> Tables:
    """Those tables with a column changed in the rows where others are as given.

    Parameters
    ----------
    tables
        By default those of :func:`as_claimed`.
    at
        Of those rows, which; by default all.
    """
    of = as_claimed() if tables is None else tables
    rows = of[table].copy()
    chosen = pd.Series(True, index=rows.index)
    for name, wanted in where.items():
        chosen &= rows[name] == wanted
    places = rows.index[chosen]
    assert len(places)
    if at is not None:
        places = places[list(at)]
    rows[column] = rows[column].astype(object)
    rows.loc[places, column] = value
    return of | {table: rows.infer_objects()}


def without(table: str, tables: Tables | None = None, **where: object) -> Tables:
    """Those tables without the rows where columns are as given."""
    of = as_claimed() if tables is None else tables
    rows = of[table]
    dropped = pd.Series(True, index=rows.index)
    for name, unwanted in where.items():
        dropped &= rows[name] == unwanted
    assert dropped.any()
    return of | {table: rows[~dropped]}
