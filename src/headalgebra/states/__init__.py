"""What a model's states do as it reads a text, block by block (001, section II)."""

from headalgebra.states.frozen import FrozenBlock
from headalgebra.states.guards import Guard, GuardError
from headalgebra.states.recording import Recording, open_recording, record

__all__ = [
    "FrozenBlock",
    "Guard",
    "GuardError",
    "Recording",
    "open_recording",
    "record",
]
