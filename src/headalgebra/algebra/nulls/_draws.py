"""Random layers with the shape of a given one."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.operators import HeadOperators


def haar_conjugated(operators: HeadOperators, generator: np.random.Generator) -> HeadOperators:
    r"""Every head turned by a rotation of its own, :math:`A_h → U_h A_h U_h^\top`.

    Each :math:`U_h` is Haar-distributed in O(d). Heads with keys of their own get independent
    rotations. The rotations of heads that share a key agree on the span of that key, so that it
    stays shared, and are independent on its orthogonal complement: the Haar measure conditioned on
    the sharing. What changes is the relative orientation of the heads alone; every norm, singular
    value and eigenvalue stays.

    Notes
    -----
    With :math:`K = P R` and :math:`Q_h = P P^\top Q_h + T_h L_h`, thin QR factorisations, the draw
    replaces P and T_h by uniform orthonormal frames (Stewart, 1980), T_h orthogonal to P: about
    12 d r² flops a head, and no d×d rotation.
    """
    d, r = operators.d_model, operators.d_head
    frames, key_triangles = torch.linalg.qr(operators.keys)
    k = frames.shape[-1]
    m = min(r, d - k)
    turned = _uniform_frames(_normal(operators, generator, len(frames), d, k))
    drawn = HeadOperators(
        torch.empty_like(operators.query_matrix),
        torch.empty_like(operators.key_matrix),
        operators.key_of_head,
    )
    drawn.keys.copy_(turned @ key_triangles)
    for strip in operators.strips(d * r):
        keys = operators.key_of_head[strip]
        was, now, of_heads = frames[keys], turned[keys], operators.queries[strip]
        inside = was.mT @ of_heads
        outside = _leading_rows(of_heads - was @ inside, m)
        normal = _normal(operators, generator, len(keys), d, m)
        complement = _uniform_frames(normal - now @ (now.mT @ normal))
        drawn.queries[strip] = now @ inside + complement @ outside
    return drawn


def gaussian_factors(operators: HeadOperators, generator: np.random.Generator) -> HeadOperators:
    """Factors of independent normal entries, each head scaled to the Frobenius norm it had.

    A zero head stays zero.
    """
    drawn = initial_factors(operators, generator, query_std=1.0, key_std=1.0)
    return with_norms_of(operators, drawn)


def initial_factors(
    operators: HeadOperators,
    generator: np.random.Generator,
    *,
    query_std: float,
    key_std: float,
    query_centred: bool = False,
    key_centred: bool = False,
) -> HeadOperators:
    """Factors of independent normal entries of given standard deviations.

    ``query_centred`` and ``key_centred`` take the mean over the d rows off every column, as the
    centring of a layer norm that is folded into the factors does.
    """
    queries = query_std * _normal(operators, generator, *operators.queries.shape)
    keys = key_std * _normal(operators, generator, *operators.keys.shape)
    if query_centred:
        queries = queries - queries.mean(1, keepdim=True)
    if key_centred:
        keys = keys - keys.mean(1, keepdim=True)
    return _like(operators, queries, keys)


def with_norms_of(operators: HeadOperators, drawn: HeadOperators) -> HeadOperators:
    """The drawn heads, each scaled to the Frobenius norm of the head in its place."""
    target, found = operators.norms(), drawn.norms()
    factor = torch.where(found > 0, target / found, torch.zeros_like(found))
    scaled = drawn.query_matrix * factor.repeat_interleave(drawn.d_head)
    return HeadOperators(scaled, drawn.key_matrix, drawn.key_of_head)


def draw_foreign_groups(
    layer: int, layers: Sequence[int], n_groups: int, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """For each key group of a layer, a layer other than its own and a group of that layer.

    Layers are drawn without repetition until all were used, and so are the groups of each layer:
    as few heads as possible were trained together.

    Raises
    ------
    ValueError
        When there is no other layer.
    """
    others = [other for other in layers if other != layer]
    if not others:
        raise ValueError(f"layer {layer} is the only one: there are no heads of other layers")
    rounds = -(-n_groups // len(others))
    drawn = [other for _ in range(rounds) for other in generator.permutation(others).tolist()]
    groups = {other: generator.permutation(n_groups).tolist() for other in others}
    return [(other, groups[other].pop()) for other in drawn[:n_groups]]


def _normal(operators: HeadOperators, generator: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(generator.standard_normal(shape)).to(operators.query_matrix)


def _leading_rows(columns: Float[Tensor, "B d r"], m: int) -> Float[Tensor, "B m r"]:
    """L with the Gram matrix LᵀL of some columns that span no more than m directions."""
    triangles = torch.linalg.qr(columns, mode="r")[1]
    if triangles.shape[1] == m:
        return triangles
    # Of fewer directions than columns; those that depend on others leave rows that are not zero
    # anywhere in the triangle, not only at its end.
    _, sizes, frames = torch.linalg.svd(triangles)
    return sizes[:, :m, None] * frames[:, :m]


def _uniform_frames(normal: Float[Tensor, "B d k"]) -> Float[Tensor, "B d k"]:
    """Orthonormal frames distributed as the columns' span is, free of the QR's own signs."""
    frames, triangles = torch.linalg.qr(normal)
    return frames.mul_(triangles.diagonal(dim1=-2, dim2=-1).sign()[:, None])


def _like(
    operators: HeadOperators, queries: Float[Tensor, "H d r"], keys: Float[Tensor, "G d r"]
) -> HeadOperators:
    return HeadOperators.from_factors(queries, keys, operators.key_of_head)
