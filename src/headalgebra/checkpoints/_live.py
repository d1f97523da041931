"""A live transformers model as a checkpoint: its own parameters, read where they are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._assembly import Weights, copy_heads, refuse_meaningless
from headalgebra.checkpoints._changes import MERGE_ADAPTER, refuse_changes
from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._config import recognise
from headalgebra.checkpoints._digest import Provenance
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._factors import FLOAT_DTYPES
from headalgebra.checkpoints._families import Norm, Projection
from headalgebra.checkpoints._names import (
    find_prefix,
    find_quantised,
    present_name,
    refuse_mixed_types,
    wanted_tensors,
)
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import AS_IT_IS, Reading
from headalgebra.variants import KEY

BEFORE_QUANTISING = "use the model as it was before it was quantised"
OWN_CODE = ("torch.nn.modules.", "transformers.models.", "transformers.pytorch_utils")
"""Where the classes of modules are defined that multiply by their weights as they are."""


class LiveWeights(Weights):
    """Weights of one layer in a module's memory, on whatever device.

    Parameters
    ----------
    tensors
        By their names without the prefix of the model around them.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def heads(self, projection: Projection) -> Float[Tensor, "heads d r"]:
        """Copied out of the matrix, each from where it is."""
        return copy_heads(self._tensors[projection.heads.tensor], projection.heads)

    def gamma(self, norm: Norm) -> Float[Tensor, " n"]:
        """Moved to the CPU."""
        return torch.cat([self._tensors[name].flatten().cpu() for name in norm.shapes])


@dataclass(frozen=True, kw_only=True)
class LiveCheckpoint(Checkpoint):
    """A transformers model in memory.

    A layer has the values that its parameters have when it is read.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)

    def _weights(self, layer: int) -> Weights:
        return LiveWeights(self.tensors)


def is_live_model(source: Any) -> bool:
    """Whether it has what a transformers model has, without importing transformers."""
    config = getattr(source, "config", None)
    return callable(getattr(source, "state_dict", None)) and hasattr(config, "to_dict")


def live_checkpoint(
    model: Any, convention: Convention, reading: Reading = AS_IT_IS
) -> LiveCheckpoint:
    """Open a model in memory; no weight is copied before its layer is read.

    Its revision is the commit of the hub that it was loaded from, whatever was done to its weights
    since then, or ``live``.

    Parameters
    ----------
    model
        A `PreTrainedModel` of transformers.
    convention
        How operators are built from the weights.
    reading
        Which keys of its configuration are passed over.

    Raises
    ------
    CheckpointError
        If it carries adapters, is quantised, sharded or not in memory, is of no known family, is
        not the variant that its configuration says, or the convention has no meaning for it.
    """
    origin = f"live {type(model).__name__}"
    if getattr(model, "peft_config", None) or type(model).__module__.split(".")[0] == "peft":
        raise CheckpointError(origin, "it carries adapters beside its own weights", MERGE_ADAPTER)
    config = model.config.to_dict()
    # Weights that were quantised in the file may be numbers again: their modules tell.
    said_quantised = config.pop("quantization_config", None) is not None
    architecture = recognise(config, f"{origin}, config", reading)
    refuse_meaningless(architecture.attention, convention, architecture.model_type, origin)
    _refuse_not_set_up(model, origin)
    found = _by_stored_name(model)
    where = dict.fromkeys(found, origin)
    if quantised := find_quantised(found):
        raise CheckpointError(
            origin, f"tensor {quantised}: the weights are quantised", BEFORE_QUANTISING
        )
    architecture = architecture.among(found)
    wanted = wanted_tensors(architecture.attention, convention, reading.layers, origin)
    refuse_changes(wanted, architecture.attention, where)
    prefix = find_prefix(wanted, found, architecture.attention.other_parts, origin)
    tensors = {
        name: _sound(prefix + name, shape, found, origin) for name, shape in wanted.shapes.items()
    }
    types = {prefix + name: tensors[name].dtype for name in wanted.projections}
    refuse_mixed_types(types, where)
    if said_quantised:
        _refuse_others_code(model, (tensors[name] for name in wanted.projections), origin)
    return LiveCheckpoint(
        **architecture.sizes(convention),
        family=architecture.model_type,
        dtype=next(iter(types.values())),
        origin=origin,
        provenance=Provenance(
            getattr(model.config, "_commit_hash", None) or "live", {}, unread=architecture.unread
        ),
        convention=convention,
        chosen=reading.layers,
        layers=architecture.attention.layers,
        tensors=tensors,
    )


def _refuse_not_set_up(model: Any, where: str) -> None:
    """Raise if it is the usual model under the configuration of a variant, or the reverse."""
    from headalgebra.variants.models import is_set_up

    if not is_set_up(model):
        raise CheckpointError(
            where,
            f"it does not compute what its {KEY} says",
            "load its folder with headalgebra.checkpoints.load_model",
        )


def _by_stored_name(model: Any) -> dict[str, Tensor | None]:
    """The model's tensors by the names under which `save_pretrained` writes them.

    None for those that it would compute from others. Which these are is seen on stand-ins without
    data: transformers passes what it only renames through as it is.
    """
    # Imported here because only those who have a live model need it, and have it already.
    from transformers.core_model_loading import revert_weight_conversion

    tensors = {name: t for name, t in model.state_dict().items() if isinstance(t, Tensor)}
    stand_ins = {
        name: torch.empty(t.shape, dtype=t.dtype, device="meta") for name, t in tensors.items()
    }
    live_name = {id(stand_in): name for name, stand_in in stand_ins.items()}
    stored = revert_weight_conversion(model, stand_ins)
    return {
        present_name(name, stored): tensors[live_name[id(it)]] if id(it) in live_name else None
        for name, it in stored.items()
    }


def _refuse_others_code(model: Any, weights: Iterable[Tensor], where: str) -> None:
    """Raise on the first of these weights whose module is not one of the model's own.

    Such a module may round plain weights whenever it runs.
    """
    wanted = {weight.data_ptr() for weight in weights}
    for name, module in model.named_modules():
        held = {parameter.data_ptr() for parameter in module.parameters(recurse=False)}
        if held & wanted and not type(module).__module__.startswith(OWN_CODE):
            raise CheckpointError(
                where,
                f"quantization_config: {name} is a {type(module).__name__}, which may quantise",
                BEFORE_QUANTISING,
            )


def _sound(
    name: str, expected: tuple[int, ...], found: Mapping[str, Tensor | None], where: str
) -> Tensor:
    """A tensor of the model, if it is one that factors can be made of."""
    if name not in found:
        raise CheckpointError(
            where,
            f"tensor {name} is missing",
            "undo what replaces it (pruning, parametrisation), or give the model its own config",
        )
    tensor = found[name]
    if tensor is None:
        raise CheckpointError(
            where,
            f"tensor {name} is computed from others when the model is saved",
            "save it with save_pretrained and open the folder",
        )
    if type(tensor) is not Tensor:
        raise CheckpointError(
            where,
            f"tensor {name} is a {type(tensor).__name__}, no plain tensor",
            "use the model as it was before it was quantised or sharded",
        )
    if tensor.is_meta:
        raise CheckpointError(
            where,
            f"tensor {name} is on the device meta: its values are not in memory",
            "load the whole model, without offloading",
        )
    if tensor.dtype not in FLOAT_DTYPES.values():
        raise CheckpointError(
            where,
            f"tensor {name} is {tensor.dtype}, not one of {', '.join(FLOAT_DTYPES)}",
            BEFORE_QUANTISING,
        )
    if tuple(tensor.shape) != expected:
        raise CheckpointError(
            where,
            f"tensor {name} has shape {list(tensor.shape)}, expected {list(expected)}",
            "give the model the config that belongs to its weights",
        )
    return tensor
