"""The tables `linf_sampled` and `sampling` of one layer."""

from jaxtyping import Float
from torch import Tensor

from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.linf import sampled
from headalgebra.algebra.linf.words import probed_words, sphere_probes
from headalgebra.defaults import (
    CENSUS_MAX_TRIPLES,
    JACOBI_TRIPLES,
    PROBES,
    UNIFORM_TUPLES,
    WEIGHTED_TRIPLES,
)
from headalgebra.measurement._literal import literal_identities, too_few
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed


def extract_linf_sampled(
    layer: int,
    blocks: GramBlocks,
    coefficients: Float[Tensor, "n H"],
    *,
    probes: int = PROBES,
    jacobi_triples: int = JACOBI_TRIPLES,
    census_max_triples: int = CENSUS_MAX_TRIPLES,
    weighted_triples: int = WEIGHTED_TRIPLES,
    uniform_tuples: int = UNIFORM_TUPLES,
    seed: int = 0,
) -> tuple[Row, list[Row]]:
    """Extraction by random directions: the obstruction with its interval, without dense arrays.

    Parameters
    ----------
    coefficients
        Of the basis elements in the heads.
    probes
        Directions, uniform on a sphere.
    census_max_triples, weighted_triples
        Every triple is taken if there are no more than the first; otherwise as many as the second
        are drawn, in proportion to their size.
    uniform_tuples
        Index tuples drawn evenly, as the paper has it, for comparison.

    Returns
    -------
    linf
        A row of :data:`headalgebra.columns.LINF`.
    sampling
        A row of :data:`headalgebra.columns.SAMPLING` for each estimate.
    """
    operators = blocks.operators
    n = len(coefficients)
    directions = sphere_probes(operators.d_model, probes, layer_seed(seed, "probes", layer))
    words = probed_words(operators, coefficients, directions)
    if n * n * (n - 1) // 2 <= census_max_triples:
        estimator = "probes"
        obstruction = sampled.all_triples(sampled.census(words))
    else:
        stream = layer_seed(seed, "weighted_triples", layer)
        estimator = "weighted"
        obstruction = sampled.weighted_triples(words, weighted_triples, stream)
    evenly = sampled.uniform_tuples(
        words, uniform_tuples, layer_seed(seed, "uniform_tuples", layer)
    )
    del words  # they may be most of what a layer needs
    estimates = {estimator: obstruction, "uniform": evenly}
    sampling: list[Row] = [
        {
            "layer": layer,
            "estimator": name,
            "n_triples": estimate.n_triples,
            "n_probes": estimate.n_probes,
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
        }
        for name, estimate in estimates.items()
    ]
    linf = {
        "layer": layer,
        "n_probes": probes,
        "obstruction_rms": obstruction.value,
        "obstruction_ci_low": obstruction.low,
        "obstruction_ci_high": obstruction.high,
        "note": too_few(n),
        **literal_identities(
            layer, operators, coefficients, jacobi_triples=jacobi_triples, seed=seed
        ),
    }
    return linf, sampling
