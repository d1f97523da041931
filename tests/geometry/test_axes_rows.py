"""Rows of the table of permuted axes, and what weights alone say of axes."""

from pathlib import Path
from typing import Any

import pytest
from reading_models import reading_model, some_tokens

from headalgebra.measurement.axes import measure_axes
from headalgebra.states import Recording, record

AXES = ("permuted", "quantity", "moved", "layer")
AXES += ("permutations", "mean", "standard_error", "note")
KINDS = [
    (which, moved) for which in ("joint", "query only", "stream") for moved in ("within", "across")
] + [("stream", "relabelled within"), ("stream", "relabelled across")]


def recorded(family: str, folder: Path, **settings: Any) -> Recording:
    return record(reading_model(family, **settings), some_tokens(), folder)


def by_kind(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["permuted"], row["moved"]): row for row in rows}


@pytest.mark.parametrize("head", [True, False])
def test_every_kind_has_its_row(head: bool, tmp_path: Path) -> None:
    recording = recorded("gpt2", tmp_path, head=head)
    rows = measure_axes(recording, permutations=4, seed=3)
    assert {tuple(row) for row in rows} == {AXES}
    assert list(by_kind(rows)) == KINDS
    assert {row["quantity"] for row in rows} == {"cross_entropy" if head else "last_state"}
    assert {row["permutations"] for row in rows} == {4} and {row["note"] for row in rows} == {""}
    within, *others = rows
    assert abs(within["mean"]) < 1e-13 and within["standard_error"] < 1e-13
    assert all(abs(row["mean"]) > 1e-3 and row["standard_error"] > 1e-5 for row in others)
    assert measure_axes(recording, permutations=4, seed=3) == rows
    assert measure_axes(recording, permutations=4, seed=4)[1] != rows[1]


def test_the_mean_is_of_the_draws_and_one_has_no_error(tmp_path: Path) -> None:
    recording = recorded("distilbert", tmp_path, n_layers=1)
    one, two = (measure_axes(recording, permutations=n) for n in (1, 2))
    for first, both in zip(one[1:], two[1:], strict=True):
        assert first["standard_error"] is None
        # Of two numbers, half their difference.
        gap = abs(both["mean"] - first["mean"])
        assert both["standard_error"] == pytest.approx(gap, rel=1e-9)


def test_what_is_left_alone_or_missing_is_said(tmp_path: Path) -> None:
    rows = by_kind(measure_axes(recorded("llama", tmp_path / "llama"), permutations=1))
    left = "of queries and keys 0 of 6 axes a head are permuted"
    assert all(rows["joint", moved]["note"].startswith(left) for moved in ("within", "across"))
    assert rows["query only", "across"]["note"] == ""
    stream = rows["stream", "within"]
    assert (stream["mean"], stream["permutations"]) == (None, 0)
    assert stream["note"] == ("no such permutation: the 16 axes of the state are no blocks of 6")
    rows = by_kind(measure_axes(recorded("smollm3", tmp_path / "smollm3"), permutations=1))
    assert rows["joint", "within"]["note"].startswith("of queries and keys 0 to 6 of 6 axes")
    rows = by_kind(measure_axes(recorded("gpt_bigcode", tmp_path / "bigcode"), permutations=1))
    assert rows["joint", "across"]["note"] == "no such permutation: there is one block"
    assert rows["joint", "within"]["mean"] < 1e-13
    latent = measure_axes(recorded("deepseek_v3", tmp_path / "deepseek"), permutations=1)
    note = by_kind(latent)["stream", "relabelled across"]["note"]
    assert note.endswith("queries, keys and values are not made of one state")


def test_a_model_whose_axes_are_not_found_has_rows_that_say_why(tmp_path: Path) -> None:
    rows = measure_axes(recorded("deberta-v2", tmp_path))
    assert list(by_kind(rows)) == KINDS
    assert {tuple(row) for row in rows} == {AXES}
    assert {(row["mean"], row["permutations"]) for row in rows} == {(None, 0)}
    assert all(
        "DebertaV2Layer multiplies states with states 4 times" in row["note"] for row in rows
    )


def test_fewer_sequences_and_tokens_are_read(tmp_path: Path) -> None:
    model, tokens = reading_model("distilbert", n_layers=1), some_tokens(3, 7)
    few = record(model, tokens[:2, :4].contiguous(), tmp_path / "few")
    all_ = record(model, tokens, tmp_path / "all")
    expected = measure_axes(few, sequences=2, permutations=1)
    assert measure_axes(all_, sequences=2, tokens=4, permutations=1)[1:] == expected[1:]
    assert measure_axes(all_, sequences=1, tokens=4, permutations=1)[1:] != expected[1:]
