"""The numbers of the ledger in words."""

import math
from collections.abc import Mapping
from typing import Any

ROUNDING = 1e-9
"""A number below this is no more than rounding, whose digits differ from machine to machine."""

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def shown(value: float) -> str:
    """A number to three digits, to one where it is rounding."""
    return f"{value:.0e}" if 0 < abs(value) < ROUNDING else f"{value:.3g}"


def in_a_sentence(value: float) -> str:
    """The same with a minus sign, and with its power of ten raised."""
    factor, _, exponent = shown(value).partition("e")
    factor = factor.replace("-", "−")
    return f"{factor} × 10{str(int(exponent)).translate(RAISED)}" if exponent else factor


def number(row: Mapping[Any, Any]) -> str:
    """The number of a row of the claims or of the evidence, its interval and n; empty without."""
    if not _exists(row["value"]):
        return ""
    value = row["value"]
    text = shown(value)
    if _exists(row["low"]) and _exists(row["high"]):
        # Beside what is not known of it, rounding is nothing: of a mean that is exactly zero.
        if abs(value) < ROUNDING * (row["high"] - row["low"]):
            text = "0"
        text += f" [{shown(row['low'])}, {shown(row['high'])}]"
    return f"{text}, n = {int(row['n'])}"


def measured(row: Mapping[Any, Any]) -> str:
    """The number of such a row, and what it is; empty without."""
    told = number(row)
    return f"{row['statistic']}: {told}" if told else ""


def _exists(value: Any) -> bool:
    return value is not None and not math.isnan(value)
