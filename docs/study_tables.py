"""The tables of a finished study, and how pages word their numbers."""

from decimal import Decimal
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from headalgebra.claims.wording import ROUNDING
from headalgebra.csv_files import read_csv


class Tables(dict[str, pd.DataFrame]):
    """The tables of a finished study by name, each read when it is first asked for.

    Raises
    ------
    ValueError
        When a table is not there.
    """

    def __init__(self, study: Path) -> None:
        self.study = study

    def path(self, name: str) -> Path:
        """The file of a table."""
        return self.study / f"tables/{name}.csv"

    def __missing__(self, name: str) -> pd.DataFrame:
        """The table from its file."""
        if not self.path(name).is_file():
            raise ValueError(f"{self.path(name)} is not there: run the study first")
        self[name] = read_csv(self.path(name))
        return self[name]

    def rows(self, table: str, **where: str) -> pd.DataFrame:
        """The rows of a table in which columns are as given.

        Raises
        ------
        ValueError
            When there is no such column, or no such row.
        """
        rows = self[table]
        for column, value in where.items():
            if column not in rows:
                raise ValueError(f"{self.path(table)} has no column {column}")
            rows = rows[rows[column] == value]
        if rows.empty:
            told = " and ".join(f"{column} {value}" for column, value in where.items())
            raise ValueError(f"{self.path(table)} has no row with {told}")
        return rows

    def column(self, table: str, column: str, **where: str) -> pd.Series:
        """A column of such rows, in the order of the layers where there are any.

        Raises
        ------
        ValueError
            When the column or such a row is not there, or a number of it is not finite.
        """
        rows = self.rows(table, **where)
        if column not in rows:
            raise ValueError(f"{self.path(table)} has no column {column}")
        found = rows.set_index("layer")[column] if "layer" in rows else rows[column]
        if is_numeric_dtype(found) and not np.isfinite(found.astype(float)).all():
            raise ValueError(f"{self.path(table)} has a {column} that is not finite ({where})")
        return found


# ------ Words


def number(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, to the nearest; to one where it is rounding.

    Raises
    ------
    ValueError
        When it is not finite.
    """
    if not isfinite(value):
        raise ValueError(f"{value} is no number to show")
    if 0 < abs(value) < ROUNDING:
        digits = 1
    scientific = f"{value:.{digits - 1}e}"
    if -4 <= Decimal(scientific).adjusted() < 7:
        return f"{Decimal(scientific):,f}"
    mantissa, exponent = scientific.split("e")
    return f"{mantissa}e{int(exponent)}"


def each(values: pd.Series, digits: int = 3) -> str:
    """Every value in order."""
    return ", ".join(number(value, digits) for value in values)


def between(values: pd.Series, digits: int = 3) -> str:
    """The least and the largest value; one where they look alike."""
    ends = dict.fromkeys(number(value, digits) for value in (values.min(), values.max()))
    return " to ".join(ends)
