"""The page stands alone, leads from every verdict to its figure, and shows every number."""

import re
from base64 import b64decode
from collections.abc import Iterable
from html import unescape
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from claim_studies import (
    THRESHOLDS,
    TRAINED,
    Tables,
    described,
    model_layers,
    of_model,
    study_tables,
)
from headalgebra.claims.finding import VERDICTS
from headalgebra.claims.ledger import CLAIMS, PAPERS, TITLES, ledger
from headalgebra.claims.wording import number, shown
from headalgebra.pages.index import COLOURS, FIGURE_BYTES, SHRINKING, claims_page


class Links(HTMLParser):
    """Anchors, links and images of a page; raises where tags are not closed in order."""

    VOID = ("meta", "img")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.images: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in values)
        if tag not in self.VOID:
            self.open.append(tag)
        if "id" in values:
            self.anchors.append(values["id"])
        if "href" in values:
            self.links.append(values["href"])
        if tag == "img":
            self.images.append(values["src"])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def png(side: int = 4, noise: bool = False) -> bytes:
    pixels = np.random.default_rng(0).integers(256, size=(side, side, 3)) * noise
    written = BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(written, "PNG")
    return written.getvalue()


def page(figures: Iterable[str] = (), tables: Tables | None = None) -> str:
    claims, evidence = ledger(tables or of_model(), TRAINED, THRESHOLDS)
    return claims_page(claims, evidence, {name: png() for name in figures}, title="a study")


def test_every_link_leads_to_an_anchor_on_a_page_that_needs_no_other() -> None:
    whole = page(["epsilon", "jacobiator", "gpt2_medium", "associator", "tower", "nulls_m"])
    read = Links(whole)
    assert len(set(read.anchors)) == len(read.anchors)
    assert all(link.startswith("#") and link[1:] in read.anchors for link in read.links)
    assert {f"claim-{id}" for id in CLAIMS} <= set(read.anchors)
    assert {"#figure-gpt2_medium", "#figure-epsilon"} <= set(read.links)
    assert len(read.images) == 5  # that of no claim is left out
    for image in read.images:
        head, _, data = image.partition(",")
        assert head == "data:image/png;base64"
        assert b64decode(data) == png()
    assert not re.search(r"https?:|<script|@import|url\(", whole)


def test_a_figure_that_a_study_lacks_is_not_linked() -> None:
    read = Links(page())
    assert not read.images
    assert not any(link.startswith("#figure") for link in read.links)
    assert "#figure-epsilon" in Links(page(["epsilon"])).links  # in place of phases or size


def sections(whole: str) -> dict[str, str]:
    """What each claim's section says, by the claim."""
    parts = re.split(r'<section id="claim-([\w-]+)">', whole)[1:]
    bodies = (re.sub(r"<[^>]+>", "", part.partition("</section>")[0]) for part in parts[1::2])
    return dict(zip(parts[::2], map(unescape, bodies), strict=True))


def test_claims_stand_under_their_paper() -> None:
    """In the overview a table a paper, and in each claim's section the paper's name."""
    overview = page().partition("<section")[0]
    parts = re.split(r"<h2>([^<]*)</h2>", overview)[1:]
    assert [unescape(title) for title in parts[::2]] == list(TITLES.values())
    shown_claims = sections(page())
    for part, (paper, claims) in zip(parts[1::2], PAPERS.items(), strict=True):
        assert re.findall(r'href="#claim-([\w-]+)"', part) == [claim.id for claim in claims]
        for claim in claims:
            assert TITLES[paper] in shown_claims[claim.id]
            assert claim.section in shown_claims[claim.id]


def test_each_claim_is_shown_with_its_verdict_and_every_number() -> None:
    claims, evidence = ledger(of_model(), TRAINED, THRESHOLDS)
    shown_claims = sections(page())
    assert list(shown_claims) == list(claims["id"])
    for claim in claims.to_dict("records"):
        said = shown_claims[claim["id"]]
        for text in (claim["verdict"], claim["criterion"], claim["note"], number(claim)):
            assert text in said
    for measured in evidence.to_dict("records"):
        said = shown_claims[measured["id"]]
        for text in (measured["on"], measured["statistic"], shown(measured["value"])):
            assert text in said
    # Value, interval and n of every row of a claim's table, in its order.
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in page().split("<tr>")]
    ends = evidence[["low", "high"]].map(shown).agg(" to ".join, axis=1)
    intervals = ends.where(evidence["low"].notna(), "")
    assert "" in set(intervals) and len(set(intervals)) > 1
    assert [row[3] for row in cells if len(row) == 5] == list(intervals)


def test_the_overview_says_what_was_measured_or_what_is_missing() -> None:
    claims, _ = ledger(of_model(), TRAINED, THRESHOLDS)
    overview = unescape(page().partition("<section")[0])
    for claim in claims.to_dict("records"):
        assert (number(claim) or claim["note"]) in overview


def test_verdicts_are_told_in_words_and_colours() -> None:
    claims, _ = ledger(of_model(), TRAINED, THRESHOLDS)
    assert set(claims["verdict"]) == set(VERDICTS) == set(COLOURS)
    whole = page(["epsilon"])
    for verdict in VERDICTS:
        assert re.search(f'style="background: {COLOURS[verdict]}"[^>]*>\\s*{verdict}<', whole)
    assert len(set(COLOURS.values())) == len(VERDICTS)


def test_verdicts_are_counted() -> None:
    claims, _ = ledger(of_model(), TRAINED, THRESHOLDS)
    head = unescape(re.sub(r"<[^>]+>", "", page().partition('<table class="claims">')[0]))
    for verdict, count in claims["verdict"].value_counts().items():
        assert re.search(rf"{verdict}\W+{count}\b|\b{count}\W+{verdict}", " ".join(head.split()))


@pytest.mark.parametrize("colour", COLOURS.values())
def test_colours_can_be_read(colour: str) -> None:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    assert 1.05 / (luminance + 0.05) > 4.5  # WCAG AA, white letters


@pytest.mark.parametrize(
    "hostile", ['<script>alert("x")</script>&"\'', "</td></table><b>", "{{ 7 * 7 }}{% raw %}"]
)
def test_hostile_names_are_escaped(hostile: str) -> None:
    def named(name: str) -> str:
        tables = study_tables(model_layers(name))
        claims, evidence = ledger(tables, described(name), THRESHOLDS)
        return claims_page(claims, evidence, {"epsilon": png()}, title=name)

    whole, harmless = named(hostile), named("nobody")
    assert "<script" not in whole
    assert unescape(whole).count(hostile) == harmless.count("nobody") > 2
    assert re.findall(r"<[^>]*>", whole) == re.findall(r"<[^>]*>", harmless)
    Links(whole)


def test_figures_too_large_together_are_made_smaller() -> None:
    figures = {name: png(700, noise=True) for name in ("epsilon", "jacobiator", "tower")}
    whole = claims_page(*ledger(of_model(), TRAINED, THRESHOLDS), figures, title="large")
    assert sum(map(len, figures.values())) > FIGURE_BYTES
    assert len(whole.encode()) < 1_400_000
    for image in Links(whole).images:
        with Image.open(BytesIO(b64decode(image.partition(",")[2]))) as opened:
            assert 100 < opened.width < 700 and opened.width == opened.height


def test_figures_are_made_smaller_until_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By one factor after another: of random pixels, each takes 0.64 of the bytes."""
    encoded_bytes = 4 * 128**2
    monkeypatch.setattr("headalgebra.pages.index.FIGURE_BYTES", encoded_bytes * SHRINKING**6 / 4)
    claims, evidence = ledger(of_model(), TRAINED, THRESHOLDS)
    whole = claims_page(claims, evidence, {"epsilon": png(128, noise=True)}, title="small")
    (image,) = Links(whole).images
    with Image.open(BytesIO(b64decode(image.partition(",")[2]))) as opened:
        assert opened.width <= 128 * SHRINKING**2 + 1
