"""Write what a study found into README.md and the pages beside this file, and copy its figures.

python docs/findings.py results/demo

In a page `<!-- name -->0.97 to 1.26<!-- -->` marks a number, which this replaces, and
`<!-- check name -->every layer lies in phase I<!-- -->` a statement, which this leaves as it is
but refuses to publish when it is not true of the study. What each name means is in the files
quantities*.py.
"""

import argparse
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from quantities import NUMBERS as NUMBERS_OF_WEIGHTS
from quantities import STATEMENTS as STATEMENTS_OF_WEIGHTS
from quantities_of_geometry import NUMBERS_OF_GEOMETRY, STATEMENTS_OF_GEOMETRY
from quantities_of_states import NUMBERS_OF_STATES, STATEMENTS_OF_STATES
from study_tables import Tables

NUMBERS = {**NUMBERS_OF_WEIGHTS, **NUMBERS_OF_STATES, **NUMBERS_OF_GEOMETRY}
STATEMENTS = {**STATEMENTS_OF_WEIGHTS, **STATEMENTS_OF_STATES, **STATEMENTS_OF_GEOMETRY}

ROOT = Path(__file__).resolve().parent.parent

MARKED = re.compile(r"<!-- (check )?(\w+) -->((?:(?!<!--).)*)<!-- -->", re.DOTALL)
"""What a page has marked: whether it is a statement, its name, and its text."""

INDENT = re.compile(r"[ >]*(?:(?:[*+-]|[0-9]+[.)]) +)*")
"""What may stand before the text of a line."""


def names(page: str) -> set[str]:
    """The numbers and statements that a page has marked."""
    return {name for _, name, _ in MARKED.findall(page)}


def rewritten(page: str, numbers: Mapping[str, str], true: Mapping[str, bool]) -> str:
    """The page with every number as it is now.

    Raises
    ------
    ValueError
        When a mark is not closed, begins a line of text or has a name that is not known, and when
        a statement is not true.
    """
    if broken := re.search("<!--.*", MARKED.sub("", page)):
        raise ValueError(f"has a mark that is not closed or not of the form: {broken[0]}")
    for mark in MARKED.finditer(page):
        before = page[page.rfind("\n", 0, mark.start()) + 1 : mark.start()]
        alone = not before and mark[3].startswith("\n\n")
        if not alone and (INDENT.fullmatch(before) or mark[3].endswith("\n")):
            # Markdown takes such a line for HTML as a whole.
            raise ValueError(f"has the mark {mark[2]} at the beginning of a line")

    def now(mark: re.Match[str]) -> str:
        check, name, text = mark.groups()
        known = true if check else numbers
        if name not in known:
            raise ValueError(f"has the mark {check or ''}{name}, which quantities.py does not know")
        if not check:
            return f"<!-- {name} -->{numbers[name]}<!-- -->"
        if not true[name]:
            told = " ".join(text.split())
            raise ValueError(f"says “{told}” ({name}), which is not true of this study: rewrite it")
        return mark[0]

    return MARKED.sub(now, page)


def write_pages(study: Path, root: Path = ROOT) -> None:
    """Write a study's numbers and figures into the pages below a root, all of them or none.

    Raises
    ------
    ValueError
        When something of the study is not there, a page is not as it should be, or a name is
        defined that no page has.
    """
    paths = [root / "README.md", *sorted(root.glob("docs/*.md"))]
    pages = {path: path.read_text(encoding="utf-8") for path in paths}
    if unused := {*NUMBERS, *STATEMENTS} - set[str]().union(*map(names, pages.values())):
        raise ValueError(f"no page has {', '.join(sorted(unused))} of quantities.py: delete it")
    figures = {path: study / "figures" / path.name for path in root.glob("docs/*.svg")}
    for figure in figures.values():
        if not figure.is_file():
            raise ValueError(f"{figure} is not there: run the study first")
    tables = Tables(study)
    numbers = {name: number(tables) for name, number in NUMBERS.items()}
    true = {name: statement(tables) for name, statement in STATEMENTS.items()}
    for path, page in pages.items():
        try:
            pages[path] = rewritten(page, numbers, true)
        except ValueError as error:
            raise ValueError(f"{path.relative_to(root)} {error}") from None
    for path, page in pages.items():
        path.write_text(page, encoding="utf-8")
    for shown, figure in figures.items():
        shutil.copyfile(figure, shown)


def main() -> None:
    """Write the pages of this repository from a study's folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, help="the folder of a finished study")
    try:
        write_pages(parser.parse_args().study)
    except ValueError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
