"""One table of a model from those of its spans of layers."""

from typing import TYPE_CHECKING, Any

import pandas as pd

from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake), aside(snakemake.output[0]) as partial:
    parts = [pd.read_parquet(span) for span in snakemake.input.spans]
    filled = [part for part in parts if len(part)] or parts[:1]
    pd.concat(filled, ignore_index=True).to_parquet(partial, index=False)
