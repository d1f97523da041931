"""What figures take from tables: columns that must be there, rows by model, gaps for NaN."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]


def require_columns(table: pd.DataFrame, name: str, needed: Sequence[str]) -> None:
    """Refuse a table that lacks a column."""
    missing = [column for column in needed if column not in table]
    if missing:
        raise ValueError(
            f"the table {name} lacks {', '.join(missing)}; give it with {', '.join(needed)}"
        )


def rows_by_model(table: pd.DataFrame, name: str) -> dict[str, pd.DataFrame]:
    """The rows of each model by depth, models in the order of the table."""
    if table.empty:
        raise ValueError(f"the table {name} has no rows; give it one for each model and layer")
    return {
        str(model): rows.sort_values("layer", kind="stable")
        for model, rows in table.groupby("model", sort=False)
    }


def numbers(column: "pd.Series[float]") -> Values:
    """A column as floats; what is not finite becomes NaN, a gap."""
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(values), values, np.nan)
