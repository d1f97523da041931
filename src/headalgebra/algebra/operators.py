r"""Head operators :math:`A_h = Q_h K_h^\top` of a layer, kept as factors.

No d×d matrix is formed unless one is asked for by name (:meth:`HeadOperators.materialise`,
:meth:`HeadOperators.combine`).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from headalgebra.defaults import STRIP_NUMBERS


def heads_at_once(numbers: int) -> int:
    """How many heads to work on at once, where ``numbers`` are formed of each; at least one."""
    return max(1, STRIP_NUMBERS // max(numbers, 1))


@dataclass(frozen=True)
class HeadOperators:
    """The head operators of one layer, as factors.

    Attributes
    ----------
    query_matrix
        ``[d, H*r]``, the query factors of the H heads side by side.
    key_matrix
        ``[d, G*r]``, the key factors side by side; with grouped queries G < H.
    key_of_head
        ``[H]``, which key factor each head uses.
    """

    query_matrix: Float[Tensor, "d Hr"]
    key_matrix: Float[Tensor, "d Gr"]
    key_of_head: Int[Tensor, "H"]

    @classmethod
    def from_factors(
        cls,
        queries: Float[Tensor, "H d r"],
        keys: Float[Tensor, "G d r"],
        key_of_head: Int[Tensor, "H"] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> "HeadOperators":
        """Build the operators in ``dtype`` from factors of any floating dtype.

        ``key_of_head`` may be left out when every head has its own key factor.

        Raises
        ------
        ValueError
            When the shapes disagree or ``key_of_head`` points outside the keys.
        """
        heads, d_model, _ = queries.shape
        if key_of_head is None:
            key_of_head = torch.arange(heads, device=queries.device)
        if keys.shape[1:] != queries.shape[1:]:
            raise ValueError(
                f"queries [H, d, r] = {list(queries.shape)} and keys [G, d, r] = "
                f"{list(keys.shape)} must agree in d and r"
            )
        if len(key_of_head) != heads:
            raise ValueError(f"key_of_head has {len(key_of_head)} entries for {heads} heads")
        if heads and not (0 <= int(key_of_head.min()) <= int(key_of_head.max()) < len(keys)):
            raise ValueError(f"key_of_head must lie in 0..{len(keys) - 1}")

        def side_by_side(factors: Tensor) -> Tensor:
            # Rounded and moved in one pass: either first would take the room of the result.
            matrix = factors.new_empty((d_model, *factors.shape[::2]), dtype=dtype)
            return matrix.copy_(factors.permute(1, 0, 2)).flatten(1)

        return cls(side_by_side(queries), side_by_side(keys), key_of_head)

    @property
    def d_model(self) -> int:
        """Rows of every factor."""
        return self.query_matrix.shape[0]

    @property
    def n_heads(self) -> int:
        """Number of operators, H."""
        return len(self.key_of_head)

    @property
    def d_head(self) -> int:
        """Columns of one factor, r, which bounds the rank of an operator."""
        return self.query_matrix.shape[1] // self.n_heads

    @property
    def own_keys(self) -> bool:
        """Whether head h uses key factor h, for every h."""
        return self.key_of_head.tolist() == list(range(len(self.keys)))

    @property
    def queries(self) -> Float[Tensor, "H d r"]:
        """View of the query factors, head first."""
        return self.query_matrix.view(self.d_model, -1, self.d_head).permute(1, 0, 2)

    @property
    def keys(self) -> Float[Tensor, "G d r"]:
        """View of the key factors, key first."""
        return self.key_matrix.view(self.d_model, -1, self.d_head).permute(1, 0, 2)

    def to(self, device: torch.device) -> "HeadOperators":
        """Copy to another device."""
        return HeadOperators(
            self.query_matrix.to(device), self.key_matrix.to(device), self.key_of_head.to(device)
        )

    def on_coordinates(self, places: Int[Tensor, "k"]) -> "HeadOperators":
        r"""Their compressions to some coordinates: rows and columns of the others are left out."""
        return HeadOperators(self.query_matrix[places], self.key_matrix[places], self.key_of_head)

    def rounded(self, dtype: torch.dtype) -> "HeadOperators":
        """Copy in another dtype."""
        return HeadOperators(
            self.query_matrix.to(dtype), self.key_matrix.to(dtype), self.key_of_head
        )

    def strips(self, numbers: int) -> list[slice]:
        """All heads in parts of `heads_at_once`."""
        at_once = heads_at_once(numbers)
        return [slice(first, first + at_once) for first in range(0, self.n_heads, at_once)]

    def triangles(self) -> tuple[Float[Tensor, "H k r"], Float[Tensor, "H k r"]]:
        r"""Triangular factors of thin QRs of the queries and of the keys, k = min(d, r).

        :math:`R_Q R_K^\top` has the singular values of the operator.
        """
        at_once = heads_at_once(self.d_model * self.d_head)
        of_queries, of_keys = (
            torch.cat([torch.linalg.qr(part, mode="r")[1] for part in factors.split(at_once)])
            for factors in (self.queries, self.keys)
        )
        return of_queries, of_keys[self.key_of_head]

    def norms(self) -> Float[Tensor, "H"]:
        """Frobenius norm of every operator, to rounding even where the factors are badly scaled."""
        return self._norms

    @cached_property
    def _norms(self) -> Float[Tensor, "H"]:
        # Every random layer that is drawn beside these heads asks for them.
        of_queries, of_keys = self.triangles()
        return torch.linalg.matrix_norm(of_queries @ of_keys.mT)

    def singular_values(self) -> Float[Tensor, "H k"]:
        """Singular values of every operator, largest first; those beyond k = min(d, r) are zero."""
        of_queries, of_keys = self.triangles()
        return torch.linalg.svdvals(of_queries @ of_keys.mT)

    def materialise(self, head: int) -> Float[Tensor, "d d"]:
        """The dense operator of one head."""
        return self.queries[head] @ self.keys[int(self.key_of_head[head])].T

    def combine(self, coefficients: Float[Tensor, "H"]) -> Float[Tensor, "d d"]:
        """The dense operator ``sum_h coefficients[h] A_h``, in one product."""
        weighted = self.queries * coefficients[:, None, None]
        return weighted.permute(1, 0, 2).reshape(self.d_model, -1) @ self.keys_by_head().T

    def keys_by_head(self) -> Float[Tensor, "d Hr"]:
        """Key factors side by side, one for every head (repeated where heads share)."""
        return self.keys[self.key_of_head].permute(1, 0, 2).reshape(self.d_model, -1)

    def key_products(self, vectors: Float[Tensor, "d *batch"]) -> Float[Tensor, "H r *batch"]:
        """``K_h^T vectors`` for every head, each shared key factor applied once."""
        batch = vectors.shape[1:]
        shared = self.key_matrix.T @ vectors.reshape(self.d_model, math.prod(batch))
        return shared.view(len(self.keys), self.d_head, *batch)[self.key_of_head]

    def query_combination(self, inner: Float[Tensor, "H r *batch"]) -> Float[Tensor, "d *batch"]:
        """``sum_h Q_h inner[h]``."""
        batch = inner.shape[2:]
        stacked = inner.reshape(self.n_heads * self.d_head, math.prod(batch))
        return (self.query_matrix @ stacked).view(self.d_model, *batch)
