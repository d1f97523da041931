"""Tensors that change a projection beside its weight: adapters, quantisation and the like."""

import re
from collections.abc import Iterator, Mapping

from headalgebra.checkpoints._assembly import matrices
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Attention
from headalgebra.checkpoints._names import WantedTensors

MERGE_ADAPTER = "merge the adapter first: model = model.merge_and_unload()"
BEFORE_QUANTISING = "use the checkpoint they were quantised from"
ADAPTER = re.compile(
    r"(^|[._])((adapter|lora|dora|loha|lokr|hada_|ia3|vera_|vblora|randlora|fourierft|modules_to_save"
    r"|base_layer|original_module)|(oft|boft|bone|miss|shira|c3a|hra|road|magnitude)([._]|$))",
    re.IGNORECASE,
)
QUANTISED = re.compile(
    r"(^|\.)(qweight|qzeros|g_idx|weight_(scale|zero|packed|shape|g_idx|format)\w*|weight\._\w+"
    r"|\w*scales?|SCB|absmax|nested_\w+|quant_\w+|codes|codebooks|W_q|blocks|\w*zero_points?)(\.|$)"
    r"|quantizer|_amax$"
)
PARAMETRISED = re.compile(
    r"(^|\.)(parametrizations\.|(weight|bias)_(g|v|u|orig|mask)$|original\d*$)"
)
KINDS = (
    (QUANTISED, "belongs to a quantised {}", BEFORE_QUANTISING),
    (
        PARAMETRISED,
        "makes {} anew whenever the model runs",
        "make it a plain weight first, with torch's remove_parametrizations, remove_weight_norm or "
        "prune.remove",
    ),
    (ADAPTER, "belongs to an adapter that is not merged into {}", MERGE_ADAPTER),
    (
        re.compile(""),
        "is in the module of {}, and what it changes there is not known",
        "use a checkpoint without it, or make it part of the weight first",
    ),
)


def refuse_changes(wanted: WantedTensors, attention: Attention, where: Mapping[str, str]) -> None:
    """Raise if a wanted weight is not all that its module computes with.

    A module may have a weight and a bias. Adapters keep theirs in the module, whatever stands
    before its name; or beside it in the same block of attention; or under its name with underscores
    for dots. What another projection of the block has is left alone.

    Parameters
    ----------
    wanted
        What the factors are made of.
    attention
        The attention they are of.
    where
        Where each tensor of the model is, by full name.

    Raises
    ------
    CheckpointError
        Names the first such tensor, what it belongs to, and what to do.
    """
    modules = {_module(name): name for name in wanted.shapes}
    blocks = {_module(_module(name)): name for name in wanted.projections}
    others = _projections(attention) - modules.keys()
    known = {*modules, *blocks, *others}
    last = {module.rpartition(".")[2] for module in known}
    flat = {module.replace(".", "_"): name for module, name in modules.items()}
    for name in sorted(where):
        parts = name.split(".")
        if not attention.other_parts.isdisjoint(parts):
            continue
        around = {module: rest for module, rest in _around(parts, last) if module in known}
        found = [
            *((modules[m], rest) for m, rest in around.items() if m in modules),
            *((flat[end], name) for part in parts for end in _endings(part) if end in flat),
        ]
        if not found and others.isdisjoint(around):
            beside = ((blocks[b], rest) for b, rest in around.items() if b in blocks)
            found = [(weight, rest) for weight, rest in beside if ADAPTER.search(rest)]
        for weight, rest in found:
            if rest not in ("weight", "bias"):
                problem, mend = next((p, m) for kind, p, m in KINDS if kind.search(rest))
                raise CheckpointError(where[name], f"tensor {name} {problem.format(weight)}", mend)


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _projections(attention: Attention) -> set[str]:
    """The modules of all projections, wanted or not."""
    return {
        _module(slices.tensor)
        for layer in attention.layers
        for side in (layer.queries, layer.keys, layer.values, layer.outputs)
        for slices in matrices(side)
    }


def _around(parts: list[str], last: set[str]) -> Iterator[tuple[str, str]]:
    """What a name may lie in, under any prefix, and the rest of the name there."""
    for stop in range(1, len(parts)):
        if parts[stop - 1] in last:
            rest = ".".join(parts[stop:])
            for start in range(stop):
                yield ".".join(parts[start:stop]), rest


def _endings(part: str) -> Iterator[str]:
    """A name, and what is left of it behind each of its underscores."""
    yield part
    while "_" in part:
        part = part.partition("_")[2]
        yield part
