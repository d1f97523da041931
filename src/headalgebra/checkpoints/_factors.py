"""The canonical factors of one attention layer, and the file that keeps them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError

FLOAT_DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True, eq=False)
class LayerFactors:
    """Query and key factors of one attention layer.

    Head ``h`` scores a pair of tokens ``x, y`` (rows of length d) by the bilinear form
    ``x @ queries[h] @ keys[key_of_head[h]].T @ y``, up to biases and what the convention leaves
    out. In the circuit ``"ov"`` the queries are W_v and the keys W_o transposed.

    Attributes
    ----------
    queries
        One d x r factor for each of the H query heads.
    keys
        One d x r factor for each of the G key/value heads.
    key_of_head
        Index into `keys` for each query head, 0-based.
    """

    queries: Float[Tensor, "H d r"]
    keys: Float[Tensor, "G d r"]
    key_of_head: Int64[Tensor, " H"]

    def astype(self, dtype: str) -> "LayerFactors":
        """Round the factors to another floating-point type.

        Parameters
        ----------
        dtype
            ``"float64"``, ``"float32"``, ``"float16"`` or ``"bfloat16"``.

        Raises
        ------
        CheckpointError
            If the name is none of these, or a finite weight overflows the type.
        """
        return LayerFactors(
            rounded(self.queries, dtype), rounded(self.keys, dtype), self.key_of_head
        )


def rounded(weights: Float[Tensor, "..."], dtype: str) -> Float[Tensor, "..."]:
    """Round weights to another floating-point type.

    Raises
    ------
    CheckpointError
        If the type is unknown, or a weight overflows it.
    """
    if dtype not in FLOAT_DTYPES:
        raise CheckpointError("dtype", f"{dtype!r} is unknown", f"use {_any_of(FLOAT_DTYPES)}")
    result = weights.to(FLOAT_DTYPES[dtype])
    if _all_finite(weights) and not _all_finite(result):
        raise CheckpointError("dtype", f"weights overflow {dtype}", "use a wider type")
    return result


def save_factors(path: Path, factors: LayerFactors, metadata: Mapping[str, str]) -> None:
    """Write the factors of one layer to a safetensors file.

    Parameters
    ----------
    path
        The file to write.
    factors
        Written as the tensors ``queries``, ``keys`` and ``key_of_head``.
    metadata
        Kept in the header's ``provenance`` entry as JSON with sorted keys, since safetensors
        writes several entries in random order and equal factors must give equal bytes.

    Raises
    ------
    CheckpointError
        If `load_factors` would refuse the factors.
    """
    tensors = {name: tensor.contiguous() for name, tensor in vars(factors).items()}
    refuse_unsound_factors(tensors, str(path))
    save_file(tensors, path, {"provenance": json.dumps(dict(metadata), sort_keys=True)})


def load_factors(path: Path) -> LayerFactors:
    """Read back what `save_factors` wrote.

    Parameters
    ----------
    path
        A safetensors file with the tensors ``queries``, ``keys`` and ``key_of_head``.

    Raises
    ------
    CheckpointError
        If the file is not that, or its tensors have other ranks, types or sizes than the
        factors of one layer, point at keys that do not exist, or hold infinities or NaNs.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(str(path), str(error), "write it again with save_factors") from error
    refuse_unsound_factors(tensors, str(path))
    return LayerFactors(**tensors)


def load_group(path: Path, heads: Sequence[int]) -> LayerFactors:
    """Read some heads of a layer that `save_factors` wrote, and no more than them.

    Parameters
    ----------
    path
        As in `load_factors`.
    heads
        Heads of the layer, in the order wanted.

    Returns
    -------
    LayerFactors
        Of these heads alone; `key_of_head` counts the keys they use, in the layer's order.

    Raises
    ------
    CheckpointError
        As in `load_factors`, or if the layer has no such head.
    """
    try:
        with safe_open(path, framework="pt") as file:
            key_of_head = file.get_tensor("key_of_head")[torch.tensor(heads)]
            keys_used, key_of_head = key_of_head.unique(return_inverse=True)
            queries, keys = file.get_slice("queries"), file.get_slice("keys")
            tensors = {
                "queries": torch.cat([queries[head : head + 1] for head in heads]),
                "keys": torch.cat([keys[key : key + 1] for key in keys_used.tolist()]),
                "key_of_head": key_of_head,
            }
    except (IndexError, OSError, SafetensorError) as error:
        raise CheckpointError(str(path), str(error), "write it again with save_factors") from error
    refuse_unsound_factors(tensors, str(path))
    return LayerFactors(**tensors)


def refuse_unsound_factors(tensors: Mapping[str, Tensor], where: str) -> None:
    """Raise unless the tensors are the factors of one layer; `where` names them in the error."""
    mend = "read the layer again from a sound checkpoint"
    if tensors.keys() != {"queries", "keys", "key_of_head"}:
        raise CheckpointError(
            where, f"tensors {sorted(tensors)}, expected queries, keys and key_of_head", mend
        )
    queries, keys, key_of_head = tensors["queries"], tensors["keys"], tensors["key_of_head"]
    for name, factor in (("queries", queries), ("keys", keys)):
        if factor.ndim != 3 or 0 in factor.shape:
            raise CheckpointError(
                where, f"{name} has shape {list(factor.shape)}, expected three sizes", mend
            )
        if factor.dtype not in FLOAT_DTYPES.values():
            raise CheckpointError(
                where, f"{name} is {factor.dtype}", f"use {_any_of(FLOAT_DTYPES)}"
            )
        if not _all_finite(factor):
            raise CheckpointError(where, f"{name} holds infinities or NaNs", mend)
    if queries.shape[1:] != keys.shape[1:] or queries.dtype != keys.dtype:
        raise CheckpointError(
            where,
            f"queries are {list(queries.shape)} {queries.dtype}, "
            f"keys are {list(keys.shape)} {keys.dtype}: d, r or dtype differ",
            mend,
        )
    if key_of_head.dtype != torch.int64 or key_of_head.shape != queries.shape[:1]:
        raise CheckpointError(
            where,
            f"key_of_head is {list(key_of_head.shape)} {key_of_head.dtype}, "
            f"expected [{queries.shape[0]}] torch.int64",
            mend,
        )
    if key_of_head.min() < 0 or key_of_head.max() >= keys.shape[0]:
        raise CheckpointError(
            where, f"key_of_head leaves the range 0..{keys.shape[0] - 1} of the keys", mend
        )


def _all_finite(weights: Float[Tensor, "..."]) -> bool:
    """Whether no entry is infinite or not a number."""
    # A matrix at a time: the test takes several times the room of what it is given.
    matrices = weights if weights.ndim > 2 else [weights]
    return all(bool(matrix.isfinite().all()) for matrix in matrices)


def _any_of(names: Mapping[str, object]) -> str:
    """Enumerate the names for an error message."""
    return ", ".join(names)
