"""The rows of the table `geometry`: all of them are there, and what does not exist says why."""

import math
from pathlib import Path
from typing import Any

import pytest
from reading_models import reading_model, some_tokens

from headalgebra import columns
from headalgebra.geometry.ablation import Gain
from headalgebra.geometry.scores import INITIAL_WIDTHS
from headalgebra.measurement.geometry import measure_geometry
from headalgebra.measurement.norm_ablation import _gain
from headalgebra.states import record

MANY = 40
"""Sequences of 7 tokens with more than 16 · 12 of them."""


def rows_of(family: str, folder: Path, **settings: Any) -> list[dict[str, Any]]:
    model = reading_model(family, head=settings.pop("head", False))
    recording = record(model, some_tokens(settings.pop("n", MANY)), folder)
    return measure_geometry(recording, **settings)


def found(rows: list[dict[str, Any]], quantity: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["quantity"] == quantity]


@pytest.mark.parametrize("family", ["gpt2", "bert"])
def test_every_norm_and_head_has_its_rows(family: str, tmp_path: Path) -> None:
    rows = rows_of(family, tmp_path, head=family == "gpt2")
    assert {tuple(row) for row in rows} == {columns.GEOMETRY}
    assert [(row["value"], row["null"]) for row in found(rows, "nulled")] == [(1.0, 1.0)] * 4
    for row in found(rows, "lambda_2"):
        assert row["value"] > 0
        assert 0 < row["null"] < 1
    shares = found(rows, "query_beyond_affine")
    heads = [(layer, head) for layer in range(2) for head in range(3)]
    if family == "gpt2":
        assert [(row["layer"], row["head"]) for row in shares] == heads
    else:
        assert [(row["layer"], row["head"]) for row in shares] == [(0, None), *heads[3:]]
        assert shares[0]["note"] == "queries are not made from what a norm of a block has made"
    assert all(0 < row["value"] < 1 for row in shares if row["head"] is not None)
    for quantity in ("score_std", "score_std_without_first", "score_cosine_r2"):
        assert [(row["layer"], row["head"]) for row in found(rows, quantity)] == heads
    assert [row["layer"] for row in found(rows, "first_scales_gain")] == [0, 1]
    assert len(found(rows, "constant_scale_gain")) == 4
    assert len(found(rows, "constant_scale_loss_rise")) == (4 if family == "gpt2" else 0)
    assert [row["layer"] for row in found(rows, "off_share")] == [0, 1]
    for width in INITIAL_WIDTHS:
        (row,) = found(rows, f"initial_score_std_{width}")
        assert row["null"] == pytest.approx(12 * 0.02**2)
    assert all((row["value"] is None) <= bool(row["note"]) for row in rows)


def test_too_few_tokens_leave_eigenvalues_out_unless_more_are_read(tmp_path: Path) -> None:
    few = rows_of("gpt2", tmp_path, n=3)
    of_rank = found(few, "nulled") + found(few, "query_beyond_affine")
    note = "21 vectors, and a covariance matrix of dimension 12 wants 24"
    rows_of_few = of_rank + found(few, "lambda_2")
    assert {(row["value"], row["note"]) for row in rows_of_few} == {(None, note)}
    more = rows_of("gpt2", tmp_path, n=3, tokens=some_tokens(MANY))
    assert all(row["value"] is not None for row in found(more, "lambda_2"))
    assert found(more, "cosine") == found(few, "cosine")
    between = rows_of("gpt2", tmp_path, n=4)
    assert {row["value"] for row in found(between, "nulled")} == {1}
    note = "28 vectors, and a covariance matrix of dimension 12 wants 192"
    found_between = {(row["value"], row["note"]) for row in found(between, "lambda_2")}
    assert found_between == {(None, note)}
    whole = rows_of("gpt2", tmp_path)
    for row, other in zip(found(more, "lambda_2"), found(whole, "lambda_2"), strict=True):
        assert row["value"] == pytest.approx(other["value"], rel=1e-4)


def test_what_leaves_the_range_of_numbers_is_said() -> None:
    every, later = _gain(3, "first_scales", Gain(math.inf, 2.0))
    assert (every["value"], every["note"]) == (None, "the state has left the range of its numbers")
    assert (later["value"], later["note"]) == (2.0, "")


def test_attention_that_is_not_seen_is_said(tmp_path: Path) -> None:
    rows = rows_of("bloom", tmp_path, n=3)
    scores = [row for row in rows if row["quantity"] == "score_std"]
    assert [(row["head"], row["value"]) for row in scores] == [(None, None)] * len(scores)
    assert {row["note"] for row in scores} == {"the family computes attention in code of its own"}


def test_few_different_tokens_vary_in_few_directions(tmp_path: Path) -> None:
    """Of a model without positions in its states, thirteen tokens are thirteen states."""
    rows = found(rows_of("qwen3", tmp_path), "query_beyond_affine")
    note = "the states vary in fewer directions than they have axes"
    assert [(row["value"], row["note"]) for row in rows if row["layer"] == 0] == [(None, note)]
    assert all(row["value"] is not None for row in rows if row["layer"])
    assert {row["layer"] for row in rows} == {0, 1}
