"""What is read of a checkpoint, and what beside it is let pass by consent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Reading:
    """How a checkpoint's files are read.

    Parameters
    ----------
    layers
        The layers that will be read, from 0; all by default. Files that hold none of them are
        neither fetched nor opened, and may be missing.
    adapters
        ``"ignore"`` reads a model without the adapter that lies beside it. By default the two are
        refused, since the model that is run may be both together.
    ignore_config
        Keys of config.json that are passed over as if they were not there. Of a key that changes
        queries or keys the reader has to know that it does not.
    allow_pickle
        Where there are no safetensors weights, whether ``pytorch_model*.bin`` is read. torch
        refuses in it whatever would run code.
    fetch
        ``"files"`` fetches from the hub whole files. By default only the header and what is wanted
        is fetched of a file, where that is less than half of it and the server gives ranges.
    model_type
        The family of a checkpoint whose config.json names none, as old ones do.
    """

    layers: tuple[int, ...] | None = None
    adapters: Literal["ignore"] | None = None
    ignore_config: tuple[str, ...] = ()
    allow_pickle: bool = False
    fetch: Literal["files"] | None = None
    model_type: str | None = None


AS_IT_IS = Reading()
"""All of a checkpoint, and nothing that needs consent."""
