"""What a job asks a cluster for: memory and time, from the shape of its model.

Each stage has the numbers it holds at its peak and its floating-point operations, both to leading
order and rounded up. What is asked for leaves a slow node room; a job that needed more is tried
again with more.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headalgebra.defaults import STRIP_NUMBERS, WORDS_HELD

if TYPE_CHECKING:
    import pandas as pd

FLOPS_PER_SECOND = 4e9
"""Of one thread; a tenth to a fifth of what a core does in float64 when it is alone."""

GPU_FLOPS_PER_SECOND = 2e12
"""Of a GPU in float32; a tenth of what one does that is made for computing."""

START_MINUTES = 15
"""Python's start and its imports from a file system that many jobs read at once."""

START_SECONDS = 5
"""The same from a disk that has them in memory."""

SMALL_MB = 3000
SMALL_MINUTES = 60
"""What the job of all stages of a small model asks for: most of it is Python's own."""

START_MB = 900
"""Snakemake, Python, torch and the buffers of fixed size that the stages work in."""

MEGABYTE = 1e6


@dataclass(frozen=True)
class Shape:
    """A model, as what is computed on it depends on it.

    Attributes
    ----------
    d, heads, keys, r
        Dimension the operators act on, heads, different keys, dimension of a head.
    layers
        Layers that one job works on.
    n
        Largest dimension of their bases, or the number of heads while it is unknown.
    trained
        Whether every null is drawn, not the Haar null alone.
    ill_conditioned
        Whether a basis is, so that its brackets are formed from dense elements.
    """

    d: int
    heads: int
    keys: int
    r: int
    layers: int
    n: int
    trained: bool
    ill_conditioned: bool = False

    @property
    def width(self) -> int:
        """Columns of all query factors of a layer side by side."""
        return self.heads * self.r

    @property
    def factors(self) -> int:
        """Numbers of a layer's factors."""
        return self.d * (self.heads + self.keys) * self.r

    @property
    def grams(self) -> int:
        """Numbers of a layer's Gram blocks."""
        keys = self.keys * self.r
        return self.width**2 + keys**2 + self.width * keys

    @property
    def held(self) -> int:
        """Numbers that are held while the Gram blocks are formed.

        Heads that are badly scaled are rebuilt beside the others.
        """
        return 2 * self.factors + self.grams

    @property
    def gram_flops(self) -> float:
        """Flops of the three Gram products of a layer."""
        return 6.0 * self.d * self.width**2


@dataclass(frozen=True)
class Cost:
    """What a job works on at once and altogether.

    Attributes
    ----------
    numbers
        Of eight bytes, held at once.
    flops
        Of all layers of the job.
    gpu_flops
        How many of them a GPU does, where the job has one.
    """

    numbers: float
    flops: float
    gpu_flops: float = 0.0


Settings = Mapping[str, Any]


def _literal_d(shape: Shape, settings: Settings) -> int:
    return min(shape.d, int(settings["literal_max_d"]))


def _literal_flops(shape: Shape, settings: Settings) -> float:
    """Of one Jacobiator of dense operators, formed from the factors and multiplied out."""
    d = _literal_d(shape, settings)
    return 40.0 * d**3 + 6.0 * d**2 * shape.width


def _chosen_layers(shape: Shape, settings: Settings) -> int:
    return min(shape.layers, int(settings["precision"]["layers"]))


def _epsilon(shape: Shape, settings: Settings) -> Cost:
    pairs = 8.0 * shape.width**2 * shape.r
    return Cost(shape.held, shape.layers * (shape.gram_flops + pairs))


def _basis(shape: Shape, settings: Settings) -> Cost:
    # Badly conditioned operators are stacked and factorised, panel by panel of 64 MB.
    stacked = 2.0 * shape.d**2 * shape.heads * (shape.heads + shape.r)
    return Cost(shape.held + 3 * 8e6, shape.layers * (shape.gram_flops + stacked))


def _sampled(shape: Shape, settings: Settings) -> Cost:
    from headalgebra.algebra.linf.exact import triple_squares_flops
    from headalgebra.algebra.linf.words import kept_numbers, probes_held

    n, probes = shape.n, settings["probes"]
    triples = n * n * (n - 1) // 2
    one_word = 2.0 * shape.d * shape.width
    flops = shape.gram_flops + settings["jacobi_triples"] * _literal_flops(shape, settings)
    exact_numbers = 0
    if triples <= settings["census_max_triples"]:
        # Elements as the keys see them, and a few brackets as queries and keys see them.
        keys = shape.keys * shape.r
        exact_numbers = n * keys * min(shape.d, keys) + 8 * shape.width * shape.d
        exactly = triple_squares_flops(
            d=shape.d, heads=shape.heads, keys=shape.keys, r=shape.r, n=n
        )
        flops += min(exactly, one_word * settings["exact_up_to_probes"] * (triples + 4 * n * n))
    else:
        triples = settings["weighted_triples"]
    # In float32, on a few probes in float64 as well, and at the worst in float64 throughout.
    words = one_word * 2 * probes * (triples + 4 * n * n)
    # Words are kept as the keys see them, beside their brackets, and formed block by block.
    held = min(probes, probes_held(n, shape.width))
    block = min(n * n * held * max(shape.d, shape.width), WORDS_HELD)
    kept = kept_numbers(n=n, width=shape.width, probes=held) + 5 * block
    numbers = max(kept, exact_numbers, 10 * _literal_d(shape, settings) ** 2)
    return Cost(shape.held + numbers, shape.layers * (flops + words), shape.layers * words)


def _dense(shape: Shape, settings: Settings) -> Cost:
    from headalgebra.algebra.linf.dense import dense_bytes

    numbers = shape.held + dense_bytes(shape.n, shape.d) / 8
    numbers += 10 * _literal_d(shape, settings) ** 2
    flops = shape.gram_flops + 4.0 * shape.n**3 * shape.d**3
    flops += settings["jacobi_triples"] * _literal_flops(shape, settings)
    return Cost(numbers, shape.layers * flops)


def _precision(shape: Shape, settings: Settings) -> Cost:
    literal = 2 * 4 * settings["precision"]["triples"] * _literal_flops(shape, settings)
    flops = shape.gram_flops + literal
    return Cost(
        shape.held + 16 * _literal_d(shape, settings) ** 2,
        _chosen_layers(shape, settings) * flops,
    )


def _associator(shape: Shape, settings: Settings) -> Cost:
    flops = shape.gram_flops + 3 * _literal_flops(shape, settings)
    return Cost(
        shape.held + 16 * _literal_d(shape, settings) ** 2,
        _chosen_layers(shape, settings) * flops,
    )


def _structure(shape: Shape) -> Cost:
    if shape.ill_conditioned:
        return Cost((shape.n + 4) * shape.d**2, 3.0 * shape.n**2 * shape.d**3)
    products = 4 * shape.width**2
    if shape.keys < shape.heads:  # products are formed in strips
        strips = 6 * shape.keys * shape.width * shape.r + 4 * STRIP_NUMBERS
        return Cost(min(strips, products), 6.0 * shape.keys * shape.r * shape.width**2)
    flops = 4.0 * shape.width**3 + 2.0 * shape.heads**2 * shape.width**2
    return Cost(products, flops)


def _coherence(shape: Shape, settings: Settings) -> Cost:
    n = shape.n
    relations = 40.0 * n**6 if n <= settings["relation_exhaustive_max_dim"] else 0.0
    relations += 60.0 * settings["relation_tuples"] * n**4
    structure = _structure(shape)
    flops = shape.gram_flops + structure.flops + relations
    formed = shape.factors + shape.grams
    numbers = max(shape.held, formed + max(structure.numbers, 3.5 * n**4))
    return Cost(numbers, shape.layers * flops)


def _nulls(shape: Shape, settings: Settings) -> Cost:
    # Pooled and Haar draws, those of a trained model besides, and the layer itself.
    draws = 1 + settings["null_draws"] * (5 if shape.trained else 2)
    # Random frames are factorised head by head, at a fraction of the speed of products; so is the
    # rotation that mixes all columns.
    frames = 100.0 * shape.d * shape.r * shape.width
    rotation = 2.0 * shape.d * shape.width**2 + 8.0 * shape.width**3
    structure = _structure(shape)
    flops = draws * (shape.gram_flops + structure.flops + frames)
    flops += settings["null_draws"] * rotation
    # The layer, and beside it either what is drawn or the rotation that draws it.
    formed = shape.factors + shape.grams + max(structure.numbers, 2.5 * shape.n**4)
    rotation_held = shape.factors + 3 * shape.width**2
    numbers = shape.factors + max(shape.held, formed, rotation_held)
    return Cost(numbers, shape.layers * flops)


def _tower(shape: Shape, settings: Settings) -> Cost:
    flops = shape.gram_flops + 40.0 * shape.width * shape.r**2
    numbers = float(shape.held + 2 * shape.width**2)
    if shape.heads <= settings["lie_max_heads"]:
        flops += 4.0 * shape.width**3 + 2.0 * shape.heads**2 * shape.width**2
        flops += 10.0 * (shape.heads**2 / 2) ** 3
        numbers += 6 * shape.heads**4
    if shape.d <= settings["commutant_max_d"]:
        flops += 2000.0 * shape.d**2 * shape.width
        numbers += 60 * shape.d**2
    return Cost(numbers, shape.layers * flops)


def _normality(shape: Shape, settings: Settings) -> Cost:
    # Schur forms and a few hundred factorisations of matrices of order 2r for every head.
    order = min(2 * shape.r, shape.d)
    flops = 500.0 * order**3 * shape.heads + 8.0 * shape.d * order**2 * shape.heads
    return Cost(shape.held + 40 * order**2, shape.layers * flops)


STAGES: dict[str, Callable[[Shape, Settings], Cost]] = {
    "decompose_basis": _basis,
    "measure_epsilon": _epsilon,
    "extract_linf_sampled": _sampled,
    "extract_linf_dense": _dense,
    "measure_precision": _precision,
    "measure_associator": _associator,
    "verify_coherence": _coherence,
    "measure_nulls": _nulls,
    "measure_tower": _tower,
    "measure_normality": _normality,
}
"""Cost of each stage by the name of its rule."""


def model_shape(provenance: str, layers_per_job: int | None) -> Shape:
    """The shape of a job on the model whose weights were extracted.

    Raises
    ------
    FileNotFoundError
        Before they were; it names the file, which tells Snakemake to ask again later.
    """
    shape = _shape_written(provenance, Path(provenance).stat().st_mtime_ns)
    return replace(shape, layers=min(shape.layers, layers_per_job or shape.layers))


@cache
def _shape_written(provenance: str, _at: int) -> Shape:
    # A run may write the file anew, and ask again.
    return recorded_shape(json.loads(Path(provenance).read_text(encoding="utf-8")))


def recorded_shape(record: Mapping[str, Any]) -> Shape:
    """The shape of all layers of a model, as what it was read from says."""
    heads = record["n_heads"]
    return Shape(
        d=record["d_model"],
        heads=heads,
        keys=record["n_kv_heads"],
        r=record["d_head"],
        layers=len(record["layers"]),
        n=heads,
        trained=record["source"]["source"] != "init",
    )


ROUTES = {
    "extract_linf_dense": ("dense", "mixed"),
    "extract_linf_sampled": ("exact", "sampled", "mixed"),
}
"""Routes of the layers that a stage works on; the other stages work on all."""


def with_bases(stage: str, shape: Shape, basis: str, well_below: float) -> Shape:
    """What is known of the layers of a job once their bases are.

    Raises
    ------
    FileNotFoundError
        Before they are.
    """
    found = _routed(stage, basis)
    return replace(
        shape,
        layers=len(found),
        n=int(found["basis_dim"].max()) if len(found) else 0,
        ill_conditioned=bool((found["kappa_used"] >= well_below).any()),
    )


def n_routed(stage: str, basis: str) -> int:
    """Layers that the stage has to do; raises FileNotFoundError before the bases are known."""
    return len(_routed(stage, basis))


def _routed(stage: str, basis: str) -> "pd.DataFrame":
    found = _bases_written(basis, Path(basis).stat().st_mtime_ns)
    return found[found["route"].isin(ROUTES[stage])] if stage in ROUTES else found


@cache
def _bases_written(basis: str, _at: int) -> "pd.DataFrame":
    import pandas as pd  # here, since most starts of Snakemake ask for no job's memory

    return pd.read_parquet(basis, columns=["route", "basis_dim", "kappa_used"])


def wants_gpu(stage: str, shape: Shape, settings: Settings) -> bool:
    """Whether a job of the stage that has any layer to do asks for a GPU."""
    if settings["device"] == "cpu":
        return False
    if stage == "extract_linf_sampled":
        return shape.d >= settings["sampled_gpu_from_d"]
    return stage == "extract_linf_dense"


def mem_mb(stage: str, shape: Shape, settings: Settings) -> int:
    """Megabytes that a job of the stage asks for, in steps of 100."""
    numbers = STAGES[stage](shape, settings).numbers if shape.layers else 0
    megabytes = START_MB + 8 * numbers / MEGABYTE
    return 100 * math.ceil(megabytes / 100)


def core_seconds(stage: str, shape: Shape, settings: Settings) -> float:
    """Seconds of one core that the arithmetic of a stage takes."""
    return STAGES[stage](shape, settings).flops / FLOPS_PER_SECOND


def minutes(stage: str, shape: Shape, settings: Settings, threads: int) -> int:
    """Minutes that a job of the stage asks for, in steps of 5."""
    cost = STAGES[stage](shape, settings)
    on_gpu = cost.gpu_flops if wants_gpu(stage, shape, settings) else 0.0
    seconds = (cost.flops - on_gpu) / FLOPS_PER_SECOND / threads + on_gpu / GPU_FLOPS_PER_SECOND
    return 5 * math.ceil((START_MINUTES + seconds / 60) / 5)


def seconds_before_bases(stage: str, shape: Shape, settings: Settings, jobs: int) -> float:
    """Seconds of one core of a stage of a model whose bases are not known yet, starts included.

    They are taken to be as large as they can be, and well conditioned.
    """
    n = min(shape.n, settings["max_dim"] or shape.n)
    idle = stage == "extract_linf_dense" and n > settings["dense_max_dim"]
    expected = replace(shape, n=n, layers=0 if idle else shape.layers)
    return START_SECONDS * jobs + core_seconds(stage, expected, settings)
