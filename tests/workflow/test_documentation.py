"""What the pages say is there, is there."""

import re
from pathlib import Path

import pytest
from docutils.core import publish_string
from docutils.utils import SystemMessage

import family_table
import stage_table
from demand import STAGES
from headalgebra.checkpoints._families import FAMILIES, TEXT_PARTS

ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = ("Basis", "Chance", "Claims", "Higher brackets", "Non-commutativity", "Phases")


def test_a_page_lists_the_families_that_are_read() -> None:
    section = (ROOT / "docs/families.md").read_text().split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = re.findall(r"`([^`]+)`", "".join(rows[1:]))
    assert sorted(listed) == sorted([*FAMILIES, *TEXT_PARTS])


def test_the_table_of_families_is_as_the_code_writes_it() -> None:
    """A row that is not, or a missing one, is written anew."""
    page = family_table.PAGE.read_text()
    assert family_table.written(page) == page
    first, *_, last = family_table.table().splitlines(keepends=True)[2:]
    for stale in (page.replace(first, ""), page.replace(last, last.replace("|", "| old", 1))):
        assert stale != page == family_table.written(stale)


def test_the_table_of_stages_is_what_was_measured() -> None:
    """Another number, a row that is missing and a command that is old are written anew."""
    page, runs = stage_table.PAGE.read_text(), stage_table.kept()
    assert stage_table.written(page, runs) == page
    for run in runs:
        assert list(run["stages"]) == [*STAGES, "record", "depth_orders"]
    first, *_, last = stage_table.table(runs).splitlines(keepends=True)[2:]
    command = stage_table.commands(runs)
    for stale in (page.replace(first, ""), page.replace(last, ""), page.replace(command, "")):
        assert stale != page == stage_table.written(stale, runs)


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text()))
    pages = {str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md")}
    assert linked >= {*pages, "config/README.md", "results/README.md", "CITATION.cff"}


def test_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)


def parse(caption: str) -> None:
    """As the report will, every warning an error."""
    text = re.sub(r"\{\{.*?\}\}", "name", re.sub(r"\{%.*?%\}", "", caption))
    # What the report defines: a target for every category and every result.
    for target in ("name", *CATEGORIES):
        text += f"\n\n.. _{target}: elsewhere"
    strict = {"halt_level": 2, "report_level": 5}
    publish_string(text, writer="html", settings_overrides=strict)


@pytest.mark.parametrize("path", sorted((ROOT / "workflow/report").glob("*.rst")))
def test_captions_are_well_formed(path: Path) -> None:
    parse(path.read_text())


def test_a_caption_that_the_report_would_misread_is_noticed() -> None:
    with pytest.raises(SystemMessage):
        parse("The size |t + t²| of a thing.")


@pytest.mark.parametrize("path", [ROOT / "Snakefile", *(ROOT / "workflow/rules").glob("*.smk")])
def test_every_rule_says_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    rules = re.findall(r"^ *rule\b[^\n]*:\n(?:.+\n|\n(?! *rule\b))*", text, re.MULTILINE)
    assert len(rules) == len(re.findall(r"^ *rule\b[^\n]*:$", text, re.MULTILINE))
    for rule in rules:
        assert len(re.findall(r"^ *message:$", rule, re.MULTILINE)) == 1, rule
