"""The table `geometry` of a model: norms as projections, scores as angles, and norms ablated."""

from jaxtyping import Int
from torch import Tensor

from headalgebra.defaults import ABLATED_LAYERS, ABLATED_TOKENS
from headalgebra.geometry.normalisation import read_moments
from headalgebra.measurement._geometry import Part
from headalgebra.measurement._rows import Row
from headalgebra.measurement.filter import Filters
from headalgebra.measurement.norm_ablation import FrozenGains, constant_scale_rows
from headalgebra.measurement.normalisation import Norms, query_weights
from headalgebra.measurement.scores import Scores, initial_rows
from headalgebra.states import Recording


def measure_geometry(
    recording: Recording,
    *,
    tokens: Int[Tensor, "M S"] | None = None,
    ablated_layers: int = ABLATED_LAYERS,
    ablated_tokens: int = ABLATED_TOKENS,
    seed: int = 0,
) -> list[Row]:
    """Norms, scores and feed-forward parts, all in one pass over the recorded blocks.

    Of several passes of sequences the first one is measured.

    Parameters
    ----------
    tokens
        Another text of the model's, at least 16 tokens for each dimension of the states, from
        which alone the eigenvalues of normalised states are found; by default the recorded one.
    ablated_layers, ablated_tokens
        Layers, spread over the depth, each of whose norms is given a constant scale in turn, and
        tokens of the first sequence on which it is.

    Returns
    -------
    list
        Rows of :data:`headalgebra.columns.GEOMETRY`.
    """
    stack, sequences = recording.stack, recording.passes[0]
    moments = None if tokens is None else read_moments(stack, tokens)
    parts: list[Part] = [
        Norms(moments, query_weights(stack), seed),
        Scores(),
        FrozenGains(recording.state(0, sequences)),
        Filters(seed),
    ]
    for block in recording.blocks(sequences, looking_inside=True):
        for part in parts:
            part.add(block)
    return [
        *(row for part in parts for row in part.rows()),
        *initial_rows(recording, seed),
        *constant_scale_rows(stack, recording.tokens[:1, :ablated_tokens], ablated_layers),
    ]
