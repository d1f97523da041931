"""Whatever words are made of a row, its number, its models and its verdict are in them."""

import math
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claim_studies import NAN, PAPER_OF, THRESHOLDS, TRAINED, of_model
from headalgebra import columns
from headalgebra.claims.finding import VERDICTS
from headalgebra.claims.ledger import CLAIMS, TITLES, ledger
from headalgebra.claims.readme import NO_NUMBER, findings_table
from headalgebra.claims.wording import ROUNDING, in_a_sentence, measured, number, shown

NUMBER = r"-?\d[\d.]*(?:e[+-]\d+)?"
DIGITS = 5e-3
"""Half a unit in the third digit, of a number that begins with 1."""

numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
words = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
names = words.filter(str.strip)


@st.composite
def rows(draw: st.DrawFn) -> dict[str, object]:
    """A row of the claims, with a number or without, with an interval or without."""
    row: dict[str, object] = dict.fromkeys(columns.CLAIMS, "")
    id = draw(st.sampled_from(list(CLAIMS)))
    row |= {"id": id, "paper": PAPER_OF[id], "note": draw(words)}
    row |= {"verdict": draw(st.sampled_from(VERDICTS)), "statement": draw(names)}
    row |= {"paper_value": draw(names), "value": NAN, "low": NAN, "high": NAN, "n": NAN}
    if draw(st.booleans()):
        row |= {"statistic": draw(names), "models": draw(names), "value": draw(numbers)}
        row["n"] = draw(st.integers(1, 10**6))
        if draw(st.booleans()):
            row |= {"low": draw(numbers), "high": draw(numbers)}
    return row


def values_of(row: dict[str, object]) -> list[float]:
    """What a row's number must tell, in order."""
    told = [row[name] for name in ("value", "low", "high", "n")]
    return [float(value) for value in told if not math.isnan(value)]


@given(rows())
def test_a_number_is_told_with_its_interval_and_n(row: dict[str, object]) -> None:
    told = [float(digits) for digits in re.findall(NUMBER, number(row))]
    for digits, value in zip(told, values_of(row), strict=True):
        half_a_unit = 0.5 if abs(value) < ROUNDING else DIGITS
        assert digits == pytest.approx(value, rel=half_a_unit, abs=0)
    assert ("[" in number(row)) == (not math.isnan(row["low"]))


def test_a_mean_that_is_rounding_beside_its_interval_is_zero() -> None:
    row = {"value": -1.7e-17, "low": -0.276, "high": 0.276, "n": 8}
    assert number(row) == "0 [-0.276, 0.276], n = 8"
    assert number(row | {"low": -3e-17, "high": 1e-17}).startswith("-2e-17 [")


@given(rows())
def test_what_was_measured_has_its_name_and_its_number(row: dict[str, object]) -> None:
    assert number(row) in measured(row)
    assert measured(row).startswith(row["statistic"]) if number(row) else not measured(row)


@given(st.lists(rows(), min_size=1, max_size=5))
def test_the_readme_has_every_verdict_and_number(made: list[dict[str, object]]) -> None:
    # Text with breaks and signs of its own is in test_the_readmes_cells_hold_no_markup.
    plain = [row | dict.fromkeys(("statistic", "models", "note"), "x") for row in made]
    table = findings_table(pd.DataFrame(plain))
    lines = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(lines) == len(plain)
    papers = dict.fromkeys(row["paper"] for row in plain)
    assert [line.strip("*") for line in table.splitlines() if line.startswith("*")] == [
        TITLES[paper] for paper in papers
    ]
    by_paper = [row for paper in papers for row in plain if row["paper"] == paper]
    for line, row in zip(lines, by_paper, strict=True):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        assert (cells[0], cells[3]) == (f"`{row['id']}`", row["verdict"])
        assert cells[2] == (measured(row) or NO_NUMBER)
    for verdict in VERDICTS:
        count = sum(row["verdict"] == verdict for row in plain)
        assert (f"{count} {verdict}" in re.split(r": |, |\.", table.partition("\n")[0])) == (
            count > 0
        )


@given(rows())
def test_the_readmes_cells_hold_no_markup(row: dict[str, object]) -> None:
    table = findings_table(pd.DataFrame([row]))
    (line,) = table.split("\n")[6:-1]
    cells = re.split(r"(?<!\\)(?:\\\\)*\|", line)[1:-1]
    assert len(cells) == 4
    unescaped = re.sub(r"\\([\\`*_|<&~])", r"\1", cells[2])
    assert unescaped.split() == (measured(row) or NO_NUMBER).split()
    assert not re.search(r"(?<!\\)[`*_|<&~]", re.sub(r"\\\\", "", cells[2]))


def test_every_row_of_a_ledger_can_be_told() -> None:
    claims, evidence = ledger(of_model(), TRAINED, THRESHOLDS)
    for row in claims.to_dict("records"):
        assert "nan" not in measured(row) and "NA" not in measured(row)
    for row in evidence.to_dict("records"):
        assert "nan" not in measured(row)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, "0"), (0.07621, "0.0762"), (5.72e-16, "6e-16"), (-2.2e-17, "-2e-17"), (1e-9, "1e-09")],
)
def test_rounding_is_told_to_one_digit(value: float, told: str) -> None:
    assert shown(value) == told


@given(numbers)
def test_a_number_in_a_sentence_is_the_same_number(value: float) -> None:
    said = in_a_sentence(value)
    assert "e" not in said and "-" not in said
    digits = str.maketrans("−⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "--0123456789")
    assert float(said.replace(" × 10", "e").translate(digits)) == float(shown(value))
