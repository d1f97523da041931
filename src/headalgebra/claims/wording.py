"""The numbers of the ledger in words."""

import math
from collections.abc import Mapping
from typing import Any


def shown(value: float) -> str:
    """A number to three digits."""
    return f"{value:.3g}"


def measured(row: Mapping[Any, Any]) -> str:
    """What was measured, of a row of the claims or of the evidence: one number and what it is.

    Empty where the row has no number.
    """
    if not _exists(row["value"]):
        return ""
    text = f"{row['statistic']}: {shown(row['value'])}"
    if _exists(row["low"]) and _exists(row["high"]):
        text += f" [{shown(row['low'])}, {shown(row['high'])}]"
    return f"{text}, n = {int(row['n'])}"


def finding(row: Mapping[Any, Any]) -> str:
    """What a claim's row says in a line: its number, the models, and the note."""
    number = measured(row)
    where = f"{number} ({row['models']})" if number else ""
    return "; ".join(filter(None, (where, row["note"])))


def _exists(value: Any) -> bool:
    return value is not None and not math.isnan(value)
