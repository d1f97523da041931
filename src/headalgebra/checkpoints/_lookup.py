"""Which files of a checkpoint hold the tensors that factors are made of."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import PurePosixPath

import torch

from headalgebra.checkpoints._changes import BEFORE_QUANTISING, refuse_changes
from headalgebra.checkpoints._config import read_json
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import Attention
from headalgebra.checkpoints._names import (
    WantedTensors,
    find_prefix,
    find_quantised,
    refuse_mixed_types,
    wanted_tensors,
)
from headalgebra.checkpoints._safetensors import (
    FETCH_AGAIN,
    STORED_DTYPES,
    StoredTensor,
    WeightsFile,
)
from headalgebra.checkpoints.convention import Convention

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".ckpt", ".pt", ".pth")
CONVERSION = (
    'convert them with: python -c "import transformers as t; '
    "t.AutoModel.from_pretrained('CHECKPOINT').save_pretrained('FOLDER')\" and open FOLDER"
)


def locate(
    files: CheckpointFiles, attention: Attention, convention: Convention
) -> tuple[dict[str, StoredTensor], torch.dtype]:
    """Find what the factors of every layer are made of, and check it by the files' headers.

    Returns
    -------
    tensors
        Those wanted, by their names without the prefix of the model around them.
    dtype
        The type of the projections.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights, or a wanted tensor is missing, ambiguous, of another
        shape than the configuration says, or not of a floating-point type, or if projections
        differ in type.
    """

    @cache
    def opened(name: str) -> WeightsFile:
        path = files.path(name)
        return WeightsFile(path, files.where(name), files.digests.get(name))

    if SINGLE in files.names:
        file_of_tensor: Mapping[str, str] = dict.fromkeys(opened(SINGLE).entries, SINGLE)
    else:
        file_of_tensor = _indexed(files)
    wanted, prefix = _find(file_of_tensor, files, attention, convention)
    tensors = {
        name: _stored(prefix + name, shape, file_of_tensor, files, opened)
        for name, shape in wanted.shapes.items()
    }
    projections = [tensors[name] for name in wanted.projections]
    refuse_mixed_types(
        {tensor.name: tensor.dtype for tensor in projections},
        {tensor.name: tensor.file.where for tensor in projections},
    )
    return tensors, projections[0].dtype


def files_to_open(files: CheckpointFiles, attention: Attention, convention: Convention) -> set[str]:
    """Name the files that `locate` opens, without opening any that holds weights.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights, or by their index a wanted tensor is missing or
        ambiguous.
    """
    if SINGLE in files.names:
        return {SINGLE}
    file_of_tensor = _indexed(files)
    wanted, prefix = _find(file_of_tensor, files, attention, convention)
    return {INDEX, *(_holder(prefix + name, file_of_tensor, files) for name in wanted.shapes)}


def weights_files(files: CheckpointFiles) -> set[str]:
    """The files that hold a checkpoint's weights, and their index if there is one.

    Raises
    ------
    CheckpointError
        If there are no safetensors weights.
    """
    return {SINGLE} if SINGLE in files.names else {INDEX, *_indexed(files).values()}


def _indexed(files: CheckpointFiles) -> Mapping[str, str]:
    """The file that holds each tensor, by tensor name, of weights in several files."""
    if INDEX in files.names:
        where = files.where(INDEX)
        weight_map = read_json(files.hashed(INDEX), where).get("weight_map")
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
        return weight_map
    pickled = sorted(name for name in files.names if name.endswith(PICKLED))
    if pickled:
        raise CheckpointError(
            files.where(pickled[0]), "pickled weights, which can run code, are not read", CONVERSION
        )
    raise CheckpointError(
        files.origin, f"neither {SINGLE} nor {INDEX}", "point at a folder with one of them"
    )


def _find(
    file_of_tensor: Mapping[str, str],
    files: CheckpointFiles,
    attention: Attention,
    convention: Convention,
) -> tuple[WantedTensors, str]:
    """What is wanted of these tensors, and the prefix that it has among them."""
    where = {name: files.where(file) for name, file in file_of_tensor.items()}
    if quantised := find_quantised(where):
        raise CheckpointError(
            where[quantised],
            f"tensor {quantised}: the weights are quantised",
            BEFORE_QUANTISING,
        )
    wanted = wanted_tensors(attention, convention)
    refuse_changes(wanted, attention, where)
    return wanted, find_prefix(wanted, where, attention.other_parts, files.origin)


def _holder(tensor: str, file_of_tensor: Mapping[str, str], files: CheckpointFiles) -> str:
    """The file that holds a tensor, if there is one."""
    if tensor not in file_of_tensor:
        raise CheckpointError(
            files.origin,
            f"tensor {tensor} is missing",
            "correct the number of layers in config.json, or fetch the whole checkpoint",
        )
    file_name = file_of_tensor[tensor]
    if file_name not in files.names:
        raise CheckpointError(
            files.where(file_name),
            f"no such file, but tensor {tensor} should be in it",
            "fetch the whole checkpoint",
        )
    return file_name


def _stored(
    tensor: str,
    expected: tuple[int, ...],
    file_of_tensor: Mapping[str, str],
    files: CheckpointFiles,
    opened: Callable[[str], WeightsFile],
) -> StoredTensor:
    """A tensor where it is stored, if its header is that of the one wanted."""
    file_name = _holder(tensor, file_of_tensor, files)
    file = opened(file_name)
    if tensor not in file.entries:
        raise CheckpointError(
            file.where, f"tensor {tensor} is not in it", f"fetch it again, or correct {INDEX}"
        )
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
