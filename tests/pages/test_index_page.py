"""The page stands alone, has every claim, figure and table once, and says what the tables say."""

import re
from base64 import b64decode
from html import unescape
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from made_up_pages import RECORD, page, picture, png, tables_of
from page_reading import Read, attributes_of, between, claims_shown, fetched, rows_of, text_of
from PIL import Image

from claim_studies import THRESHOLDS, TRAINED, described, model_layers, of_model, study_tables
from headalgebra import columns
from headalgebra.claims.finding import VERDICTS
from headalgebra.claims.ledger import CLAIMS, PAPERS, TITLES, ledger
from headalgebra.claims.wording import number, shown
from headalgebra.pages.ledger import LOOKS
from headalgebra.pages.pictures import LeftOut, embedded
from headalgebra.pages.tables import DESCRIPTIONS, ROWS_SHOWN, SHOWN, Table
from runs import ROOT

LEDGER, EVIDENCE = ledger(of_model(), TRAINED, THRESHOLDS)
MOST_BYTES = 3_000_000


# ------ It stands alone


def test_every_link_leads_somewhere_and_nothing_is_fetched() -> None:
    whole = page(links={"The configuration": "config.yaml", "ε by layer": "layers.html"})
    read = Read(whole)
    anchors = read.having("id")
    assert len(set(anchors)) == len(anchors)
    inside = {link[1:] for link in read.having("href") if link.startswith("#")}
    assert inside <= set(anchors)
    others = {link for link in read.having("href") if not link.startswith("#")}
    assert others == {
        *("config.yaml", "layers.html", "../models/m/provenance.json"),
        *(f"tables/{name}.csv" for name in ("layers", "claims", "evidence")),
        *(f"figures/{name}.svg" for name in ("epsilon", "jacobiator", "tower")),
    }
    assert not fetched(whole)
    assert "http" not in re.sub(r"data:[^\"]*", "", whole)


@pytest.mark.parametrize(
    "fetching",
    [
        '<img src="https://x/a.png">',
        '<img src="figures/a.png">',
        '<link rel="stylesheet" href="a.css">',
        "<p style='background: url(//x/a)'></p>",
        "<style>@import 'a.css';</style>",
        "<script>fetch('a')</script>",
    ],
)
def test_what_is_fetched_would_be_noticed(fetching: str) -> None:
    assert len(fetched(page() + fetching)) == 1


def test_a_page_of_many_large_figures_is_not_too_large() -> None:
    noisy = png(600, 400, noise=True)
    figures = [picture(f"figure-{index}", png=noisy) for index in range(10)]
    assert 10 * len(noisy) > 2 * MOST_BYTES
    assert len(page(figures).encode()) < MOST_BYTES


# ------ Claims


def test_every_claim_stands_once_under_its_paper() -> None:
    whole = page()
    shown_claims = claims_shown(whole)
    assert list(shown_claims) == list(LEDGER["id"]) and set(shown_claims) == set(CLAIMS)
    sections = re.split(r'<section class="paper" data-paper="(\w+)">', whole)[1:]
    assert sections[::2] == list(PAPERS)
    for paper, section in zip(sections[::2], sections[1::2], strict=True):
        assert text_of(section.partition("</h3>")[0]) == TITLES[paper]
        listed = re.findall(r'id="claim-([\w-]+)"', section)
        assert listed == [claim.id for claim in PAPERS[paper]]


def test_each_claim_says_its_verdict_and_every_number() -> None:
    shown_claims = claims_shown(page())
    for claim in LEDGER.to_dict("records"):
        said = shown_claims[claim["id"]]
        stated = CLAIMS[claim["id"]]
        look = LOOKS[claim["verdict"]]
        texts = (claim["verdict"], claim["criterion"], claim["note"], number(claim), look.symbol)
        for text in (*texts, stated.title, stated.identity, claim["rests_on"], claim["section"]):
            assert " ".join(text.split()) in said
    for measured in EVIDENCE.to_dict("records"):
        said = shown_claims[measured["id"]]
        for text in (measured["on"], measured["statistic"], shown(measured["value"])):
            assert text in said


def test_the_numbers_behind_a_claim_stand_in_its_rows() -> None:
    found = [
        rows_of(part)
        for part in re.findall(r'<table class="evidence">.*?</table>', page(), re.DOTALL)
    ]
    rows = [row for table in found for row in table]
    ends = EVIDENCE[["low", "high"]].map(shown).agg(" to ".join, axis=1)
    assert [row[3] for row in rows] == list(ends.where(EVIDENCE["low"].notna(), ""))
    assert [row[2] for row in rows] == [shown(value) for value in EVIDENCE["value"]]
    assert len(found) == EVIDENCE["id"].nunique()


def test_verdicts_are_counted_at_the_top_and_by_paper() -> None:
    whole = page()
    counts = LEDGER["verdict"].value_counts()
    assert set(counts.index) == set(VERDICTS) == set(LOOKS)
    listed = re.findall(r"<li class=\"[\w-]+\"><b>(\d+)</b> (.*?)</li>", whole)
    told = {text_of(verdict).split(" ", 1)[1]: int(count) for count, verdict in listed}
    assert told == counts.to_dict() and sum(told.values()) == len(LEDGER)
    (bar,) = [one["aria-label"] for one in attributes_of(Read(whole), "div", role="img")]
    assert bar == ", ".join(f"{told[verdict]} {verdict}" for verdict in VERDICTS)
    for paper, section in zip(PAPERS, whole.split('<section class="paper"')[1:], strict=True):
        of_paper = LEDGER[LEDGER["paper"] == paper]["verdict"].value_counts()
        line = text_of(section.partition('<p class="aside">')[2].partition("</p>")[0])
        pairs = re.findall(r"(\d+) ([a-z ]+)", line)
        assert {verdict: int(count) for count, verdict in pairs} == of_paper.to_dict()


def test_a_button_for_each_verdict_says_how_many_it_leaves() -> None:
    buttons = re.findall(r'data-verdict="([\w-]*)" aria-pressed="(\w+)">(.*?)</button>', page())
    keys = {
        LOOKS[verdict].key: count for verdict, count in LEDGER["verdict"].value_counts().items()
    }
    found = {key: int(text_of(said).rsplit(" ", 1)[1]) for key, _, said in buttons}
    assert found == {"": len(LEDGER), **keys}
    assert [pressed for _, pressed, _ in buttons] == ["true", *["false"] * len(keys)]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_verdicts_can_be_read_and_told_apart(verdict: str) -> None:
    """WCAG AA on the ground of both schemes and of a row that is open; another symbol each."""
    style = (ROOT / "src/headalgebra/pages/style.css").read_text()
    grounds = [re.findall(rf"--{name}: (#\w+)", style) for name in ("ground", "tint")]
    look = LOOKS[verdict]
    for ground in grounds:
        for colour, under in zip((look.on_light, look.on_dark), ground, strict=True):
            assert contrast(colour, under) > 4.5
    assert len({one.symbol for one in LOOKS.values()}) == len(VERDICTS)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_a_claim_is_shown_its_first_figure_that_is_there() -> None:
    def beside(whole: str) -> dict[str, str]:
        parts = whole.split('id="claim-')[1:]
        found = {
            part.partition('"')[0]: re.search(r'data-picture="([^"]+)"', part) for part in parts
        }
        return {id: match[1] for id, match in found.items() if match}

    every = beside(page(["phases", "epsilon", "jacobiator"]))
    assert every["eps-depth"] == "epsilon" and every["jacobi-range"] == "jacobiator"
    assert beside(page(["phases"]))["eps-depth"] == "phases"
    assert not beside(page([]))


# ------ Figures


def test_every_figure_is_embedded_with_its_caption_or_left_out_with_a_reason() -> None:
    whole = page(["epsilon", "jacobiator", picture("nulls_m", category="Chance")])
    figures = re.findall(r'<figure id="figure-([^"]+)">(.*?)</figure>', whole, re.DOTALL)
    assert [name for name, _ in figures] == ["epsilon", "jacobiator", "nulls_m"]
    for name, part in figures:
        (image,) = re.findall(r'src="data:image/webp;base64,([^"]+)" width="40" height="20"', part)
        with Image.open(BytesIO(b64decode(image))) as opened:
            assert opened.format == "WEBP" and opened.size == (40, 20)
        assert f'href="figures/{name}.svg"' in part
        assert text_of(part).startswith(f"Title of {name} Of {name}. What it is.")
        assert "How to read it." in part
    left = between(whole, '<dl class="left-out">', "</dl>")
    assert text_of(left) == "ε by size fewer than three sizes"
    assert re.findall(r'<h3 class="category">(.*?)</h3>', whole) == [
        "Phases",
        "Chance",
        "Not drawn",
    ]


def test_a_study_without_figures_says_nothing_of_them() -> None:
    whole = page([], left_out={})
    assert 'id="figures"' not in whole and "#figures" not in whole and "<img" not in whole
    Read(whole)


def test_pictures_get_narrower_until_they_fit() -> None:
    pictures = [picture("wide", png=png(400, 100, noise=True)), picture("low", png=png(100, 50))]
    whole = embedded(pictures)
    assert whole["wide"].width == 400 and whole["wide"].height == 100
    bound = 20_000
    fitted = embedded(pictures, bound)
    assert sum(len(one.address) for one in fitted.values()) <= bound
    wide, low = fitted["wide"], fitted["low"]
    assert 200 < wide.width < 400 and wide.width / wide.height == pytest.approx(4, rel=0.02)
    assert low.width == 100  # narrow enough as it is
    with pytest.raises(ValueError, match="2 pictures do not fit in 10 bytes"):
        embedded(pictures, 10)


def test_a_transparent_ground_stays_white() -> None:
    written = BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(written, "PNG")
    one = embedded([picture("clear", png=written.getvalue())])["clear"]
    with Image.open(BytesIO(b64decode(one.address.partition(",")[2]))) as opened:
        assert opened.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    "caption", ["a |b|", ".. raw:: html\n\n   <script></script>", ".. include:: /etc/hostname"]
)
def test_a_caption_that_is_no_plain_markup_is_refused(caption: str) -> None:
    with pytest.raises(ValueError, match="mend its markup"):
        page([picture("epsilon", caption=caption)])


# ------ Tables


def test_tables_are_listed_with_rows_size_and_what_they_are() -> None:
    whole = page()
    files = between(whole, '<table class="files sortable">', "</table>")
    layers = of_model()["layers"]
    rows = {"claims": len(LEDGER), "evidence": len(EVIDENCE), "layers": len(layers)}
    assert rows_of(files) == [
        [f"{name}.csv", DESCRIPTIONS[name], str(n), "1 kB"] for name, n in rows.items()
    ]


def test_a_table_that_nothing_describes_is_refused() -> None:
    other = Table(name="other", rows=pd.DataFrame(), n_bytes=0, href="")
    with pytest.raises(ValueError, match="no description of other"):
        page(tables=[*tables_of(of_model()), other])


def test_each_table_is_described_once_and_the_readme_goes_on_from_it() -> None:
    readme = " ".join((ROOT / "results/README.md").read_text(encoding="utf-8").split())
    for name, description in DESCRIPTIONS.items():
        assert readme.count(f"`{name}.csv`: {description}") == 1, name


@pytest.mark.parametrize("name", SHOWN)
def test_the_tables_to_sort_have_columns_that_tables_have(name: str) -> None:
    assert set(SHOWN[name]) <= set(getattr(columns, name.upper()))
    assert name in DESCRIPTIONS


def test_cells_have_the_numbers_that_they_are_sorted_by() -> None:
    whole = page()
    part = between(whole, 'aria-label="Table layers"', "</table>")
    layers = of_model()["layers"]
    assert [row[3] for row in rows_of(part)] == [shown(value) for value in layers["epsilon"]]
    numbers = re.findall(r'data-number="([^"]*)">0\.2<', part)
    assert numbers == ["0.2"]
    # Of nine rows none has a number that does not exist.
    missing = list(SHOWN["layers"]).index("rho3")
    assert {row[missing] for row in rows_of(part)} == {""}
    assert "nan" not in part.lower()


def test_a_long_table_is_cut_and_says_so() -> None:
    tables = tables_of(of_model(np.linspace(0.1, 1, ROWS_SHOWN + 7)))
    whole = page(tables=tables)
    part = between(whole, 'aria-label="Table layers"', "</details>")
    assert len(rows_of(part)) == ROWS_SHOWN
    assert f"The first {ROWS_SHOWN} of {ROWS_SHOWN + 7} rows" in text_of(part)
    assert "The first" not in text_of(between(page(), 'aria-label="Table layers"', "</details>"))


# ------ What was measured


def test_models_are_told_by_shape_and_by_how_their_weights_are_stored() -> None:
    initial = RECORD | {
        "source": {"name": "drawn", "source": "init"},
        "quantisation": {"0": ""},
        "n_kv_heads": 12,
        "seed": 3,
        "files": {},
    }
    whole = page(records=[RECORD, initial])
    assert rows_of(between(whole, '<table class="models">', "</table>")) == [
        [
            "m",
            "bert",
            "9",
            "12 on 4 keys",
            "64",
            "",
            "Python package some-package, rounded to Q4_1",
        ],
        ["drawn", "bert", "9", "12", "64", "", "at initialisation"],
    ]
    provenance = text_of(whole.partition('<section id="provenance"')[2])
    for text in ("0123456789abcdef" * 4, "revision v1", "Seed 3", "torch 2.0", "The configuration"):
        assert text in provenance


def test_what_models_read_is_said() -> None:
    runs = pd.DataFrame(
        [
            {"model": name, "kind": "encoder", "parameters": 22.6e6, "text": "prose"}
            | {"text_sha256": "ab" * 32, "sequences": 16.0, "tokens": 128.0}
            for name in ("m", "n")
        ]
        + [{"model": "not-run"}]
    )
    table = Table(name="runs", rows=runs, n_bytes=1, href="tables/runs.csv")
    whole = page(tables=[*tables_of(of_model()), table])
    said = text_of(between(whole, '<header id="top">', "</header>"))
    assert said.count("16 sequences of 128 tokens of the text prose") == 1
    assert "bert encoder 9 12 on 4 keys 64 22.6 M" in said


def test_a_study_of_trainings_alone_is_told_as_one() -> None:
    trainings = Table(name="trainings", rows=pd.DataFrame(index=range(3)), n_bytes=0, href="")
    whole = page(tables=[*tables_of(of_model()), trainings], records=[])
    assert "held against 3 trainings of small decoders." in text_of(whole)
    assert "held against 1 model." in text_of(page())


# ------ What comes from outside


@pytest.mark.parametrize(
    "hostile",
    ['<script>alert("x")</script>&"\'', "</td></table><b>", "{{ 7 * 7 }}{% raw %}", "</style><b>"],
)
def test_hostile_names_are_escaped(hostile: str) -> None:
    def named(name: str) -> str:
        source = {"name": name, "source": "path", "path": name}
        record = RECORD | {"source": source, "revision": name, "note": name, "files": {name: name}}
        return page(
            [picture("epsilon", title=name, category=name, href=name)],
            tables_of(study_tables(model_layers(name)), described(name)),
            {"size": LeftOut(title=name, reason=name)},
            [record | {"family": name, "quantisation": {"0": name}, "packages": {name: name}}],
            study=name,
            title=name,
            links={name: name},
        )

    whole, harmless = named(hostile), named("nobody")
    assert unescape(whole).count(hostile) == harmless.count("nobody") > 20
    told, untold = Read(whole), Read(harmless)
    assert [tag for tag, _ in told.tags] == [tag for tag, _ in untold.tags]
    assert len(re.findall("<script", whole)) == 1
