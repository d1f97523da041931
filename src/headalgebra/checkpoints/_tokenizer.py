"""The tokenizer that lies beside a checkpoint's weights, or in its GGUF file."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._gguf import GgufCheckpoint
from headalgebra.checkpoints._stored import StoredCheckpoint
from headalgebra.panics import panics_as_errors

VOCABULARIES = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model"),
    *("sentencepiece.bpe.model",),
)
"""Files that can make a tokenizer, as transformers names them."""
BESIDE = (
    *("added_tokens.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json"),
    "config.json",
)
"""What they are read with."""
TRIED = "A text."
"""What a tokenizer is tried on, since some that can be made can read nothing."""


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """The checkpoint's own tokenizer, as transformers makes it without running code of others.

    Parameters
    ----------
    checkpoint
        Opened from a folder, a package, the hub or a GGUF file. Of the hub the tokenizer's files
        are fetched now, and the digests of all that are read join the checkpoint's.

    Returns
    -------
    PreTrainedTokenizerBase
        Of transformers.

    Raises
    ------
    CheckpointError
        If there is none, transformers cannot read it, or it cannot read a text.
    """
    make: Callable[[], Any]
    match checkpoint:
        case StoredCheckpoint():
            make = partial(_from_folder, _fetched(checkpoint.held))
        case GgufCheckpoint():
            make = partial(_from_gguf, checkpoint.parts[0].path)
        case _:
            raise CheckpointError(
                checkpoint.origin,
                "an architecture without weights has no tokenizer",
                "name the model whose tokenizer it takes, by tokenizer: <model>",
            )
    tokenizer = _refusing_failures(checkpoint, make)
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise CheckpointError(
            checkpoint.origin,
            "its tokenizer knows no tokens but special ones",
            "fetch the tokenizer's files too",
        )
    _refusing_failures(checkpoint, lambda: tokenizer(TRIED))
    return tokenizer


def _refusing_failures(checkpoint: Checkpoint, make: Callable[[], Any]) -> Any:
    try:
        with panics_as_errors():
            return make()
    except Exception as error:  # of many libraries, at files that anybody wrote
        said = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise CheckpointError(
            checkpoint.origin,
            f"its tokenizer is not read: {said}",
            "put a tokenizer.json beside the weights",
        ) from error


def _from_folder(folder: Path) -> Any:
    # Imported here, as all of transformers, because it takes a second.
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False
    )


def _from_gguf(file: Path) -> Any:
    """Of the file alone: `AutoTokenizer` looks beside it, and reads it three times."""
    from transformers import PreTrainedTokenizerFast
    from transformers.integrations.gguf.gguf_tokenizer_mapping import (
        convert_gguf_tokenizer,
        get_gguf_tokenizer,
    )

    architecture, content, more = get_gguf_tokenizer(str(file))
    made, _ = convert_gguf_tokenizer(architecture, content)
    return PreTrainedTokenizerFast(tokenizer_object=made, **more)


def _fetched(files: CheckpointFiles) -> Path:
    """The folder of the tokenizer's files, all of which are there now."""
    found = [name for name in VOCABULARIES if name in files.names]
    if not found:
        raise CheckpointError(
            files.origin,
            f"no tokenizer: none of {', '.join(VOCABULARIES)} is there",
            "fetch the tokenizer's files too",
        )
    for name in (*found, *BESIDE):
        if name in files.names:
            files.hashed(name)
    return files.path(found[0]).parent
