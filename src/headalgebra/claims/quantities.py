"""What the table of geometry says by norm, by head and by layer."""

from collections.abc import Sequence

import pandas as pd

from headalgebra.claims.statistics import listed, numbers


def by(rows: pd.DataFrame, places: Sequence[str], quantities: Sequence[str]) -> pd.DataFrame:
    """A row for each place of a model, a column for each quantity, NaN where it has none.

    Parameters
    ----------
    rows
        Of one model.
    places
        Columns that tell places apart; rows that have none of one of them are left out.
    """
    there = rows[rows["quantity"].isin(list(quantities))].dropna(subset=list(places))
    there = there.assign(value=numbers(there["value"]))
    wide = there.pivot(index=list(places), columns="quantity", values="value")
    return wide.reindex(columns=list(quantities))


def lacking(rows: pd.DataFrame, quantities: Sequence[str]) -> str:
    """Why a model has not all values of some quantities; empty if it has."""
    for quantity in quantities:
        of_quantity = rows[rows["quantity"] == quantity]
        if of_quantity.empty:
            return f"no {quantity} was measured"
        missing = of_quantity[of_quantity["value"].isna()]
        if len(missing):
            notes = missing["note"].dropna().astype(str).replace("", f"no {quantity}")
            return listed(list(dict.fromkeys(notes))) or f"no {quantity}"
    return ""
