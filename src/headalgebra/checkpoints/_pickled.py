"""A file of pickled tensors, read by torch without running what it says."""

import pickle
import zipfile
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._reads import FETCH_AGAIN, PlainFile
from headalgebra.checkpoints._safetensors import STORED_DTYPES, Entry, TensorFile

DTYPE_NAMES = {dtype: name for name, dtype in STORED_DTYPES.items()}


class PickledFile(TensorFile):
    """A state dict as `torch.save` writes it; tensors are copied out of it one at a time.

    torch unpickles tensors and plain containers only, and refuses whatever would call a function.

    Parameters
    ----------
    path
        The file.
    where
        Its name in error messages.

    Attributes
    ----------
    entries
        What it says of each tensor, by name.
    aliases
        None: shared weights are pickled under every name.
    whole
        Whether it has to be read whole, as one in the format before torch 1.6 has.

    Raises
    ------
    CheckpointError
        If it holds anything that would run code, or no tensors by name.
    """

    def __init__(self, path: Path, where: str) -> None:
        """Unpickle the names, shapes and places of the tensors."""
        self.where = where
        self.aliases = {}
        self._path = path
        self.whole = not zipfile.is_zipfile(path)
        if not self.whole:
            with zipfile.ZipFile(path) as archive:
                if any(it.compress_type != zipfile.ZIP_STORED for it in archive.infolist()):
                    raise CheckpointError(where, "its tensors are compressed", FETCH_AGAIN)
        described = self._load(without_data=not self.whole)
        self._tensors = described if self.whole else {}
        self._scattered = {n for n, tensor in described.items() if not tensor.is_contiguous()}
        self.entries = {name: _entry(tensor) for name, tensor in described.items()}

    def read(self, name: str, dtype: torch.dtype) -> Float[Tensor, "..."]:
        """Copy a tensor out of the file.

        Raises
        ------
        CheckpointError
            If the file ends before the tensor does.
        """
        if self.whole:
            return self._tensors[name].clone(memory_format=torch.contiguous_format)
        if name in self._scattered:
            return self._load(mmap=True)[name].clone(memory_format=torch.contiguous_format)
        entry = self.entries[name]
        tensor = torch.empty(entry.shape, dtype=dtype)
        stored = PlainFile(self._path, self.where)
        with stored.opened() as file:
            file.seek(entry.start)
            stored.fill(file, tensor.view(-1).view(torch.uint8).numpy().data)
        return tensor

    def _load(self, *, without_data: bool = False, mmap: bool = False) -> dict[str, Tensor]:
        """The tensors by name, with or without their numbers."""
        # Imported here because it takes a second, and few need it.
        from contextlib import nullcontext

        from torch._subclasses.fake_tensor import FakeTensorMode

        try:
            with FakeTensorMode() if without_data else nullcontext():
                found = torch.load(self._path, map_location="cpu", weights_only=True, mmap=mmap)
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                self.where,
                "it holds more than tensors, and reading that could run code",
                "use safetensors, or a file from someone whom you trust to convert it",
            ) from error
        except (RuntimeError, ValueError, EOFError, KeyError, OSError, AttributeError) as error:
            said = str(error).splitlines() or [type(error).__name__]
            raise CheckpointError(self.where, f"not read: {said[0]}", FETCH_AGAIN) from error
        if not isinstance(found, dict):
            raise CheckpointError(
                self.where, "it holds no tensors by name", "save the model's state_dict() alone"
            )
        return {
            name: tensor
            for name, tensor in found.items()
            if isinstance(name, str) and isinstance(tensor, Tensor)
        }


def _entry(tensor: Tensor) -> Entry:
    """As the header of a safetensors file would have it."""
    dtype = DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype))
    if tensor.layout != torch.strided:
        return Entry(str(tensor.layout), tuple(tensor.shape), 0, 0)
    # torch notes there where a storage begins, when it loads tensors without their numbers.
    first = getattr(tensor.untyped_storage(), "_checkpoint_offset", None) or 0
    start = int(first + tensor.storage_offset() * tensor.element_size())
    size = int(tensor.numel() * tensor.element_size())
    return Entry(dtype, tuple(tensor.shape), start, start + size)
