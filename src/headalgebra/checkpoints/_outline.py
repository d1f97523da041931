"""What can be said of a checkpoint before its weights are fetched."""

from collections.abc import Mapping
from dataclasses import dataclass

from headalgebra.checkpoints._adapters import refuse_adapters
from headalgebra.checkpoints._config import CONFIG, read_architecture
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import AttentionShape
from headalgebra.checkpoints._gguf import locate_gguf
from headalgebra.checkpoints._holdings import find_holdings
from headalgebra.checkpoints._lookup import bytes_to_open
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading


@dataclass(frozen=True, kw_only=True)
class Outline(AttentionShape):
    """What can be said of a checkpoint before its weights are there.

    Attributes
    ----------
    n_layers, n_heads, n_kv_heads, d_model, d_head, family, origin, revision
        As a `Checkpoint` has them.
    chosen
        The layers that it would be opened for; None is all.
    sizes
        Bytes that are fetched to open it and read its layers, by file; what is kept already counts
        too.
    """

    family: str
    origin: str
    revision: str
    chosen: tuple[int, ...] | None
    sizes: Mapping[str, int]


def outline(
    files: CheckpointFiles,
    revision: str,
    sizes: Mapping[str, int | None],
    convention: Convention,
    reading: Reading,
) -> Outline:
    """Outline the checkpoint that these files make up, fetching no weights.

    Of files of which ranges can be fetched it reads the headers.

    Parameters
    ----------
    files, revision, convention, reading
        As in `stored_checkpoint`.
    sizes
        Bytes of each file, as far as they are known.

    Raises
    ------
    CheckpointError
        As `stored_checkpoint`, as far as no weights are needed to see it; or if the size of a file
        is not known.
    """
    refuse_adapters(files, reading)
    holdings = find_holdings(files, reading)
    architecture = read_architecture(files, convention, reading)
    to_open, architecture = bytes_to_open(files, holdings, architecture, convention, reading)
    fetched: dict[str, int] = {}
    for name, part in sorted({CONFIG: None, **to_open}.items()):
        size = sizes.get(name) if part is None else part
        if size is None:
            raise CheckpointError(
                files.where(name),
                "its size is not known",
                "ask a hub that has the whole checkpoint",
            )
        fetched[name] = size
    return Outline(
        **architecture.sizes(convention),
        family=architecture.model_type,
        origin=files.origin,
        revision=revision,
        chosen=reading.layers,
        sizes=fetched,
    )


def outline_gguf(
    files: CheckpointFiles, file: str, revision: str, convention: Convention, reading: Reading
) -> Outline:
    """Outline the checkpoint that a GGUF file holds, or several.

    They are fetched for it where no ranges can be: all that can be said of them is in the headers.

    Parameters
    ----------
    files, file, revision, convention, reading
        As in `gguf_checkpoint`.

    Raises
    ------
    CheckpointError
        As `gguf_checkpoint`.
    """
    located = locate_gguf(files, file, convention, reading)
    architecture = located.described.architecture
    fetched = {}
    for name, part in located.read.items():
        ranged = files.ranged(name)
        if ranged is not None and ranged.offered():
            fetched[name] = ranged.cost(part.spans(located.held[name]))
        else:
            fetched[name] = files.path(name).stat().st_size
    return Outline(
        **architecture.sizes(convention),
        family=architecture.model_type,
        origin=files.where(file),
        revision=revision,
        chosen=reading.layers,
        sizes=fetched,
    )
