"""The tables of a study as CSV files."""

from os import PathLike
from typing import Any

import pandas as pd

from headalgebra import columns

FORMULA_STARTS = tuple("=+-@\t")
"""What a text begins with that a spreadsheet takes for a formula, and runs."""


def write_csv(path: str | PathLike[str], table: pd.DataFrame) -> None:
    """Write a table, missing numbers empty.

    Names and notes come from files of others. A text that a spreadsheet would run as a formula is
    written with an apostrophe before it, by which spreadsheets know text; so is one that has an
    apostrophe there already, so that `read_csv` gives back either. A carriage return, which would
    end the row, is written as the end of a line.
    """
    texts = table.select_dtypes(["object", "string", "category"])
    inert = {str(name): [_inert(cell) for cell in texts[name]] for name in texts}
    table.assign(**inert).to_csv(
        path, index=False, float_format=columns.FLOAT_FORMAT, lineterminator="\n"
    )


def _inert(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    text = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith((*FORMULA_STARTS, "'")) else text


def read_csv(path: str | PathLike[str]) -> pd.DataFrame:
    """A table that was written: an empty text is empty, a NaN or no number missing."""
    names = pd.read_csv(path, nrows=0).columns
    text = [name for name in names if name in columns.TEXT]
    table = pd.read_csv(
        path,
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values={name: ["", "nan", "NaN"] for name in names if name not in text},
    )
    return table.assign(**{name: table[name].str.removeprefix("'") for name in text})
