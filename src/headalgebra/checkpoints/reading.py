"""What is read of a checkpoint, and what beside it is let pass by consent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Reading:
    """How a checkpoint's files are read.

    Parameters
    ----------
    adapters
        ``"ignore"`` reads a model without the adapter that lies beside it. By default the two are
        refused, since the model that is run may be both together.
    """

    adapters: Literal["ignore"] | None = None


AS_IT_IS = Reading()
"""All of a checkpoint, and nothing that needs consent."""
