"""The ledger as a short Markdown table."""

import re

import pandas as pd

from headalgebra.claims.finding import VERDICTS
from headalgebra.claims.ledger import CLAIMS, TITLES
from headalgebra.claims.wording import measured

HEAD = "| id | claim | judged by | verdict |\n|---|---|---|---|\n"

NO_NUMBER = "—"

MARKUP = re.compile(r"[\\`*_|<&~]")
"""What Markdown would take for other than itself inside a table."""


def findings_table(ledger: pd.DataFrame) -> str:
    """The number of claims with each verdict, and a Markdown table a paper with a row a claim.

    A row has the claim's title, the one number that it was judged by, and the verdict.

    Parameters
    ----------
    ledger
        In the columns of :data:`headalgebra.columns.CLAIMS`.
    """
    counts = [(int((ledger["verdict"] == verdict).sum()), verdict) for verdict in VERDICTS]
    told = ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
    tables = [
        f"*{TITLES[str(paper)]}*\n\n{HEAD}{_rows(of_paper)}"
        for paper, of_paper in ledger.groupby("paper", sort=False)
    ]
    return "\n\n".join([f"{len(ledger)} claims: {told}.", "\n".join(tables)])


def _rows(ledger: pd.DataFrame) -> str:
    return "".join(
        f"| `{claim['id']}` | {_plain(CLAIMS[str(claim['id'])].title)} "
        f"| {_plain(measured(claim)) or NO_NUMBER} | {claim['verdict']} |\n"
        for claim in ledger.to_dict("records")
    )


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return MARKUP.sub(lambda sign: f"\\{sign[0]}", " ".join(text.split()))
