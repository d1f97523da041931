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
        "geometry": geometry_rows(),
        "axes": axes_rows(decoder),
        "drift": drift_rows() if decoder else [],
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


OF_A_NORM = {
    "takes_mean_off": (1.0, NAN),
    "mean_square": (0.999, NAN),
    "mean_square_sd": (1e-4, NAN),
    "shortened": (0.999, NAN),
    "lambda_1": (1e-15, 0.0),
    "lambda_2": (5e-3, 0.6),
    "lambda_3": (0.1, 0.61),
    "nulled": (1.0, 1.0),
}
OF_SCORES = {
    "query_beyond_affine": 0.02,
    "score_query_variation": 0.2,
    "score_key_variation": 0.1,
    "score_beyond_one": 0.6,
    **dict.fromkeys(("score_cosine_r2", "score_cosine_r2_without_first"), 0.95),
    **dict.fromkeys(("score_std", "score_std_without_first"), 1.5),
}
OF_A_FILTER = {
    "off_share": (0.7, 0.6),
    "off_share_se": (0.01, NAN),
    "bits_before": (9.0, 9.0),
    "bits_after": (5.0, 6.0),
}
"""Quantities of each norm, head and layer: the value, and the null where there are some."""

WIDTHS = (8, 16, 32, 64, 128)
"""Of drawn heads."""


def geometry_rows() -> list[dict[str, object]]:
    """LayerNorms with two small eigenvalues, scores that are angles, and a filter."""
    rows: list[dict[str, object]] = []
    for layer in range(L):
        gain = 2.0 * 1.5**layer
        gains = dict.fromkeys(("first_scales_gain", "first_scales_gain_without_first"), (gain, NAN))
        rows += [
            {"layer": layer, "norm": norm, "quantity": name, "value": value, "null": null}
            for norm in ("attention", "feed-forward")
            for name, (value, null) in OF_A_NORM.items()
        ]
        rows += [
            {"layer": layer, "head": head, "quantity": name, "value": value}
            for head in range(HEADS)
            for name, value in OF_SCORES.items()
        ]
        rows += [
            {"layer": layer, "quantity": name, "value": value, "null": null}
            for name, (value, null) in (OF_A_FILTER | gains).items()
        ]
    note = "weights drawn with standard deviation 0.05"
    for width in WIDTHS:
        for name, value, null in (
            ("initial_score_std", 0.98, 0.96),
            ("initial_score_variance_ratio", 1.02, 1.0),
        ):
            rows.append({"quantity": f"{name}_{width}", "value": value, "null": null, "note": note})
    return [{"note": ""} | row for row in rows]


HARMS = {
    ("joint", "within"): (-3e-16, 1e-17),
    ("joint", "across"): (0.5, 0.02),
    ("query only", "within"): (0.4, 0.02),
    ("query only", "across"): (0.4, 0.02),
    ("stream", "within"): (0.27, 0.01),
    ("stream", "across"): (0.29, 0.01),
    ("stream", "relabelled within"): (0.28, 0.01),
    ("stream", "relabelled across"): (0.285, 0.01),
}
"""By what is permuted, and where it goes, the mean and its standard error."""


def axes_rows(decoder: bool) -> list[dict[str, object]]:
    """Permutations within heads do nothing, and blocks of the state's axes are like any others."""
    quantity = "cross_entropy" if decoder else "last_state"
    return [
        {"permuted": permuted, "quantity": quantity, "moved": moved, "permutations": 16}
        | {"mean": mean, "standard_error": error, "note": ""}
        for (permuted, moved), (mean, error) in HARMS.items()
    ]


def drift_rows() -> list[dict[str, object]]:
    """Drift that saturates, and that every norm lessens."""
    return [
        {"layer": layer, "offset": offset, "place": place, "median": factor * (0.4 - 0.2 / offset)}
        | {"n": 100, "note": ""}
        for layer in range(L + 1)
        for offset in (1, 2, 4, 8)
        for place, factor in (("before", 1.0), ("after", 0.9))
    ]


TABLES = {
    "runs": columns.MODEL_RUNS,
    "guards": columns.MODEL_GUARDS,
    "states": columns.MODEL_STATES,
    "dyson": columns.MODEL_DYSON,
    "resummation": columns.MODEL_RESUMMATION,
    "normality": columns.MODEL_NORMALITY,
    "convolution": columns.MODEL_CONVOLUTION,
    "geometry": columns.MODEL_GEOMETRY,
    "axes": columns.MODEL_AXES,
    "drift": columns.MODEL_DRIFT,
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
