"""The text that models read, and what it was taken from."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headalgebra.text import Corpus, docstrings, file, source
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any


def corpus_of(text: Mapping[str, Any]) -> Corpus:
    """The text that a file of texts names."""
    match text["corpus"]:
        case "file":
            return file(text["path"])
        case "source":
            return source(text["packages"])
    return docstrings(text["packages"])


with job(snakemake):
    corpus = corpus_of(snakemake.params.text)
    print(f"{corpus.name}: {len(corpus.text)} characters of {len(corpus.origins)} origins")
    with aside(snakemake.output.text) as partial:
        partial.write_text(corpus.text, encoding="utf-8", newline="\n")
    described = {"name": corpus.name, "origins": corpus.origins, "sha256": corpus.digest}
    with aside(snakemake.output.described) as partial:
        partial.write_text(json.dumps(described, indent=2, sort_keys=True) + "\n")
