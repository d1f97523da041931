"""Where the results of a study are, and how many claims fell which way."""

import csv
from collections import Counter
from pathlib import Path


def where_results_are(page: Path, claims: Path) -> list[str]:
    """Lines that say where the page of a study is, and its verdicts, for as much as is there.

    Parameters
    ----------
    page
        What a person opens first.
    claims
        The table of claims, in CSV.
    """
    said = [f"Results: {page}"] if page.is_file() else []
    verdicts = count_verdicts(claims)
    if verdicts:
        said.append(
            "Claims: "
            + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        )
    return said


def count_verdicts(claims: Path) -> Counter[str]:
    """How many claims have each verdict; none where the table is not there or cannot be read."""
    try:
        with claims.open(encoding="utf-8", newline="") as file:
            found = [row.get("verdict") or "" for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error):
        return Counter()
    return Counter(verdict for verdict in found if verdict and verdict.isprintable())
