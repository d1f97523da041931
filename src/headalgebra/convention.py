"""How an operator is built from the weights, as every row of the layer table records it."""

PAPER: dict[str, str | bool | int] = {
    "circuit": "qk",
    "scale": False,
    "fold_norm": False,
    "rope_offset": 0,
}
"""The paper's Definition 1.1: W_q W_k^T without softmax scale, folded norm or rotation."""
