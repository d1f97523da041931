"""What chance alone would give, in closed form."""

from jaxtyping import Float
from torch import Tensor

Invariants = tuple[Float[Tensor, "*#batch"], Float[Tensor, "*#batch"], Float[Tensor, "*#batch"]]


def haar_commutator_norm(A: Invariants, B: Invariants, d: int) -> Float[Tensor, "*batch"]:
    r"""Root mean square of :math:`||[A, U B U^\top]||_F` over Haar-distributed U in O(d).

    Parameters
    ----------
    A, B
        The invariants ``(||X||_F², tr X, tr X²)`` of each operator; batches broadcast.
    d
        Dimension the operators act on.

    Notes
    -----
    The second moment of :math:`U B U^\top` is a combination of the three O(d)-invariant tensors of
    rank four, with coefficients fixed by the three contractions (Weingarten calculus; Collins and
    Śniady, 2006). On a line (d = 1) everything commutes and the value is zero.
    """
    norm_A, trace_A, square_A = A
    norm_B, trace_B, square_B = B
    if d == 1:
        return norm_A * norm_B * 0.0
    # Solution of the 3×3 system  d² c_k + d (c_l + c_m) = t_k.
    t = (trace_B**2, norm_B, square_B)
    shared = sum(t, start=norm_B * 0.0) / (d + 2)
    c = [(t_k - shared) / (d * (d - 1)) for t_k in t]
    aligned = c[0] * norm_A + c[1] * trace_A**2 + c[2] * square_A
    mean_square = 2 * norm_A * norm_B / d - 2 * aligned
    return mean_square.clamp(min=0).sqrt()
