"""Both pages in a real browser, from a file and without a network: wide, narrow and dark."""

import re
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from made_up_pages import DEFAULT_TABLES, RECORD, page, picture, png, tables_of
from playwright.sync_api import Browser, Page, expect, sync_playwright
from test_layers_page import PHASES, STYLE, layers_of, page_of

from claim_studies import described, model_layers, of_model, study_tables, together
from headalgebra.pages.axis import Scale
from headalgebra.pages.layers import HEIGHT
from headalgebra.plots.linf import epsilon_by_depth

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="needs Chromium: apt-get install chromium"),
    pytest.mark.xdist_group("pages_in_browser"),
]

QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WIDE, NARROW = 1280, 390
LONG = "a_model_with_a_name_that_is_much_longer_than_any_telephone_is_wide_and_has_no_space"

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=list(QUIET))
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both pages of a study, whose names are as long as they come."""
    folder = tmp_path_factory.mktemp("pages")
    record = RECORD | {"source": RECORD["source"] | {"name": LONG}, "revision": LONG}
    figures = [
        picture(name, png=png(1400, 700)) for name in ("epsilon", "jacobiator", f"nulls_{LONG}")
    ]
    index = page(figures, records=[RECORD, record], title=f"A study of {LONG}")
    (folder / "index.html").write_text(index, encoding="utf-8")
    layers = page_of(LAYERS, nulls=NULLS, initialised=["m-01"])
    (folder / "layers.html").write_text(layers, encoding="utf-8")
    return folder


LAYERS = layers_of(2, 4, name="m").assign(epsilon=[3e-6, 0.2, 3.0, 0.4, 0.6, 0.0, 2.0, 0.5])
NULLS = pd.DataFrame(
    [("m-00", layer, "epsilon", null, 0.3) for null in ("pooled", "init") for layer in range(4)],
    columns=["model", "layer", "quantity", "null", "mean"],
)


@pytest.fixture
def visit(browser: Browser, files: Path) -> Iterator[Visit]:
    """Opens a page; errors of scripts, and requests beyond the file, fail the test."""
    contexts = []
    faults: list[str] = []

    def opened(name: str, width: int = WIDE, *, dark: bool = False) -> Page:
        context = browser.new_context(
            offline=True,
            viewport={"width": width, "height": 844},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        shown.on("pageerror", lambda error: faults.append(str(error)))
        shown.on("request", lambda asked: faults.append(asked.url) if beyond(asked.url) else None)
        shown.goto(f"{files.as_uri()}/{name}")
        return shown

    def beyond(url: str) -> bool:
        return not url.startswith(("data:", f"{files.as_uri()}/"))

    yield opened
    for context in contexts:
        context.close()
    assert not faults


EVERY_VIEW = [
    pytest.param(name, width, dark, id=f"{name}-{width}-{'dark' if dark else 'light'}")
    for name, width, dark in product(("index.html", "layers.html"), (WIDE, NARROW), (False, True))
]


@pytest.mark.parametrize(("name", "width", "dark"), EVERY_VIEW)
def test_nothing_is_wider_than_the_window_and_text_can_be_read(
    visit: Visit, name: str, width: int, dark: bool
) -> None:
    shown = visit(name, width, dark=dark)
    expect(shown.locator("#chart svg" if name == "layers.html" else "#claims")).to_be_visible()
    # What is closed must fit too once it is open.
    shown.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    ground, ink = (
        shown.evaluate(f"getComputedStyle(document.body).{key}")
        for key in ("backgroundColor", "color")
    )
    bright = [sum(map(int, re.findall(r"\d+", colour)[:3])) / 765 for colour in (ground, ink)]
    assert (bright[0] < 0.2 and bright[1] > 0.8) if dark else (bright[0] > 0.9 and bright[1] < 0.2)


RUNS = "window.hostile = true"
HOSTILE = (
    f"</script><script>{RUNS}</script>",
    f'"><img src=x onerror="{RUNS}">',
    f"<svg/onload='{RUNS}'>",
    f"javascript:{RUNS}",
    f"{{{{constructor.constructor('{RUNS}')()}}}}",
)


@pytest.fixture(scope="module")
def hostile_files(files: Path) -> Path:
    """The same two pages of models whose names, notes, revisions and captions are scripts."""
    records = [
        RECORD | {"source": {"name": text, "source": text}, "revision": text, "note": text}
        for text in HOSTILE
    ]
    tables = tables_of(
        study_tables(*map(model_layers, HOSTILE)), together(*map(described, HOSTILE))
    )
    for table in tables:
        if "note" in table.rows:
            table.rows["note"] = HOSTILE[1]
    figures = [picture("epsilon", title=HOSTILE[0], caption=" ".join(HOSTILE))]
    index = page(figures, tables, records=records, title=HOSTILE[1], study=HOSTILE[2])
    (files / "hostile_index.html").write_text(index, encoding="utf-8")
    layers = pd.concat([LAYERS[LAYERS["model"] == "m-00"].assign(model=text) for text in HOSTILE])
    (files / "hostile_layers.html").write_text(
        page_of(layers.reset_index(drop=True), title=HOSTILE[0]), encoding="utf-8"
    )
    return files


@pytest.mark.parametrize("name", ["hostile_index.html", "hostile_layers.html"])
def test_no_script_of_a_model_runs(visit: Visit, hostile_files: Path, name: str) -> None:
    shown = visit(name)
    shown.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    for point in shown.locator("#chart .points_marks path").all():
        point.hover(force=True)
    shown.wait_for_timeout(200)
    assert HOSTILE[1][:9] in shown.inner_text("body")
    assert shown.evaluate("window.hostile") is None
    shown.evaluate(RUNS)
    assert shown.evaluate("window.hostile") is True


def test_what_is_too_wide_would_be_noticed(visit: Visit) -> None:
    shown = visit("index.html", NARROW)
    shown.evaluate("document.querySelector('h1').style.overflowWrap = 'normal'")
    assert shown.evaluate("document.documentElement.scrollWidth") > NARROW


def test_a_key_sorts_a_table_up_and_down(visit: Visit) -> None:
    shown = visit("index.html")
    table = shown.locator("#table-layers")
    table.locator("summary").press("Enter")
    head = table.locator("th").nth(3)

    def column() -> list[float]:
        cells = table.locator("tbody tr td:nth-child(4)")
        return [float(text) for text in cells.all_inner_texts()]

    before = column()
    assert before == [round(value, 3) for value in of_model()["layers"]["epsilon"]]
    head.locator("button").press("Enter")
    assert column() == sorted(before)
    expect(head).to_have_attribute("aria-sort", "ascending")
    head.locator("button").press("Space")
    assert column() == sorted(before, reverse=True) != before
    expect(head).to_have_attribute("aria-sort", "descending")
    table.locator("th").nth(1).locator("button").press("Enter")
    expect(head).to_have_attribute("aria-sort", "none")
    assert column() == before


def test_missing_numbers_stay_last_and_numbers_are_no_words(visit: Visit) -> None:
    shown = visit("index.html")
    table = shown.locator("#table-claims")
    table.locator("summary").click()
    values = DEFAULT_TABLES[2].rows["value"]
    cells = table.locator("tbody tr td:nth-child(5)")
    for expected in (values.sort_values(), values.sort_values(ascending=False)):
        table.locator("th").nth(4).locator("button").click()
        numbers = [
            float(text) if text else None
            for text in cells.evaluate_all("all => all.map(one => one.dataset.number || '')")
        ]
        assert numbers[expected.notna().sum() :] == [None] * expected.isna().sum()
        assert numbers[: expected.notna().sum()] == pytest.approx(list(expected.dropna()))


def test_verdict_and_paper_choose_claims(visit: Visit) -> None:
    shown = visit("index.html")
    claims = DEFAULT_TABLES[2].rows
    visible = shown.locator(".claim:visible")
    expect(visible).to_have_count(len(claims))
    chosen = claims["verdict"] == "contradicted by an identity"
    shown.locator(".filters button.contradicted").press("Enter")
    expect(visible).to_have_count(int(chosen.sum()))
    expect(shown.locator(".filters [role=status]")).to_have_text(
        f"{chosen.sum()} of {len(claims)} claims"
    )
    shown.locator(".filters select").select_option("linf")
    expect(visible).to_have_count(int((chosen & (claims["paper"] == "linf")).sum()))
    expect(shown.locator(".paper:visible")).to_have_count(1)
    shown.locator(".filters button").first.click()
    expect(visible).to_have_count(int((claims["paper"] == "linf").sum()))


def test_a_key_opens_a_claim_with_its_figure_beside_it(visit: Visit) -> None:
    shown = visit("index.html")
    claim = shown.locator("#claim-eps-depth")
    claim.locator("summary").press("Enter")
    image = claim.locator("img")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1400
    assert image.get_attribute("src") == shown.locator("figure img").first.get_attribute("src")
    expect(claim.get_by_text("Criterion", exact=True)).to_be_visible()


def test_a_link_opens_the_claim_it_leads_to_whatever_is_filtered(visit: Visit) -> None:
    shown = visit("index.html")
    shown.locator(".filters button.not-measured").click()
    claim = shown.locator("#claim-jacobi-range")
    expect(claim).to_be_hidden()
    shown.locator('.finding a[href="#claim-jacobi-range"]').click()
    expect(claim).to_be_in_viewport()
    expect(claim).to_have_attribute("open", "")


def test_layers_stand_at_their_epsilon_on_the_axis_of_the_figure(visit: Visit) -> None:
    shown = visit("layers.html")
    points = shown.locator("#chart .points_marks path")
    positive = LAYERS["epsilon"] > 0
    expect(points).to_have_count(int(positive.sum()))
    expect(shown.locator("#chart .zeros_marks path")).to_have_count(int((~positive).sum()))
    figure = epsilon_by_depth(LAYERS, NULLS, STYLE, initialised=["m-01"], **PHASES)
    ticks = list(Scale.of(figure.axes[0]).ticks.values())
    labels = shown.locator("#chart .role-axis-label").nth(1).locator("text").all_text_contents()
    assert labels == ticks
    low, high = Scale.of(figure.axes[0]).limits
    places = [
        re.findall(r"[\d.]+", place)[1]
        for place in points.evaluate_all("all => all.map(one => one.getAttribute('transform'))")
    ]
    drawn = [low * (high / low) ** (1 - float(place) / HEIGHT) for place in places]
    assert drawn == pytest.approx(list(LAYERS["epsilon"][positive]), rel=1e-3)
    expect(shown.locator("#chart [class*=band_] path")).to_have_count(3)


def test_a_layer_says_its_numbers_where_it_is_pointed_at(visit: Visit) -> None:
    shown = visit("layers.html")
    shown.locator("#chart .points_marks path").nth(1).hover()
    said = shown.locator("#vg-tooltip-element.visible")
    expect(said).to_be_visible()
    cells = [cell.strip() for cell in said.locator("td").all_inner_texts()]
    told = dict(zip(cells[::2], cells[1::2], strict=True))
    assert (told["model"], told["layer"]) == ("m-00", "1")
    assert float(told["κ"]) == pytest.approx(LAYERS["kappa"][1], rel=5e-3)


def test_menus_choose_a_model_and_a_quantity(visit: Visit) -> None:
    shown = visit("layers.html")
    quantity, model = shown.locator("select").all()
    chance = shown.locator("#chart .mark-line[class*=chance_] path")
    points = shown.locator("#chart .points_marks path")
    expect(points).to_have_count(7)
    expect(chance).to_have_count(0)
    model.select_option("m-00")
    expect(points).to_have_count(4)
    expect(chance).to_have_count(3)
    quantity.select_option("κ")
    expect(chance).to_have_count(0)
    expect(shown.locator("#chart [class*=band_] path")).to_have_count(0)
    expect(shown.locator("#chart .role-title-text")).to_have_text("κ")
    model.select_option("all models")
    expect(points).to_have_count(len(LAYERS))
