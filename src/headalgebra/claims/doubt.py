"""Numbers that ought to be in a study's tables and are not finite: doubt, and never evidence.

An infinite number is in doubt wherever it stands. One that is missing is in doubt where the row
ought to have it: a basis of two elements has no Jacobiator, and nothing is amiss.
"""

from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import pandas as pd

from headalgebra.claims.statistics import classical, listed

Reads = Mapping[str, tuple[str, ...]]
"""By table, the columns that a claim is judged by."""

Need = Callable[[pd.DataFrame], pd.Series]
"""Which rows must have a number. A row that cannot tell must: its condition is a negation."""

TEXTS = frozenset(
    ("conditioning", "elements", "estimator", "level", "operand", "phase", "quantity", "route")
) | {
    *("dtype", "guard", "head", "kind", "method", "norm_placement", "note", "operator", "sequence"),
    *("moved", "norm", "permuted", "place"),
    *("arm", "control", "experiment", "needs", "side", "statistic"),
}
"""Columns that claims read and that hold no number."""

SHAPE = ["n_heads", "rank", "basis_dim", "classical"]
"""What tells, of a layer, which numbers it has; tables by layer are joined with it."""

PLACES = {"dyson": "order", "resummation": "m"}
"""What tells the rows of a model apart, where it is not the layer."""

NAMES = {
    "guards": ("guard",),
    "geometry": ("quantity",),
    "axes": ("permuted", "moved"),
    "experiments": ("experiment", "statistic", "arm"),
}
"""What names rows that are of no layer."""

MADE_HERE = {
    "conditioning": ("constructed layers", "case"),
    "feasibility": ("random layers", "n"),
}
"""What the rows of a table without models are of, and the column that tells them apart."""


def _always(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(True, index=rows.index)


def _two_heads(rows: pd.DataFrame) -> pd.Series:
    return ~(rows["n_heads"] < 2)


def _two_heads_none_zero(rows: pd.DataFrame) -> pd.Series:
    # A zero head depends on the others, so that the rank is less than the number of heads.
    return _two_heads(rows) & ~(rows["rank"] < rows["n_heads"])


def _elements(n: int) -> Need:
    return lambda rows: ~(rows["basis_dim"] < n)


def _elements_that_do_not_commute(n: int) -> Need:
    return lambda rows: _elements(n)(rows) & (rows["classical"] != True)  # noqa: E712


def _three_operands(rows: pd.DataFrame) -> pd.Series:
    return ~(rows["n_heads"].where(rows["operand"] == "raw", rows["basis_dim"]) < 3)


def _of_the_gauge_level(rows: pd.DataFrame) -> pd.Series:
    # Other levels are left out where they cost too much, and no claim reads them.
    gauge = ~(rows["level"].notna() & (rows["level"] != "gauge"))
    needed = _two_heads(rows).where(rows["quantity"] == "action", _two_heads_none_zero(rows))
    return gauge & needed


def _completed(rows: pd.DataFrame) -> pd.Series:
    return rows["completed"] != False  # noqa: E712


def _run(rows: pd.DataFrame) -> pd.Series:
    # A model that was refused has no kind, and its guards may stop at the one that it failed.
    return rows["kind"].notna() & (rows["kind"] != "")


def _none(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(False, index=rows.index)


def _head_that_is_not_zero(rows: pd.DataFrame) -> pd.Series:
    return ~(rows["operator"].str.startswith("head ") & (rows["rank"] < rows["n_heads"]))


def _whatever_the_text(rows: pd.DataFrame) -> pd.Series:
    # A linear map of d axes takes 4 d tokens, a standard error two sequences.
    linear = rows["quantity"].str.startswith(("state_r2", "update_r2"))
    return ~(linear | (rows["quantity"] == "gradient_cosine_se"))


def _told(rows: pd.DataFrame) -> pd.Series:
    """Which rows have a note, which says why a number is not there."""
    return rows["note"].notna() & (rows["note"] != "")


def _not_told(rows: pd.DataFrame) -> pd.Series:
    return ~_told(rows)


def _of_drawn_heads(rows: pd.DataFrame) -> pd.Series:
    return rows["quantity"].str.startswith("initial_")


def _of_a_layer(rows: pd.DataFrame) -> pd.Series:
    return ~_of_drawn_heads(rows)


def _measured_of_geometry(rows: pd.DataFrame) -> pd.Series:
    # Of drawn heads the note says how they were drawn; a zero head has no scores.
    of_head = rows["head"].notna() if "head" in rows else False
    zero_head = of_head & (rows["rank"] < rows["n_heads"])
    return _of_drawn_heads(rows) | ~(_told(rows) | zero_head)


def _state_or_not_told(rows: pd.DataFrame) -> pd.Series:
    # Not every state is read by a norm.
    return (rows["place"] == "before") | ~_told(rows)


def _permuted(at_least: int) -> Need:
    return lambda rows: ~(rows["permutations"] < at_least)


NEEDS: dict[str, dict[str, Need]] = {
    "layers": {
        "epsilon": _two_heads,
        "epsilon_relative": _two_heads_none_zero,
        "obstruction_rms": _elements(2),
        "coherence_residual": _elements_that_do_not_commute(2),
        "hochschild_residual": _elements_that_do_not_commute(3),
        **dict.fromkeys(("jacobi_rms", "jacobi_bound", "jacobi_projected_rms"), _elements(3)),
    },
    "sampling": {
        **dict.fromkeys(("value", "low", "high"), _elements(2)),
        "coverage": lambda rows: rows["repetitions"] != 0,
    },
    "precision": {"jacobi_mean": _three_operands},
    "literal": {"residual": _elements(3)},
    "tower": {"value": _of_the_gauge_level},
    "feasibility": {
        "cpu_s": _completed,
        "bytes": lambda rows: rows["route"] == "dense",
        "literal_residual": lambda rows: _completed(rows) & (rows["route"] == "dense"),
    },
    "guards": {"value": _run},
    # Chen's identity and the antipode are asked of some orders alone.
    "dyson": dict.fromkeys(("chen_residual", "antipode_residual"), _none),
    "normality": {"value": _head_that_is_not_zero},
    "convolution": {"value": _whatever_the_text, "null": _none},
    "geometry": {"layer": _of_a_layer, "value": _measured_of_geometry, "null": _none},
    "axes": {"layer": _none, "mean": _permuted(1), "standard_error": _permuted(2)},
    # Too few runs give no interval, and the claim says so; some rows are only shown.
    "experiments": dict.fromkeys(
        ("mean", "effect", "low", "high", "bound", "p_holm", "detectable"), _none
    ),
    "drift": dict.fromkeys(("layer", "offset", "n"), _not_told) | {"median": _state_or_not_told},
}
"""Which rows must have the numbers of a column; of a column that is not here, all of them."""


def doubts(
    tables: Mapping[str, pd.DataFrame],
    reads: Reads,
    models: Collection[str],
    classical_up_to: float,
) -> list[str]:
    """What is not finite of the numbers that a claim is judged by, and where.

    Parameters
    ----------
    tables
        Those of a study, whole.
    reads
        The tables and columns that count.
    models
        The models that count.
    classical_up_to
        ε̂ of a layer up to this is rounding: its heads commute.
    """
    found: list[str] = []
    for table, columns in reads.items():
        rows = tables[table]
        if "model" in rows:
            rows = rows[rows["model"].isin(list(models))]
            rows = _with_kind(_with_shape(rows, tables, classical_up_to), tables)
        place = PLACES.get(table, "layer")
        places = (place,) if "model" in rows and place in tables[table] else ()
        for column in dict.fromkeys((*places, *columns)):
            if column not in TEXTS:
                need = NEEDS.get(table, {}).get(column, _always)
                found += _in_column(table, rows, column, need)
    return list(dict.fromkeys(found))


def _with_shape(
    rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], classical_up_to: float
) -> pd.DataFrame:
    """Rows of models with what :data:`SHAPE` tells of their layer, where they are of layers."""
    new = [column for column in SHAPE if column not in rows]
    if "layers" not in tables or "layer" not in rows:
        return rows.assign(**dict.fromkeys(new, np.nan))
    layers = tables["layers"]
    commute = classical(layers["epsilon"], layers["epsilon_relative"], classical_up_to)
    shapes = layers.assign(classical=commute)[["model", "layer", *new]]
    rows, shapes = (table.assign(layer=table["layer"].astype(float)) for table in (rows, shapes))
    return rows.merge(shapes, on=["model", "layer"], how="left")


def _with_kind(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Rows of models with the kind that they were found to be where they were run."""
    if "kind" in rows or "kind" not in tables.get("runs", ()):
        return rows
    runs = tables["runs"].drop_duplicates("model").set_index("model")
    return rows.assign(kind=rows["model"].map(runs["kind"]))


def _in_column(table: str, rows: pd.DataFrame, column: str, need: Need) -> Iterator[str]:
    """What is in doubt of a column, by model."""
    values = pd.to_numeric(rows[column].astype(object), errors="coerce").astype("float64")
    in_doubt = rows[np.isinf(values) | (values.isna() & need(rows).astype(bool))]
    if "model" in rows:
        for model, of_model in in_doubt.groupby("model", sort=False):
            where = _in_words(table, of_model)
            yield f"{model}: {column} is not finite" + (f" {where}" if where else "")
    elif len(in_doubt):
        if table in MADE_HERE:
            made, place = MADE_HERE[table]
            where = f"where {place} = {_places(in_doubt[place])}"
        else:
            made, where = "decoders trained here", _in_words(table, in_doubt)
        yield f"{made}: {column} is not finite {where}"


def _in_words(table: str, rows: pd.DataFrame) -> str:
    """Where rows of a model are; empty where a table has one row of each model."""
    place = PLACES.get(table, "layer")
    if table in NAMES and (place not in rows or rows[place].isna().all()):
        named = rows[list(NAMES[table])].astype(str).agg(" ".join, axis="columns").str.strip()
        return f"({listed(list(named))})"
    if place not in rows:
        return ""
    where = _places(rows[place])
    return f"in layers {where}" if place == "layer" else f"where {place} = {where}"


def _places(column: pd.Series) -> str:
    return listed([f"{place:g}" for place in dict.fromkeys(column.astype(float))])
