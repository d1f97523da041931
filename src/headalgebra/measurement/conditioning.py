"""The table `conditioning`: dense and sampled extraction of layers with a known answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from headalgebra.algebra.basis import basis_elements, conditioning, orthonormal_basis
from headalgebra.algebra.constructed import ELEMENTS, conditioned_layer
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.linf import sampled
from headalgebra.algebra.linf.dense import extract_dense
from headalgebra.algebra.linf.words import probed_words, sphere_probes
from headalgebra.defaults import (
    BALANCE_ABOVE,
    GRAM_FLOOR,
    POOR_FROM,
    PROBES,
    RANK_CUTOFF,
    WELL_BELOW,
)
from headalgebra.measurement._rows import Row
from headalgebra.seeds import layer_seed

KAPPAS = (10.0, 80.0, 200.0, 800.0, 5e3, 1e6)
"""Two in each of the paper's bands, the last far into the poor one."""

DRAWS = 3

SHAPES = {"even": (6, 64), "uneven": (12, 32)}
"""n and d: the largest basis that the paper extracts densely, and one that it samples."""


@dataclass(frozen=True)
class Case:
    """A layer to construct.

    Attributes
    ----------
    number
        Its place among the cases, which is part of its seed.
    elements
        ``"even"`` or ``"uneven"``, as in `conditioned_layer`.
    kappa
        Condition number.
    """

    number: int
    elements: str
    kappa: float


def constructed_cases() -> Iterator[Case]:
    """Every kind of elements at every condition number, some draws of each."""
    for number, (elements, kappa, _) in enumerate(product(ELEMENTS, KAPPAS, range(DRAWS))):
        yield Case(number, elements, kappa)


def measure_conditioning(
    case: Case,
    *,
    well_below: float = WELL_BELOW,
    poor_from: float = POOR_FROM,
    balance_above: float = BALANCE_ABOVE,
    rank_cutoff: float = RANK_CUTOFF,
    gram_floor: float = GRAM_FLOOR,
    probes: int = PROBES,
    seed: int = 0,
) -> Row:
    """A row of :data:`headalgebra.columns.CONDITIONING`."""
    n, d = SHAPES[case.elements]
    layer = conditioned_layer(
        case.kappa,
        n,
        d,
        elements=case.elements,
        seed=layer_seed(seed, "conditioned_layers", case.number),
    )
    blocks = gram_blocks(layer.operators, balance_above=balance_above)
    basis = orthonormal_basis(blocks, rank_cutoff=rank_cutoff, gram_floor=gram_floor)
    dense = extract_dense(basis_elements(blocks.operators, basis.coefficients))
    directions = sphere_probes(d, probes, layer_seed(seed, "probes", case.number))
    words = probed_words(blocks.operators, basis.coefficients, directions)
    by_probes = sampled.all_triples(sampled.census(words))
    exact = extract_dense(layer.elements).obstruction_rms
    return {
        "case": case.number,
        "elements": case.elements,
        "n": n,
        "kappa": basis.kappa,
        "conditioning": conditioning(basis.kappa, well_below=well_below, poor_from=poor_from),
        "exact": exact,
        "dense": dense.obstruction_rms,
        "sampled": by_probes.value,
        "low": by_probes.low,
        "high": by_probes.high,
        "dense_error": abs(dense.obstruction_rms / exact - 1),
        "sampled_error": abs(by_probes.value / exact - 1),
        "relative_error": abs(by_probes.value / dense.obstruction_rms - 1),
        "literal_residual": dense.coherence_residual,
    }
