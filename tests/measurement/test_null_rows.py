"""What the table of nulls says of a layer among its draws, on draws that are known."""

import numpy as np
import pytest

from headalgebra import columns
from headalgebra.algebra.coherence.chance import compared_with_chance
from headalgebra.algebra.operators import HeadOperators
from headalgebra.measurement.nulls import compare_with_nulls
from heads import gaussian_heads


@pytest.mark.parametrize(
    ("scales", "p_value"),
    [
        # Of four draws one lies above the layer: 2 (1 + 1) / 5.
        ((0.5, 0.8, 0.9, 3.0), 0.8),
        ((0.5, 0.8, 2.0, 3.0), 1.0),
        # All to one side: no smaller than 2 / (n + 1).
        ((1.5, 2.0, 2.5, 3.0), 0.4),
        ((0.1, 0.2, 0.3, 0.4), 0.4),
        # Ties stand on both sides.
        ((1.0, 1.0, 1.0, 1.0), 1.0),
    ],
)
def test_a_layer_has_its_rank_among_the_draws(scales: tuple[float, ...], p_value: float) -> None:
    layer = gaussian_heads(0, 4, 16, 3)
    queue = iter(scales)

    def scaled(_: np.random.Generator) -> HeadOperators:
        """The layer, with operators so many times as large: ε goes as the square."""
        return HeadOperators(next(queue) * layer.query_matrix, layer.key_matrix, layer.key_of_head)

    rows = compare_with_nulls(0, layer, {"haar": scaled}, basis_dim=4, null_draws=len(scales))
    assert all(set(row) == set(columns.NULLS) for row in rows)
    (row,) = (row for row in rows if row["quantity"] == "epsilon")
    drawn = np.square(scales) * compared_with_chance(layer)["epsilon"]
    assert row["p_value"] == pytest.approx(p_value, rel=1e-12)
    assert row["n"] == len(scales)
    assert row["mean"] == pytest.approx(drawn.mean(), rel=1e-12)
    # Of equal draws the spread is the rounding of ε itself.
    assert row["sd"] == pytest.approx(drawn.std(ddof=1), rel=1e-9, abs=1e-14 * drawn.max())
    ends = np.quantile(drawn, (0.025, 0.975))
    assert (row["low"], row["high"]) == pytest.approx(tuple(ends), rel=1e-12)
