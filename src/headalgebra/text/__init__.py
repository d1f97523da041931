"""What models read: texts that are the same everywhere, and tokens of them.

`docstrings`, `source` and `file` give a `Corpus`; `tokenise` takes sequences of one length out of
it with a checkpoint's own tokenizer. What models are trained on is a `Split`, which
`split_docstrings`, `split_source` and `split_folder` give.
"""

from headalgebra.text.corpora import Corpus, docstrings, file, source
from headalgebra.text.errors import TextError
from headalgebra.text.split import Split, split_docstrings, split_folder, split_source
from headalgebra.text.tokens import Tokens, tokenise

__all__ = [
    "Corpus",
    "Split",
    "TextError",
    "Tokens",
    "docstrings",
    "file",
    "source",
    "split_docstrings",
    "split_folder",
    "split_source",
    "tokenise",
]
