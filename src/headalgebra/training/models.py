"""Decoders at the start of their training: what they vary, and where queries and keys start."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from headalgebra.seeds import layer_seed
from headalgebra.training.weights import query_key_blocks
from headalgebra.variants import KEY, OWN_NORMALISER, Variant, variant_of
from headalgebra.variants.models import varied_class
from headalgebra.variants.variant import USUAL, VariantError

Orientation = Literal["default", "commuting", "opposed"]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the queries and keys of a model start (000, section 6, principle 3).

    With σ the standard deviation of the usual start, the columns of all frames below have length
    ``s = σ √d``, about that of usual columns.

    Attributes
    ----------
    orientation
        ``"default"``: independent normal numbers. ``"commuting"``: ``Q_h = K_h = s U_h``, the U_h
        blocks of one random orthogonal matrix, so that ``A_i A_j = 0`` and ε = 0. ``"opposed"``:
        ``Q_h = s U_h``, ``K_h = s V_h``, all frames independent: operators of the same singular
        values, oriented at random, with about the usual start's ε.
    qk_scale
        What queries and keys are multiplied by, of all layers or of each; ε grows with its fourth
        power.
    """

    orientation: Orientation = "default"
    qk_scale: float | Sequence[float] = 1.0


USUAL_START = Start()


def build_model(
    configuration: GPT2Config | LlamaConfig,
    variant: Variant = USUAL,
    start: Start = USUAL_START,
    *,
    seed: int = 0,
) -> PreTrainedModel:
    """A decoder at its start, in float32 on the CPU and in training mode.

    Models of one seed and configuration that differ in ``variant`` or ``start`` have the same
    numbers wherever these leave them. torch's own generator is left as it was.

    Parameters
    ----------
    configuration
        Of the usual model; left as it is.
    variant
        What it computes in another way; its configuration says so
        (:data:`headalgebra.variants.KEY`), and so does every folder that it is saved in.
    start
        Of queries and keys.
    seed
        Not negative.

    Raises
    ------
    ValueError
        If the architecture cannot have the variant (:class:`headalgebra.variants.VariantError`), or
        the start does not fit its sizes.
    """
    config = copy.deepcopy(configuration)
    scales = _scales(start.qk_scale, config.num_hidden_layers)
    if variant.normaliser == OWN_NORMALISER[config.model_type]:
        variant = _with_own_normaliser(variant)
    if said := variant.said():
        setattr(config, KEY, said)
    kind = GPT2LMHeadModel if isinstance(config, GPT2Config) else LlamaForCausalLM
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = varied_class(kind)._from_config(config, dtype=torch.float32)
    with torch.no_grad():
        _orient(model, start.orientation, seed)
        for blocks, scale in zip(query_key_blocks(model), scales, strict=True):
            for block in blocks:
                block.weights.mul_(scale)
    return model.train()


def _with_own_normaliser(variant: Variant) -> Variant:
    said = variant.said()
    del said["normaliser"]
    return Variant(**said)


def _scales(given: float | Sequence[float], layers: int) -> Sequence[float]:
    scales = given if isinstance(given, Sequence) else [given] * layers
    if len(scales) != layers:
        raise ValueError(f"qk_scale has {len(scales)} numbers for {layers} layers")
    return scales


def _orient(model: PreTrainedModel, orientation: Orientation, seed: int) -> None:
    """Put frames in place of normal queries and keys."""
    if orientation == "default":
        return
    config = model.config
    length = config.initializer_range * config.hidden_size**0.5
    for layer, (queries, keys) in enumerate(query_key_blocks(model)):
        generator = np.random.default_rng(layer_seed(seed, "initial_frames", layer))
        d, columns = queries.weights.shape
        if orientation == "commuting":
            if variant_of(config).overlap is not None:
                raise VariantError("soft heads share axes, so that their frames do not commute")
            if columns > d:
                raise ValueError(f"{columns} axes of heads cannot be orthogonal in {d} dimensions")
            frame = _frame(d, columns, generator)
            frames = frame, frame
        else:
            heads = config.num_attention_heads
            r = columns // heads
            each = [_frame(d, r, generator) for _ in range(2 * heads)]
            frames = torch.cat(each[:heads], 1), torch.cat(each[heads:], 1)
        for block, columns_of in zip((queries, keys), frames, strict=True):
            block.weights.copy_(length * columns_of)


def _frame(d: int, columns: int, generator: np.random.Generator) -> Float[Tensor, "d c"]:
    """Orthonormal columns, uniform among all such."""
    Q, R = torch.linalg.qr(torch.from_numpy(generator.standard_normal((d, columns))))
    return Q * R.diagonal().sign()
