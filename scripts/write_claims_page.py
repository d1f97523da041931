"""The claims as a page, each verdict linked to its figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra.claims import FIGURES, claims_page
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    figures = {Path(path).stem: Path(path).read_bytes() for path in snakemake.input.figures}
    page = claims_page(
        pd.read_csv(snakemake.input.claims, dtype=str, keep_default_na=False),
        FIGURES,
        figures,
        title=snakemake.params.title,
    )
    with aside(snakemake.output.page) as partial:
        partial.write_text(page, encoding="utf-8")
