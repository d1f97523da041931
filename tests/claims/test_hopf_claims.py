"""Each claim of the Hopf abstract, where the tables are as it says and where they are not."""

import pytest
from scipy import stats

from claim_studies import NAN, claim, described, evidence_of, together
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_MEASURED,
    NOT_REPRODUCED,
    REPRODUCED,
    TRUE_OF_ANYTHING,
)
from headalgebra.claims.ledger import CLAIMS
from text_studies import (
    DECODER,
    ENCODER,
    HEADS,
    MODELS,
    L,
    Ran,
    as_claimed,
    changed,
    with_layers,
    without,
)

AS_CLAIMED = {
    "hopf-lti": REPRODUCED,
    "hopf-convolution": REPRODUCED,
    "hopf-impulse": TRUE_OF_ANYTHING,
    "hopf-coherence": CONTRADICTED,
    "hopf-gradient": REPRODUCED,
    "hopf-building-blocks": NOT_MEASURED,
}


def test_a_study_as_the_abstract_has_it() -> None:
    assert [id for id in CLAIMS if id.startswith("hopf-")] == list(AS_CLAIMED)
    found = {id: claim(id, as_claimed(), MODELS)["verdict"] for id in AS_CLAIMED}
    assert found == AS_CLAIMED


@pytest.mark.parametrize(
    ("quantity", "least"),
    [("update_r2", 0.9), ("update_r2_without_first", 0.9), ("impulse_share", 0.8)],
    ids=["linear", "linear without the first token", "invariant"],
)
def test_a_system_is_linear_and_time_invariant_or_it_is_not(quantity: str, least: float) -> None:
    where = {"model": "e", "layer": L - 1, "quantity": quantity}
    for value, verdict in ((least, REPRODUCED), (least - 1e-3, NOT_REPRODUCED)):
        row = claim("hopf-lti", changed("convolution", "value", value, **where), MODELS)
        assert row["verdict"] == verdict
        if verdict == NOT_REPRODUCED:
            assert (row["value"], row["models"]) == (value, "d, e")
    # The next state has the last one in it, and is no evidence.
    state = {"model": "e", "quantity": "state_r2"}
    row = claim("hopf-lti", changed("convolution", "value", 0.0, **state), MODELS)
    assert row["verdict"] == REPRODUCED


def test_a_text_too_short_for_a_linear_map_says_so() -> None:
    update = {"model": "d", "quantity": "update_r2"}
    for at in (None, [3]):
        tables = changed("convolution", "value", NAN, at=at, **update)
        row = claim("hopf-lti", tables, MODELS)
        assert (row["verdict"], row["models"]) == (REPRODUCED, "e")
        assert "d: no R² of its updates: it takes four tokens for each axis" in row["note"]
    for quantity in ("update_r2", "impulse_share"):
        row = claim("hopf-lti", without("convolution", quantity=quantity), MODELS)
        assert row["verdict"] == NOT_MEASURED and "d: no R" in row["note"].replace("r", "R")


def test_most_heads_must_be_convolutions() -> None:
    share = {"model": "d", "quantity": "convolution_share"}
    for k, verdict in ((3, REPRODUCED), (4, NOT_REPRODUCED)):  # of 18, 80 % is 14.4
        tables = changed("convolution", "value", 0.49, at=range(k), **share)
        row = claim("hopf-convolution", tables, MODELS)
        n = L * HEADS
        assert (row["verdict"], row["value"], row["n"]) == (verdict, (n - k) / n, n)
        assert row["low"] < row["value"] < row["high"]
    numbers = evidence_of("hopf-convolution", as_claimed(), MODELS)["value"]
    assert numbers["d", "the same of permuted rows"] == pytest.approx(0.01)
    assert numbers["d", "mean convolution share"] == pytest.approx(0.75)


RESIDUALS = ("chen_residual", "antipode_residual")


@pytest.mark.parametrize("column", RESIDUALS)
@pytest.mark.parametrize(("id", "model"), [("hopf-impulse", "d"), ("hopf-coherence", "d-init")])
def test_a_residual_that_is_no_rounding_is_no_evidence(id: str, model: str, column: str) -> None:
    for value, verdict in ((1e-10, AS_CLAIMED[id]), (2e-10, NOT_MEASURED)):
        row = claim(id, changed("dyson", column, value, model=model, order=3), MODELS)
        assert (row["verdict"], row["value"]) == (verdict, value)
        assert (f"failed its own check: {model}: " in row["note"]) == (verdict == NOT_MEASURED)


@pytest.mark.parametrize("column", RESIDUALS)
@pytest.mark.parametrize("id", ["hopf-impulse", "hopf-coherence"])
def test_both_identities_are_asked(id: str, column: str) -> None:
    row = claim(id, changed("dyson", column, NAN), MODELS)
    assert row["verdict"] == NOT_MEASURED
    assert "d: one of the two identities was not computed" in row["note"]


def test_what_learning_does_shows_beside_what_has_not_learnt() -> None:
    row = claim("hopf-coherence", with_layers(DECODER), described("d"))
    assert row["verdict"] == NOT_MEASURED
    assert "no initialised model with both identities" in row["note"]
    models = claim("hopf-coherence", as_claimed(), MODELS)["models"]
    assert models == "d, e, d-init"


def test_an_update_is_the_descent_in_every_layer_or_not() -> None:
    cosine = {"model": "d", "quantity": "gradient_cosine"}
    for value, verdict in ((0.5, REPRODUCED), (0.49, NOT_REPRODUCED)):
        tables = changed("convolution", "value", value, layer=6, **cosine)
        row = claim("hopf-gradient", tables, MODELS)
        assert (row["verdict"], row["value"], row["models"]) == (verdict, value, "d")
        half = 0.01 * stats.t.ppf(0.975, 15)  # over 16 sequences
        assert row["low"] == pytest.approx(value - half)
        assert row["high"] == pytest.approx(value + half)
    tables = changed("convolution", "value", 0.01, **cosine)
    numbers = evidence_of("hopf-gradient", tables, MODELS)
    mean = numbers.loc[
        "d", "mean over the layers of the cosine of a layer's update with the loss's descent"
    ]
    assert (mean["value"], mean["n"]) == (pytest.approx(0.01), L)
    assert mean["low"] < 0.01 < mean["high"]
    spread = "standard deviation of the cosine by chance, mean over the layers"
    assert numbers.loc[("d", spread), "value"] == pytest.approx(0.15)


def test_of_one_sequence_a_cosine_has_no_interval() -> None:
    tables = changed("convolution", "value", 1, quantity="gradient_sequences")
    tables = changed("convolution", "value", NAN, tables=tables, quantity="gradient_cosine_se")
    row = claim("hopf-gradient", tables, MODELS)
    assert (row["verdict"], row["value"]) == (REPRODUCED, 0.6)
    assert row[["low", "high"]].isna().all()


@pytest.mark.parametrize("ran", [ENCODER, Ran(model="e", kind="encoder")], ids=["post", "pre"])
def test_an_encoder_has_no_loss_to_descend(ran: Ran) -> None:
    row = claim("hopf-gradient", with_layers(ran), together(described("e")))
    assert (row["verdict"], row["note"]) == (NOT_MEASURED, "no trained decoder could be judged")


def test_what_an_abstract_does_not_give_is_not_measured() -> None:
    row = claim("hopf-building-blocks", as_claimed(), MODELS)
    assert row["note"] == "no construction to test: the abstract does not give it"
