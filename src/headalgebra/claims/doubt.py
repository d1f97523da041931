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
)
"""Columns that claims read and that hold no number."""

SHAPE = ["n_heads", "rank", "basis_dim", "classical"]
"""What tells, of a layer, which numbers it has; tables by layer are joined with it."""

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
    layers = tables["layers"]
    commute = classical(layers["epsilon"], layers["epsilon_relative"], classical_up_to)
    shapes = layers.assign(classical=commute)[["model", "layer", *SHAPE]]
    found: list[str] = []
    for table, columns in reads.items():
        rows = tables[table]
        if "model" in rows:
            rows = rows[rows["model"].isin(list(models))]
            new = [column for column in SHAPE if column not in rows]
            rows = rows.merge(shapes[["model", "layer", *new]], on=["model", "layer"], how="left")
        places = ("layer",) if "model" in rows else ()
        for column in dict.fromkeys((*places, *columns)):
            if column not in TEXTS:
                need = NEEDS.get(table, {}).get(column, _always)
                found += _in_column(table, rows, column, need)
    return list(dict.fromkeys(found))


def _in_column(table: str, rows: pd.DataFrame, column: str, need: Need) -> Iterator[str]:
    """What is in doubt of a column, by model."""
    values = pd.to_numeric(rows[column].astype(object), errors="coerce").astype("float64")
    in_doubt = rows[np.isinf(values) | (values.isna() & need(rows).astype(bool))]
    if "model" in rows:
        for model, of_model in in_doubt.groupby("model", sort=False):
            yield f"{model}: {column} is not finite in layers {_places(of_model['layer'])}"
    elif len(in_doubt):
        made, place = MADE_HERE[table]
        where = f"{place} = {_places(in_doubt[place])}"
        yield f"{made}: {column} is not finite where {where}"


def _places(column: pd.Series) -> str:
    return listed([f"{place:g}" for place in dict.fromkeys(column.astype(float))])
