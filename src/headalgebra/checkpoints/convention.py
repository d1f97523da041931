"""How an operator is built from the weights, as every row of the layer table records it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Convention:
    """What stands between the weights of a layer and the operators of its heads.

    Activations are rows. Without options the operator of head h is ``A_h = W_q^h (W_k^h)^T``, the
    paper's Definition 1.1. Biases play no role under any convention.

    Parameters
    ----------
    circuit
        ``"qk"``: the bilinear form of the attention scores, ``A_h = W_q^h (W_k^h)^T``.
        ``"ov"``: what the head writes for what it reads, ``A_h = W_v^h W_o^h``.
    scale
        ``A_h -> s A_h`` with s the factor by which the model multiplies the scores before the
        softmax, such as r^(-1/2).
    fold_norm
        ``A_h -> P G A_h G P`` with ``G = diag(gamma)`` of the norm in front of attention (1 + gamma
        where the model uses it so), and ``P = I - 11^T/d`` for LayerNorm, the identity for RMSNorm.
        The norm's bias has no place in A_h, and its division by the size of a token's row is left
        to the activations. In the circuit ``"ov"`` only the reading side is folded:
        ``A_h -> P G A_h``.
    rope_offset
        ``A_h -> W_q^h R(D) (W_k^h)^T`` for the offset D, where R is the rotation of the model's
        rotary positions: ``x A_h y^T`` is the score of a query x at position m and a key y at
        position m - D. Positive offsets look back. At 0 the weights are left as they are.

    Raises
    ------
    ValueError
        If the circuit is unknown, or an option of the scores is given for the circuit ``"ov"``.
    """

    circuit: Literal["qk", "ov"] = "qk"
    scale: bool = False
    fold_norm: bool = False
    rope_offset: int = 0

    def __post_init__(self) -> None:
        """Refuse combinations that mean nothing."""
        if self.circuit not in ("qk", "ov"):
            raise ValueError(f"circuit {self.circuit!r} is unknown: use 'qk' or 'ov'")
        if self.circuit == "ov" and self.scale:
            raise ValueError("scale multiplies query-key scores: the circuit 'ov' has none")
        if self.circuit == "ov" and self.rope_offset:
            raise ValueError("rope_offset rotates queries against keys: the circuit 'ov' has none")


PAPER = Convention()
"""The paper's Definition 1.1: W_q W_k^T without softmax scale, folded norm or rotation."""
