"""Gauge observables and the levels of the algebraic tower of each layer."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headalgebra import columns
from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gauge import action, squared_field_strength_traces, wilson_loops
from headalgebra.algebra.gram import GramBlocks
from headalgebra.algebra.tower import OperatorSpectra, generated_algebra, lie_span, operator_spectra
from headalgebra.seeds import layer_seed
from layers import gram_blocks_by_layer, layers_of, origin
from stage import job, write_table

if TYPE_CHECKING:
    snakemake: Any

WILSON_TIME = 1.0


def gauge_observables(
    blocks: GramBlocks, spectra: OperatorSpectra, cancellation_below: float
) -> dict[str, float]:
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


def spectral_level(spectra: OperatorSpectra) -> dict[str, float]:
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


def von_neumann_level(
    blocks: GramBlocks, layer: int, settings: Mapping[str, Any]
) -> tuple[dict[str, float], str]:
    """The W* level: kernel, blocks and the gap to decoupling, and why they are missing."""
    empty = dict.fromkeys(
        ("kernel_dimension", "n_blocks", "largest_block", "commutant_gap"), math.nan
    )
    d, most = blocks.operators.d_model, settings["commutant_max_d"]
    if d > most:
        return empty, f"d = {d} above commutant_max_d = {most}: no W* level"
    algebra = generated_algebra(blocks.operators, layer_seed(settings["seed"], "commutant", layer))
    if algebra is None:
        return empty, "the commutant was not found to its accuracy: no W* level"
    sizes = algebra.block_dimensions
    found = (algebra.kernel_dimension, len(sizes), max(sizes, default=0), algebra.commutant_gap)
    return dict(zip(empty, map(float, found), strict=True)), ""


def lie_level(blocks: GramBlocks, settings: Mapping[str, Any]) -> tuple[dict[str, float], str]:
    """The Lie level: dimension of the span of heads and commutators, and why it is missing."""
    empty = dict.fromkeys(("rank", "n_elements", "tolerance"), math.nan)
    n_heads, most = blocks.operators.n_heads, settings["lie_max_heads"]
    if n_heads > most:
        return empty, f"{n_heads} heads above lie_max_heads = {most}: no Lie level"
    span = lie_span(blocks)
    found = dict(zip(empty, map(float, (span.rank, span.n_elements, span.tolerance)), strict=True))
    lost = f"{span.n_lost} brackets lost to cancellation are not in the Lie level"
    return found, lost if span.n_lost else ""


with job(snakemake):
    settings = snakemake.params.settings
    gauge, tower, every_spectrum = [], [], []
    layers = layers_of(snakemake.input.factors, snakemake.params.layers)
    for layer, blocks in gram_blocks_by_layer(snakemake, layers):
        spectra = operator_spectra(blocks)
        observables = gauge_observables(blocks, spectra, settings["cancellation_below"])
        blocks_found, no_blocks = von_neumann_level(blocks, layer, settings)
        span_found, no_span = lie_level(blocks, settings)
        levels = {
            "C*": spectral_level(spectra),
            "W*": blocks_found,
            "Lie": span_found,
            "gauge": observables,
        }
        tower += [
            dict(zip(columns.TOWER, (layer, level, quantity, value), strict=True))
            for level, quantities in levels.items()
            for quantity, value in quantities.items()
        ]
        note = "; ".join(filter(None, (no_blocks, no_span)))
        row = (layer, observables["action"], observables["wilson_mean"], note)
        gauge.append(dict(zip(columns.GAUGE, row, strict=True)))
        singular_values = spectra.singular_values.tolist()
        eigenvalues = spectra.eigenvalues.tolist()
        every_spectrum += [
            dict(zip(columns.SPECTRA, (layer, head, index, sigma, z.real, z.imag), strict=True))
            for head, pair in enumerate(zip(singular_values, eigenvalues, strict=True))
            for index, (sigma, z) in enumerate(zip(*pair, strict=False))
        ]
    write_table(snakemake.output.spectra, every_spectrum, columns.SPECTRA, origin(snakemake))
    write_table(snakemake.output.tower, tower, columns.TOWER, origin(snakemake))
    write_table(snakemake.output.gauge, gauge, columns.GAUGE, origin(snakemake))
