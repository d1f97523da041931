"""All files that a model of the hub needs to read a text, fetched where there is a network."""

import json
from typing import TYPE_CHECKING, Any

from headalgebra.checkpoints import CheckpointError, fetch_model, load_tokenizer
from sources import open_source
from stage import aside, job, tell

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    note = ""
    try:
        checkpoint = open_source(snakemake.params.source, seed=0)
        fetch_model(checkpoint)
        load_tokenizer(checkpoint)
    except CheckpointError as refused:
        # The model keeps what its weights alone tell; why it is not run is told where it would be.
        note = str(refused)
        tell(note)
    with aside(snakemake.output.fetched) as partial:
        partial.write_text(json.dumps({"note": note}) + "\n", encoding="utf-8")
