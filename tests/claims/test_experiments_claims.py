"""Claims on training: what the table of experiments says of each, and where it says nothing."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from claim_studies import NAN, THRESHOLDS, TRAINED, Tables, claim, evidence_of
from headalgebra import columns
from headalgebra.claims.doubt import TEXTS
from headalgebra.claims.experiments import LEVEL, READS, by_experiment, settled_by
from headalgebra.claims.finding import NOT_MEASURED, NOT_REPRODUCED, REPRODUCED, Finding
from headalgebra.claims.ledger import CLAIMS
from headalgebra.claims.study import Study
from headalgebra.csv_files import read_csv
from stage import write_csv


@dataclass(frozen=True, kw_only=True)
class Design:
    """An experiment, as its description has it."""

    experiment: str
    claim: str
    arms: tuple[str, ...] = ("default",)
    control: str = ""
    statistics: tuple[str, ...] = ("quantity",)
    bound: float = 0.0
    side: str = "below"
    needs: str = "all"

    @property
    def sign(self) -> int:
        return 1 if self.side == "above" else -1


DESIGNS = {
    design.claim: design
    for design in (
        Design(experiment="stability", claim="stability", bound=0.3, side="above"),
        Design(experiment="expressivity", claim="expressivity", bound=0.5, side="above"),
        Design(
            experiment="balance",
            claim="balance",
            arms=("",),
            statistics=("phase_entropy ~ gap", "phase_entropy ~ test_loss"),
            bound=-0.3,
        ),
        Design(
            experiment="universality",
            claim="universality",
            arms=("softmax", "window", "linear"),
            side="above",
        ),
        Design(
            experiment="regularise",
            claim="regularise",
            arms=("obstruction-0.1", "obstruction-1"),
            control="placebo",
            needs="any",
        ),
        Design(
            experiment="phase-design",
            claim="phase-design",
            arms=("target", "balanced"),
            control="default",
            needs="any",
        ),
        Design(
            experiment="gauge-init",
            claim="gauge-init",
            arms=("commuting", "opposed"),
            control="default",
            needs="any",
        ),
        Design(
            experiment="capacity",
            claim="capacity",
            arms=("",),
            statistics=("wilson_over_haar ~ test_loss",),
        ),
        Design(
            experiment="axes-optimiser",
            claim="geometry-axes-optimiser",
            arms=("rotated",),
            control="adamw",
            side="above",
        ),
        Design(
            experiment="soft-heads",
            claim="geometry-soft-heads",
            arms=("triangular-25", "triangular-50", "sine-50"),
            control="hard",
            needs="any",
        ),
        Design(experiment="grid", claim="geometry-grid", arms=("width-32",), control="width-30"),
        Design(
            experiment="symmetriser",
            claim="geometry-symmetriser",
            arms=("symmetriser-uniform", "symmetriser-identity"),
            control="layernorm",
            bound=0.01,
        ),
    )
}
"""By the claim that each answers."""

MADE_UP = Design(experiment="made-up", claim="", arms=tuple("abcd"), control="z")


def row(design: Design, arm: str, statistic: str, **other: object) -> dict[str, object]:
    """A row with the effect far on the claimed side, of eight seeds that all learnt."""
    effect = design.bound + design.sign * 0.2
    return {
        **{"experiment": design.experiment, "claim": design.claim, "statistic": statistic},
        **{"arm": arm, "control": design.control, "n": 8, "mean": 1 + effect, "effect": effect},
        **{"low": effect - 0.1, "high": effect + 0.1, "bound": design.bound},
        **{"side": design.side, "needs": design.needs, "p": 1e-5, "p_holm": 1e-4},
        **{"detectable": 0.15, "confidence": 0.95, "diverged": 0, "excluded": 0},
        **{"above_floor": 0, "parameters": 287_360, "note": ""},
        **other,
    }


def rows_of(design: Design, **other: object) -> list[dict[str, object]]:
    return [
        row(design, arm, statistic, **other)
        for arm in design.arms
        for statistic in design.statistics
    ]


def table_of(rows: Iterable[dict[str, object]]) -> Tables:
    """A study that has nothing but experiments."""
    return {"experiments": pd.DataFrame(list(rows), columns=list(columns.EXPERIMENTS))}


def interval(design: Design, low: float, high: float) -> dict[str, object]:
    """An interval by its distances from the bound, those on the claimed side above 0."""
    ends = sorted(design.bound + design.sign * end for end in (low, high))
    return {"low": ends[0], "high": ends[1], "effect": sum(ends) / 2, "mean": 1 + sum(ends) / 2}


def judged(id: str, rows: Iterable[dict[str, object]]) -> pd.Series:
    return claim(id, table_of(rows))


def found_of(rows: Iterable[dict[str, object]], design: Design = MADE_UP) -> Finding:
    study = Study(table_of(rows), TRAINED, THRESHOLDS, 0)
    return by_experiment(study, design.experiment, "a difference")


def test_every_claim_on_training_is_one_of_these() -> None:
    assert [id for id, made in CLAIMS.items() if "experiments" in made.reads] == list(DESIGNS)
    for id, design in DESIGNS.items():
        assert CLAIMS[id].quantities == (design.experiment,)
        assert CLAIMS[id].figures == (f"experiment_{design.experiment}",)
        assert not CLAIMS[id].of_trained_models
        assert CLAIMS[id].criterion.format(**asdict(THRESHOLDS)).count("below 0.05 and none") == 1
    # What a rule reads, the table has.
    assert set(READS["experiments"]) <= set(columns.EXPERIMENTS)


# ------ Each claim, both ways


@pytest.mark.parametrize("id", DESIGNS)
def test_a_claim_is_reproduced_where_its_rows_are_as_it_has_them(id: str) -> None:
    design = DESIGNS[id]
    found = judged(id, rows_of(design))
    assert (found["verdict"], found["n"]) == (REPRODUCED, 8)
    assert found["value"] == pytest.approx(design.bound + design.sign * 0.2)
    assert found["note"].startswith("in decoders of 0.29 M parameters, 8 ")
    assert "none diverged or was left out; p after Holm's correction: " in found["note"]
    evidence = evidence_of(id, table_of(rows_of(design)))
    assert len(evidence) == len(rows_of(design))
    assert not evidence.index.duplicated().any()
    assert set(evidence["n"]) == {8}


@pytest.mark.parametrize("id", DESIGNS)
def test_a_claim_is_refuted_where_its_rows_are_on_the_other_side(id: str) -> None:
    design = DESIGNS[id]
    other = rows_of(design, **interval(design, -0.3, -0.1))
    if id == "universality":  # of which all on the other side are as good
        assert judged(id, other)["verdict"] == REPRODUCED
        other[1] |= interval(design, 0.1, 0.3)
    assert judged(id, other)["verdict"] == NOT_REPRODUCED
    # Of one row alone it is where all are needed.
    if len(other) > 1 and id != "universality":
        one = [*other[:1], *rows_of(design)[1:]]
        expected = NOT_REPRODUCED if design.needs == "all" else REPRODUCED
        assert judged(id, one)["verdict"] == expected


@pytest.mark.parametrize("id", DESIGNS)
def test_an_interval_that_leaves_it_open_says_what_would_have_been_found(id: str) -> None:
    design = DESIGNS[id]
    found = judged(id, rows_of(design, **interval(design, -0.1, 0.2)))
    assert found["verdict"] == NOT_MEASURED
    assert found["low"] < design.bound < found["high"]
    runs = "8 pairs of runs" if design.control else "8 runs"
    assert f": {design.bound:g} is in the interval, and {runs}" in found["note"]
    assert "would have found 0.15 away from that in 80 % of cases" in found["note"]
    without = rows_of(design, **interval(design, -0.1, 0.2), detectable=NAN)
    assert "80 %" not in judged(id, without)["note"]


@pytest.mark.parametrize("id", DESIGNS)
def test_nothing_is_said_where_decoders_did_not_beat_the_bigrams(id: str) -> None:
    rows = rows_of(DESIGNS[id])
    rows[-1]["above_floor"] = 3
    found = judged(id, rows)
    assert found["verdict"] == NOT_MEASURED
    assert found["note"].startswith("3 of the decoders that are held against did not beat")
    assert len(evidence_of(id, table_of(rows))) == len(rows)


@pytest.mark.parametrize("id", DESIGNS)
def test_nothing_is_said_without_the_experiment_and_the_note_tells_how_to_make_it(id: str) -> None:
    found = claim(id, {})
    assert found["verdict"] == NOT_MEASURED
    assert found["note"] == (
        "the study leaves out experiments.csv; snakemake --cores all --config study=experiments "
        "measures it"
    )
    name = DESIGNS[id].experiment
    found = judged(id, rows_of(MADE_UP))
    assert found["verdict"] == NOT_MEASURED
    assert found["note"] == (
        f"experiments.csv has no row of {name}; snakemake --cores all --config experiment={name} "
        "measures it"
    )


@pytest.mark.parametrize("id", DESIGNS)
@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"p_holm": 0.06}, ": p after Holm's correction is 0.06"),
        ({"p_holm": NAN}, ": p after Holm's correction is nan"),
        ({"diverged": 2}, ": 2 of its runs diverged, and the others are a choice"),
        ({"low": NAN, "high": NAN}, " give no interval"),
        (
            dict.fromkeys(("n", "diverged"), 0) | dict.fromkeys(("effect", "low", "high"), NAN),
            " 0 ",
        ),
    ],
)
def test_a_claim_takes_more_than_an_effect(id: str, other: dict[str, object], told: str) -> None:
    found = judged(id, rows_of(DESIGNS[id], **other))
    assert found["verdict"] == NOT_MEASURED
    assert told in found["note"]


# ------ Any rows


@st.composite
def judged_rows(draw: st.DrawFn) -> list[dict[str, object]]:
    """Rows of an experiment, some for the claim, some against it, some neither."""
    design = Design(
        experiment="made-up",
        claim="",
        control="z",
        bound=draw(st.sampled_from([-0.3, 0.0, 0.5])),
        side=draw(st.sampled_from(["above", "below"])),
        needs=draw(st.sampled_from(["all", "any"])),
    )
    ends = st.floats(-1, 1, allow_subnormal=False)
    rows = []
    for arm in "abcd"[: draw(st.integers(1, 4))]:
        low, effect, high = sorted(draw(st.lists(ends, min_size=3, max_size=3)))
        rows.append(
            row(
                design,
                arm,
                "quantity",
                **{"low": low, "high": high, "effect": effect, "mean": draw(ends)},
                p_holm=draw(st.sampled_from([1e-4, 0.5])),
                diverged=draw(st.sampled_from([0, 0, 1])),
            )
        )
    return rows


def is_for(found: dict[str, object]) -> bool:
    low, high, bound, p = (float(str(found[name])) for name in ("low", "high", "bound", "p_holm"))
    beyond = low > bound if found["side"] == "above" else high < bound
    return beyond and p < LEVEL and found["diverged"] == 0


def is_against(found: dict[str, object]) -> bool:
    low, high, bound = (float(str(found[name])) for name in ("low", "high", "bound"))
    return high < bound if found["side"] == "above" else low > bound


@given(judged_rows())
def test_all_or_any_rows_decide(rows: list[dict[str, object]]) -> None:
    enough, too_many = (all, any) if rows[0]["needs"] == "all" else (any, all)
    expected = NOT_MEASURED
    if enough(map(is_for, rows)):
        expected = REPRODUCED
    elif too_many(map(is_against, rows)):
        expected = NOT_REPRODUCED
    found = found_of(rows)
    assert found.verdict == expected
    assert len(found.evidence) == len(rows)
    if found.deciding:
        # The effect that the verdict hangs on is one of the rows', with its own interval.
        numbers = [(kept["effect"], kept["low"], kept["high"]) for kept in rows]
        assert (found.deciding.value, found.deciding.low, found.deciding.high) in numbers


@given(judged_rows())
def test_a_claim_and_its_mirror_image_have_one_verdict(rows: list[dict[str, object]]) -> None:
    def mirrored(found: dict[str, object]) -> dict[str, object]:
        numbers = {name: -float(str(found[name])) for name in ("low", "high", "effect", "bound")}
        numbers["low"], numbers["high"] = numbers["high"], numbers["low"]
        return found | numbers | {"side": "below" if found["side"] == "above" else "above"}

    assert found_of(map(mirrored, rows)).verdict == found_of(rows).verdict


@given(judged_rows(), st.randoms())
def test_order_rows_without_a_bound_and_other_experiments_change_no_verdict(
    rows: list[dict[str, object]], random: Random
) -> None:
    expected = found_of(rows)
    shown_only = [
        found | {"arm": f"more {found['arm']}", "bound": NAN, "p_holm": NAN, "above_floor": 8}
        for found in rows
    ]
    others = [found | {"experiment": "another", "above_floor": 8} for found in rows]
    every = [*rows, *shown_only, *others]
    random.shuffle(every)
    found = found_of(every)
    assert found.verdict == expected.verdict
    assert len(found.evidence) == 2 * len(rows)
    assert (found.deciding is None) == (expected.deciding is None)
    if found.deciding and expected.deciding:
        assert found.deciding.value == expected.deciding.value


def test_rows_that_are_only_shown_decide_nothing() -> None:
    found = found_of(rows_of(MADE_UP, bound=NAN))
    assert (found.verdict, found.note) == (
        NOT_MEASURED,
        "no row of made-up is held against a bound",
    )
    assert len(found.evidence) == 4


@pytest.mark.parametrize("column", ["side", "needs"])
@pytest.mark.parametrize("value", ["", "beside", NAN, None])
def test_a_row_that_does_not_say_what_is_claimed_decides_nothing(
    column: str, value: object
) -> None:
    for far in ((0.1, 0.3), (-0.3, -0.1)):
        rows = rows_of(MADE_UP, **interval(MADE_UP, *far))
        found = found_of([one | {column: value} for one in rows])
        assert found.verdict == NOT_MEASURED
        assert "experiments.csv does not say what is claimed of it" in found.note


@pytest.mark.parametrize(
    ("side", "needs", "called", "place"),
    [
        ("above", "all", "smallest a difference", 0),
        ("above", "any", "largest a difference", 3),
        ("below", "all", "largest a difference", 3),
        ("below", "any", "smallest a difference", 0),
    ],
)
def test_the_number_that_is_shown_is_the_one_that_decides(
    side: str, needs: str, called: str, place: int
) -> None:
    design = Design(experiment="made-up", claim="", side=side, needs=needs)
    rows = [
        row(design, arm, "quantity", effect=effect, low=effect - 0.1, high=effect + 0.1)
        for arm, effect in zip("abcd", (1.0, 2.0, 3.0, 4.0), strict=True)
    ]
    deciding = found_of(rows).deciding
    assert deciding is not None
    assert (deciding.statistic, deciding.value) == (called, 1.0 + place)
    assert deciding.on == "a, b, c, d"
    alone = found_of(rows[:1]).deciding
    assert alone is not None
    assert (alone.statistic, alone.on) == ("a difference", "a")


def test_runs_that_are_left_out_and_the_notes_of_rows_are_told() -> None:
    rows = rows_of(MADE_UP, needs="any")
    rows[0] |= {"diverged": 1, "excluded": 2, "note": "two never got there"}
    rows[1] |= {"parameters": 1_290_000, "n": 7, "note": "another note"}
    note = found_of(rows).note
    assert note == (
        "in decoders of 1.3 M parameters, 8 pairs of runs, 7 pairs of runs each; "
        "a against z: 1 diverged, 2 left out otherwise (two never got there); "
        "p after Holm's correction: "
        "a against z 0.0001, b against z 0.0001, c against z 0.0001, d against z 0.0001; "
        "b against z: another note"
    )


# ------ Numbers that are not finite


NUMBERS = [name for name in READS["experiments"] if name not in TEXTS]
COUNTS = ("n", "diverged", "excluded", "above_floor", "parameters")


@pytest.mark.parametrize("column", NUMBERS)
def test_a_number_that_is_not_finite_is_in_doubt(column: str) -> None:
    design = DESIGNS["geometry-soft-heads"]
    for poison in (math.inf, -math.inf, *((NAN, None) if column in COUNTS else ())):
        rows = rows_of(design)
        rows[1][column] = poison
        found = judged("geometry-soft-heads", rows)
        assert found["verdict"] == NOT_MEASURED
        assert found["note"] == (
            f"decoders trained here: {column} is not finite (soft-heads quantity triangular-50)"
        )
        # Other claims do not rest on it.
        both = [*rows, *rows_of(DESIGNS["geometry-grid"])]
        assert judged("geometry-grid", both)["verdict"] == REPRODUCED


@pytest.mark.parametrize("column", sorted(set(NUMBERS) - set(COUNTS) - {"mean", "detectable"}))
def test_a_number_that_is_missing_leaves_no_verdict_that_takes_it(column: str) -> None:
    for poison in (NAN, None):
        rows = rows_of(DESIGNS["stability"])
        rows[0][column] = poison
        assert judged("stability", rows)["verdict"] == NOT_MEASURED


def test_the_table_comes_back_from_its_file(tmp_path: Path) -> None:
    rows = [one for design in DESIGNS.values() for one in rows_of(design)]
    rows += rows_of(MADE_UP, **dict.fromkeys(("bound", "low", "high", "effect", "p_holm"), NAN))
    tables = table_of(rows)
    path = str(tmp_path / "experiments.csv")
    write_csv(path, tables["experiments"], columns.EXPERIMENTS)
    read = {"experiments": read_csv(path)}
    for id in DESIGNS:
        pd.testing.assert_series_equal(claim(id, read), claim(id, tables))
        assert claim(id, read)["verdict"] == REPRODUCED


@pytest.mark.parametrize("id", DESIGNS)
def test_a_rule_reads_no_more_than_it_says(id: str) -> None:
    tables = table_of(rows_of(DESIGNS[id]))
    kept = {"experiments": tables["experiments"][list(READS["experiments"])]}
    pd.testing.assert_series_equal(claim(id, kept), claim(id, tables))


# ------ Rules of one claim


def strata(*ends: tuple[float, float], **other: object) -> list[dict[str, object]]:
    design = DESIGNS["universality"]
    return [
        row(design, arm, "quantity", low=low, high=high, effect=(low + high) / 2, **other)
        for arm, (low, high) in zip(design.arms, ends, strict=False)
    ]


UP, DOWN, OPEN = (0.1, 0.9), (-0.9, -0.1), (-0.5, 0.5)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((UP, UP, UP), REPRODUCED),
        ((DOWN, DOWN, DOWN), REPRODUCED),
        ((UP, UP, DOWN), NOT_REPRODUCED),
        ((DOWN, UP, UP), NOT_REPRODUCED),
        ((OPEN, UP, DOWN), NOT_REPRODUCED),
        ((OPEN, UP, UP), NOT_MEASURED),
        ((DOWN, DOWN, OPEN), NOT_MEASURED),
        ((OPEN, OPEN, OPEN), NOT_MEASURED),
    ],
)
def test_strata_are_alike_on_whichever_side(
    ends: Sequence[tuple[float, float]], verdict: str
) -> None:
    for side in ("above", "below"):
        assert judged("universality", strata(*ends, side=side))["verdict"] == verdict
    if verdict == REPRODUCED:
        by_chance = strata(*ends)
        by_chance[1]["p_holm"] = 0.3
        found = judged("universality", by_chance)
        assert found["verdict"] == NOT_MEASURED
        assert "window: p after Holm's correction is 0.3" in found["note"]


def test_strata_take_all_three_kinds_of_attention_and_no_other() -> None:
    found = judged("universality", strata(UP, DOWN))
    assert found["verdict"] == NOT_MEASURED
    assert found["note"] == "universality has no row of linear"
    other = [one | {"arm": f"more {one['arm']}"} for one in strata(DOWN, DOWN, DOWN)]
    assert judged("universality", [*strata(UP, UP, UP), *other])["verdict"] == REPRODUCED


@pytest.mark.parametrize("far", [(0.1, 0.3), (-0.3, -0.1)])
def test_axes_without_excess_have_none_to_lose(far: tuple[float, float]) -> None:
    design = DESIGNS["geometry-axes-optimiser"]
    ends = interval(design, *far)
    effect = sum(far) / 2
    for usual, excess in ((0.5, True), (0.0, False), (-0.1, False)):
        found = judged(design.claim, rows_of(design, **ends | {"mean": usual + effect}))
        told = "exceeds that over axes turned at random by" in found["note"]
        assert told == (not excess)
        expected = REPRODUCED if effect > 0 else NOT_REPRODUCED
        assert found["verdict"] == (expected if excess else NOT_MEASURED)


def test_a_claim_is_made_of_what_it_is_told() -> None:
    made = settled_by(
        "made-up",
        "an effect",
        id="an-id",
        title="a title",
        section="7",
        statement="a statement",
        paper_value="a value",
        criterion="it lies below 0",
    )
    assert (made.id, made.title, made.section) == ("an-id", "a title", "7")
    assert (made.statement, made.paper_value) == ("a statement", "a value")
    assert made.criterion.startswith("it lies below 0; a number lies there where")
    assert made.rests_on.startswith("experiments.csv: ") and made.rests_on.endswith("of made-up")
    found = made.judge(Study(table_of(rows_of(MADE_UP)), TRAINED, THRESHOLDS, 0))
    assert found.verdict == REPRODUCED
