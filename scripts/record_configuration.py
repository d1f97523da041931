"""What was computed with what, written beside the results."""

from typing import TYPE_CHECKING, Any

import yaml

from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    written = yaml.safe_dump(snakemake.params.configuration, sort_keys=True, allow_unicode=True)
    with aside(snakemake.output[0]) as partial:
        partial.write_text(written, encoding="utf-8")
