"""The paper's claims, judged on the study's tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.claims import Thresholds, ledger
from stage import job, write_csv

if TYPE_CHECKING:
    snakemake: Any

TABLES = ("layers", "sampling", "precision", "literal", "tower", "conditioning", "feasibility")

with job(snakemake):
    earlier = {model for series in snakemake.params.series.values() for model in series[:-1]}
    models = []
    for index, model in enumerate(snakemake.params.models):
        provenance = json.loads(Path(snakemake.input.provenance[index]).read_text())
        source = provenance["source"]
        row = (
            model,
            source["source"],
            source.get("id", ""),
            provenance["family"],
            model not in earlier,
        )
        models.append(dict(zip(columns.DESCRIBED_MODELS, row, strict=True)))
    tables = {table: pd.read_csv(snakemake.input[table]) for table in TABLES}
    found = ledger(
        tables,
        pd.DataFrame(models, columns=list(columns.DESCRIBED_MODELS)),
        Thresholds(**snakemake.params.thresholds),
    )
    for row in found.itertuples():
        print(f"{row.id}: {row.verdict}")
    write_csv(snakemake.output.claims, found, columns.CLAIMS)
