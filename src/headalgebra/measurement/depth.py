"""Which layers are measured where not all of them are."""

import numpy as np


def spread_over_depth(layers: int, at_most: int) -> list[int]:
    """So many of the layers 0 … L − 1, evenly, the first and the last among them."""
    places = np.linspace(0, layers - 1, min(at_most, layers))
    return np.round(places).astype(int).tolist()
