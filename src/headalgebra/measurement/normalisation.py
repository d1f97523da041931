"""Rows of the table `geometry`: norms as projections, and linear maps on the sphere."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields

from jaxtyping import Float
from torch import Tensor

from headalgebra.checkpoints import CheckpointError, open_checkpoint
from headalgebra.checkpoints.convention import PAPER
from headalgebra.geometry.intrinsic import beyond_affine, read_by_attention
from headalgebra.geometry.moments import Moments, isotropic_lowest, lowest
from headalgebra.geometry.normalisation import Place, moments_of, norm_statistics
from headalgebra.measurement._geometry import geometry_row
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed
from headalgebra.states import FrozenBlock
from headalgebra.states.inside import NormSeen
from headalgebra.states.structure import Stack

QueryWeights = Callable[[int], Float[Tensor, "H d r"] | str]
"""W_q of a layer, for rows, or why it is not known."""


def query_weights(stack: Stack) -> QueryWeights:
    """The query weights of a model that is run."""
    try:
        checkpoint = open_checkpoint(stack.model, convention=PAPER)
    except CheckpointError as refused:
        why = f"query weights cannot be read: {refused}"
        return lambda _: why

    def of_layer(layer: int) -> Float[Tensor, "H d r"] | str:
        try:
            return checkpoint.read_layer(layer, "float64").queries
        except CheckpointError as refused:
            return f"query weights cannot be read: {refused}"

    return of_layer


class Norms:
    """What the norms make of states, and what queries make of that.

    Parameters
    ----------
    moments
        Of z by the norm's place; None to take those of the recorded text.
    queries
        The query weights.
    seed
        Of the nulls.
    """

    def __init__(
        self, moments: Mapping[Place, Moments] | None, queries: QueryWeights, seed: int
    ) -> None:
        self._given, self._queries = moments, queries
        self._seed = int(layer_seed(seed, "isotropic_null", 0).generate_state(1)[0])
        self._found: dict[Place, Moments] = {}
        self._last: NormSeen | None = None
        self._rows: list[Row] = []

    def add(self, block: FrozenBlock) -> None:
        """Measure every norm of the next block."""
        assert block.inside is not None
        # The block before may have made what this one's attention reads.
        found = {place: it for place, it in self._found.items() if place[0] == block.layer - 1}
        for seen in block.inside.norms:
            place = block.layer, seen.name
            found[place] = moments_of(seen) if self._given is None else self._given[place]
            of_stream = seen.given.shape == block.input.shape
            self._rows += _statistics(place, seen, of_stream=of_stream)
            self._rows += _eigenvalues(place, seen, found[place], self._seed)
        self._found = found
        self._rows += self._intrinsic(block)
        self._last = block.inside.norms[-1] if block.inside.norms else None

    def rows(self) -> list[Row]:
        """Of every norm and head."""
        return self._rows

    def _intrinsic(self, block: FrozenBlock) -> list[Row]:
        """How far from affine the queries of each head are in the coordinates of the sphere."""
        quantity, layer = "query_beyond_affine", block.layer
        read = read_by_attention(block, self._last)
        if read is None:
            note = "queries are not made from what a norm of a block has made"
            return [geometry_row(layer, quantity, None, note=note)]
        where, seen = read
        moments = self._found[where, seen.name]
        if why := moments.too_few_for_rank:
            return [geometry_row(layer, quantity, None, norm=seen.name, note=why)]
        queries = self._queries(layer)
        if isinstance(queries, str):
            return [geometry_row(layer, quantity, None, norm=seen.name, note=queries)]
        maps = seen.held.gain.double().cpu()[:, None] * queries
        try:
            shares = beyond_affine(moments, maps, centred=seen.held.centred)
        except ValueError as error:
            return [geometry_row(layer, quantity, None, norm=seen.name, note=str(error))]
        zero = "the head's queries are zero"
        return [
            geometry_row(layer, quantity, share, norm=seen.name, head=head, unless=zero)
            for head, share in enumerate(shares.tolist())
        ]


def _statistics(place: Place, seen: NormSeen, *, of_stream: bool) -> Iterable[Row]:
    layer, norm = place
    found = norm_statistics(seen, of_stream=of_stream)
    yield geometry_row(layer, "takes_mean_off", float(seen.held.centred), norm=norm)
    for field in fields(found):
        value = getattr(found, field.name)
        if value is not None:
            why = "some vector is 0, or all are one"
            yield geometry_row(layer, field.name, value, norm=norm, unless=why)


def _eigenvalues(place: Place, seen: NormSeen, moments: Moments, seed: int) -> Iterable[Row]:
    layer, norm = place
    quantities = "lambda_1", "lambda_2", "lambda_3", "nulled"
    why = moments.too_few_for_rank or ("dimensions are too few" if moments.d < 3 else "")
    if not why:
        try:
            found = lowest(moments.covariance)
        except ValueError as error:
            why = str(error)
    if why:
        return [geometry_row(layer, quantity, None, norm=norm, note=why) for quantity in quantities]
    centred = seen.held.centred
    nulled = geometry_row(layer, "nulled", float(found.nulled), norm=norm, null=float(centred))
    sizes = quantities[:3]
    if why := moments.too_few:
        rows = [geometry_row(layer, quantity, None, norm=norm, note=why) for quantity in sizes]
        return [*rows, nulled]
    isotropic = isotropic_lowest(moments.n, moments.d, centred=centred, seed=seed)
    rows = [
        geometry_row(layer, quantity, value, norm=norm, null=null)
        for quantity, value, null in zip(sizes, found.over_median, isotropic, strict=True)
    ]
    return [*rows, nulled]
