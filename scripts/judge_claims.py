"""The papers' claims, judged on the study's tables."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from headalgebra.claims.ledger import ledger
from headalgebra.claims.study import Thresholds
from headalgebra.csv_files import read_csv
from stage import job, write_csv

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    params = snakemake.params
    firsts = {series[0] for series in params.series.values()}
    earlier = {model for series in params.series.values() for model in series[:-1]}
    models = []
    for index, (model, trained) in enumerate(params.trained.items()):
        provenance = json.loads(Path(snakemake.input.provenance[index]).read_text(encoding="utf-8"))
        source = provenance["source"]
        models.append(
            {
                "model": model,
                "source": source["source"],
                "id": source.get("id", ""),
                "revision": source.get("revision", ""),
                "commit": provenance["revision"],
                "organisation": params.organisations[model],
                "family": provenance["family"],
                "trained": trained,
                "first_of_series": model in firsts,
                "last_of_series": model not in earlier,
            }
        )
    claims, evidence = ledger(
        {
            table: read_csv(path)
            for table, path in snakemake.input.items()
            if table not in ("code", "provenance")
        },
        pd.DataFrame(models, columns=list(columns.DESCRIBED_MODELS)),
        Thresholds(**params.thresholds),
        seed=params.seed,
    )
    for claim in claims.itertuples():
        print(f"{claim.id}: {claim.verdict}")
    write_csv(snakemake.output.claims, claims, columns.CLAIMS)
    write_csv(snakemake.output.evidence, evidence, columns.EVIDENCE)
