"""The claims as a page, each verdict linked to its figure."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from headalgebra.pages.index import claims_page
from headalgebra.tables import read_csv
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    drawn = sorted(Path(snakemake.input.figures).glob("*.png"))
    figures = {path.stem: path.read_bytes() for path in drawn}
    page = claims_page(
        read_csv(snakemake.input.claims),
        read_csv(snakemake.input.evidence),
        figures,
        title=snakemake.params.title,
    )
    with aside(snakemake.output.page) as partial:
        partial.write_text(page, encoding="utf-8")
