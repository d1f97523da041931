"""The ledger as a short Markdown table."""

import re

import pandas as pd

from headalgebra.claims._claim import VERDICTS

LONGEST = 240
"""Characters of what was measured, beyond which clauses are left out."""

HEAD = "| claim | the paper says | measured here | verdict |\n|---|---|---|---|\n"

BETWEEN_CLAUSES = re.compile(r"; (?![^(]*\))")
"""A semicolon outside parentheses."""

MARKUP = re.compile(r"[\\`*_|<&~]")
"""What Markdown would take for other than itself inside a table."""


def findings_table(ledger: pd.DataFrame) -> str:
    """The number of claims with each verdict, and a Markdown table with a row a claim.

    What was measured is given in the ledger's own words. Where they are long, clauses are left
    out from the end, whole, and an ellipsis stands for them; the first is always there.

    Parameters
    ----------
    ledger
        In the columns of :data:`headalgebra.columns.CLAIMS`.
    """
    counts = [(int((ledger["verdict"] == verdict).sum()), verdict) for verdict in VERDICTS]
    told = ", ".join(f"{count} {verdict}" for count, verdict in counts if count)
    rows = "".join(
        f"| `{claim['id']}` | {_plain(claim['statement'])} ({_plain(claim['paper_value'])}) "
        f"| {_plain(_shortened(claim['measured']))} | {claim['verdict']} |\n"
        for claim in ledger.to_dict("records")
    )
    return f"{len(ledger)} claims: {told}.\n\n{HEAD}{rows}"


def _shortened(measured: str) -> str:
    """As many clauses from the first on as are short together."""
    first, *others = BETWEEN_CLAUSES.split(measured)
    text = first
    for clause in others:
        if len(text) + len(clause) > LONGEST:
            return f"{text}; …"
        text = f"{text}; {clause}"
    return text


def _plain(text: str) -> str:
    """Text in which nothing is markup, on one line."""
    return MARKUP.sub(lambda sign: f"\\{sign[0]}", " ".join(text.split()))
