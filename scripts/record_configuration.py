"""Write the resolved configuration beside a model's results."""

from typing import TYPE_CHECKING, Any

import yaml

from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake), aside(snakemake.output[0]) as partial:
    resolved = {"analysis": snakemake.params.analysis, "model": snakemake.params.model}
    partial.write_text(yaml.safe_dump(resolved, sort_keys=True))
