"""Which names a note tells, and what stands in the ledger where nothing decided."""

import pytest

from claim_studies import described, found, of_model
from headalgebra.claims.statistics import listed


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (0, ""),
        (1, "a"),
        (4, "a, b, c, d"),
        (5, "a, b, c, d and 1 more"),
        (7, "a, b, c, d and 3 more"),
    ],
)
def test_more_than_four_names_are_counted(n: int, told: str) -> None:
    assert listed(list("abcdefg"[:n])) == told
    assert listed(list("abcdefg"[:n]), at_most=n) == ", ".join("abcdefg"[:n])


def test_where_nothing_decided_there_is_no_number_nor_name_of_one() -> None:
    claims, _ = found(of_model(), described(source="init"))
    undecided = claims[claims["value"].isna()]
    assert len(undecided) and (undecided["statistic"] == "").all()
    assert (undecided["models"] == "").all()
    assert undecided[["low", "high", "n"]].isna().all(axis=None)
    decided = claims.drop(undecided.index)
    assert (decided["statistic"] != "").all() and (decided["models"] != "").all()
