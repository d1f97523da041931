"""What is told of a model stands for itself, and what nothing decided is left empty."""

from dataclasses import asdict

import pandas as pd
import pytest

from claim_studies import (
    AS_CLAIMED,
    THRESHOLDS,
    described,
    found,
    model_layers,
    of_model,
    study_tables,
    together,
)
from headalgebra.claims.ledger import CLAIMS
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


def test_the_numbers_of_a_model_do_not_hang_on_those_beside_it() -> None:
    """Before it stands a model of one layer, which most claims pass over, after it a whole one."""
    least = model_layers("least", [0.01])
    whole = model_layers("whole", AS_CLAIMED[::-1], obstruction_rms=0.2, coherence_residual=1e-15)
    models = [described(name) for name in ("least", "m", "whole")]
    _, alone = found(of_model())
    _, beside = found(study_tables(least, model_layers("m"), whole), together(*models))
    expected, of_m = (evidence[evidence["on"] == "m"] for evidence in (alone, beside))
    assert len(expected) > 20 and set(beside["on"]) > {"m", "whole"}
    pd.testing.assert_frame_equal(of_m.reset_index(drop=True), expected.reset_index(drop=True))


def test_a_row_of_the_ledger_says_what_its_claim_does() -> None:
    claims, _ = found(of_model())
    for id, row in claims.iterrows():
        claim = CLAIMS[str(id)]
        for name in ("section", "statement", "paper_value", "rests_on"):
            assert row[name] == getattr(claim, name)
        assert row["criterion"] == claim.criterion.format(**asdict(THRESHOLDS))
