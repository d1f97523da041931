"""A claim that awaits its experiment says what the paper has, and what is missing."""

from claim_studies import THRESHOLDS, TRAINED, of_model
from headalgebra.claims.claim import awaiting_experiment
from headalgebra.claims.finding import NOT_MEASURED
from headalgebra.claims.study import Study


def test_a_claim_that_awaits_its_experiment_is_never_measured() -> None:
    told = {
        "id": "an-id",
        "title": "a title",
        "section": "7",
        "statement": "a statement",
        "paper_value": "a value",
    }
    claim = awaiting_experiment(**told, missing="trained twins")
    assert {name: getattr(claim, name) for name in told} == told
    assert claim.criterion == "none here: no experiment of this kind"
    assert (claim.rests_on, claim.figures, claim.of_trained_models) == ("none", (), False)
    found = claim.judge(Study(of_model(), TRAINED, THRESHOLDS, seed=0))
    assert (found.verdict, found.note) == (NOT_MEASURED, "no trained twins")
    assert found.deciding is None and not found.evidence
