"""What a row of a table is."""

from collections.abc import Mapping

Row = Mapping[str, object]
"""A value for each column of a table, by the column's name."""
