"""Findings are said where a study has their number and their picture, and nothing is made up."""

import pandas as pd
import pytest

from claim_studies import THRESHOLDS, TRAINED, of_model
from headalgebra.claims.finding import NOT_MEASURED, VERDICTS
from headalgebra.claims.ledger import CLAIMS, ledger
from headalgebra.claims.wording import in_a_sentence
from headalgebra.pages.findings import FINDINGS, TOPICS, Wording, findings

EVERY_PICTURE = {name for claim in CLAIMS.values() for name in claim.figures}

WORDED = [
    (claim, verdict, wording)
    for wordings in TOPICS.values()
    for claim, by_verdict in wordings.items()
    for verdict, wording in by_verdict.items()
]


def row(claim: str, verdict: str, wording: Wording, **other: object) -> dict[str, object]:
    of_claim = {
        "id": claim,
        "verdict": verdict,
        "statement": CLAIMS[claim].statement,
        "statistic": f"{wording.statistic} of something",
        "value": 0.4321,
        "models": "a, b",
    }
    return of_claim | other


@pytest.mark.parametrize(("claim", "verdict", "wording"), WORDED)
def test_every_wording_says_its_number(claim: str, verdict: str, wording: Wording) -> None:
    assert verdict in VERDICTS and verdict != NOT_MEASURED and CLAIMS[claim].figures
    (told,) = findings(pd.DataFrame([row(claim, verdict, wording)]), EVERY_PICTURE)
    assert told.claim == claim and told.picture == CLAIMS[claim].figures[0]
    assert "0.432" in told.sentence or "43\N{NO-BREAK SPACE}%" in told.sentence
    assert not set("{}") & set(told.headline + told.sentence)
    assert told.sentence.endswith(".")


@pytest.mark.parametrize(("claim", "verdict", "wording"), WORDED)
def test_nothing_is_said_without_number_picture_or_the_same_statistic(
    claim: str, verdict: str, wording: Wording
) -> None:
    def told(pictures: set[str] = EVERY_PICTURE, **other: object) -> list[object]:
        entry = row(claim, verdict, wording) | other
        return list(findings(pd.DataFrame([entry]), pictures))

    assert told()
    assert not told(set())
    assert not told(value=float("nan"))
    assert not told(verdict=NOT_MEASURED)
    if wording.statistic:
        assert not told(statistic="another number")


def test_of_a_topic_the_first_claim_is_told_that_can_be() -> None:
    topics = [wordings for wordings in TOPICS.values() if len(wordings) > 1]
    for wordings in topics:
        rows = [
            row(claim, *next(iter(by_verdict.items()))) for claim, by_verdict in wordings.items()
        ]
        first, second = [entry["id"] for entry in rows][:2]
        assert [one.claim for one in findings(pd.DataFrame(rows[::-1]), EVERY_PICTURE)] == [first]
        lacking = [entry for entry in rows if entry["id"] != first]
        assert [one.claim for one in findings(pd.DataFrame(lacking), EVERY_PICTURE)] == [second]


def test_three_findings_at_the_most_each_of_another_topic() -> None:
    rows = [
        row(claim, verdict, wording)
        for wordings in TOPICS.values()
        for claim, by_verdict in wordings.items()
        for verdict, wording in [next(iter(by_verdict.items()))]
    ]
    told = findings(pd.DataFrame(rows), EVERY_PICTURE)
    assert len(told) == FINDINGS == 3
    assert [one.topic for one in told] == list(TOPICS)[:3]


def test_numbers_are_those_of_the_claims() -> None:
    claims, _ = ledger(of_model(), TRAINED, THRESHOLDS)
    told = {one.claim: one for one in findings(claims, EVERY_PICTURE)}
    values = claims.set_index("id")["value"]
    assert {"eps-monotone", "jacobi-range"} <= set(told)
    assert f"at least {in_a_sentence(values['eps-monotone'])} (m)" in told["eps-monotone"].sentence
    assert in_a_sentence(values["jacobi-range"]) in told["jacobi-range"].sentence


def test_many_models_are_counted_and_few_are_named() -> None:
    claim, verdict, wording = WORDED[0]
    few, many = ", ".join("abcd"), ", ".join("abcde")
    for models, said in ((few, few), (many, "5 models")):
        table = pd.DataFrame([row(claim, verdict, wording, models=models)])
        assert f"({said})" in findings(table, EVERY_PICTURE)[0].sentence
