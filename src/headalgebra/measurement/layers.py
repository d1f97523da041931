"""The table `layers` of one checkpoint, measured in one go."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
from tqdm import tqdm

from headalgebra import columns
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import Checkpoint, LayerFactors
from headalgebra.defaults import NULL_DRAWS, PROBES
from headalgebra.measurement._rows import Row
from headalgebra.measurement.basis import decompose_basis
from headalgebra.measurement.coherence import verify_coherence
from headalgebra.measurement.epsilon import measure_epsilon
from headalgebra.measurement.linf_dense import extract_linf_dense
from headalgebra.measurement.linf_sampled import extract_linf_sampled
from headalgebra.measurement.nulls import (
    compare_with_nulls,
    null_draws_of_heads,
    sharing_operators,
)
from headalgebra.measurement.tower import measure_gauge
from headalgebra.tables import layer_table

TABLES = {
    "epsilon": columns.EPSILON,
    "basis": columns.BASIS,
    "linf_dense": columns.LINF,
    "linf_sampled": columns.LINF,
    "coherence": columns.COHERENCE,
    "gauge": columns.GAUGE,
    "nulls": columns.NULLS,
}
"""What the table of layers is joined from."""


def measure_layers(
    checkpoint: Checkpoint,
    *,
    layers: Sequence[int] | None = None,
    nulls: int = NULL_DRAWS,
    probes: int = PROBES,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure every layer of a checkpoint, with a progress bar on the terminal.

    Parameters
    ----------
    checkpoint
        Where the weights are, and how operators are built from them.
    layers, nulls, probes, seed
        As in :func:`headalgebra.measure`.

    Returns
    -------
    DataFrame
        A row for each layer, in the columns of :data:`headalgebra.columns.LAYERS`.

    Raises
    ------
    ValueError
        When a layer is wanted that is not there, or none is, or `nulls` or `probes` is too small.
    CheckpointError
        When weights cannot be read.
    """
    every = checkpoint.chosen or range(checkpoint.n_layers)
    wanted = sorted(set(every if layers is None else layers))
    if not wanted or not 0 <= wanted[0] <= wanted[-1] < checkpoint.n_layers:
        raise ValueError(
            f"layers = {layers}: {checkpoint.origin} has layers 0 to {checkpoint.n_layers - 1}"
        )
    if nulls < 0:
        raise ValueError(f"nulls = {nulls}: draw none, 0, or some")
    if probes < 2:
        raise ValueError(f"probes = {probes}: an interval takes two at the least")
    rows: dict[str, list[Row]] = {table: [] for table in TABLES}
    for layer in tqdm(wanted, desc=checkpoint.origin, unit="layer", dynamic_ncols=True):
        measured = _measured(layer, checkpoint, nulls=nulls, probes=probes, seed=seed)
        for table, found in measured.items():
            rows[table] += found
    return layer_table(
        checkpoint.origin,
        {
            **{size: getattr(checkpoint, size) for size in columns.SHAPE},
            "layers": wanted,
            "revision": checkpoint.revision,
            "convention": asdict(checkpoint.convention),
            "quantisation": {str(layer): checkpoint.quantisation(layer) for layer in wanted},
            "note": checkpoint.provenance.note,
        },
        {table: pd.DataFrame(rows[table], columns=list(names)) for table, names in TABLES.items()},
    )


def _measured(
    layer: int, checkpoint: Checkpoint, *, nulls: int, probes: int, seed: int
) -> dict[str, list[Row]]:
    """The rows of one layer, by table."""
    factors = checkpoint.read_layer(layer)
    blocks = gram_blocks(
        HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head)
    )
    epsilon, _ = measure_epsilon(layer, blocks)
    basis, conditioned, _ = decompose_basis(layer, blocks)
    rows: dict[str, list[Row]] = {
        "epsilon": [epsilon],
        "basis": [conditioned],
        "coherence": [
            verify_coherence(
                layer, blocks, basis.coefficients, kappa_used=basis.kappa_used, seed=seed
            )
        ],
        "gauge": [measure_gauge(layer, blocks)],
        "nulls": _null_rows(layer, factors, checkpoint, basis.dimension, nulls, seed),
    }
    route = str(conditioned["route"])
    if route in ("exact", "sampled"):
        linf, _ = extract_linf_sampled(
            layer, blocks, basis.coefficients, route=route, probes=probes, seed=seed
        )
        rows["linf_sampled"] = [linf]
    else:
        linf, _ = extract_linf_dense(layer, blocks, basis.coefficients, seed=seed)
        rows["linf_dense"] = [linf]
    return rows


def _null_rows(
    layer: int,
    factors: LayerFactors,
    checkpoint: Checkpoint,
    basis_dim: int,
    draws: int,
    seed: int,
) -> list[Row]:
    operators = sharing_operators(
        [factors], checkpoint.convention.circuit, checkpoint.n_heads // checkpoint.n_kv_heads
    )
    return compare_with_nulls(
        layer,
        operators,
        null_draws_of_heads(operators),
        basis_dim=basis_dim,
        null_draws=draws,
        seed=seed,
    )
