"""What a row of a table is."""

from typing import Any

Row = dict[str, Any]
"""A value for each column of a table, by the column's name."""
