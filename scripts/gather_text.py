"""The text that models read, and what it was taken from."""

import json
from typing import TYPE_CHECKING, Any

from sources import corpus_of
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    corpus = corpus_of(snakemake.params.text)
    with aside(snakemake.output.text) as partial:
        partial.write_text(corpus.text, encoding="utf-8", newline="\n")
    described = {"name": corpus.name, "origins": corpus.origins, "sha256": corpus.digest}
    with aside(snakemake.output.described) as partial:
        partial.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")
