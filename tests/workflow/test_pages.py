"""Numbers and statements of a study stand in the pages as its tables have them."""

import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from findings import MARKED, NUMBERS, ROOT, STATEMENTS, names, rewritten, write_pages
from headalgebra.claims.readme import findings_table
from headalgebra.claims.wording import ROUNDING
from quantities import DECODER, DECODER_INITIAL, ENCODER, ENCODER_INITIAL, in_ledger
from quantities_of_geometry import NUMBERS_OF_GEOMETRY
from quantities_of_states import NUMBERS_OF_STATES
from study_tables import Tables, between, number

PATHS = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}

BY_HAND = {
    "README.md": {
        *("3.11", "3.12", "3.13"),  # Python
        "11.2",  # a section
        "0.1.0",  # this version
        "0.15",  # gigabytes
        "2603.11322",  # a paper's identifier
    },
    "docs/measured.md": set[str](),
    "docs/method.md": {
        *(f"11.{section}" for section in range(1, 12)),
        # The paper's.
        *("1.1", "0.05", "0.1", "0.8", "1e-3", "1e-1", "1e-6"),
        # Borel's sum of alternating factorials.
        "0.596347362323194",
        # Percentages and quantiles of the normal law; the least p-value of 20 draws.
        *("95 %", "99 %", "2.5", "97.5", "1.96", "0.095"),
        # Level and power of what is detectable.
        *("5 %", "80 %"),
        # Sections of the geometry paper, and rounding in float64.
        *("3.1", "3.2", "3.3", "1e-13"),
        # Settings: guards, and the grid of t.
        *("1e-4", "1.5", "0.5", "0.25", "2e-6", "1e-12"),
        # Of the formula beside it: commutators of normal factors, bytes of n and d, triples of n.
        *("0.02", "1.4e-4", "4.6e-4", "0.56", "0.21", "0.15", "1.4", "500 times"),
        # An algorithm of the paper's, a section of Higham's, the rounding error of one operation.
        *("4.1", "3.5", "0.42"),
        # Measured once, on layers that no study has: Gaussian heads beside the closed form, widths
        # and types of J, a corrupted ℓ₃, columns drawn afresh.
        *("0.88", "0.91", "0.97", "0.99", "9.6", "0.6", "0.7", "0.03", "0.3", "8.0", "8.4"),
    },
}
"""Numbers that are no study's. The other pages have none of a study: they are of benchmarks."""

NOT_PROSE = re.compile(
    r"^```.*?^```$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|^## \d+\. References.*|^\|[^\n]*",
    re.DOTALL | re.MULTILINE,
)
"""Code, formulas, links, references, and tables, which are of settings and of benchmarks."""

DECIMAL = re.compile(
    r"(?<![\w.])\d[\d,]*(?:(?:\.\d+)+(?:e-?\d+)?|e-?\d+| (?:of \d+|times|%|orders))"
)
"""A number that looks measured."""


def by_hand(page: str) -> set[str]:
    """What looks measured in a page's prose and is not marked."""
    return set(DECIMAL.findall(NOT_PROSE.sub(" ", MARKED.sub(" ", page))))


# ------ The pages as they are


def test_every_mark_has_a_meaning_and_every_meaning_a_mark() -> None:
    marks = [mark for page in PAGES.values() for mark in MARKED.findall(page)]
    assert {name for check, name, _ in marks if not check} == set(NUMBERS)
    assert {name for check, name, _ in marks if check} == set(STATEMENTS)
    assert not set(NUMBERS) & set(STATEMENTS)


def test_a_number_is_the_same_wherever_it_stands() -> None:
    found: dict[str, set[str]] = {}
    for page in PAGES.values():
        for check, name, text in MARKED.findall(page):
            if not check:
                found.setdefault(name, set()).add(text)
    assert {name: texts for name, texts in found.items() if len(texts) > 1} == {}
    shown = {name: text for name, (text,) in found.items()}
    for page in PAGES.values():
        assert rewritten(page, shown, dict.fromkeys(STATEMENTS, True)) == page


@pytest.mark.parametrize("page", BY_HAND)
def test_no_number_of_a_study_is_written_by_hand(page: str) -> None:
    assert by_hand(PAGES[page]) == BY_HAND[page]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("ε is 0.97 to 1.26 times theirs", {"0.97", "1.26"}),
        ("ε is <!-- of -->0.97 to 1.26<!-- --> times theirs", set()),
        ("about 29 times, in 8 of 18, below 4e-13, over 12 orders", None),
        ("n = 16, `0.3`, $0.3$ and [0.5](a/1.5)", {"0.5"}),
    ],
)
def test_a_number_by_hand_is_noticed(told: str, found: set[str] | None) -> None:
    assert by_hand(told) == (
        {"29 times", "8 of 18", "4e-13", "12 orders"} if found is None else found
    )


# ------ Marks


texts = st.text(st.characters(codec="utf-8", exclude_characters="<\r\n"), min_size=1)


@given(texts, texts, texts, texts)
def test_what_is_marked_is_replaced_and_nothing_else(
    before: str, old: str, new: str, kept: str
) -> None:
    page = f"a{before}<!-- x -->{old}<!-- -->{kept}<!-- check y -->{old}\n{kept}<!-- -->{before}"
    after = rewritten(page, {"x": new}, {"y": True})
    assert after == page.replace(f"<!-- x -->{old}", f"<!-- x -->{new}")
    assert rewritten(after, {"x": new}, {"y": True}) == after
    assert names(page) == {"x", "y"}


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("a <!-- x -->1", "has a mark that is not closed or not of the form: <!-- x -->1"),
        ("a <!-- x -->1<!-- --> b<!-- -->", "not closed or not of the form: <!-- -->"),
        ("a <!-- x -->1<!-- x -->1<!-- -->", "not closed or not of the form: <!-- x -->1"),
        ("a <!--x-->1<!-- -->", "not closed or not of the form: <!--x-->1<!-- -->"),
        ("a <!-- z -->1<!-- -->", "has the mark z, which quantities.py does not know"),
        ("a <!-- y -->1<!-- -->", "has the mark y, which quantities.py does not know"),
        ("a <!-- check x -->1<!-- -->", "has the mark check x, which quantities.py does not know"),
        ("<!-- x -->1<!-- -->", "has the mark x at the beginning of a line"),
        ("a\n  - <!-- x -->1<!-- -->", "has the mark x at the beginning of a line"),
        ("a\n3. <!-- x -->1<!-- -->", "has the mark x at the beginning of a line"),
        ("a <!-- check y -->b\n<!-- --> c", "has the mark y at the beginning of a line"),
        ("a <!-- check no -->b\n  c<!-- -->", "says “b c” (no), which is not true of this study"),
    ],
)
def test_a_page_that_cannot_be_written_says_why(page: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        rewritten(page, {"x": "1"}, {"y": True, "no": False})


def test_a_table_stands_between_lines_of_its_own() -> None:
    page = "a\n\n<!-- x -->\n\n| b |\n\n<!-- -->\n"
    assert rewritten(page, {"x": "\n\n| c |\n\n"}, {}) == page.replace("b", "c")


# ------ Words


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), st.integers(1, 6))
def test_a_number_is_rounded_to_the_nearest_of_its_digits(value: float, digits: int) -> None:
    told = number(value, digits)
    if 0 < abs(value) < ROUNDING:
        digits = 1
    shown = Decimal(told.replace(",", ""))
    # A unit in the last of its digits; those of zero are as many as it is given.
    unit = Decimal(1).scaleb(Decimal(f"{value:.{digits - 1}e}").adjusted() - digits + 1)
    assert abs(shown - Decimal(value)) <= unit / 2
    assert shown % unit == 0


@pytest.mark.parametrize(
    ("value", "digits", "told"),
    [
        (1.264517, 3, "1.26"),
        (1.0006, 3, "1.00"),
        (0.9996, 3, "1.00"),
        (450.22, 3, "450"),
        (1e6, 2, "1,000,000"),
        (-0.00710, 2, "-0.0071"),
        (5.7e-16, 3, "6e-16"),
        (2.5e-5, 2, "2.5e-5"),
    ],
)
def test_a_number_in_words(value: float, digits: int, told: str) -> None:
    assert number(value, digits) == told


def test_ends_that_look_alike_are_told_once() -> None:
    assert between(pd.Series([1.0012, 1.26, 0.968])) == "0.968 to 1.26"
    assert between(pd.Series([1.0012, 1.0006])) == "1.00"


# ------ A study


@pytest.fixture
def study(smoke: Path, tmp_path: Path) -> Path:
    """The study of the smoke test under the names that the pages have, each model twice.

    Of the second pair what the pages say of it is made true.
    """
    copy = tmp_path / "results/demo"
    shutil.copytree(smoke / "results/smoke/tables", copy / "tables")
    shutil.copytree(smoke / "results/smoke/figures", copy / "figures")
    shutil.copy(copy / f"figures/nulls_{ENCODER}.svg", copy / f"figures/nulls_{DECODER}.svg")
    for table in copy.glob("tables/*.csv"):
        text = table.read_text(encoding="utf-8")
        table.write_text(text.replace("tiny-init", ENCODER_INITIAL), encoding="utf-8")
        rows = pd.read_csv(table)
        of = next((column for column in ("model", "on") if column in rows), None)
        if of is not None:
            again = rows.replace({of: {ENCODER: DECODER, ENCODER_INITIAL: DECODER_INITIAL}})
            again = again[again[of].isin([DECODER, DECODER_INITIAL])]
            pd.concat([rows, again]).to_csv(table, index=False)
    # A decoder predicts; of the models of the smoke test the one at initialisation does.
    convolution = pd.read_csv(copy / "tables/convolution.csv")
    predicting = convolution[convolution["model"] == ENCODER_INITIAL].assign(model=DECODER)
    predicting = predicting[predicting["quantity"].str.startswith("gradient_")]
    pd.concat([convolution, predicting]).to_csv(copy / "tables/convolution.csv", index=False)
    # Nor does the other drift, and its norms take the mean off.
    drift = pd.read_csv(copy / "tables/drift.csv")
    drift[drift["model"] == ENCODER_INITIAL].assign(model=DECODER).to_csv(
        copy / "tables/drift.csv", index=False
    )
    decoder = {"model": DECODER}
    change(copy, "geometry", "value", 0, **decoder, quantity="nulled")
    turned = decoder | {"null": "haar", "quantity": "closure_isotropy"}
    change(copy, "layers", "phase", "III", **decoder)
    change(copy, "layers", "n_kv_heads", 4, **decoder)
    change(copy, "layers", "quantisation", "Q4_1", **decoder)
    change(copy, "nulls", "mean", 1e3, **turned)
    change(copy, "precision", "jacobi_mean", 10.0, **decoder, dtype="float32", operand="raw")
    return copy


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """A root with the pages, the figures they show, and the command that writes them."""
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def contents(root: Path) -> dict[Path, bytes]:
    """What the command may write."""
    paths = [root / "README.md", *root.glob("docs/*.md"), *root.glob("docs/*.svg")]
    return {path.relative_to(root): path.read_bytes() for path in paths}


def change(study: Path, table: str, column: str, value: object, **where: object) -> None:
    """Put a value into some rows of a table."""
    path = study / f"tables/{table}.csv"
    rows = pd.read_csv(path)
    chosen = pd.Series(True, index=rows.index)
    for name, wanted in where.items():
        chosen &= rows[name] == wanted
    assert chosen.any()
    rows[column] = rows[column].astype(object).mask(chosen, value)
    rows.to_csv(path, index=False)


def shown(root: Path, page: str, name: str) -> str:
    """A number in a page."""
    text = (root / page).read_text(encoding="utf-8")
    return {marked: words for _, marked, words in MARKED.findall(text)}[name]


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_the_command_writes_a_study_into_the_pages_and_a_second_time_the_same(
    study: Path, pages: Path
) -> None:
    before = contents(pages)
    (command,) = re.findall(
        r"`\.venv/bin/python (docs/findings\.py results/demo)`", PAGES["README.md"]
    )
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, *command.split()],
            cwd=pages,
            env={"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        after = contents(pages)
        tables = Tables(study)
        numbers = {name: quantity(tables) for name, quantity in NUMBERS.items()}
        for path, page in before.items():
            if path.suffix == ".svg":
                assert after[path] == (study / "figures" / path.name).read_bytes()
            else:
                true = dict.fromkeys(STATEMENTS, True)
                assert after[path].decode() == rewritten(page.decode(), numbers, true)
    # The initialised model of this study is another one.
    assert after != before


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_a_number_changed_in_a_table_is_changed_in_every_page(study: Path, pages: Path) -> None:
    write_pages(study, pages)
    low = shown(pages, "docs/measured.md", "epsilon_over_haar").split()[0]
    change(study, "layers", "epsilon_null_ratio", 1.2854, model="minilm", layer=3)
    write_pages(study, pages)
    for page in ("docs/measured.md", "docs/method.md"):
        assert shown(pages, page, "epsilon_over_haar") == f"{low} to 1.29"
    change(study, "claims", "verdict", "reproduced", id="gauge")
    write_pages(study, pages)
    assert re.search(r"\| `gauge` \|.*\| reproduced \|", shown(pages, "README.md", "findings"))


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_numbers_are_those_of_their_columns(study: Path) -> None:
    trained, initial = {"model": ENCODER}, {"model": ENCODER_INITIAL}
    decoder, first = {"model": DECODER}, {"model": DECODER, "layer": 0}
    closure, rho3 = {"quantity": "closure_isotropy"}, {"quantity": "rho3"}
    for table, column, value, where in (
        ("layers", "closure_isotropy", 100.0, trained),
        ("layers", "closure_isotropy", 400.0, trained | {"layer": 0}),
        ("layers", "closure_isotropy", 3.0, initial),
        ("nulls", "mean", 20.0, trained | closure | {"null": "pooled"}),
        ("nulls", "mean", 50.0, trained | closure | {"null": "pooled", "layer": 5}),
        ("nulls", "mean", 5.0, trained | closure | {"null": "haar"}),
        ("nulls", "mean", 60.0, trained | closure | {"null": "layers"}),
        ("nulls", "mean", 1.4, trained | rho3 | {"null": "pooled"}),
        ("nulls", "mean", 1.3, trained | rho3 | {"null": "haar"}),
        ("nulls", "mean", 1.01, trained | rho3 | {"null": "layers", "layer": 0}),
        ("nulls", "mean", 0.12, {"quantity": "epsilon_relative", "null": "pooled"}),
        ("layers", "epsilon", 2.0, decoder),
        ("layers", "epsilon", 450.0, first),
        ("layers", "epsilon", 12.0, decoder | {"layer": 1}),
        ("layers", "epsilon", 1.07, decoder | {"layer": 5}),
        ("layers", "epsilon_null_ratio", 1.2, decoder),
        ("layers", "epsilon_null_ratio", 2.7, first),
        ("layers", "epsilon_haar", 1.0, decoder),
        ("layers", "epsilon_haar", 90.0, first),
        ("layers", "closure_isotropy", 1000.0, decoder),
        ("layers", "closure_isotropy", 7.0, {"model": DECODER_INITIAL}),
        ("nulls", "mean", 900.0, decoder | closure | {"null": "haar"}),
        ("nulls", "n", 2, decoder | closure | {"null": "haar"}),
        ("nulls", "p_value", 1.0, decoder | closure | {"null": "haar"}),
        ("nulls", "mean", 1100.0, decoder | closure | {"null": "haar", "layer": 2}),
        ("nulls", "p_value", 2 / 3, decoder | closure | {"null": "haar", "layer": 2}),
        ("nulls", "mean", 7.5, decoder | closure | {"null": "gaussian"}),
        ("nulls", "mean", 1500.0, decoder | closure | {"null": "layers"}),
        ("nulls", "mean", 20.0, decoder | closure | {"null": "pooled"}),
        ("nulls", "mean", 1200.0, decoder | closure | {"null": "pooled", "layer": 0}),
        ("layers", "rho3", 0.4, decoder),
        ("nulls", "mean", 0.2, decoder | rho3 | {"null": "haar"}),
        ("nulls", "mean", 1.35, decoder | rho3 | {"null": "pooled"}),
        ("nulls", "mean", 1.21, decoder | rho3 | {"null": "gaussian"}),
        ("layers", "rho3", 0.9, trained),
        ("layers", "epsilon_relative", 0.08, trained),
        ("layers", "epsilon_null_ratio", 1.0, initial),
        ("layers", "obstruction_rms", 0.01, trained),
        ("layers", "obstruction_rms", 0.005, initial),
        ("layers", "hochschild_residual", 2e-16, trained),
        ("layers", "jacobi_bound", 3e-13, trained),
        ("layers", "jacobi_noise", 1e-18, {}),
        ("layers", "jacobi_rms", 4e-18, trained),
        ("layers", "jacobi_rms", 7e-18, initial),
        ("layers", "jacobi_rms", 5e-18, decoder),
        ("layers", "jacobi_rms", 5e-18, {"model": DECODER_INITIAL}),
        ("precision", "jacobi_mean", 1e-15, {"dtype": "float64"}),
        ("precision", "jacobi_mean", 1e-2, {"dtype": "bfloat16", "operand": "raw"}),
        ("precision", "jacobi_mean", 1e-3, {"dtype": "bfloat16", "operand": "basis"}),
        (
            "evidence",
            "value",
            0.9,
            {"statistic": "slope of ‖J‖ in the unit roundoff, raw operands"},
        ),
        (
            "evidence",
            "value",
            0.8,
            {"statistic": "slope of ‖J‖ in the unit roundoff, basis operands"},
        ),
        ("conditioning", "dense_error", 3e-10, {}),
        ("conditioning", "sampled_error", 0.2, {"case": 3}),
        ("sampling", "coverage", 0.95, trained | {"estimator": "uniform"}),
        ("sampling", "coverage", 0.5, trained | {"estimator": "uniform", "layer": 0}),
    ):
        change(study, table, column, value, **where)
    tables = Tables(study)
    elsewhere = {*NUMBERS_OF_STATES, *NUMBERS_OF_GEOMETRY}
    verdicts = list(in_ledger(tables)["verdict"])
    assert {name: NUMBERS[name](tables) for name in set(NUMBERS) - elsewhere} == {
        "findings": f"\n\n{findings_table(in_ledger(tables))}\n",
        "claims": str(len(verdicts)),
        "forbidden": str(verdicts.count("contradicted by an identity")),
        "forced": str(verdicts.count("true of anything")),
        "shape": "6 layers, 12 heads and d = 384",
        "decoder_shape": "6 layers, 12 heads on 4 keys and d = 384",
        "decoder_type": "Q4_1",
        "decoder_epsilon_first": "450",
        "decoder_epsilon_second": "12.0",
        "decoder_epsilon_last": "1.07",
        "decoder_over_haar_first": "2.70",
        "decoder_over_haar_later": "1.20",
        "decoder_over_closed_form_first": "5.00",
        "decoder_over_closed_form_later": "1.07 to 12.0",
        "decoder_closure": "1,000",
        "decoder_closure_initial": "7.00",
        "decoder_closure_gaussian": "7.50",
        "decoder_closure_haar": "900 to 1,100",
        "decoder_closure_layers": "1,500",
        "decoder_closure_pooled_first": "1,200",
        "decoder_closure_pooled_later": "20.0",
        "decoder_below_haar": "1 of 6",
        "decoder_rho3": "0.400",
        "decoder_rho3_haar": "0.200",
        "decoder_rho3_pooled": "1.35",
        "decoder_rho3_gaussian": "1.21",
        "epsilon_over_haar": between(tables["layers"]["epsilon_null_ratio"][:6]),
        "epsilon_over_haar_initial": "1.00",
        "epsilon_relative": "0.0800",
        "epsilon_relative_pooled": "0.120",
        "closure": "400, 100, 100, 100, 100, 100",
        "closure_initial": "3.00",
        "closure_pooled": "20.0, 20.0, 20.0, 20.0, 20.0, 50.0",
        "closure_haar": "5.00",
        "closure_layers": "60.0",
        "closure_over_haar": "20 to 80",
        "closure_over_haar_first": "80",
        "closure_over_haar_last": "20",
        "closure_over_pooled_first": "20",
        "closure_over_pooled_last": "2.0",
        "pooled_closure_over_haar": "4.0 to 10",
        "rho3": "0.900, 0.900, 0.900, 0.900, 0.900, 0.900",
        "rho3_pooled": "1.40",
        "rho3_haar": "1.30",
        "rho3_layers_first": "1.01",
        "jacobi_over_noise": "4 to 7",
        "jacobi_bound": "3e-13",
        "jacobi_orders": "12",
        "jacobi_slope_raw": "0.90",
        "jacobi_slope_basis": "0.80",
        "obstruction": "0.010",
        "obstruction_initial": "0.0050",
        "obstruction_haar": "0.0052",
        "hochschild_residual": "2e-16",
        "constructed": "36",
        "constructed_kappa": "10 to 1,000,000",
        "constructed_dense_error": "3e-10",
        "constructed_sampled_error": "0.20",
        "uniform_coverage": "50.0, 95.0, 95.0, 95.0, 95.0, 95.0",
    }


SPOILED = [
    ("layers", "phase", "II", {"layer": 4}, "phase_one"),
    ("layers", "epsilon", 1e-3, {"layer": 2}, "epsilon_falls"),
    ("layers", "epsilon", 9.0, {"layer": 2}, "epsilon_falls"),
    ("layers", "epsilon", 9.0, {"model": DECODER, "layer": 2}, "epsilon_falls"),
    ("layers", "phase", "II", {"model": DECODER, "layer": 4}, "decoder_phase_three"),
    (
        "layers",
        "epsilon",
        0.07,
        {"model": DECODER, "layer": 4},
        "decoder_commutes_beyond_pooled",
    ),
    ("layers", "rho3", 2.0, {"model": DECODER, "layer": 4}, "decoder_rho3_below_pooled"),
    ("layers", "closure_isotropy", 1.0, {"model": DECODER, "layer": 4}, "decoder_shares_close"),
    (
        "nulls",
        "mean",
        1.0,
        {"model": DECODER, "null": "haar", "layer": 4},
        "decoder_shares_close",
    ),
    (
        "precision",
        "jacobi_mean",
        1e-3,
        {"model": DECODER, "dtype": "float32", "operand": "raw"},
        "decoder_first_in_float32",
    ),
    ("layers", "epsilon_relative", 0.5, {"layer": 4}, "commutes_beyond_pooled"),
    ("layers", "epsilon_null_ratio", 1.4, {"layer": 4}, "commutes_as_haar"),
    ("layers", "epsilon_null_ratio", 0.7, {"layer": 4}, "commutes_as_haar"),
    ("layers", "closure_isotropy", 1.0, {"layer": 4}, "closes_beyond_pooled"),
    (
        "nulls",
        "p_value",
        1.0,
        {"null": "pooled", "quantity": "closure_isotropy"},
        "closes_beyond_pooled",
    ),
    ("nulls", "mean", 1.0, {"null": "layers", "layer": 3}, "others_close_beyond_pooled"),
    ("layers", "closure_isotropy", 1e4, {"layer": 5}, "own_beside_others"),
    ("layers", "rho3", 2.0, {"layer": 0}, "first_nearest_jacobi"),
    ("nulls", "p_value", 1.0, {"null": "init", "quantity": "rho3"}, "first_nearest_jacobi"),
    (
        "precision",
        "jacobi_mean",
        1e-2,
        {"dtype": "float32", "operand": "raw"},
        "only_raw_in_16_bits",
    ),
    (
        "precision",
        "jacobi_mean",
        1e-2,
        {"dtype": "bfloat16", "operand": "basis"},
        "only_raw_in_16_bits",
    ),
    (
        "precision",
        "jacobi_mean",
        1e-9,
        {"dtype": "float16", "operand": "raw"},
        "only_raw_in_16_bits",
    ),
    ("layers", "coherence_residual", 1e-3, {"model": ENCODER_INITIAL}, "random_close_too"),
    ("conditioning", "dense_error", 1.0, {"case": 3}, "dense_is_nearer"),
    ("layers", "action", 1.0, {"layer": 0}, "action_of_both_signs"),
    ("evidence", "value", 1.0, {"id": "jacobi-range", "n": 3}, "slope_under_one"),
    ("dyson", "partial_error", 1e-3, {"order": 5}, "encoder_converges_last"),
    (
        "resummation",
        "median",
        1e-6,
        {"model": DECODER, "sequence": "states", "method": "rre"},
        "states_not_resummed",
    ),
    ("geometry", "value", 2, {"model": ENCODER, "quantity": "nulled"}, "nulls_one"),
    ("geometry", "value", 1, {"model": DECODER, "quantity": "nulled"}, "nulls_none"),
    ("axes", "mean", 1e-3, {"permuted": "joint", "moved": "within"}, "joint_is_exact"),
    ("axes", "mean", 1e3, {"permuted": "stream", "moved": "across"}, "stream_is_alike"),
]


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
@pytest.mark.parametrize(("table", "column", "value", "where", "statement"), SPOILED)
def test_a_statement_that_is_not_true_is_not_published(
    study: Path,
    pages: Path,
    table: str,
    column: str,
    value: object,
    where: dict[str, object],
    statement: str,
) -> None:
    before = contents(pages)
    if table in {"layers", "nulls", "precision", "dyson"}:
        where = {"model": ENCODER} | where
    change(study, table, column, value, **where)
    with pytest.raises(ValueError, match=rf"\.md says “.*” \({statement}\), which is not true"):
        write_pages(study, pages)
    assert contents(pages) == before


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_numbers_of_states_are_those_of_their_columns(study: Path) -> None:
    decoder, encoder = {"model": DECODER}, {"model": ENCODER}
    states, half = {"sequence": "states"} | decoder, {"sequence": "orders"} | decoder
    for table, column, value, where in (
        ("runs", "sequences", 16, decoder),
        ("dyson", "norm", 11.2, decoder | {"order": 4}),
        ("dyson", "partial_error", 0.09, decoder | {"order": 5}),
        ("dyson", "partial_error", 0.01, {"model": DECODER_INITIAL}),
        ("dyson", "partial_error", 0.2, {"model": DECODER_INITIAL, "order": 1}),
        ("dyson", "norm", 13.4, encoder | {"order": 3}),
        ("dyson", "partial_error", 0.01, {"model": ENCODER_INITIAL}),
        ("dyson", "partial_error", 0.5, {"model": ENCODER_INITIAL, "order": 0}),
        ("resummation", "median", 2.0, states),
        ("resummation", "median", 1.01, states | {"method": "last"}),
        ("resummation", "median", 1.003, states | {"method": "epsilon"}),
        ("resummation", "median", 0.5, half),
        ("resummation", "median", 0.78, half | {"method": "last"}),
        ("resummation", "median", 0.005, half | {"method": "anderson"}),
        ("normality", "value", 0.6, {"quantity": "symmetric_share"}),
        ("normality", "value", 0.5, decoder | {"quantity": "symmetric_share", "layer": 2}),
        ("convolution", "value", 0.25, {"quantity": "convolution_share"}),
        ("convolution", "value", 0.5, encoder | {"quantity": "convolution_share", "layer": 1}),
        ("convolution", "value", 0.01, decoder | {"quantity": "gradient_cosine"}),
        ("convolution", "value", -0.009, decoder | {"quantity": "gradient_cosine", "layer": 3}),
        ("states", "update_ratio", 14.3, decoder | {"layer": 2}),
        ("states", "update_ratio_without_first", 0.25, decoder | {"layer": 2}),
    ):
        change(study, table, column, value, **where)
    tables = Tables(study)
    assert {name: number(tables) for name, number in NUMBERS_OF_STATES.items()} == {
        "read": "16 sequences of 32 tokens",
        "decoder_order_peak": "4",
        "decoder_order_size": "11",
        "decoder_converged": "5",
        "decoder_initial_converged": "2",
        "encoder_order_peak": "3",
        "encoder_order_size": "13",
        "encoder_initial_converged": "1",
        "decoder_states_last": "1.01",
        "decoder_states_resummed": "1.00",
        "decoder_sums_last": "0.78",
        "decoder_sums_resummed": "0.0050",
        "encoder_symmetric": "0.60",
        "decoder_symmetric": "0.50 to 0.60",
        "encoder_convolution": "0.25 to 0.50",
        "decoder_convolution": "0.25",
        "decoder_gradient": "-0.0090 to 0.010",
        "decoder_outlier": "2",
        "decoder_first_token_update": "14",
        "decoder_update_without_first": "0.25",
    }


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_numbers_of_geometry_are_those_of_their_columns(study: Path) -> None:
    decoder, encoder = {"model": DECODER}, {"model": ENCODER}
    across, within = {"moved": "across"}, {"moved": "within"}
    joint, stream = {"permuted": "joint"}, {"permuted": "stream"}
    for table, column, value, where in (
        ("geometry", "value", 0.05, encoder | {"quantity": "lambda_2"}),
        ("geometry", "value", 0.1, encoder | {"quantity": "lambda_2", "layer": 3}),
        ("geometry", "null", 0.577, encoder | {"quantity": "lambda_2"}),
        ("geometry", "value", 0.9, {"quantity": "score_cosine_r2"}),
        ("geometry", "value", 0.8, decoder | {"quantity": "score_cosine_r2", "layer": 2}),
        ("geometry", "value", 0.7, {"quantity": "off_share"}),
        ("geometry", "value", 0.35, decoder | {"quantity": "off_share", "layer": 0}),
        ("axes", "mean", 0.656, encoder | joint | across),
        ("axes", "mean", 3.9, decoder | joint | across),
        ("axes", "mean", 7.3, decoder | stream | within),
        ("axes", "mean", 7.2, decoder | stream | across),
        ("drift", "median", 0.2, decoder | {"place": "before"}),
        ("drift", "median", 0.3, decoder | {"place": "before", "layer": 4, "offset": 6}),
    ):
        change(study, table, column, value, **where)
    tables = Tables(study)
    assert {name: number(tables) for name, number in NUMBERS_OF_GEOMETRY.items()} == {
        "encoder_second_eigenvalue": "0.050 to 0.10",
        "isotropic_second_eigenvalue": "0.58",
        "encoder_angle": "0.90",
        "decoder_angle": "0.80 to 0.90",
        "encoder_off": "0.70",
        "decoder_off": "0.35 to 0.70",
        "encoder_joint_across": "0.66",
        "decoder_joint_across": "3.9",
        "decoder_stream_within": "7.3",
        "decoder_stream_across": "7.2",
        "decoder_drift": "0.30",
        "decoder_drift_growth": "1.5",
    }


def test_every_statement_is_among_those_that_were_spoiled() -> None:
    assert {statement for *_, statement in SPOILED} == set(STATEMENTS)


@pytest.mark.workflow
@pytest.mark.xdist_group("report")
def test_what_a_study_lacks_is_named_and_nothing_is_written(study: Path, pages: Path) -> None:
    before = contents(pages)

    def refused(told: str) -> None:
        with pytest.raises(ValueError, match=re.escape(told)):
            write_pages(study, pages)
        assert contents(pages) == before

    change(study, "layers", "rho3", float("nan"), model="minilm", layer=2)
    refused("tables/layers.csv has a rho3 that is not finite")
    change(study, "layers", "rho3", float("inf"), model="minilm", layer=2)
    refused("tables/layers.csv has a rho3 that is not finite")
    change(study, "layers", "model", "other", model=ENCODER_INITIAL)
    refused(f"tables/layers.csv has no row with model {ENCODER_INITIAL}")
    layers = study / "tables/layers.csv"
    layers.write_text(layers.read_text().replace("epsilon_null_ratio", "ratio"))
    refused("tables/layers.csv has no column epsilon_null_ratio")
    (study / "tables/claims.csv").unlink()
    refused("results/demo/tables/claims.csv is not there: run the study first")
    (study / "figures/epsilon.svg").unlink()
    refused("results/demo/figures/epsilon.svg is not there: run the study first")
    readme = pages / "README.md"
    readme.write_text(readme.read_text().replace("<!-- shape -->", ""))
    before = contents(pages)
    refused("no page has shape of quantities.py: delete it")
