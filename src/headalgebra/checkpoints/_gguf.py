"""A checkpoint in GGUF files, read some rows at a time."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial, reduce

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._assembly import Weights, refuse_meaningless, sides
from headalgebra.checkpoints._changes import refuse_changes
from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._digest import CheckpointFiles, Provenance
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import AttentionLayer, Norm, Projection
from headalgebra.checkpoints._gguf_file import GgufFile, GgufRows
from headalgebra.checkpoints._gguf_layout import ROPE_FACTORS, Described, describe
from headalgebra.checkpoints._names import wanted_tensors
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading

PART = re.compile(r"(?P<name>.+)-\d{5}-of-(?P<count>\d{5})\.gguf")
NUMBERS_AT_ONCE = 1 << 18
"""Of rows that are longer than this, one is read at a time."""
PERMUTED = (".attn_q.weight", ".attn_k.weight")
FETCH_ALL = "fetch the whole checkpoint"


@dataclass(frozen=True)
class GgufWeights(Weights):
    """Weights of one layer in files on disk.

    Attributes
    ----------
    tensors
        By name.
    dtype
        The type that holds every projection's numbers.
    permuted
        Whether rows of queries and keys are in the order in which neighbours rotate together.
    """

    tensors: Mapping[str, GgufRows]
    dtype: torch.dtype
    permuted: bool

    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """Copied out of the matrix, its rows put back in their own order."""
        slices = projection.heads
        stored = self.tensors[slices.tensor]
        d, r = slices.shape[1 - slices.head_axis], slices.width
        heads = torch.empty(len(slices.starts), d, r, dtype=self.dtype)
        if slices.head_axis == 1:
            for first, block in _blocks(stored, 0, slices.shape[0]):
                for head, start in zip(heads, slices.starts, strict=True):
                    head[first : first + len(block)] = block[:, start : start + r]
            return heads
        for head, start in zip(heads, slices.starts, strict=True):
            for first, block in _blocks(stored, start, start + r):
                head[:, first - start : first - start + len(block)] = block.T
            if self.permuted and slices.tensor.endswith(PERMUTED):
                # Coordinates j and j + r/2, which rotate together, are stored side by side.
                head.copy_(head.unflatten(1, (r // 2, 2)).mT.flatten(1))
        return heads

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """Read whole."""
        return self.tensors[norm.tensor].rows(0, norm.heads or 1).flatten()


def _blocks(stored: GgufRows, first: int, last: int) -> Iterator[tuple[int, Tensor]]:
    """Rows of a tensor, as many at a time as have a bounded count of numbers."""
    step = max(1, NUMBERS_AT_ONCE // stored.tensor.shape[-1])
    for begin in range(first, last, step):
        yield begin, stored.rows(begin, min(begin + step, last))


@dataclass(frozen=True, kw_only=True)
class GgufCheckpoint(Checkpoint):
    """A checkpoint in GGUF files."""

    tensors: Mapping[str, GgufRows] = field(repr=False)
    permuted: bool
    parts: tuple[GgufFile, ...] = field(repr=False)
    peculiarity: str

    def quantisation(self, layer: int) -> str:
        """The type in which the file has the queries of a layer."""
        reading, _ = sides(self._layer(layer), self.convention)
        return self.tensors[reading.heads.tensor].kind.name

    def _weights(self, layer: int) -> Weights:
        return GgufWeights(self.tensors, self.dtype, self.permuted)


@dataclass(frozen=True)
class LocatedGguf:
    """What the factors of the wanted layers are made of.

    Attributes
    ----------
    described
        What the model is.
    parts
        The files that belong together.
    read
        Those of them that are read, by name.
    tensors
        By name.
    held
        The names of those in each file.
    dtype
        The type that holds every projection's numbers.
    """

    described: Described
    parts: tuple[GgufFile, ...]
    read: Mapping[str, GgufFile]
    tensors: Mapping[str, GgufRows]
    held: Mapping[str, list[str]]
    dtype: torch.dtype


def locate_gguf(
    files: CheckpointFiles, name: str, convention: Convention, reading: Reading
) -> LocatedGguf:
    """Find what the factors of the wanted layers are made of, and check it by the files' headers.

    Parameters
    ----------
    files, name, convention, reading
        As in `gguf_checkpoint`.

    Raises
    ------
    CheckpointError
        As `gguf_checkpoint`.
    """
    parts, count = _parts(files, name)
    opened = {number: GgufFile(files.parts(part)) for number, part in parts.items()}
    part_of = _part_of_each(opened, count)
    where = {tensor: opened[number].where for tensor, number in part_of.items()}
    described = describe(opened[1].header.values, part_of.keys(), opened[1].where)
    architecture = described.architecture
    attention = architecture.attention
    refuse_meaningless(attention, convention, architecture.model_type, files.where(name))
    wanted = wanted_tensors(attention, convention, reading.layers, files.where(name))
    tensors = {}
    for tensor, shape in wanted.shapes.items():
        if tensor not in part_of:
            absent = sorted(set(range(1, count + 1)) - parts.keys())
            also = f", and so is file {absent[0]} of {count}" if absent else ""
            raise CheckpointError(files.where(name), f"tensor {tensor} is missing{also}", FETCH_ALL)
        tensors[tensor] = opened[part_of[tensor]].tensor(tensor, shape)
    refuse_changes(wanted, attention, where)
    if convention.rope_offset and ROPE_FACTORS in part_of:
        rotary = next((layer.rotary for layer in attention.layers if layer.rotary), None)
        n_pairs = len(rotary.frequencies()[0]) if rotary else 0
        tensors[ROPE_FACTORS] = opened[part_of[ROPE_FACTORS]].tensor(ROPE_FACTORS, (n_pairs,))
    elif convention.rope_offset and len(opened) < count:
        raise CheckpointError(
            files.where(name),
            f"rope_offset: a file is missing that may have the tensor {ROPE_FACTORS}",
            FETCH_ALL,
        )
    read = {
        parts[number]: opened[number]
        for number in sorted({1, *(part_of[tensor] for tensor in tensors)})
    }
    return LocatedGguf(
        described,
        tuple(opened.values()),
        read,
        tensors,
        {part: [t for t in tensors if parts[part_of[t]] == part] for part in read},
        reduce(torch.promote_types, (tensors[t].kind.dtype for t in wanted.projections)),
    )


def gguf_checkpoint(
    files: CheckpointFiles,
    name: str,
    revision: str | None,
    convention: Convention,
    reading: Reading,
) -> GgufCheckpoint:
    """Open the checkpoint that a GGUF file holds, or several that belong together.

    Parameters
    ----------
    files
        Those beside it.
    name
        The file, or any of several named ``…-00001-of-0000n.gguf``.
    revision
        Its revision; by default a digest of the weights.
    convention
        How operators are built from the weights.
    reading
        Of which layers. Of several files those that hold none of them may be missing.

    Raises
    ------
    CheckpointError
        If the files are no checkpoint of a known architecture, or the convention has no meaning
        for it.
    """
    located = locate_gguf(files, name, convention, reading)
    architecture = located.described.architecture
    for part, file in located.read.items():
        file.settle(located.held[part])
    return GgufCheckpoint(
        **architecture.sizes(convention),
        family=architecture.model_type,
        dtype=located.dtype,
        origin=files.where(name),
        provenance=Provenance(
            revision,
            files.digests,
            {
                part: partial(file.digest, located.held[part])
                for part, file in located.read.items()
                if part not in files.digests
            },
            tuple(located.read),
        ),
        convention=convention,
        chosen=reading.layers,
        layers=_slowed(architecture.attention.layers, located.tensors.get(ROPE_FACTORS)),
        tensors=located.tensors,
        permuted=located.described.permuted,
        parts=located.parts,
        peculiarity=located.described.peculiarity,
    )


def _slowed(
    layers: tuple[AttentionLayer, ...], table: GgufRows | None
) -> tuple[AttentionLayer, ...]:
    """The layers, rotating as a table of factors has it, if there is one."""
    if table is None:
        return layers
    factors = table.rows(0, 1)[0].double()
    if not bool((factors > 0).all() and factors.isfinite().all()):
        raise CheckpointError(
            table.file.where, f"tensor {table.name} has factors that are not positive", FETCH_ALL
        )
    return tuple(
        replace(layer, rotary=layer.rotary and layer.rotary.slowed(factors)) for layer in layers
    )


def _parts(files: CheckpointFiles, name: str) -> tuple[dict[int, str], int]:
    """The file, or those there that belong together with it, by number; and how many there are."""
    part = PART.fullmatch(name)
    if part is None or name not in files.names:
        return {1: name}, 1
    # Looked for among what is there: the count is not to be trusted.
    pattern = re.compile(rf"{re.escape(part['name'])}-(\d{{5}})-of-{part['count']}\.gguf")
    found = {int(match[1]): match[0] for match in map(pattern.fullmatch, files.names) if match}
    count = int(part["count"])
    if 1 not in found or max(found) > count or min(found) < 1:
        raise CheckpointError(
            files.where(name),
            f"it is one of {count} files, and the numbers there are "
            f"{', '.join(map(str, sorted(found)))}; the first says what the model is",
            FETCH_ALL,
        )
    return {number: found[number] for number in sorted(found)}, count


def _part_of_each(opened: Mapping[int, GgufFile], count: int) -> dict[str, int]:
    """The number of the file that holds each tensor, by the tensor's name."""
    part_of: dict[str, int] = {}
    for number, file in opened.items():
        values = file.header.values
        found = values.get("split.no", 0), values.get("split.count", 1) or 1
        if found != (number - 1, count):
            raise CheckpointError(
                file.where,
                f"split.no and split.count are {found[0]!r} and {found[1]!r}, where its name has "
                f"{number - 1} and {count}",
                "give the files of the set the names they had",
            )
        for tensor in file.header.tensors:
            if tensor in part_of:
                raise CheckpointError(
                    file.where, f"tensor {tensor} is also in file {part_of[tensor]}", FETCH_ALL
                )
            part_of[tensor] = number
    expected = opened[1].header.values.get("split.tensors.count", len(part_of))
    if len(opened) == count and expected != len(part_of):
        raise CheckpointError(
            opened[1].where,
            f"the set should have {expected!r} tensors and has {len(part_of)}",
            FETCH_ALL,
        )
    return part_of
