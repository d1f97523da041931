"""Each claim of the geometry paper, where the tables are as it says and where they are not."""

import pandas as pd
import pytest
from scipy import stats

from claim_studies import NAN, Tables, claim, described, evidence_of, together
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
    HARMS,
    HEADS,
    MODELS,
    OF_A_NORM,
    WIDTHS,
    L,
    Ran,
    as_claimed,
    changed,
    with_layers,
    without,
)

AS_CLAIMED = {
    "geometry-manifold": TRUE_OF_ANYTHING,
    "geometry-nonlinear": TRUE_OF_ANYTHING,
    "geometry-cosine": REPRODUCED,
    "geometry-geodesic": CONTRADICTED,
    "geometry-sqrt-dk": REPRODUCED,
    "geometry-drift": REPRODUCED,
    "geometry-filter": REPRODUCED,
    "geometry-complexity": REPRODUCED,
    "geometry-axes": CONTRADICTED,
    "geometry-axes-optimiser": NOT_MEASURED,
    "geometry-soft-heads": NOT_MEASURED,
    "geometry-grid": NOT_MEASURED,
    "geometry-two-nulls": REPRODUCED,
    "geometry-rg": NOT_MEASURED,
    "geometry-symmetriser": NOT_MEASURED,
}

NORMS = 2 * L


def judged(id: str, tables: Tables, **thresholds: float) -> pd.Series:
    return claim(id, tables, MODELS, **thresholds)


def geometry(
    quantity: str,
    value: object,
    tables: Tables | None = None,
    *,
    column: str = "value",
    **where: object,
) -> Tables:
    """The tables as claimed, or others, with a column of a quantity changed."""
    return changed("geometry", column, value, tables=tables, quantity=quantity, **where)


def unmeasured(quantity: str, why: str, tables: Tables | None = None, **where: object) -> Tables:
    """The tables without values of a quantity, and with the reason in their place."""
    told = geometry(quantity, why, tables, column="note", **where)
    return geometry(quantity, NAN, told, **where)


def test_a_study_as_the_paper_has_it() -> None:
    assert [id for id in CLAIMS if id.startswith("geometry-")] == list(AS_CLAIMED)
    assert {id: judged(id, as_claimed())["verdict"] for id in AS_CLAIMED} == AS_CLAIMED


@pytest.mark.parametrize(
    ("id", "missing"),
    [
        ("geometry-axes-optimiser", "the study leaves out experiments.csv"),
        ("geometry-soft-heads", "the study leaves out experiments.csv"),
        ("geometry-grid", "the study leaves out experiments.csv"),
        ("geometry-symmetriser", "the study leaves out experiments.csv"),
        ("geometry-rg", "no coarse-graining map and no fixed point are defined"),
    ],
)
def test_what_no_table_tells_says_what_is_missing(id: str, missing: str) -> None:
    assert judged(id, as_claimed())["note"].startswith(missing)


# ------ Norms


@pytest.mark.parametrize("quantity", ["mean_square", "lambda_1"])
def test_a_norm_that_leaves_its_sphere_is_no_evidence(quantity: str) -> None:
    exact = 0.999 if quantity == "mean_square" else 0.0
    where = {"model": "d", "layer": 3, "norm": "attention"}
    for off, verdict in ((9e-11, TRUE_OF_ANYTHING), (2e-10, NOT_MEASURED)):
        for sign in (1, -1):
            row = judged("geometry-manifold", geometry(quantity, exact + sign * off, **where))
            assert (row["verdict"], row["value"]) == (verdict, pytest.approx(off, rel=1e-5))
            failed = "the computation failed its own check: d: " in row["note"]
            assert failed == (verdict == NOT_MEASURED)


def test_the_norms_epsilon_is_shown() -> None:
    tables = geometry("shortened", 0.7, model="d", layer=0)
    tables = geometry("mean_square", 0.7, tables=tables, model="d", layer=0)
    row = judged("geometry-manifold", tables)
    assert (row["verdict"], row["note"]) == (TRUE_OF_ANYTHING, "")
    numbers = evidence_of("geometry-manifold", tables, MODELS)
    factor = numbers.loc[("d", "smallest factor var/(var + ε) of |z|²/d")]
    assert (factor["value"], factor["n"]) == (0.7, NORMS)


def test_of_a_norm_that_takes_no_mean_off_there_is_a_sphere_alone() -> None:
    tables = geometry("takes_mean_off", 0.0, model="d")
    tables = geometry("lambda_1", 0.3, tables=tables, model="d")
    row = judged("geometry-manifold", tables)
    assert (row["verdict"], row["models"]) == (TRUE_OF_ANYTHING, "d, e")
    assert row["note"] == "d: a sphere alone, its norms take no mean off"
    row = judged("geometry-two-nulls", tables)
    assert (row["verdict"], row["models"]) == (REPRODUCED, "e")
    assert row["note"] == "d: none of its norms takes the mean off"


FEW = "100 vectors, and a covariance matrix of dimension 384 wants 6144"


def test_of_few_tokens_no_eigenvalue_is_judged() -> None:
    tables = as_claimed()
    for quantity in ("lambda_1", "lambda_2", "lambda_3", "nulled"):
        tables = unmeasured(quantity, FEW, tables, model="d")
    row = judged("geometry-manifold", tables)
    assert (row["verdict"], row["note"]) == (
        TRUE_OF_ANYTHING,
        "d: too few tokens to see its hyperplane",
    )
    row = judged("geometry-two-nulls", tables)
    assert (row["verdict"], row["models"], row["note"]) == (REPRODUCED, "e", f"d: {FEW}")
    row = claim("geometry-two-nulls", tables, described("d"))
    assert (row["verdict"], row["note"]) == (NOT_MEASURED, f"d: {FEW}")
    # Of one norm too: all are claimed to have them.
    of_one = unmeasured("lambda_2", FEW, model="d", layer=2, norm="attention")
    assert judged("geometry-two-nulls", of_one)["models"] == "e"


def test_every_layer_norm_has_a_second_null_or_not() -> None:
    where = {"model": "e", "layer": 4, "norm": "feed-forward"}
    for value, verdict in ((0.01, REPRODUCED), (0.0101, NOT_REPRODUCED)):
        row = judged("geometry-two-nulls", geometry("lambda_2", value, **where))
        assert (row["verdict"], row["value"]) == (verdict, value)
        assert (row["models"], row["n"]) == ("d, e", NORMS)
    assert "nulls none" in row["criterion"] and "tr E zzᵀ" in row["rests_on"]
    numbers = evidence_of("geometry-two-nulls", as_claimed(), MODELS)["value"]
    assert numbers["e", "most eigenvalues that are none in a LayerNorm"] == 1
    second = "the second eigenvalue of as many isotropic states, mean"
    assert numbers["e", second] == pytest.approx(OF_A_NORM["lambda_2"][1])


def test_a_norm_of_another_kind_is_not_asked_for_a_second_null() -> None:
    where = {"model": "d", "norm": "attention"}
    tables = geometry("takes_mean_off", 0.0, **where)
    tables = unmeasured("lambda_2", FEW, tables, **where)
    row = judged("geometry-two-nulls", tables)
    assert (row["verdict"], row["models"], row["note"]) == (REPRODUCED, "d, e", "")
    numbers = evidence_of("geometry-two-nulls", tables, MODELS)["n"]
    assert numbers["d", "smallest third eigenvalue over the median"] == L


def test_a_head_that_is_affine_is_no_evidence() -> None:
    where = {"model": "d", "layer": 3, "head": 1}
    for value, verdict in ((2e-10, TRUE_OF_ANYTHING), (1e-10, NOT_MEASURED)):
        row = judged("geometry-nonlinear", geometry("query_beyond_affine", value, **where))
        assert (row["verdict"], row["value"], row["n"]) == (verdict, value, 2 * L * HEADS)
        assert ("failed its own check: d: " in row["note"]) == (verdict == NOT_MEASURED)


def test_a_layer_that_reads_no_norm_is_not_asked() -> None:
    why = "queries are not made from what a norm of a block has made"
    row = judged("geometry-nonlinear", unmeasured("query_beyond_affine", why, layer=0))
    assert (row["verdict"], row["n"], row["note"]) == (
        TRUE_OF_ANYTHING,
        2 * (L - 1) * HEADS,
        "",
    )
    row = judged("geometry-nonlinear", unmeasured("query_beyond_affine", why))
    assert (row["verdict"], row["note"]) == (NOT_MEASURED, f"d: {why}; e: {why}")


# ------ Scores


@pytest.mark.parametrize(
    ("id", "quantity", "against", "still"),
    [
        ("geometry-cosine", "score_cosine_r2", 0.89, 0.9),
        ("geometry-cosine", "score_cosine_r2_without_first", 0.89, 0.9),
        ("geometry-sqrt-dk", "score_std", 0.49, 0.5),
        ("geometry-sqrt-dk", "score_std_without_first", 2.1, 2.0),
    ],
)
def test_most_heads_must_have_such_scores(
    id: str, quantity: str, against: float, still: float
) -> None:
    n = L * HEADS
    for value, k, verdict in (
        (against, 3, REPRODUCED),  # of 18, 80 % is 14.4
        (against, 4, NOT_REPRODUCED),
        (still, n, REPRODUCED),
    ):
        row = judged(id, geometry(quantity, value, at=range(k), model="d"))
        assert row["verdict"] == verdict
        if verdict == NOT_REPRODUCED:
            assert (row["value"], row["n"], row["models"]) == ((n - k) / n, n, "d, e")
            interval = stats.binomtest(n - k, n).proportion_ci(0.95)
            assert (row["low"], row["high"]) == (interval.low, interval.high)
            where = "without the first token"
            assert row["statistic"].endswith(where) == quantity.endswith("without_first")


def test_scores_that_are_all_alike_are_of_no_angle() -> None:
    tables = unmeasured("score_cosine_r2", "all scores are alike", model="d", layer=3, head=1)
    row = judged("geometry-cosine", tables)
    numbers = evidence_of("geometry-cosine", tables, MODELS)
    assert row["verdict"] == REPRODUCED
    share = "share of heads whose scores are functions of the cosine"
    assert numbers.loc[("d", share), "n"] == L * HEADS - 1
    assert numbers.loc[("d", "mean variation of queries' lengths"), "n"] == L * HEADS


OWN_CODE = "the family computes attention in code of its own"


@pytest.mark.parametrize(
    ("id", "quantities"),
    [
        ("geometry-cosine", ("score_cosine_r2", "score_cosine_r2_without_first")),
        ("geometry-geodesic", ("score_beyond_one",)),
        ("geometry-sqrt-dk", ("score_std", "score_std_without_first")),
    ],
)
def test_scores_that_were_not_seen_say_so(id: str, quantities: tuple[str, ...]) -> None:
    tables = as_claimed()
    for quantity in quantities:
        tables = unmeasured(quantity, OWN_CODE, tables, model="d")
        tables = geometry(quantity, NAN, column="head", tables=tables, model="d")
        tables["geometry"] = tables["geometry"].drop_duplicates(
            ["model", "layer", "norm", "head", "quantity"]
        )
    row = judged(id, tables)
    assert (row["verdict"], row["models"]) == (AS_CLAIMED[id], "e")
    assert row["note"] == f"d: {OWN_CODE}"


def test_one_pair_beyond_one_is_no_cosine() -> None:
    none = geometry("score_beyond_one", 0.0)
    row = judged("geometry-geodesic", none)
    assert row["verdict"] == NOT_MEASURED
    assert row["note"] == "no pair has |q·k| > 1, which would show that it is no cosine"
    assert len(evidence_of("geometry-geodesic", none, MODELS)) == 2
    one = geometry("score_beyond_one", 0.018, tables=none, model="e", layer=2, head=0)
    row = judged("geometry-geodesic", one)
    assert (row["verdict"], row["models"], row["n"]) == (CONTRADICTED, "d, e", 2 * L * HEADS)
    assert row["value"] == pytest.approx(0.018 / (L * HEADS))


@pytest.mark.parametrize(
    ("quantity", "value", "verdict"),
    [
        ("initial_score_variance_ratio_64", 1.0999, REPRODUCED),
        ("initial_score_variance_ratio_64", 0.9001, REPRODUCED),
        ("initial_score_variance_ratio_64", 1.11, NOT_REPRODUCED),
        ("initial_score_variance_ratio_8", 0.89, NOT_REPRODUCED),
        ("initial_score_std_128", 2.0, REPRODUCED),
        ("initial_score_std_128", 2.1, NOT_REPRODUCED),
        ("initial_score_std_16", 0.15, NOT_REPRODUCED),
    ],
)
def test_drawn_heads_have_scores_of_one_or_not(quantity: str, value: float, verdict: str) -> None:
    row = judged("geometry-sqrt-dk", geometry(quantity, value, model="d"))
    assert row["verdict"] == verdict
    if verdict == NOT_REPRODUCED:
        number = abs(value - 1) if "ratio" in quantity else value
        assert (row["value"], row["n"]) == (pytest.approx(number), len(WIDTHS))


def test_drawn_heads_of_every_width_are_asked() -> None:
    row = judged("geometry-sqrt-dk", without("geometry", quantity="initial_score_std_32"))
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("d: no initial_score_std_32 was measured; e: ")
    numbers = evidence_of("geometry-sqrt-dk", as_claimed(), MODELS)["value"]
    expected = "dσ², the standard deviation of q·k/√d_k of drawn heads that is expected"
    assert numbers["d", expected] == 0.96


# ------ Drift


def drift(median: float, **where: object) -> Tables:
    return changed("drift", "median", median, model="d", **where)


def test_drift_of_the_last_state_saturates_or_not() -> None:
    half = 0.4 - 0.2 / 4
    for factor, verdict in ((1.0999, REPRODUCED), (1.1001, NOT_REPRODUCED)):
        tables = drift(factor * half, layer=L, offset=8, place="before")
        row = judged("geometry-drift", tables)
        assert (row["verdict"], row["value"]) == (verdict, pytest.approx(factor))
        assert row["models"] == "d"
    # In a layer before it drift may grow.
    assert (
        judged("geometry-drift", drift(9.0, layer=L - 1, offset=8, place="before"))["verdict"]
        == REPRODUCED
    )


def test_a_norm_that_adds_to_the_drift_is_enough() -> None:
    before = 0.4 - 0.2 / 8
    for median, verdict in ((before, REPRODUCED), (1.01 * before, NOT_REPRODUCED)):
        row = judged("geometry-drift", drift(median, layer=2, offset=8, place="after"))
        assert row["verdict"] == verdict
        if verdict == NOT_REPRODUCED:
            assert (row["value"], row["n"]) == (pytest.approx(1.01), L + 1)
    # At the largest offset alone.
    row = judged("geometry-drift", drift(9.0, layer=2, offset=4, place="after"))
    assert row["verdict"] == REPRODUCED


def test_states_that_do_not_drift_or_that_no_norm_reads_are_not_asked() -> None:
    still = drift(0.0, layer=0)
    row = judged("geometry-drift", still)
    assert (row["verdict"], row["note"]) == (REPRODUCED, "")
    read = "drift after a norm over that before it, at the largest offset"
    numbers = evidence_of("geometry-drift", still, MODELS)["n"]
    assert numbers["d", f"largest {read}"] == L
    for layers in ([L], range(L + 1)):
        tables = as_claimed()
        for layer in layers:
            where = {"tables": tables, "model": "d", "layer": layer, "place": "after"}
            tables = changed("drift", "note", "no norm reads this state", **where)
            tables = changed("drift", "median", NAN, **(where | {"tables": tables}))
        row = judged("geometry-drift", tables)
        assert row["verdict"] == (REPRODUCED if layers == [L] else NOT_MEASURED)
    assert row["note"] == "d: no state that drifts and is read by a norm"


def test_a_window_slides_by_a_quarter_and_an_eighth() -> None:
    row = judged("geometry-drift", without("drift", offset=4))
    assert (row["verdict"], row["note"]) == (
        NOT_MEASURED,
        "d: no offset of the window and its half",
    )


def test_encoders_have_no_drift_and_are_not_missed() -> None:
    assert judged("geometry-drift", as_claimed())["note"] == ""
    row = claim("geometry-drift", with_layers(ENCODER), described("e"))
    assert (row["verdict"], row["note"]) == (NOT_MEASURED, "no trained decoder could be judged")
    row = judged("geometry-drift", without("drift", model="d"))
    assert row["note"].endswith("d: not measured: drift.csv has nothing of it")


# ------ The activation


def test_most_inputs_are_off_by_three_errors_in_every_layer() -> None:
    where = {"model": "d", "layer": 6}
    for share, verdict in ((0.5301, REPRODUCED), (0.5299, NOT_REPRODUCED)):
        row = judged("geometry-filter", geometry("off_share", share, **where))
        assert (row["verdict"], row["value"]) == (verdict, pytest.approx(share - 0.03))
        assert (row["models"], row["n"]) == ("d, e", L)
    exact = geometry("off_share_se", 0.0, tables=geometry("off_share", 0.5, **where), **where)
    row = judged("geometry-filter", exact)
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, 0.5)  # half is not most
    numbers = evidence_of("geometry-filter", as_claimed(), MODELS)["value"]
    assert numbers["d", "mean share of u < 0"] == pytest.approx(0.7)


def test_one_sequence_has_no_errors_to_be_beyond() -> None:
    why = "one sequence has no standard error"
    row = judged("geometry-filter", unmeasured("off_share_se", why, model="d", layer=2))
    assert (row["verdict"], row["models"], row["note"]) == (REPRODUCED, "e", f"d: {why}")


@pytest.mark.parametrize(
    ("after", "null", "verdict", "value"),
    [
        (7.9, 8.0, REPRODUCED, 1.1),
        (9.0, 9.5, NOT_REPRODUCED, 0.0),  # as many bits as before
        (9.5, 9.9, NOT_REPRODUCED, -0.5),
        (8.0, 8.0, NOT_REPRODUCED, 0.0),  # no more than the null
        (8.0, 7.9, NOT_REPRODUCED, -0.1),
    ],
)
def test_bits_fall_by_more_than_of_gaussian_inputs(
    after: float, null: float, verdict: str, value: float
) -> None:
    where = {"model": "e", "layer": 5}
    tables = geometry("bits_after", after, **where)
    tables = geometry("bits_after", null, column="null", tables=tables, **where)
    row = judged("geometry-complexity", tables)
    assert (row["verdict"], row["n"]) == (verdict, L)
    assert row["value"] == pytest.approx(value, abs=1e-12)


def test_bits_without_a_null_are_not_judged() -> None:
    tables = geometry("bits_after", NAN, column="null", model="d", layer=1)
    row = judged("geometry-complexity", tables)
    assert (row["verdict"], row["models"], row["note"]) == (
        REPRODUCED,
        "e",
        "d: no null of its bits",
    )
    nothing = unmeasured("bits_after", "no product was seen", model="d")
    assert judged("geometry-complexity", nothing)["note"] == "d: no product was seen"


# ------ Axes


def axes(column: str, value: object, tables: Tables | None = None, **where: object) -> Tables:
    return changed("axes", column, value, tables=tables, model="d", **where)


def test_what_is_predicted_of_axes_is_an_identity() -> None:
    row = judged("geometry-axes", as_claimed())
    assert (row["value"], row["n"], row["models"]) == (3e-16, 32, "d, e")
    numbers = evidence_of("geometry-axes", as_claimed(), MODELS)
    across = "axes from queries to outputs permuted across heads"
    for on, quantity in (
        ("d", "rise of the loss in nats"),
        ("e", "relative change of the last state"),
    ):
        harm = numbers.loc[(on, f"{quantity}, {across}")]
        half = 0.02 * stats.t.ppf(0.975, 15)
        assert harm["value"] == 0.5 and harm["low"] == pytest.approx(0.5 - half)
        own = numbers.loc[(on, f"{quantity}, the state's axes permuted within blocks")]
        assert own["value"] == HARMS["stream", "within"][0]


@pytest.mark.parametrize("sign", [1, -1])
def test_harm_within_heads_that_is_no_rounding_is_no_evidence(sign: int) -> None:
    within = {"permuted": "joint", "moved": "within"}
    for size, verdict in ((1e-10, CONTRADICTED), (2e-10, NOT_MEASURED)):
        row = judged("geometry-axes", axes("mean", sign * size, **within))
        assert (row["verdict"], row["value"]) == (verdict, size)
        assert ("failed its own check: d: " in row["note"]) == (verdict == NOT_MEASURED)


@pytest.mark.parametrize("sign", [1, -1])
def test_blocks_of_the_states_axes_are_like_any_others_or_there_is_no_verdict(sign: int) -> None:
    """As it is they do .015 more, each of four means with an error of .01."""
    for excess, verdict in ((0.059, CONTRADICTED), (0.061, NOT_MEASURED)):
        mean = 0.29 - 0.015 + sign * excess
        row = judged("geometry-axes", axes("mean", mean, permuted="stream", moved="across"))
        assert row["verdict"] == verdict
        if verdict == NOT_MEASURED:
            assert row["note"].startswith("symmetry expects none of models on average")
            assert f"{sign * excess:.2g} ± 0.02" in row["note"] and pd.isna(row["value"])


NO_BLOCKS = "no such permutation: the 380 axes of the state are no blocks of 64"


def test_a_model_without_one_of_the_permutations_is_not_judged() -> None:
    stream = {"permuted": "stream"}
    tables = axes("permutations", 0, **stream)
    for column, value in (("mean", NAN), ("standard_error", NAN), ("note", NO_BLOCKS)):
        tables = axes(column, value, tables, **stream)
    row = judged("geometry-axes", tables)
    assert (row["verdict"], row["models"]) == (CONTRADICTED, "e")
    assert row["note"] == f"d: {NO_BLOCKS}"
    numbers = evidence_of("geometry-axes", tables, MODELS)
    assert len(numbers.loc["d"]) == 2  # the joint ones are shown
    row = judged("geometry-axes", without("axes", model="d", permuted="stream", moved="across"))
    assert row["note"] == "d: no harm, with its error, of the state's axes permuted across blocks"


def test_one_permutation_has_no_error() -> None:
    tables = axes("standard_error", NAN, axes("permutations", 1))
    row = judged("geometry-axes", tables)
    assert (row["verdict"], row["models"]) == (CONTRADICTED, "e")
    assert row["note"].startswith("d: no harm, with its error, of ")


def test_single_precision_hides_what_an_identity_leaves() -> None:
    rough = Ran(model="e", kind="encoder", dtype="float32")
    row = judged("geometry-axes", with_layers(DECODER, rough))
    assert (row["verdict"], row["models"]) == (CONTRADICTED, "d")
    assert "e: run in float32" in row["note"]
    row = claim("geometry-axes", with_layers(rough), together(described("e")))
    assert row["verdict"] == NOT_MEASURED and "e: run in float32" in row["note"]
