"""The attention that a GGUF file describes.

llama.cpp, whose format it is, gives every architecture the same names and one layout: Linear
weights [out, in], with queries, keys and values either apart or as three blocks of rows of one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from headalgebra.checkpoints._config import Architecture, recognise
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import (
    AttentionLayer,
    AttentionShape,
    Norm,
    Projection,
    refuse_endless,
)
from headalgebra.checkpoints._families._layouts import (
    fused_block_by_block,
    output_columns,
    rows,
    side_by_side,
)
from headalgebra.checkpoints._gguf_families import (
    CONVERT_AGAIN,
    GGUF_FAMILIES,
    GgufFamily,
    Named,
)
from headalgebra.checkpoints._gguf_header import Value

UNSEEN = frozenset(
    {
        "causal",
        "layer_norm_epsilon",
        "layer_norm_rms_epsilon",
        "max_alibi_bias",
        "relative_buckets_count",
        "sliding_window",
        "sliding_window_pattern",
    }
)
"""Of attention, what does not change the weights of queries and keys."""
SIZES = frozenset({"head_count", "head_count_kv", "key_length", "value_length", "scale"})
"""Of attention, what is read."""

ROPE_FACTORS = "rope_freqs.weight"
"""The tensor with what the angle of each rotated pair is divided by."""

MODULES = frozenset(
    {"k", "norm", "norm_2", "o", "output", "output_norm", "q", "qkv", "rel_b", "rot_embd", "v"}
)
"""Modules of attention that are read, or that do nothing to its operators."""
SCORE_NORMS = frozenset({"k_norm", "q_norm"})
ALSO = dict.fromkeys(
    ("command-r", "gemma3", "olmo2", "qwen3", "qwen3moe", "stablelm"), SCORE_NORMS
) | {"gpt-oss": frozenset({"sinks"})}
"""Others that some architectures have."""


@dataclass(frozen=True)
class Described:
    """What a file says of its attention.

    Attributes
    ----------
    architecture
        Its family and attention.
    permuted
        Whether the rows of queries and keys are to be put back.
    peculiarity
        What of its rotation or scale the family cannot have; empty where there is nothing.
    """

    architecture: Architecture
    permuted: bool
    peculiarity: str


def describe(values: Mapping[str, Value], tensors: Collection[str], where: str) -> Described:
    """The attention of a file, its tensors under their names there.

    Parameters
    ----------
    values, tensors
        Of the file: named values and the names of tensors, those of other parts included.
    where
        Its name in error messages.

    Raises
    ------
    CheckpointError
        If the architecture is unknown, a value is missing or impossible, or the file has tensors or
        values of attention whose effect is not known.
    """
    kind, name = values.get("general.type", "model"), values.get("general.architecture")
    if kind != "model":
        raise CheckpointError(where, f"it holds no model but {kind!r}", "open the model's own file")
    if name not in GGUF_FAMILIES:
        raise CheckpointError(
            where,
            f"the architecture {name!r} is not read from GGUF files",
            f"use a file of one of these: {', '.join(GGUF_FAMILIES)}; or open the safetensors "
            "folder it was made from",
        )
    named = Named(values, str(name), where)
    family = GGUF_FAMILIES[str(name)]
    if name == "llama" and (named.find("expert_count") or 0) != 0:
        family = replace(family, model_type="mixtral")
    _refuse_unknown(named, tensors)
    for key in ("block_count", "decoder_block_count"):
        refuse_endless(f"{name}.{key}", named.count(key, 1), where)
    rope, refusals = _rope(named, family, tensors) if family.rotary else ({}, {})
    architecture = recognise(_configuration(named, family, tensors) | rope, where)
    shape = architecture.attention.shape
    _refuse_widths(named, shape)
    attention = architecture.attention
    usual = attention.layers[0].scale
    scale = named.number("attention.scale", usual)
    if abs(scale / usual - 1) > 1e-6:
        refusals = refusals | {"scale": f"the file has a scale of its own, {scale:g}"}
    attention = replace(
        attention,
        layers=tuple(
            _in_file(layer, shape, prefix, tensors)
            for layer, prefix in zip(attention.layers, _prefixes(named, shape), strict=True)
        ),
        refusals={**attention.refusals, **family.refusals, **refusals},
    )
    peculiarities = [*refusals.values()]
    if ROPE_FACTORS in tensors:
        peculiarities.append(f"its rotation is slowed by its tensor {ROPE_FACTORS}")
    return Described(
        replace(architecture, attention=attention),
        family.permuted,
        next(iter(peculiarities), ""),
    )


def _configuration(named: Named, family: GgufFamily, tensors: Collection[str]) -> dict[str, Any]:
    """What a config.json would say."""
    layers, heads, width = family.sizes
    n_heads, d = named.count("attention.head_count"), named.count("embedding_length")
    n_kv_heads = named.count("attention.head_count_kv", n_heads)
    config: dict[str, Any] = {
        "model_type": family.model_type,
        layers: named.count("block_count"),
        heads: n_heads,
        width: d,
    }
    if family.kv_heads:
        config[family.kv_heads] = n_kv_heads
    if family.head_width:
        config[family.head_width] = _head_width(named)
    if family.asks:
        config[family.asks] = "blk.0.attn_q_norm.weight" in tensors
    return config | dict(family.more(named))


def _head_width(named: Named) -> int:
    """As llama.cpp has it: heads share d equally unless the file says otherwise."""
    shared = named.count("embedding_length") // named.count("attention.head_count")
    return named.count("attention.key_length", max(shared, 1))


def _refuse_widths(named: Named, shape: AttentionShape) -> None:
    """Raise where the file has other widths or numbers of heads than its family can have."""
    found = {
        "attention.key_length": (_head_width(named), shape.d_head),
        "attention.value_length": (
            named.count("attention.value_length", shape.d_head),
            shape.d_head,
        ),
        "attention.head_count_kv": (
            named.count("attention.head_count_kv", shape.n_kv_heads),
            shape.n_kv_heads,
        ),
    }
    for key, (value, expected) in found.items():
        if value != expected:
            raise named.error(key, f"is {value}, where the family has {expected}")


def _refuse_unknown(named: Named, tensors: Collection[str]) -> None:
    """Raise on the first value or tensor of attention that might change its operators."""
    start = f"{named.architecture}.attention."
    for key in sorted(named.values):
        if key.startswith(start) and key.removeprefix(start) not in UNSEEN | SIZES:
            raise named.error(
                key.removeprefix(f"{named.architecture}."),
                f"is {named.values[key]!r}, and how it changes queries and keys is not known",
            )
    known = MODULES | ALSO.get(named.architecture, frozenset())
    for name in sorted(tensors):
        module = next((part for part in name.split(".") if part.startswith("attn_")), "attn_q")
        if module.removeprefix("attn_") not in known:
            raise CheckpointError(
                named.where,
                f"tensor {name} is no part of attention as {named.architecture} is known to be",
                CONVERT_AGAIN,
            )


def _prefixes(named: Named, shape: AttentionShape) -> list[str]:
    """What the names of each layer's tensors begin with."""
    if named.architecture not in ("t5", "t5encoder"):
        return [f"blk.{layer}." for layer in range(shape.n_layers)]
    encoder = named.count("block_count")
    return [
        f"enc.blk.{layer}." if layer < encoder else f"dec.blk.{layer - encoder}."
        for layer in range(shape.n_layers)
    ]


def _in_file(
    layer: AttentionLayer, shape: AttentionShape, prefix: str, tensors: Collection[str]
) -> AttentionLayer:
    """A layer's weights under the names and in the layout of a file.

    The law they start from is not told there, and gammas are kept as what they multiply by.
    """
    d, r, heads, kv_heads = shape.d_model, shape.d_head, shape.n_heads, shape.n_kv_heads
    fused = f"{prefix}attn_qkv.weight"
    if fused in tensors and f"{prefix}attn_q.weight" not in tensors:
        queries, keys, values = fused_block_by_block(fused, shape, None)
    else:
        queries, keys, values = (
            Projection(
                rows(f"{prefix}attn_{name}.weight", d, n * r, side_by_side(n, r), r),
                initial_std=None,
            )
            for name, n in (("q", heads), ("k", kv_heads), ("v", kv_heads))
        )
    output = "attn_o" if prefix.startswith(("enc.", "dec.")) else "attn_output"

    def renamed(norm: Norm | None, *names: str) -> Norm | None:
        if norm is None or not norm.tensor:
            return norm
        tensor = next((name for name in names if f"{prefix}{name}.weight" in tensors), names[-1])
        return replace(norm, tensor=f"{prefix}{tensor}.weight", plus_one=False)

    return replace(
        layer,
        queries=replace(queries, norm=renamed(layer.queries.norm, "attn_q_norm")),
        keys=replace(keys, norm=renamed(layer.keys.norm, "attn_k_norm")),
        values=values,
        outputs=Projection(output_columns(f"{prefix}{output}.weight", shape), None),
        # A second norm, where there is one, is attention's.
        norm=renamed(layer.norm, "attn_norm_2", "attn_norm"),
    )


def _rope(
    named: Named, family: GgufFamily, tensors: Collection[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The family's ``rope_parameters``, and why there is no rotation by an offset if so."""
    parameters: dict[str, Any] = {
        "rope_type": "default",
        "rope_theta": named.number("rope.freq_base", 10000.0),
    }
    kind = named.find("rope.scaling.type") or "none"
    factor = named.number("rope.scaling.factor", named.number("rope.scale_linear", 1.0))
    width = _head_width(named)
    rotated = named.count("rope.dimension_count", width)
    unread = None
    if stretched := sorted(n for n in tensors if n.startswith("rope_f") and n != ROPE_FACTORS):
        unread = f"the frequencies of its tensor {stretched[0]} are not read"
    elif kind not in ("none", "linear"):
        unread = f"its rope scaling {kind!r} is not read from GGUF files"
    elif rotated != width and not family.partial:
        unread = f"it rotates {rotated} of {width} coordinates"
    elif factor != 1:
        parameters |= {"rope_type": "linear", "factor": factor}
    if family.partial and rotated != width:
        parameters["partial_rotary_factor"] = rotated / width
    return {"rope_parameters": parameters}, {} if unread is None else {"rope_offset": unread}
