"""What each model of a study is and what it would fetch, before any weights are there."""

import json
from typing import TYPE_CHECKING, Any

from headalgebra.checkpoints import Checkpoint, Outline, outline_hub
from sources import convention_of, open_source, reading_of, sizes_of
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    outlines = {}
    for source in snakemake.params.sources:
        found: Checkpoint | Outline
        if source["source"] == "hub":
            found = outline_hub(
                source["id"],
                source["revision"],
                file=source["file"],
                convention=convention_of(source),
                reading=reading_of(source),
            )
        else:
            found = open_source(source, snakemake.params.seed)
        outlines[source["name"]] = {
            **sizes_of(found),
            "revision": found.revision,
            "source": {key: value for key, value in source.items() if value},
            "fetched": dict(found.sizes) if isinstance(found, Outline) else {},
        }
    with aside(snakemake.output.outlines) as partial:
        partial.write_text(json.dumps(outlines, indent=2) + "\n")
