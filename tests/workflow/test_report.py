"""The report of the smoke study in a real browser, from a file and without a network."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Frame, Locator, Page, expect, sync_playwright

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.workflow,
    pytest.mark.xdist_group("report"),
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
]

EMBEDDED_BYTES = 1_500_000
"""Of a page inside the report; larger ones stay blank, and no error tells."""

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)


@dataclass
class Visit:
    """A page in the browser, and what went wrong on it."""

    page: Page
    faults: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """A window without a network; errors of scripts, and requests beyond the file, are faults."""
    context = browser.new_context(offline=True, viewport={"width": 1400, "height": 900})
    visited = Visit(context.new_page())
    page, faults = visited.page, visited.faults
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    yield visited
    context.close()


def open_category(page: Page, report: Path, category: str) -> Locator:
    """The rows of a category's table."""
    page.goto(report.as_uri())
    page.locator("nav").first.get_by_text(category, exact=True).click()
    rows = page.locator("nav tbody tr")
    expect(rows.first).to_be_visible()
    return rows


def categories(page: Page, report: Path) -> list[str]:
    page.goto(report.as_uri())
    listed = page.locator("nav").first
    expect(listed.get_by_text("Results")).to_be_visible()
    return listed.inner_text().split("RESULTS\n")[1].splitlines()


def embedded(page: Page) -> Frame:
    """The page that the report shows inside itself."""
    handle = page.wait_for_selector("iframe")
    assert handle is not None
    frame = handle.content_frame()
    assert frame is not None
    frame.wait_for_load_state()
    return frame


def assert_picture_drawn(picture: Locator) -> None:
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def choices(page: Page) -> list[str | None]:
    """The values of a label that has two in a category: a choice above the table."""
    return page.locator("nav fieldset label").all_inner_texts() or [None]


def test_every_result_is_shown_and_explained(smoke: Path, report: Path, visit: Visit) -> None:
    page = visit.page
    shown = []
    for category in categories(page, report):
        listed = open_category(page, report, category).count()
        for model, index in product(choices(page), range(listed)):
            if model is not None:
                page.locator("nav fieldset label").get_by_text(model, exact=True).click()
            row = page.locator("nav tbody tr").nth(index)
            name = row.inner_text()
            if "claims" in name:
                expect(row.locator('a[href^="data:text/csv"]')).to_be_visible()
            else:
                row.locator("a[iconname=eye]").click()
                if "interactive" in name:
                    expect(embedded(page).locator("body")).not_to_be_empty()
                else:
                    assert_picture_drawn(page.locator("img:not(nav img)"))
            row.locator('a[iconname="information-circle"]').click()
            expect(page.locator("nav strong").first).to_be_visible()
            shown.append((name, model))
            page.locator("nav").first.get_by_text(category, exact=True).click()
    figures = list(smoke.glob("results/smoke/figures/*.svg"))
    assert len(shown) == len(set(shown)) == len(figures) + 2
    assert not visit.faults


def tooltip(frame: Frame) -> dict[str, str]:
    shown = frame.locator("#vg-tooltip-element.visible")
    expect(shown).to_be_visible()
    cells = [cell.strip() for cell in shown.locator("td").all_inner_texts()]
    return dict(zip(cells[::2], cells[1::2], strict=True))


def test_layers_are_drawn_and_named(smoke: Path, report: Path, visit: Visit) -> None:
    layers = pd.read_csv(smoke / "results/smoke/tables/layers.csv")
    page = visit.page
    rows = open_category(page, report, "Phases")
    rows.filter(has_text="interactive").locator("a[iconname=eye]").click()
    frame = embedded(page)
    points = frame.locator(".points_marks path")
    expect(points).to_have_count(len(layers))
    points.first.hover()
    said = tooltip(frame)
    measured = layers[(layers["model"] == said["model"]) & (layers["layer"] == int(said["layer"]))]
    assert float(said["ε"]) == pytest.approx(measured["epsilon"].item(), rel=5e-3)
    assert not visit.faults


def test_the_report_needs_no_other_file(smoke: Path, report: Path, visit: Visit) -> None:
    text = report.read_text(encoding="utf-8")
    assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="https?:', text)
    assert (smoke / "results/smoke/layers.html").stat().st_size < EMBEDDED_BYTES


def test_a_script_that_fails_is_noticed(tmp_path: Path, visit: Visit) -> None:
    (tmp_path / "page.html").write_text("<img src='gone.png'><script>absent()</script>")
    visit.page.goto((tmp_path / "page.html").as_uri())
    visit.page.wait_for_load_state()
    assert any("absent" in fault for fault in visit.faults)
    assert any("gone.png" in fault for fault in visit.faults)
