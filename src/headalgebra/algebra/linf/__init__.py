"""L∞ extraction: literal Jacobiator, dense arrays (Algorithm 4.1), exact norms, sphere probes."""

from headalgebra.algebra.linf.dense import DenseExtraction, dense_bytes, extract_dense
from headalgebra.algebra.linf.exact import triple_squares, triple_squares_flops
from headalgebra.algebra.linf.jacobiator import (
    LiteralJacobiator,
    LiteralTriple,
    draw_triples,
    jacobiator,
    jacobiator_norms_by_precision,
    literal_jacobiator,
    literal_triple,
)
from headalgebra.algebra.linf.sampled import (
    Estimate,
    all_triples,
    census,
    uniform_coverage,
    uniform_tuples,
    weighted_triples,
)
from headalgebra.algebra.linf.words import (
    ProbedWords,
    probed_words,
    probed_words_flops,
    sphere_probes,
)

__all__ = [
    "DenseExtraction",
    "Estimate",
    "LiteralJacobiator",
    "LiteralTriple",
    "ProbedWords",
    "all_triples",
    "census",
    "dense_bytes",
    "draw_triples",
    "extract_dense",
    "jacobiator",
    "jacobiator_norms_by_precision",
    "literal_jacobiator",
    "literal_triple",
    "probed_words",
    "probed_words_flops",
    "sphere_probes",
    "triple_squares",
    "triple_squares_flops",
    "uniform_coverage",
    "uniform_tuples",
    "weighted_triples",
]
