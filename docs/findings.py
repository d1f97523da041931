"""Write what a study found into README.md, and its figures beside the pages that show them.

python docs/findings.py results/demo
"""

import argparse
import re
import shutil
from pathlib import Path

import pandas as pd

from headalgebra import columns
from headalgebra.claims.readme import findings_table

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"

BEGIN, END = "<!-- findings -->", "<!-- end of findings -->"

NUMBERS = ("value", "low", "high", "n")
"""Columns of the claims that hold numbers; the others hold text, whatever it looks like."""


def with_findings(page: str, table: str) -> str:
    """The page with the table between its two markers, and all else as it was.

    Raises
    ------
    ValueError
        When the markers do not stand there once each, on lines of their own, in this order.
    """
    parts = re.split(f"^({BEGIN}|{END})$", page, flags=re.MULTILINE)
    if parts[1::2] != [BEGIN, END]:
        raise ValueError(f"needs one line {BEGIN} and after it one line {END}")
    before, _, _, _, after = parts
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def read_claims(path: Path) -> pd.DataFrame:
    """The claims of a study; an empty text is empty, an empty number missing."""
    text = {name: str for name in columns.CLAIMS if name not in NUMBERS}
    empty = {name: [""] for name in NUMBERS}
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=empty)


def main() -> None:
    """Read the study's folder, and write nothing unless all of it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, help="the folder of a finished study")
    study = parser.parse_args().study
    claims = study / "tables/claims.csv"
    figures = [study / "figures" / shown.name for shown in sorted(DOCS.glob("*.svg"))]
    for needed in (claims, *figures):
        if not needed.is_file():
            raise SystemExit(f"{needed} is not there: run the study first")
    table = findings_table(read_claims(claims))
    try:
        page = with_findings(README.read_text(encoding="utf-8"), table)
    except ValueError as error:
        raise SystemExit(f"{README.name} {error}") from None
    README.write_text(page, encoding="utf-8")
    for figure in figures:
        shutil.copyfile(figure, DOCS / figure.name)


if __name__ == "__main__":
    main()
