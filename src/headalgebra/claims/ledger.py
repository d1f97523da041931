"""The ledger: every claim with its verdict, and the numbers behind it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from headalgebra import columns
from headalgebra.claims.claim import Claim
from headalgebra.claims.dyson import (
    channels,
    interaction,
    introduction,
    outlook,
    perturbation,
    series,
    unit,
)
from headalgebra.claims.finding import Finding
from headalgebra.claims.geometry import (
    activation,
    attention,
    axes,
    discussion,
    drift,
    manifold,
    trainable,
)
from headalgebra.claims.hopf import abstract
from headalgebra.claims.linf import (
    brackets,
    design,
    extraction,
    non_commutativity,
    obstruction,
    phases,
    tower,
    training,
)
from headalgebra.claims.study import Study, Thresholds

PAPERS = {
    "linf": (
        *non_commutativity.CLAIMS,
        *obstruction.CLAIMS,
        *brackets.CLAIMS,
        *extraction.CLAIMS,
        *phases.CLAIMS,
        *training.CLAIMS,
        *design.CLAIMS,
        *tower.CLAIMS,
    ),
    "dyson": (
        *introduction.CLAIMS,
        *unit.CLAIMS,
        *interaction.CLAIMS,
        *channels.CLAIMS,
        *perturbation.CLAIMS,
        *series.CLAIMS,
        *outlook.CLAIMS,
    ),
    "geometry": (
        *manifold.CLAIMS,
        *attention.CLAIMS,
        *drift.CLAIMS,
        *activation.CLAIMS,
        *axes.CLAIMS,
        *discussion.CLAIMS,
        *trainable.CLAIMS,
    ),
    "hopf": abstract.CLAIMS,
}
"""The claims of each paper, by section."""

TITLES = {
    "linf": "On the L∞-algebra structure of transformer attention mechanisms",
    "dyson": "From Embeddings to Dyson Series: Transformer Mechanics as Non-Hermitian Operator "
    "Theory",
    "geometry": "A Geometric and Information-Theoretic Interpretation of LayerNorm, FFN, and MHA "
    "in Transformers",
    "hopf": "Coinductive guide to inductive transformer heads",
}
"""What each paper is called."""

CLAIMS = {claim.id: claim for claims in PAPERS.values() for claim in claims}
"""Every claim by its id."""


def ledger(
    tables: Mapping[str, pd.DataFrame],
    models: pd.DataFrame,
    thresholds: Thresholds,
    *,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Judge every claim by a study's tables.

    Claims on trained models rest on those that are known to be trained, whose operators are built
    as the paper builds them, and, of a training run, on the last checkpoint alone. A claim that
    would rest on a number that is not finite, and ought to be, is not measured.

    Parameters
    ----------
    tables
        ``layers``, ``sampling``, ``precision``, ``tower``, ``literal``, ``conditioning`` and
        ``feasibility``, and of what models do on a text ``runs``, ``guards``, ``states``,
        ``dyson``, ``resummation``, ``normality``, ``convolution``, ``geometry``, ``axes`` and
        ``drift``, and of decoders trained here ``experiments``, in the columns of
        :mod:`headalgebra.columns`. Claims on a table that is not there are not measured.
    models
        The study's models in its order, in the columns of
        :data:`headalgebra.columns.DESCRIBED_MODELS`.
    thresholds
        What statistics are held against.
    seed
        Of the orders that a rank correlation is held against, and of what is drawn again.

    Returns
    -------
    claims
        A row for each claim, in the columns of :data:`headalgebra.columns.CLAIMS`.
    evidence
        A row for each number of a model behind a claim, in the columns of
        :data:`headalgebra.columns.EVIDENCE`.
    """
    study = Study(tables, models, thresholds, seed)
    rows: list[dict[str, Any]] = []
    evidence: list[dict[str, Any]] = []
    for paper, claims in PAPERS.items():
        for claim in claims:
            finding = claim.judge(study)
            rows.append(claim_row(paper, claim, finding, study))
            evidence += [{"id": claim.id, **asdict(measured)} for measured in finding.evidence]
    return as_table(rows, columns.CLAIMS), as_table(evidence, columns.EVIDENCE)


def claim_row(paper: str, claim: Claim, finding: Finding, study: Study) -> dict[str, Any]:
    """The row of a claim, in the columns of :data:`headalgebra.columns.CLAIMS`."""
    number = dict.fromkeys(("statistic", "value", "low", "high", "n", "on"))
    number |= asdict(finding.deciding) if finding.deciding else {"statistic": "", "on": ""}
    line_to_add = study.line_to_add if claim.of_trained_models else ""
    return {
        "paper": paper,
        "id": claim.id,
        "section": claim.section,
        "statement": claim.statement,
        "paper_value": claim.paper_value,
        "criterion": claim.criterion.format(**asdict(study.thresholds)),
        "models": number.pop("on"),
        **number,
        "verdict": finding.verdict,
        "note": "; ".join(filter(None, (finding.note, line_to_add))),
        "rests_on": claim.rests_on,
    }


def as_table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> pd.DataFrame:
    """Rows of the claims or of the evidence as a table, with numbers where numbers belong."""
    numbers = dict.fromkeys(("value", "low", "high"), "float64")
    return pd.DataFrame(rows, columns=list(names)).astype({**numbers, "n": "Int64"})
