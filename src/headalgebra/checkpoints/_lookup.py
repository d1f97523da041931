"""Which files of a checkpoint hold the tensors that factors are made of."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

import torch

from headalgebra.checkpoints._changes import BEFORE_QUANTISING, refuse_changes
from headalgebra.checkpoints._config import Architecture, read_json
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._holdings import Holdings
from headalgebra.checkpoints._names import (
    WantedTensors,
    find_prefix,
    find_quantised,
    former_name,
    present_name,
    refuse_mixed_types,
    wanted_tensors,
)
from headalgebra.checkpoints._pickled import PickledFile
from headalgebra.checkpoints._reads import FETCH_AGAIN
from headalgebra.checkpoints._safetensors import (
    STORED_DTYPES,
    StoredTensor,
    TensorFile,
    WeightsFile,
)
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading


@dataclass(frozen=True)
class Listing:
    """Where each tensor of a checkpoint is.

    Attributes
    ----------
    holders
        The file that holds it, by its name.
    aliases
        The name under which it is stored, for names that share another's.
    whole
        Whether these are all of the checkpoint's tensors; otherwise files are missing.
    """

    holders: Mapping[str, str]
    aliases: Mapping[str, str]
    whole: bool = True

    def names(self) -> Iterator[str]:
        """Of all tensors, under every name that they have, the present for a former one."""
        yield from (present_name(name, self.holders) for name in self.holders)
        yield from (alias for alias, kept in self.aliases.items() if kept in self.holders)

    def stored_as(self, name: str) -> str:
        """The name under which a tensor is stored."""
        if name in self.holders:
            return name
        former = former_name(name)
        return former if former in self.holders else self.aliases.get(name, name)


@dataclass(frozen=True)
class Located:
    """What the factors of the wanted layers are made of.

    Attributes
    ----------
    architecture
        What of the configured one is there.
    tensors
        By their names without the prefix of the model around them.
    dtype
        The type of the projections.
    """

    architecture: Architecture
    tensors: Mapping[str, StoredTensor]
    dtype: torch.dtype


def locate(
    files: CheckpointFiles,
    holdings: Holdings,
    architecture: Architecture,
    convention: Convention,
    reading: Reading,
) -> Located:
    """Find what the factors of the wanted layers are made of, and check it by the files' headers.

    Raises
    ------
    CheckpointError
        If a wanted tensor is missing, ambiguous, of another shape than the configuration says, or
        not of a floating-point type, if others change it, or if projections differ in type.
    """

    @cache
    def opened(name: str) -> TensorFile:
        if name.endswith(".bin"):
            return PickledFile(files.hashed(name), files.where(name))
        return WeightsFile(files.parts(name))

    listing = _indexed(files, holdings.index) if holdings.index else _listed(holdings, opened)
    wanted, prefix, architecture = _find(
        listing, files, holdings, architecture, convention, reading
    )
    tensors = {
        name: _stored(listing, prefix + name, shape, files, holdings, opened)
        for name, shape in wanted.shapes.items()
    }
    for file in {tensor.file for tensor in tensors.values()}:
        if isinstance(file, WeightsFile):
            file.settle([tensor.name for tensor in tensors.values() if tensor.file is file])
    projections = [tensors[name] for name in wanted.projections]
    refuse_mixed_types(
        {tensor.name: tensor.dtype for tensor in projections},
        {tensor.name: tensor.file.where for tensor in projections},
    )
    return Located(architecture, tensors, projections[0].dtype)


def bytes_to_open(
    files: CheckpointFiles,
    holdings: Holdings,
    architecture: Architecture,
    convention: Convention,
    reading: Reading,
) -> tuple[dict[str, int | None], Architecture]:
    """Name the files that `locate` opens, without fetching whole any that holds weights.

    Returns
    -------
    bytes
        By name, what is fetched of those of which ranges are; None of others.
    architecture
        What of the configured one is there, as far as it is known.

    Raises
    ------
    CheckpointError
        If by their index or headers a wanted tensor is missing or ambiguous.
    """
    listed = [files.ranged(name) for name in holdings.files]
    if holdings.index is None and not all(file and file.offered() for file in listed):
        wanted_tensors(architecture.attention, convention, reading.layers, files.origin)
        return dict.fromkeys(holdings.files), architecture

    @cache
    def opened(name: str) -> WeightsFile:
        return WeightsFile(files.parts(name))

    listing = _indexed(files, holdings.index) if holdings.index else _listed(holdings, opened)
    wanted, prefix, architecture = _find(
        listing, files, holdings, architecture, convention, reading
    )
    held: dict[str, list[str]] = {name: [] for name in holdings.files}
    for name in (prefix + name for name in wanted.shapes):
        holder = _holder(listing, name, files, holdings)
        held.setdefault(holder, []).append(listing.stored_as(name))
    fetched: dict[str, int | None] = {holdings.index: None} if holdings.index else {}
    for name, tensors in held.items():
        ranged = files.ranged(name)
        if ranged is None or not ranged.offered():
            fetched[name] = None
            continue
        for tensor in tensors:
            _refuse_absent(opened(name), tensor, holdings)
        fetched[name] = ranged.cost(opened(name).spans(tensors))
    return fetched, architecture


def weights_files(files: CheckpointFiles, holdings: Holdings) -> set[str]:
    """The files that hold a checkpoint's weights, and their index if there is one."""
    if holdings.index is None:
        return {*holdings.files}
    return {holdings.index, *_indexed(files, holdings.index).holders.values()}


def _listed(holdings: Holdings, opened: Callable[[str], TensorFile]) -> Listing:
    """What the headers of the files say."""
    holders: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for name in holdings.files:
        file = opened(name)
        if twice := min(holders.keys() & file.entries.keys(), default=None):
            raise CheckpointError(
                file.where, f"tensor {twice} is in {holders[twice]} too", FETCH_AGAIN
            )
        holders |= dict.fromkeys(file.entries, name)
        aliases |= file.aliases
    return Listing(holders, aliases, not holdings.absent)


def _indexed(files: CheckpointFiles, index: str) -> Listing:
    """What the index of several files says."""
    where = files.where(index)
    content = read_json(files.hashed(index), where)
    weight_map, metadata = content.get("weight_map"), content.get("metadata")
    if not isinstance(weight_map, dict) or not all(
        isinstance(name, str) for name in weight_map.values()
    ):
        raise CheckpointError(where, "weight_map does not map names to files", FETCH_AGAIN)
    for tensor, name in weight_map.items():
        if name in ("", "..") or PurePosixPath(name).name != name or "\\" in name:
            raise CheckpointError(
                where,
                f"tensor {tensor} is mapped to {name!r}, which is no name of a file beside it",
                FETCH_AGAIN,
            )
    said = metadata.items() if isinstance(metadata, dict) else ()
    return Listing(weight_map, {alias: kept for alias, kept in said if isinstance(kept, str)})


def _find(
    listing: Listing,
    files: CheckpointFiles,
    holdings: Holdings,
    architecture: Architecture,
    convention: Convention,
    reading: Reading,
) -> tuple[WantedTensors, str, Architecture]:
    """What is wanted of these tensors, the prefix that it has, and what they are the weights of."""
    where = {
        name: files.where(listing.holders[listing.stored_as(name)]) for name in listing.names()
    }
    if quantised := find_quantised(where):
        raise CheckpointError(
            where[quantised],
            f"tensor {quantised}: the weights are quantised",
            BEFORE_QUANTISING,
        )
    if listing.whole:
        architecture = architecture.among(where)
    attention = architecture.attention
    wanted = wanted_tensors(attention, convention, reading.layers, files.origin)
    refuse_changes(wanted, attention, where)
    try:
        prefix = find_prefix(wanted, where, attention.other_parts, files.origin)
    except CheckpointError as error:
        raise _with_absent(error, holdings) from None
    return wanted, prefix, architecture


def _with_absent(error: CheckpointError, holdings: Holdings) -> CheckpointError:
    """The same where shards are missing, which it may be for."""
    if not holdings.absent:
        return error
    where, problem, _ = error.args
    return CheckpointError(
        where, f"{problem}, and so is {', '.join(holdings.absent)}", "fetch the whole checkpoint"
    )


def _holder(listing: Listing, tensor: str, files: CheckpointFiles, holdings: Holdings) -> str:
    """The file that holds a tensor, if there is one."""
    stored = listing.stored_as(tensor)
    if stored not in listing.holders:
        raise _with_absent(
            CheckpointError(
                files.origin,
                f"tensor {tensor} is missing",
                "correct the number of layers in config.json, or fetch the whole checkpoint",
            ),
            holdings,
        )
    file_name = listing.holders[stored]
    if file_name not in files.names:
        raise CheckpointError(
            files.where(file_name),
            f"no such file, but tensor {tensor} should be in it",
            "fetch the whole checkpoint",
        )
    return file_name


def _stored(
    listing: Listing,
    name: str,
    expected: tuple[int, ...],
    files: CheckpointFiles,
    holdings: Holdings,
    opened: Callable[[str], TensorFile],
) -> StoredTensor:
    """A tensor where it is stored, if its header is that of the one wanted."""
    file_name, tensor = _holder(listing, name, files, holdings), listing.stored_as(name)
    file = opened(file_name)
    _refuse_absent(file, tensor, holdings)
    entry = file.entries[tensor]
    if entry.shape != expected:
        raise CheckpointError(
            file.where,
            f"tensor {tensor} has shape {list(entry.shape)}, expected {list(expected)}",
            "correct config.json, or fetch the weights that belong to it",
        )
    if entry.dtype not in STORED_DTYPES:
        raise CheckpointError(
            file.where,
            f"tensor {tensor} is stored as {entry.dtype}, not as one of {', '.join(STORED_DTYPES)}",
            BEFORE_QUANTISING,
        )
    return StoredTensor(file_name, file, tensor, STORED_DTYPES[entry.dtype])


def _refuse_absent(file: TensorFile, tensor: str, holdings: Holdings) -> None:
    """Raise if a file has no tensor that should be in it by the index."""
    if tensor not in file.entries:
        raise CheckpointError(
            file.where,
            f"tensor {tensor} is not in it",
            f"fetch it again, or correct {holdings.index}",
        )
