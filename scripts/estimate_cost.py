"""What a study would fetch, keep and compute."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from headalgebra import columns
from stage import job, tell, write_csv

if TYPE_CHECKING:
    snakemake: Any


def summary(rows: pd.DataFrame) -> str:
    """Totals of each model and of the study."""
    totals = rows.groupby("model", sort=False)[["jobs", "fetched_bytes", "kept_numbers", "cpu_s"]]
    table = totals.sum()
    table.loc["total"] = table.sum()
    shown = pd.DataFrame(
        {
            "jobs": table["jobs"].astype(int),
            "to fetch, GB": table["fetched_bytes"] / 1e9,
            "Q and K, 10⁹ numbers": table["kept_numbers"] / 1e9,
            "hours of a slow core": table["cpu_s"] / 3600,
        }
    )
    return shown.to_string(float_format="{:.3g}".format)


with job(snakemake):
    outlines = json.loads(Path(snakemake.input.outlines).read_text(encoding="utf-8"))
    reading = [
        {
            "rule": "extract_weights",
            "model": model,
            "jobs": 1,
            "fetched_bytes": sum(outline["fetched"].values()),
            "kept_numbers": snakemake.params.kept[model],
        }
        for model, outline in outlines.items()
    ]
    rows = pd.DataFrame(
        [*reading, *snakemake.params.stages, *snakemake.params.trainings],
        columns=list(columns.ESTIMATE),
    )
    counts = ["fetched_bytes", "kept_numbers"]
    rows[counts] = rows[counts].astype("Int64")
    write_csv(snakemake.output.estimate, rows, columns.ESTIMATE)
    tell(summary(rows))
