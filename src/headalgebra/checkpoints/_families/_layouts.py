"""How heads lie in a stored matrix."""

from headalgebra.checkpoints._families._attention import AttentionShape, HeadSlices, Projection


def side_by_side(n_heads: int, width: int, first: int = 0) -> tuple[int, ...]:
    """Where heads of this width begin when each follows the other."""
    return tuple(range(first, first + n_heads * width, width))


def rows(tensor: str, d_in: int, d_out: int, starts: tuple[int, ...], width: int) -> HeadSlices:
    """Heads as rows of a Linear weight [out, in]."""
    return HeadSlices(tensor, (d_out, d_in), 0, starts, width)


def fused_rows(
    tensor: str,
    shape: AttentionShape,
    d_out: int,
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    initial_std: float | None,
) -> tuple[Projection, Projection, Projection]:
    """Queries, keys and values as rows of one Linear weight [out, in].

    Parameters
    ----------
    tensor
        Its name.
    shape
        Sizes of the attention.
    d_out
        How many rows it has.
    starts
        Where the heads of the three projections begin.
    initial_std
        As in `Projection`.
    """
    queries, keys, values = (
        Projection(rows(tensor, shape.d_model, d_out, heads, shape.d_head), initial_std)
        for heads in starts
    )
    return queries, keys, values


def fused_head_by_head(
    tensor: str, shape: AttentionShape, initial_std: float | None
) -> tuple[Projection, Projection, Projection]:
    """Rows of each head's queries, keys and values together, then those of the next head."""
    r, n_heads = shape.d_head, shape.n_heads
    queries, keys, values = (side_by_side(n_heads, 3 * r, first) for first in (0, r, 2 * r))
    return fused_rows(tensor, shape, 3 * n_heads * r, (queries, keys, values), initial_std)


def fused_block_by_block(
    tensor: str, shape: AttentionShape, initial_std: float | None
) -> tuple[Projection, Projection, Projection]:
    """Rows of all queries, then those of all keys, then those of all values."""
    r, n_heads, n_kv_heads = shape.d_head, shape.n_heads, shape.n_kv_heads
    starts = (
        side_by_side(n_heads, r),
        side_by_side(n_kv_heads, r, n_heads * r),
        side_by_side(n_kv_heads, r, (n_heads + n_kv_heads) * r),
    )
    return fused_rows(tensor, shape, (n_heads + 2 * n_kv_heads) * r, starts, initial_std)


def output_columns(tensor: str, shape: AttentionShape) -> HeadSlices:
    """Heads as columns of the Linear weight [d, H r] that maps them to the residual stream."""
    width = shape.n_heads * shape.d_head
    return HeadSlices(
        tensor, (shape.d_model, width), 1, side_by_side(shape.n_heads, shape.d_head), shape.d_head
    )
