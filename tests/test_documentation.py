"""What the pages say is there, is there."""

import re
from pathlib import Path

from headalgebra.checkpoints._families import FAMILIES, TEXT_PARTS

ROOT = Path(__file__).resolve().parent.parent


def test_the_readme_lists_the_families_that_are_read() -> None:
    section = (ROOT / "README.md").read_text().split("### Families")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = re.findall(r"`([^`]+)`", "".join(rows[1:]))
    assert sorted(listed) == sorted([*FAMILIES, *TEXT_PARTS])


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), (page, target)
