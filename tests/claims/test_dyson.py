"""Each claim of the Dyson paper, where the tables are as it says and where they are not."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from claim_studies import NAN, Tables, claim, described, evidence_of, together, verdict_of
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
    ERRORS,
    HEADS,
    METHODS,
    MODELS,
    L,
    Ran,
    as_claimed,
    changed,
    growth_rows,
    with_layers,
    without,
)

BOTH_KINDS = together(described("d"), described("e"))


def judged(id: str, tables: Tables, **thresholds: float) -> pd.Series:
    return claim(id, tables, MODELS, **thresholds)


AS_CLAIMED = {
    REPRODUCED: [
        *("dyson-bidirectional", "dyson-nonhermitian", "dyson-saturation", "dyson-channels"),
        *("dyson-low-rank", "dyson-small", "dyson-perturbative", "dyson-collapse"),
        *("dyson-resummation", "dyson-norm"),
    ],
    TRUE_OF_ANYTHING: ["dyson-local", "dyson-product"],
    CONTRADICTED: ["dyson-triangular"],
    NOT_MEASURED: ["dyson-pseudospectra"],
}


def test_a_study_as_the_paper_has_it() -> None:
    ids = [id for id in CLAIMS if id.startswith("dyson-")]
    assert sorted(id for of in AS_CLAIMED.values() for id in of) == sorted(ids)
    for verdict, expected in AS_CLAIMED.items():
        assert {id: judged(id, as_claimed())["verdict"] for id in expected} == dict.fromkeys(
            expected, verdict
        )


# ------ Heads

HEAD_CLAIMS = {
    "dyson-nonhermitian": ("symmetric_share", 0.95, 0.949),
    "dyson-channels": ("own_block_share", 0.499, 0.5),
    "dyson-low-rank": ("rank_99", 5.0, 4.0),
}
"""The quantity of each, a value against the claim, and the nearest that is not."""


@pytest.mark.parametrize("id", HEAD_CLAIMS)
def test_one_model_whose_heads_are_not_so_is_enough(id: str) -> None:
    quantity, against, still = HEAD_CLAIMS[id]
    decoder = {"model": "d", "quantity": quantity}
    row = judged(id, changed("normality", "value", still, **decoder))
    assert (row["verdict"], row["value"], row["n"]) == (REPRODUCED, 1.0, L * HEADS)
    row = judged(id, changed("normality", "value", against, **decoder))
    assert (row["verdict"], row["value"], row["models"]) == (NOT_REPRODUCED, 0.0, "d, e")


@pytest.mark.parametrize(("id", "most"), [("dyson-channels", 3), ("dyson-nonhermitian", 0)])
def test_a_share_of_heads_has_its_interval(id: str, most: int) -> None:
    """Of 18 heads 80 % is 14.4, and 95 % is 17.1."""
    quantity, against, _ = HEAD_CLAIMS[id]
    for k, verdict in ((most, REPRODUCED), (most + 1, NOT_REPRODUCED)):
        tables = changed("normality", "value", against, at=range(k), model="d", quantity=quantity)
        row = judged(id, tables)
        n = L * HEADS
        assert (row["verdict"], row["value"]) == (verdict, (n - k) / n)
        interval = stats.binomtest(n - k, n).proportion_ci(0.95)
        assert (row["low"], row["high"]) == (interval.low, interval.high)


@pytest.mark.parametrize("id", HEAD_CLAIMS)
def test_blocks_are_no_heads(id: str) -> None:
    block = [
        {"model": "d", "layer": layer, "operator": name, "quantity": quantity, "value": against}
        for quantity, against, _ in HEAD_CLAIMS.values()
        for name in ("frozen block", "tangent block")
        for layer in range(L)
    ]
    heads = as_claimed()["normality"]
    tables = as_claimed() | {"normality": pd.concat([heads, pd.DataFrame(block)])}
    pd.testing.assert_series_equal(judged(id, tables), judged(id, as_claimed()))


def test_encoders_must_be_the_more_symmetric_by_more_than_layers_differ() -> None:
    row = judged("dyson-bidirectional", as_claimed())
    assert row["value"] == pytest.approx(0.15, rel=1e-12)
    assert 0.14 < row["low"] < 0.15 < row["high"] < 0.16 and row["n"] == 2 * L
    numbers = evidence_of("dyson-bidirectional", as_claimed(), MODELS)["value"]
    assert numbers["e", "mean symmetric share of heads less chance, encoder"] == pytest.approx(
        0.7 + 0.005 - 0.002 * 4 - 0.5
    )
    # Chance is of each model: where it is higher, so may be the share.
    chance = {"model": "e", "quantity": "symmetric_share_chance"}
    row = judged("dyson-bidirectional", changed("normality", "value", 0.66, **chance))
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, pytest.approx(-0.01))
    # A difference that the layers do not agree in.
    share = {"model": "e", "operator": "head 0", "quantity": "symmetric_share"}
    scattered = changed("normality", "value", 0.0, at=[0, 3, 6], **share)
    row = judged("dyson-bidirectional", scattered)
    assert row["value"] > 0 > row["low"] and row["verdict"] == NOT_REPRODUCED


def test_the_same_seed_draws_the_same_layers() -> None:
    first, again = (judged("dyson-bidirectional", as_claimed()) for _ in range(2))
    pd.testing.assert_series_equal(first, again)


@pytest.mark.parametrize(("kind", "lacking"), [(DECODER, "encoder"), (ENCODER, "decoder")])
def test_kinds_are_compared_where_there_are_both(kind: Ran, lacking: str) -> None:
    row = claim("dyson-bidirectional", with_layers(kind), described(kind.model))
    assert row["verdict"] == NOT_MEASURED
    assert f"no trained {lacking}" in row["note"]
    assert len(evidence_of("dyson-bidirectional", with_layers(kind), described(kind.model))) == 1


# ------ Attention and locality


def test_the_diagonal_of_attention_contradicts_strictness() -> None:
    row = judged("dyson-triangular", as_claimed())
    assert (row["value"], row["models"], row["n"]) == (0.1, "d", L)  # the encoder has no mask
    assert "lower triangular" in row["note"]


@pytest.mark.parametrize(
    ("column", "value"), [("attention_to_later", 1e-9), ("attention_to_self", 0.0)]
)
def test_a_mask_that_leaks_is_no_evidence_of_an_identity(column: str, value: float) -> None:
    row = judged("dyson-triangular", changed("states", column, value, model="d", layer=4))
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("the computation failed its own check: d: ")
    # An encoder sees later tokens, as it ought to.
    tables = changed("states", column, value, model="e")
    assert judged("dyson-triangular", tables)["verdict"] == CONTRADICTED


def test_without_a_decoder_there_is_no_causal_mask() -> None:
    row = claim("dyson-triangular", with_layers(ENCODER), described("e"))
    assert (row["verdict"], row["note"]) == (NOT_MEASURED, "no trained decoder could be judged")


def test_any_change_of_another_tokens_output_is_no_evidence() -> None:
    tables = changed("guards", "value", 1e-18, model="e", guard="feed-forward locality")
    row = judged("dyson-local", tables)
    assert (row["verdict"], row["value"]) == (NOT_MEASURED, 1e-18)
    assert "failed its own check: e" in row["note"]


def test_a_feed_forward_part_that_was_not_perturbed_says_so() -> None:
    tables = without("guards", model="d", guard="feed-forward locality")
    row = judged("dyson-local", tables)
    assert (row["verdict"], row["models"]) == (TRUE_OF_ANYTHING, "e")
    assert row["note"] == "d: no token was perturbed before its feed-forward part"


# ------ The series


@pytest.mark.parametrize(
    ("table", "column", "where"),
    [
        ("guards", "value", {"guard": "replay"}),
        ("dyson", "partial_error", {"order": L}),
    ],
)
def test_a_residual_that_is_no_rounding_is_no_evidence(
    table: str, column: str, where: dict[str, object]
) -> None:
    for value, verdict in ((1e-10, TRUE_OF_ANYTHING), (2e-10, NOT_MEASURED)):
        row = judged("dyson-product", changed(table, column, value, model="d", **where))
        assert (row["verdict"], row["value"]) == (verdict, value)
        assert ("failed its own check: d: " in row["note"]) == (verdict == NOT_MEASURED)


IDENTITIES = ("dyson-product", "hopf-impulse", "hopf-coherence")


@pytest.mark.parametrize("id", IDENTITIES)
def test_single_precision_tells_nothing_of_an_identity(id: str) -> None:
    rough = Ran(model="e", kind="encoder", dtype="float32")
    tables = with_layers(DECODER, rough, Ran(model="d-init"))
    row = judged(id, tables)
    assert row["verdict"] == verdict_of(id, as_claimed(), MODELS)
    assert "e" not in row["models"].split(", ")
    assert "e: run in float32" in row["note"]
    alone = with_layers(rough, Ran(model="d-init"))
    row = claim(id, alone, together(described("e"), MODELS[-1:]))
    assert row["verdict"] == NOT_MEASURED and "e: run in float32" in row["note"]


def test_frozen_blocks_that_were_not_replayed_say_so() -> None:
    tables = without("guards", model="d", guard="replay")
    row = judged("dyson-product", tables)
    assert (row["verdict"], row["models"]) == (TRUE_OF_ANYTHING, "e")
    assert "d: no replay of its frozen blocks" in row["note"]


GAINS = ("first_scales_gain", "first_scales_gain_without_first")


@pytest.mark.parametrize("quantity", GAINS)
def test_without_norms_the_last_state_must_grow_more_than_tenfold(quantity: str) -> None:
    where = {"model": "e", "quantity": quantity}
    for value, verdict in ((10.1, REPRODUCED), (10.0, NOT_REPRODUCED), (0.1, NOT_REPRODUCED)):
        row = judged("dyson-norm", changed("geometry", "value", value, layer=L - 1, **where))
        assert row["verdict"] == verdict
        if verdict == NOT_REPRODUCED:
            assert (row["value"], row["n"], row["models"]) == (value, L, "d, e")
            assert row["statistic"].endswith("without the first token") == (quantity == GAINS[1])
    # Earlier ones are on the way.
    earlier = changed("geometry", "value", 1e-3, layer=L - 2, **where)
    assert judged("dyson-norm", earlier)["verdict"] == REPRODUCED


def test_a_state_out_of_range_has_no_size() -> None:
    where = {"model": "d", "layer": L - 1, "quantity": GAINS[0]}
    tables = changed("geometry", "value", NAN, **where)
    tables = changed("geometry", "note", "out of range", tables=tables, **where)
    row = judged("dyson-norm", tables)
    assert (row["verdict"], row["models"]) == (REPRODUCED, "e")
    assert row["note"] == "d: out of range"
    row = judged("dyson-norm", without("geometry", quantity=GAINS[0]))
    assert row["verdict"] == NOT_MEASURED
    assert row["note"] == f"d: no {GAINS[0]} was measured; e: no {GAINS[0]} was measured"


BY_PLACEMENT = {
    "dyson-small": ("states", ("update_ratio", "update_ratio_without_first"), {}),
    "dyson-perturbative": (
        "dyson",
        ("partial_error", "partial_error_without_first"),
        {"order": 2},
    ),
}
"""The table and the columns of each, and the rows in which a half is against it."""


@pytest.mark.parametrize("column", [0, 1])
@pytest.mark.parametrize("id", BY_PLACEMENT)
@pytest.mark.parametrize(("model", "kind"), [("d", "pre-norm"), ("e", "post-norm")])
def test_one_kind_of_norms_against_is_told_apart(
    id: str, column: int, model: str, kind: str
) -> None:
    table, names, where = BY_PLACEMENT[id]
    row = judged(id, changed(table, names[column], 0.5, model=model, **where))
    assert (row["verdict"], row["models"]) == (NOT_REPRODUCED, model)
    assert f"{kind}: not reproduced" in row["note"]
    assert row["note"].count(": reproduced") == 1
    assert row["statistic"].endswith(f"{kind} models")


@pytest.mark.parametrize("id", BY_PLACEMENT)
@pytest.mark.parametrize(
    ("ran", "other"), [(DECODER, "post-norm"), (ENCODER, "pre-norm")], ids=["pre", "post"]
)
def test_of_a_kind_that_is_not_at_hand_nothing_is_said(id: str, ran: Ran, other: str) -> None:
    row = claim(id, with_layers(ran), described(ran.model))
    assert row["verdict"] == REPRODUCED
    assert f"{other}: not measured (no trained model of this kind)" in row["note"]


def test_updates_are_small_in_most_layers() -> None:
    for k, verdict in ((1, REPRODUCED), (2, NOT_REPRODUCED)):  # of nine, 80 % is 7.2
        tables = changed("states", "update_ratio", 0.31, at=range(k), model="d")
        row = judged("dyson-small", tables)
        assert row["verdict"] == verdict
        if verdict == NOT_REPRODUCED:
            assert row["value"] == pytest.approx(7 / 9) and row["low"] < 7 / 9 < row["high"]
    assert judged("dyson-small", changed("states", "update_ratio", 0.3))["verdict"] == REPRODUCED


def series(errors: tuple[float, ...]) -> Tables:
    """A decoder with these errors of its partial sums."""
    tables = with_layers(DECODER)
    orders = pd.DataFrame({"model": "d", "order": range(len(errors)), "partial_error": errors})
    rows = orders.assign(partial_error_without_first=orders["partial_error"])
    return tables | {"dyson": rows}


@pytest.mark.parametrize(
    ("errors", "verdict", "value"),
    [
        (ERRORS, REPRODUCED, 0.05),
        ((0.3, 1.0, 0.1, 0.01), REPRODUCED, 0.1),  # from order 1 on
        ((0.99, 0.71, 0.28, 0.077, 0.016, 0.002), NOT_REPRODUCED, 0.28),
        ((2.0, 5.0, 9.0, 11.0, 7.0, 1.9, 1e-15), NOT_REPRODUCED, 9.0),
        ((1.0, 0.3, 0.05, 0.06, 1e-15), NOT_REPRODUCED, 2 / 3),  # it rises once
        ((1.0, 0.3, 0.05, 1e-15, 2e-15), REPRODUCED, 0.05),  # of rounding
        ((1.0, 0.3, 0.05), NOT_MEASURED, NAN),
    ],
)
def test_a_perturbation_series_converges_soon(
    errors: tuple[float, ...], verdict: str, value: float
) -> None:
    row = claim("dyson-perturbative", series(errors), described("d"))
    assert row["verdict"] == verdict
    assert row["value"] == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize(
    ("dtype", "verdict"), [("float32", REPRODUCED), ("float64", NOT_REPRODUCED)]
)
def test_errors_of_the_size_of_rounding_have_no_order(dtype: str, verdict: str) -> None:
    """In float32 they stay from some order on at what the last one has, and waver there."""
    wavering = (1.0, 0.3, 0.05, 1.8e-6, 9.59e-7, 9.60e-7, 9.59e-7, 9.60e-7)
    tables = series(wavering) | {"runs": with_layers(Ran(model="d", dtype=dtype))["runs"]}
    assert claim("dyson-perturbative", tables, described("d"))["verdict"] == verdict
    rising = series((1.0, 0.3, 0.05, 0.06, 9e-7)) | {"runs": tables["runs"]}
    assert claim("dyson-perturbative", rising, described("d"))["verdict"] == NOT_REPRODUCED


def test_a_series_without_one_of_its_orders_is_not_judged() -> None:
    row = judged("dyson-perturbative", without("dyson", model="d", order=4))
    assert (row["verdict"], row["models"]) == (REPRODUCED, "e")
    assert "d: orders are missing" in row["note"]


# ------ Saturation, collapse


@pytest.mark.parametrize("column", ["update_ratio", "update_ratio_without_first"])
def test_updates_that_grow_do_not_saturate(column: str) -> None:
    rows = as_claimed()["states"].copy()
    rows[column] = 0.1 + 0.01 * rows["layer"]
    row = judged("dyson-saturation", as_claimed() | {"states": rows})
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, pytest.approx(-1))


def test_few_layers_have_no_order() -> None:
    few = as_claimed()["states"].query("layer < 7")
    row = judged("dyson-saturation", as_claimed() | {"states": few})
    assert row["verdict"] == NOT_MEASURED
    assert "d: 7 layers, and an order is judged from 8 on" in row["note"]


@pytest.mark.parametrize(
    ("column", "value", "verdict", "number"),
    [
        ("stable_rank", 2.0, REPRODUCED, 2.0),
        ("stable_rank", 1.99, NOT_REPRODUCED, 1.99),
        ("norm", 1e4, REPRODUCED, 20.0),  # a thousand times the first
        ("norm", 1.1e4, NOT_REPRODUCED, 1100.0),
    ],
)
def test_one_layer_that_collapses_or_diverges_is_enough(
    column: str, value: float, verdict: str, number: float
) -> None:
    row = judged("dyson-collapse", changed("states", column, value, model="e", layer=5))
    assert (row["verdict"], row["value"]) == (verdict, pytest.approx(number))
    assert row["models"] == "d, e"


def test_without_the_first_states_there_is_no_growth() -> None:
    row = judged("dyson-collapse", without("states", model="d", layer=0))
    assert (row["verdict"], row["models"]) == (REPRODUCED, "e")
    assert "d: no norm of the first states" in row["note"]


# ------ Resummation

HALF = math.ceil(L / 2)


def estimates(**errors: float) -> Tables:
    """The decoder's states to the half of its depth, with these errors of the estimates."""
    tables = as_claimed()
    for method, error in errors.items():
        where = {"model": "d", "sequence": "states", "m": HALF, "method": method}
        tables = changed("resummation", "median", error, tables=tables, **where)
    return tables


def test_the_best_resummation_of_half_the_states_is_judged() -> None:
    assert judged("dyson-resummation", as_claimed())["value"] == pytest.approx(0.5)
    none = dict.fromkeys(METHODS, 1.0)
    for best, verdict in ((0.89, REPRODUCED), (0.91, NOT_REPRODUCED)):
        row = judged("dyson-resummation", estimates(**none | {"rre": best}))
        assert (row["verdict"], row["value"]) == (verdict, pytest.approx(1 - best))
    # What resums nothing is no resummation, and what is made of orders is not of states.
    row = judged("dyson-resummation", estimates(**none | {"linear": 0.1}))
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, 0)
    numbers = evidence_of("dyson-resummation", as_claimed(), MODELS)["value"]
    of_sums = "of the last error, what the best resummation of partial sums takes away"
    assert numbers["d", of_sums] == pytest.approx(0.5)
    told = f"median relative error of Borel sums, partial sums to m = {HALF}"
    assert numbers["d", told] == pytest.approx(1.6 / HALF)


def test_a_last_state_that_is_exact_leaves_nothing_to_gain() -> None:
    row = judged("dyson-resummation", estimates(last=0.0))
    assert (row["verdict"], row["value"]) == (NOT_REPRODUCED, 0)


def test_without_that_many_states_nothing_is_said() -> None:
    row = judged("dyson-resummation", without("resummation", model="d", m=HALF))
    assert (row["verdict"], row["models"]) == (REPRODUCED, "e")
    assert f"d: no estimate from the states to m = {HALF}" in row["note"]


# ------ Pseudospectra

GROWTHS = (0.5, 0.7, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0)


def growing(pseudospectral: tuple[float, ...], radii: tuple[float, ...]) -> pd.Series:
    """The claim on as many models as there are growths, with these predictors of a block."""
    names = [f"m{index}" for index in range(len(radii))]
    tables = with_layers(*(Ran(model=name) for name in names))
    rows = [
        {"model": name} | row
        for name, growth, of_pseudospectra, radius in zip(
            names, GROWTHS, pseudospectral, radii, strict=False
        )
        for row in growth_rows(growth, radius, of_pseudospectra)
    ]
    normality = pd.DataFrame(rows, columns=list(tables["normality"]))
    return claim(
        "dyson-pseudospectra",
        tables | {"normality": normality},
        together(*(described(name) for name in names)),
    )


MIXED = tuple(np.random.default_rng(1).permutation(GROWTHS))


@pytest.mark.parametrize(
    ("pseudospectral", "radii", "verdict", "sign"),
    [
        (GROWTHS, GROWTHS[::-1], REPRODUCED, 1),
        (GROWTHS, GROWTHS, NOT_REPRODUCED, 0),
        (GROWTHS[::-1], GROWTHS, NOT_REPRODUCED, -1),
        (MIXED, (1.0,) * 8, NOT_REPRODUCED, None),  # an order, by chance
    ],
)
def test_the_better_predictor_orders_models_better(
    pseudospectral: tuple[float, ...], radii: tuple[float, ...], verdict: str, sign: int | None
) -> None:
    row = growing(pseudospectral, radii)
    assert (row["verdict"], row["n"]) == (verdict, 8)
    assert row["low"] <= row["value"] <= row["high"]
    if sign is None:
        rho = stats.spearmanr(GROWTHS, MIXED).statistic
        assert row["value"] == pytest.approx(rho) and row["low"] < 0 < row["high"]
    else:
        assert row["value"] == pytest.approx(2 * sign)


def test_seven_models_have_no_order() -> None:
    row = growing(GROWTHS[:7], GROWTHS[6::-1])
    assert row["verdict"] == NOT_MEASURED
    assert "7 trained models, and an order of them is judged from 8 on" in row["note"]


@pytest.mark.parametrize("where", [{}, {"layer": L - 1}], ids=["nowhere", "not to the last block"])
def test_growth_without_what_is_to_predict_it_is_not_judged(where: dict[str, int]) -> None:
    tables = without("normality", model="d", quantity="product_of_radii", **where)
    row = judged("dyson-pseudospectra", tables)
    assert row["verdict"] == NOT_MEASURED
    assert row["note"].startswith("1 trained models, and")
    assert "d: no product of spectral radii" in row["note"]


def test_depth_alone_orders_no_models() -> None:
    """Whatever grows with every block grows most through most blocks, so that one counts."""
    names = [f"m{index}" for index in range(8)]
    tables = with_layers(*(Ran(model=name) for name in names))
    rows = [
        {"model": name} | row
        for index, name in enumerate(names)
        for row in growth_rows(2 - 0.02 * index, 1.2 + 0.02 * index)
        if row["layer"] <= index + 1
    ]
    normality = pd.DataFrame(rows, columns=list(tables["normality"]))
    models = together(*(described(name) for name in names))
    row = claim("dyson-pseudospectra", tables | {"normality": normality}, models)
    assert (row["verdict"], row["value"]) == (REPRODUCED, pytest.approx(2))
