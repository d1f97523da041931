"""One table of a model from those of its spans of layers."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake), aside(snakemake.output[0]) as partial:
    spans = [pq.read_table(span) for span in snakemake.input.spans]
    # The columns of a table without rows have no type: permissive takes the others'.
    pq.write_table(pa.concat_tables(spans, promote_options="permissive"), partial)
