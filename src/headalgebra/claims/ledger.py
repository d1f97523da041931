"""The ledger: every claim with its verdict."""

from collections.abc import Mapping
from dataclasses import asdict

import pandas as pd

from headalgebra import columns
from headalgebra.claims._claim import Study, Thresholds
from headalgebra.claims.linf import (
    _coherence,
    _epsilon,
    _extraction,
    _gauge,
    _jacobiator,
    _obstruction,
    _training,
)

CLAIMS = (
    *_epsilon.CLAIMS,
    *_jacobiator.CLAIMS,
    *_obstruction.CLAIMS,
    *_coherence.CLAIMS,
    *_extraction.CLAIMS,
    *_training.CLAIMS,
    *_gauge.CLAIMS,
)

FIGURES = {claim.id: claim.figures for claim in CLAIMS}
"""Figures of a study that show a claim, the most telling first."""


def ledger(
    tables: Mapping[str, pd.DataFrame], models: pd.DataFrame, thresholds: Thresholds
) -> pd.DataFrame:
    """A row for each claim of the paper, its verdict computed from a study's tables.

    Claims on trained models rest on those whose source is not ``init``, whose operators are built
    as the paper builds them, and, of a training run, on the last checkpoint alone.

    Parameters
    ----------
    tables
        ``layers``, ``sampling``, ``precision``, ``tower``, ``literal``, ``conditioning`` and
        ``feasibility``, in the columns of :mod:`headalgebra.columns`.
    models
        The study's models in its order, in the columns of
        :data:`headalgebra.columns.DESCRIBED_MODELS`.
    thresholds
        What statistics are held against.

    Returns
    -------
    DataFrame
        In the columns of :data:`headalgebra.columns.CLAIMS`.
    """
    study = Study(tables, models, thresholds)
    rows = []
    for claim in CLAIMS:
        finding = claim.judge(study)
        figures = f"; figure {', '.join(claim.figures)}" if claim.figures else ""
        row = (
            claim.id,
            claim.section,
            claim.statement,
            claim.paper_value,
            claim.criterion.format(**asdict(thresholds)),
            finding.measured,
            finding.verdict,
            claim.evidence + figures,
        )
        rows.append(dict(zip(columns.CLAIMS, row, strict=True)))
    return pd.DataFrame(rows, columns=list(columns.CLAIMS))
