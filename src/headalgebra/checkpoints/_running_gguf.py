"""All tensors of a GGUF file, under the names and in the layout that transformers has for them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._gguf import GgufCheckpoint
from headalgebra.checkpoints._live import live_checkpoint

DECODER = "dec."
"""T5's, of which the encoder runs alone."""
OTHERWISE = "use the safetensors folder that it was made from"


def gguf_configuration(checkpoint: GgufCheckpoint) -> dict[str, Any]:
    """What transformers makes of the values in the file.

    Raises
    ------
    CheckpointError
        If transformers does not read files of the architecture, or of several parts, or would pass
        over something that changes what the model computes.
    """
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    file, where = checkpoint.parts[0], checkpoint.origin
    if len(checkpoint.parts) > 1:
        why = f"it is one of {len(checkpoint.parts)} files, which transformers does not run"
        raise CheckpointError(where, why, OTHERWISE)
    if checkpoint.peculiarity:
        why = f"{checkpoint.peculiarity}, and transformers would run it without"
        raise CheckpointError(where, why, OTHERWISE)
    try:
        found = load_gguf_checkpoint(str(file.path))["config"]
        known = CONFIG_MAPPING[found["model_type"]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise CheckpointError(where, f"transformers does not run it: {error}", OTHERWISE) from error
    own = {*known().to_dict(), *known.attribute_map, "rope_theta", "rope_scaling", "architectures"}
    # What the family does not have, the loader notes too.
    return {name: it for name, it in found.items() if name in own}


@dataclass(frozen=True)
class _Modules:
    """What names of tensors are looked up by: a model and, inside it, the one without its head.

    The look-up goes through all modules, and makes the table of all names again for each.
    """

    config: Any
    names: tuple[str, ...]
    children: tuple[tuple[str, "_Modules"], ...] = ()

    @classmethod
    def of(cls, model: Any) -> "_Modules":
        base = model.base_model
        bare = cls(model.config, tuple(base.state_dict()))
        children = ((model.base_model_prefix, bare),) if base is not model else ()
        return cls(model.config, tuple(model.state_dict()), children)

    def state_dict(self) -> tuple[str, ...]:
        return self.names

    def named_children(self) -> tuple[tuple[str, "_Modules"], ...]:
        return self.children


def gguf_state(checkpoint: GgufCheckpoint, outline: Any, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of the file as numbers.

    Parameters
    ----------
    outline
        The model that they belong to, without its weights.
    dtype
        What they are turned into, one after the other.

    Raises
    ------
    CheckpointError
        If the file has a tensor that transformers does not know, or of a type that is not read.
    """
    from transformers.modeling_gguf_pytorch_utils import (
        TENSOR_PROCESSORS,
        TensorProcessor,
        get_gguf_hf_weights_map,
    )

    file = checkpoint.parts[0]
    architecture = str(file.header.values["general.architecture"])
    kind: Any = TENSOR_PROCESSORS.get(architecture, TensorProcessor)
    layout = kind(config=outline.config.to_dict())
    names = get_gguf_hf_weights_map(_Modules.of(outline), layout)
    state: dict[str, Tensor] = {}
    for name, tensor in file.header.tensors.items():
        stored = file.tensor(name, tensor.shape)
        numbers = stored.rows(0, tensor.shape[0] if len(tensor.shape) > 1 else 1)
        changed = layout.process(
            weights=numbers.reshape(tensor.shape).numpy(),
            name=name,
            tensor_key_mapping=names,
            parsed_parameters={"tensors": state},
        )
        if changed.name in names:
            state[names[changed.name]] = torch.tensor(changed.weights, dtype=dtype)
        elif changed.name is not None and not name.startswith(DECODER):
            why = f"tensor {name} is no part of the model as transformers has it"
            raise CheckpointError(file.where, why, OTHERWISE)
    return state


def refuse_other_rows(checkpoint: GgufCheckpoint, model: Any) -> None:
    """Raise unless the queries and keys of a model are those that the file has.

    Of each of its first and last layers; whoever converts a file may order rows in many ways.

    Raises
    ------
    CheckpointError
        Names the layer.
    """
    live = live_checkpoint(model, checkpoint.convention)
    # Of an encoder-decoder the encoder runs, whose layers come first.
    read = [it for it in checkpoint.chosen or range(checkpoint.n_layers) if it < live.n_layers]
    for layer in {*read[:1], *read[-1:]}:
        found, expected = live.read_layer(layer), checkpoint.read_layer(layer)
        for name in ("queries", "keys"):
            one, other = (getattr(it, name).double() for it in (found, expected))
            # Norms that hold 1 + γ lose a rounding in float32.
            if one.shape != other.shape or (one - other).abs().max() > 1e-6 * other.abs().max():
                why = f"transformers has other {name} in layer {layer} than the file"
                raise CheckpointError(checkpoint.origin, why, OTHERWISE)
