"""What models read: texts that are the same everywhere, and tokens of them.

`docstrings`, `source` and `file` give a `Corpus`; `tokenise` takes sequences of one length out of
it with a checkpoint's own tokenizer.
"""

from headalgebra.text.corpora import Corpus, docstrings, file, source
from headalgebra.text.errors import TextError
from headalgebra.text.tokens import Tokens, tokenise

__all__ = ["Corpus", "TextError", "Tokens", "docstrings", "file", "source", "tokenise"]
