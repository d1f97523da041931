"""Models that run: a checkpoint's whole network, built and filled by transformers.

transformers only warns where a file lacks weights, and draws random ones in their place; here that
is an error that names them.
"""

import copy
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from headalgebra.checkpoints._checkpoint import Checkpoint
from headalgebra.checkpoints._drawn import DrawnCheckpoint
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import TEXT_PARTS
from headalgebra.checkpoints._gguf import GgufCheckpoint
from headalgebra.checkpoints._running_gguf import (
    gguf_configuration,
    gguf_state,
    refuse_other_rows,
)
from headalgebra.checkpoints._running_stored import stored_configuration, stored_state
from headalgebra.checkpoints._stored import StoredCheckpoint
from headalgebra.defaults import FLOAT64_UP_TO
from headalgebra.devices import memory_bytes
from headalgebra.variants import KEY

DTYPES = {"float64": torch.float64, "float32": torch.float32}
HEADS = frozenset({"classifier", "cls", "final_logits_bias", "lm_head", "pooler", "score"})
"""Names of modules behind the last block."""


@dataclass(frozen=True)
class RunnableModel:
    """A network that reads tokens.

    Attributes
    ----------
    model
        A `PreTrainedModel` of transformers, in evaluation mode and with eager attention or that of
        the variant that it is:
        a decoder with its head where the checkpoint has one, an encoder without, of an
        encoder-decoder the encoder.
    vocabulary
        Tokens that it knows: ids are below this.
    positions
        The longest sequence that it takes; None where its configuration does not say.
    left_out
        Modules that the checkpoint has besides: heads, poolers, of an encoder-decoder the decoder.
    """

    model: Any
    vocabulary: int
    positions: int | None
    left_out: tuple[str, ...] = ()


def load_model(
    checkpoint: Checkpoint, dtype: str | None = None, device: torch.device | None = None
) -> RunnableModel:
    """Build the network of a checkpoint and fill it with its weights.

    What was asked for when the checkpoint was opened holds here too: digests, pickles, adapters,
    keys that are passed over. No code of a checkpoint is ever run. An initialisation is drawn in
    float32 by the family's own law from the checkpoint's seed, the same at each call; its queries
    and keys follow the same law as the checkpoint's factors and are other numbers. torch's own
    generator is left as it was.

    Parameters
    ----------
    checkpoint
        Opened from a folder, a package, the hub or a GGUF file, or drawn.
    dtype
        ``"float64"`` or ``"float32"``; by default float64 up to
        :data:`headalgebra.defaults.FLOAT64_UP_TO` parameters and float32 above.
    device
        Where it is to run, the CPU by default.

    Raises
    ------
    CheckpointError
        If the model reads images or sounds, transformers has no class that runs it or cannot load
        the file, the device has less memory than its weights take, a weight is missing, is of
        another shape or not finite, or one is left over that belongs to no head.
    """
    if dtype not in (None, *DTYPES):
        raise CheckpointError(checkpoint.origin, f"dtype {dtype!r}", f"use {' or '.join(DTYPES)}")
    config, kind, more, empty = _network(checkpoint)
    number = DTYPES[dtype] if dtype else _dtype(empty)
    runs_on = device or torch.device("cpu")
    for place in {torch.device("cpu"), runs_on}:
        _refuse_too_large(empty.num_parameters() * number.itemsize, place, checkpoint.origin)
    left_out: tuple[str, ...] = ()
    match checkpoint:
        case DrawnCheckpoint():
            model = _drawn(kind, config, more, checkpoint.seed, number)
        case GgufCheckpoint():
            tensors = gguf_state(checkpoint, empty, number)
            model, left_out = _filled(kind, config, more, tensors, number, checkpoint.origin)
            refuse_other_rows(checkpoint, model)
        case StoredCheckpoint():
            stored = stored_state(checkpoint)
            model, left_out = _filled(kind, config, more, stored, number, checkpoint.origin)
    _refuse_unsound(model, checkpoint.origin)
    if config.is_encoder_decoder:
        model = model.get_encoder()
    return RunnableModel(
        model.to(runs_on).eval().requires_grad_(False),
        model.get_input_embeddings().weight.shape[0],
        _positions(model),
        left_out,
    )


def fetch_model(checkpoint: Checkpoint) -> None:
    """Have on this machine all files that a model is filled with, so that it runs offline.

    Raises
    ------
    CheckpointError
        If a file is missing or cannot be fetched.
    """
    match checkpoint:
        case StoredCheckpoint():
            stored_state(checkpoint)
        case GgufCheckpoint():
            for part in checkpoint.parts:
                _ = part.path


@dataclass(frozen=True)
class ModelOutline:
    """What is known of a network before its weights are read.

    Attributes
    ----------
    vocabulary, positions
        As of a :class:`RunnableModel`.
    parameters
        Numbers that it consists of, its head among them.
    dtype
        ``"float64"`` or ``"float32"``, in which it runs unless it is told otherwise.
    """

    vocabulary: int
    positions: int | None
    parameters: int
    dtype: str


def outline_model(checkpoint: Checkpoint) -> ModelOutline:
    """The sizes of a checkpoint's whole network, from its configuration alone.

    Raises
    ------
    CheckpointError
        If the model reads images or sounds, or transformers has no class that runs it.
    """
    _, _, _, empty = _network(checkpoint)
    return ModelOutline(
        empty.get_input_embeddings().weight.shape[0],
        _positions(empty),
        empty.num_parameters(),
        str(_dtype(empty)).removeprefix("torch."),
    )


def _network(checkpoint: Checkpoint) -> tuple[Any, Any, dict[str, Any], Any]:
    """The configuration, the class and what it is told besides, and the model without weights."""
    match checkpoint:
        case StoredCheckpoint():
            config = _configuration(stored_configuration(checkpoint), checkpoint.origin)
        case GgufCheckpoint():
            config = _configuration(gguf_configuration(checkpoint), checkpoint.origin)
        case DrawnCheckpoint():
            config = _configuration(checkpoint.config, checkpoint.origin)
        case _:
            raise CheckpointError(
                checkpoint.origin, "it is a model in memory already", "run it as it is"
            )
    kind, more = _kind(config, checkpoint.origin)
    with _quiet(), torch.device("meta"):
        empty = kind._from_config(copy.deepcopy(config), attn_implementation="eager", **more)
    return config, kind, more, empty


def _configuration(content: Mapping[str, Any], where: str) -> Any:
    """The configuration of transformers' own class, from what a config.json would hold."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    model_type = content["model_type"]
    if model_type in TEXT_PARTS:
        raise CheckpointError(
            where,
            f"{model_type} reads images beside text, and its text part is not run by itself",
            "use a model of text alone, or leave this one to the measures of weights",
        )
    config = CONFIG_MAPPING[model_type].from_dict(copy.deepcopy(dict(content)))
    config._experts_implementation = "eager"  # the fast ones take no float64
    return config


def _kind(config: Any, where: str) -> tuple[Any, dict[str, Any]]:
    """The class that runs it, and what its constructor is told besides.

    A decoder comes with its head. An encoder comes without one, and without a pooler, which a
    checkpoint may lack.
    """
    import inspect

    from transformers.models.auto import modeling_auto as auto

    of_text = auto.MODEL_FOR_TEXT_ENCODING_MAPPING
    encodes = config.is_encoder_decoder or type(config) in auto.MODEL_FOR_MASKED_LM_MAPPING
    causal, bare = auto.MODEL_FOR_CAUSAL_LM_MAPPING, auto.MODEL_MAPPING
    order = (of_text, bare) if encodes else (of_text, causal, bare)
    kind: Any = next((them[type(config)] for them in order if type(config) in them), None)
    if kind is None or kind.main_input_name != "input_ids":
        raise CheckpointError(
            where,
            f"a {config.model_type} model does not read text alone",
            "use a language model or an encoder of text",
        )
    pools = "add_pooling_layer" in inspect.signature(kind).parameters
    if hasattr(config, KEY):
        from headalgebra.variants.models import varied_class

        kind = varied_class(kind)
    return kind, {"add_pooling_layer": False} if pools else {}


def _positions(model: Any) -> int | None:
    """The longest sequence that it takes, if its configuration says so.

    The families of RoBERTa begin to count behind the number of their padding token.
    """
    known = getattr(model.config, "max_position_embeddings", None)
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None):
            known = module.num_embeddings - module.padding_idx - 1
    return known


def _dtype(outline: Any) -> torch.dtype:
    return torch.float64 if outline.num_parameters() <= FLOAT64_UP_TO else torch.float32


def _drawn(kind: Any, config: Any, more: Mapping[str, Any], seed: int, dtype: torch.dtype) -> Any:
    """At its random initialisation, which is the same numbers in either type."""
    with _quiet(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = kind._from_config(
            copy.deepcopy(config), attn_implementation="eager", dtype=torch.float32, **more
        )
    # Buffers stay as a loaded model has them.
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    model.config.dtype = dtype
    return model


def _filled(
    kind: Any,
    config: Any,
    more: Mapping[str, Any],
    state: Mapping[str, Any],
    dtype: torch.dtype,
    where: str,
) -> tuple[Any, tuple[str, ...]]:
    """With the weights that were stored, and the names of those that are none of it."""
    # Random numbers are drawn for what is missing, before it is known to be.
    with _quiet(), torch.random.fork_rng(devices=[]):
        try:
            model, found = kind.from_pretrained(
                None,
                config=config,
                state_dict=dict(state),
                dtype=dtype,
                attn_implementation="eager",
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **more,
            )
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(
                where, f"transformers does not load it: {error}", "fetch the file again"
            ) from error
    if found["mismatched_keys"]:
        name, stored, expected = min(found["mismatched_keys"])
        raise CheckpointError(
            where,
            f"tensor {name} has shape {list(stored)}, expected {list(expected)}",
            "correct config.json, or fetch the weights that belong to it",
        )
    base = f"{kind.base_model_prefix}."
    missing = sorted(found["missing_keys"])
    headless = {name.split(".")[0] for name in missing}.isdisjoint(
        {base.removesuffix("."), *(name.split(".")[0] for name in state)}
    )
    if missing and headless:
        # Saved without its head, so it is run without.
        model, missing = model.base_model, []
    if missing:
        more_of_them = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            where, f"tensor {missing[0]}{more_of_them} is missing", "fetch the whole checkpoint"
        )
    prefixed = any(name.startswith(base) for name in state)
    unused = HEADS | {"decoder"} if config.is_encoder_decoder else HEADS
    left_out = {name: name.removeprefix(base).split(".")[0] for name in found["unexpected_keys"]}
    for name, module in sorted(left_out.items()):
        if module not in unused and not (prefixed and not name.startswith(base)):
            raise CheckpointError(
                where,
                f"tensor {name} is no part of a {config.model_type} model as transformers has it",
                "use the checkpoint as it was published, or correct config.json",
            )
    return model, tuple(sorted({*left_out.values()}))


def _refuse_too_large(needed: int, device: torch.device, where: str) -> None:
    """Raise if the weights alone are more than a device holds, before any is read."""
    room = memory_bytes(device)
    if needed > room:
        place = "the GPU" if device.type == "cuda" else "this machine"
        raise CheckpointError(
            where,
            f"its weights take {needed / 1e9:.1f} GB, and {place} has {room / 1e9:.1f} GB",
            "run it where there is more memory, or leave it to the measures of weights",
        )


def _refuse_unsound(model: Any, where: str) -> None:
    """Raise on the first weight that is not finite."""
    for name, parameter in model.named_parameters():
        # One pass that keeps no copy: the sum is finite only if every term is.
        if not parameter.sum(dtype=torch.float64).isfinite():
            raise CheckpointError(
                where, f"tensor {name} is not finite", "fetch the file again, or use another"
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the reports of transformers, which are judged here."""
    from transformers.utils import logging as reports

    before, bars = reports.get_verbosity(), reports.is_progress_bar_enabled()
    reports.set_verbosity(logging.CRITICAL)
    reports.disable_progress_bar()
    try:
        yield
    finally:
        reports.set_verbosity(before)
        if bars:
            reports.enable_progress_bar()
