"""What decoders are trained on: a tokenizer made of the texts, and sequences of its tokens."""

import json
from typing import TYPE_CHECKING, Any

from decoders import split_of
from headalgebra.training import make_tokenizer, save_tokens, tokenise_split
from stage import aside, job

if TYPE_CHECKING:
    snakemake: Any

with job(snakemake):
    corpus = snakemake.params.corpus
    split = split_of(corpus)
    tokens = tokenise_split(
        split,
        make_tokenizer(split, vocabulary=corpus["vocabulary"]),
        train=corpus["sequences"],
        validation=corpus["validation_sequences"],
        test=corpus["test_sequences"],
        tokens=corpus["tokens"],
    )
    described = corpus | {"origins": split.origins, "texts": tokens.text, "sha256": tokens.digest}
    with aside(snakemake.output.tokens) as folder:
        folder.mkdir()
        save_tokens(tokens, folder)
        written = json.dumps(described, indent=2, sort_keys=True) + "\n"
        (folder / "corpus.json").write_text(written, encoding="utf-8")
