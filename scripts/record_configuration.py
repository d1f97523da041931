"""What was computed with what, written beside the results."""

from typing import TYPE_CHECKING, Any

import yaml

from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    for path, configuration in snakemake.params.configurations.items():
        with aside(path) as partial:
            written = yaml.safe_dump(configuration, sort_keys=True, allow_unicode=True)
            partial.write_text(written, encoding="utf-8")
