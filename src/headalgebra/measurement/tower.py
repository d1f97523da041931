"""The tables `tower`, `gauge` and `spectra` of one layer."""

import math

from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gauge import action, squared_field_strength_traces, wilson_loops
from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.tower import OperatorSpectra, generated_algebra, lie_span, operator_spectra
from headalgebra.defaults import CANCELLATION_BELOW, COMMUTANT_MAX_D, LIE_MAX_HEADS
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

WILSON_TIME = 1.0

Level = dict[str, float]
"""Quantities of a level of the tower, by name."""


def measure_tower(
    layer: int,
    blocks: GramBlocks,
    *,
    cancellation_below: float = CANCELLATION_BELOW,
    commutant_max_d: int = COMMUTANT_MAX_D,
    lie_max_heads: int = LIE_MAX_HEADS,
    seed: int = 0,
) -> tuple[list[Row], Row, list[Row]]:
    """Every level of the algebraic tower but the L∞ one, which is `verify_coherence`'s.

    Parameters
    ----------
    commutant_max_d, lie_max_heads
        The widest model whose W* level is computed, and the most heads whose Lie level is.

    Returns
    -------
    tower
        A row of :data:`headalgebra.columns.TOWER` for each quantity of each level.
    gauge
        A row of :data:`headalgebra.columns.GAUGE`.
    spectra
        A row of :data:`headalgebra.columns.SPECTRA` for each singular value of each head.
    """
    spectra = operator_spectra(blocks)
    gauge = _gauge_level(blocks, spectra, cancellation_below)
    generated, no_blocks = _generated_level(layer, blocks, commutant_max_d, seed)
    lie, no_span = _lie_level(blocks, lie_max_heads)
    levels = {"C*": _spectral_level(spectra), "W*": generated, "Lie": lie, "gauge": gauge}
    tower: list[Row] = [
        {"layer": layer, "level": level, "quantity": quantity, "value": value}
        for level, quantities in levels.items()
        for quantity, value in quantities.items()
    ]
    return tower, _gauge_row(layer, gauge, [no_blocks, no_span]), _spectra_rows(layer, spectra)


def measure_gauge(
    layer: int,
    blocks: GramBlocks,
    *,
    cancellation_below: float = CANCELLATION_BELOW,
    commutant_max_d: int = COMMUTANT_MAX_D,
    lie_max_heads: int = LIE_MAX_HEADS,
) -> Row:
    """The gauge level alone: what the table of layers has of the tower.

    Its note has the levels that are left out for the layer's size; whether the others can be
    computed is only known from `measure_tower`.
    """
    gauge = _gauge_level(blocks, operator_spectra(blocks), cancellation_below)
    operators = blocks.operators
    left_out = [
        _too_wide(operators.d_model, commutant_max_d),
        _too_many(operators.n_heads, lie_max_heads),
    ]
    return _gauge_row(layer, gauge, left_out)


def _gauge_row(layer: int, gauge: Level, notes: list[str]) -> Row:
    return {
        "layer": layer,
        "action": gauge["action"],
        "wilson_mean": gauge["wilson_mean"],
        "note": "; ".join(filter(None, notes)),
    }


def _gauge_level(blocks: GramBlocks, spectra: OperatorSpectra, cancellation_below: float) -> Level:
    """Field strength, action and Wilson loops, as they are and for heads of unit operator norm."""
    norms = spectra.singular_values[:, 0]
    pairs = pair_commutators(blocks, cancellation_below=cancellation_below)
    per_pair = norms[pairs.i] * norms[pairs.j]
    traces = squared_field_strength_traces(blocks)
    normalised = traces[pairs.i, pairs.j] / per_pair**2
    loops = wilson_loops(blocks, norms, t=WILSON_TIME)
    return {
        "field_strength_rms": float(pairs.norm.square().mean().sqrt()),
        "field_strength_rms_normalised": float((pairs.norm / per_pair).square().mean().sqrt()),
        "action": action(traces) if len(pairs.norm) else math.nan,
        "action_normalised": action(normalised) if len(pairs.norm) else math.nan,
        "wilson_mean": loops.mean,
        "wilson_deviation": loops.mean_absolute_deviation,
    }


def _spectral_level(spectra: OperatorSpectra) -> Level:
    """The C* level: operator norms, spectral radii, and how far from normal the heads are."""
    norms, radii = spectra.singular_values[:, 0], spectra.spectral_radii
    return {
        "operator_norm_min": float(norms.min()),
        "operator_norm_mean": float(norms.mean()),
        "operator_norm_max": float(norms.max()),
        "spectral_radius_mean": float(radii.mean()),
        "spectral_radius_max": float(radii.max()),
        "departure_from_normality": float(spectra.departures_from_normality.mean()),
    }


def _generated_level(
    layer: int, blocks: GramBlocks, commutant_max_d: int, seed: int
) -> tuple[Level, str]:
    """The W* level: kernel, blocks and the gap to decoupling, and why they are missing."""
    missing = dict.fromkeys(
        ("kernel_dimension", "n_blocks", "largest_block", "commutant_gap"), math.nan
    )
    if reason := _too_wide(blocks.operators.d_model, commutant_max_d):
        return missing, reason
    algebra = generated_algebra(blocks.operators, layer_seed(seed, "commutant", layer))
    if algebra is None:
        return missing, "the commutant was not found to its accuracy: no W* level"
    sizes = algebra.block_dimensions
    weak = f"directions of scale {algebra.scale_range:.0e} beside others: blocks may go unseen"
    return {
        "kernel_dimension": float(algebra.kernel_dimension),
        "n_blocks": float(len(sizes)),
        "largest_block": float(max(sizes, default=0)),
        "commutant_gap": float(algebra.commutant_gap),
    }, "" if algebra.resolved else weak


def _lie_level(blocks: GramBlocks, lie_max_heads: int) -> tuple[Level, str]:
    """The Lie level: dimension of the span of heads and commutators, and why it is missing."""
    if reason := _too_many(blocks.operators.n_heads, lie_max_heads):
        return dict.fromkeys(("rank", "n_elements", "tolerance"), math.nan), reason
    span = lie_span(blocks)
    lost = f"{span.n_lost} brackets lost to cancellation are not in the Lie level"
    return {
        "rank": float(span.rank),
        "n_elements": float(span.n_elements),
        "tolerance": float(span.tolerance),
    }, lost if span.n_lost else ""


def _too_wide(d: int, most: int) -> str:
    return f"d = {d} above commutant_max_d = {most}: no W* level" if d > most else ""


def _too_many(n_heads: int, most: int) -> str:
    return f"{n_heads} heads above lie_max_heads = {most}: no Lie level" if n_heads > most else ""


def _spectra_rows(layer: int, spectra: OperatorSpectra) -> list[Row]:
    """Singular values and eigenvalues of each head, paired by their place alone."""
    rows: list[Row] = []
    heads = zip(spectra.singular_values.tolist(), spectra.eigenvalues.tolist(), strict=True)
    for head, (singular_values, eigenvalues) in enumerate(heads):
        # A head of d < r has fewer singular values than M_hh has eigenvalues, whose rest are zero.
        for index, (sigma, z) in enumerate(zip(singular_values, eigenvalues, strict=False)):
            rows.append(
                {
                    "layer": layer,
                    "head": head,
                    "index": index,
                    "singular_value": sigma,
                    "eigenvalue_real": z.real,
                    "eigenvalue_imag": z.imag,
                }
            )
    return rows
