"""How much of a matrix's variation within rows depends on the lag between row and column alone."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from headalgebra.rounding import ROUNDING_MARGIN, UNIT_ROUNDOFF


class LagModel:
    """Least squares of values y_ij = a_i + c_{lag(i, j)} on the visible pairs of a matrix.

    Parameters
    ----------
    lags
        ``[R, C]``, the lag of each pair; those of a row are distinct.
    visible
        ``[R, C]``, which pairs count.
    """

    def __init__(self, lags: Int[Tensor, "R C"], visible: Bool[Tensor, "R C"]) -> None:
        self.visible = visible
        self._place = lags - lags.min()
        seen = torch.zeros(len(lags), int(self._place.max()) + 1, device=lags.device)
        seen = seen.double().scatter(-1, self._place, visible.double())
        per_row = seen.sum(-1)
        self._per_row = per_row.clamp(min=1)
        # What is left of the lags' indicators when each row's mean is taken off. Its null space,
        # constants and lags that are not seen, is the freedom between a and c.
        normal = torch.diag(seen.sum(0)) - seen.T @ (seen / self._per_row[:, None])
        self._inverse = torch.linalg.pinv(normal, hermitian=True)

    def fit(
        self, values: Float[Tensor, "N *batch R C"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch R C"]]:
        """Fit one kernel c to N matrices, each with row terms of its own.

        Returns
        -------
        share
            1 − residual/total sum of squares within rows; 1 where rows are constant to rounding.
        fitted
            c_{lag(i, j)}, whatever is visible.
        """
        values = values.double()
        values = torch.where(self.visible, values, 0)
        means = values.sum(-1, keepdim=True) / self._per_row[:, None]
        within = torch.where(self.visible, values - means, 0)
        by_lag = within.new_zeros(*values.shape[1:-2], len(self._inverse))
        by_lag.scatter_add_(
            -1,
            self._place.flatten().expand(*values.shape[1:-2], self._place.numel()),
            within.sum(0).flatten(-2),
        )
        kernel = by_lag @ self._inverse / len(values)
        total = within.square().sum((0, -2, -1))
        share = (kernel * by_lag).sum(-1) / total
        pairs = len(values) * self.visible.sum()
        rounding = ROUNDING_MARGIN * UNIT_ROUNDOFF[values.dtype] * (1 + values.abs().amax())
        share = torch.where(total <= pairs * rounding.square(), 1.0, share)
        return share, kernel[..., self._place]

    def permute(
        self, values: Float[Tensor, "*batch R C"], generator: np.random.Generator
    ) -> Float[Tensor, "*batch R C"]:
        """The values with those of each row's visible pairs in random order."""
        keys = torch.from_numpy(generator.random(tuple(values.shape))).to(values.device)
        order = keys.masked_fill(~self.visible, 2).argsort(-1)
        slots = (~self.visible).long().argsort(dim=-1, stable=True).expand_as(order)
        return torch.empty_like(values).scatter(-1, slots, values.gather(-1, order))

    def chance(
        self, values: Float[Tensor, "N *batch R C"], generator: np.random.Generator, draws: int
    ) -> Float[Tensor, "*batch"]:
        """Mean share of some draws of permuted values."""
        shares = [self.fit(self.permute(values, generator))[0] for _ in range(draws)]
        return torch.stack(shares).mean(0)
