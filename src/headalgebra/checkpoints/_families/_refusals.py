"""Why an option of the convention has no meaning for a family."""

from collections.abc import Mapping
from typing import Any

NO_ROTARY = {"rope_offset": "it has no rotary positions"}
NORM_AFTER = {"fold_norm": "its norms follow attention, and none stands in front of it"}


def rope_refusals(*parameters: Mapping[str, Any]) -> dict[str, str]:
    """Why rotary positions with these parameters of transformers have no rotation by an offset."""
    for kind in (kind.get("rope_type", "default") for kind in parameters):
        if kind in ("dynamic", "longrope"):
            return {
                "rope_offset": f"the frequencies of its rope_type {kind} depend on the sequence "
                "length"
            }
        if kind not in ("default", "linear", "llama3", "proportional", "yarn"):
            return {"rope_offset": f"its rope_type {kind} is not known"}
    return {}
