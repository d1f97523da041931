"""Numbers of the head operators of a layer, and what chance gives of them."""

import math
from collections.abc import Iterator

import numpy as np

from headalgebra.algebra.basis import OperatorBasis, orthonormal_basis
from headalgebra.algebra.coherence import jacobiator_ratio, structure_constants
from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import GramBlocks, gram_blocks
from headalgebra.algebra.linf import triple_squares
from headalgebra.algebra.nulls import pooled_factors
from headalgebra.algebra.operators import HeadOperators
from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.run import Run
from headalgebra.seeds import layer_seed

DRAWS = 4
"""Random layers whose mean is a null.

They scatter by about a tenth of that mean. The same random numbers make them at every checkpoint
and in every run of a seed, so that most of this scatter is one factor of all values of a layer.
"""

COMMUTATORS = ("epsilon", "epsilon_over_haar")
WEIGHTS = (*COMMUTATORS, "kappa", "rho3_over_null", "obstruction", "obstruction_over_null")
"""Quantities of a layer's weights."""


def commutators(operators: HeadOperators) -> dict[str, float]:
    """ε of a layer, and over what heads of these spectra have in random relative orientation.

    The latter is in closed form.
    """
    return _commutators(gram_blocks(operators))


def weight_numbers(operators: HeadOperators, layer: int, seed: int) -> dict[str, float]:
    """Numbers of a layer's weights, by the names of :data:`WEIGHTS`, and ρ₃ itself as ``rho3``.

    Parameters
    ----------
    operators
        The heads.
    layer
        Its number, from 0.
    seed
        Of the null.

    Returns
    -------
    dict
        ``kappa`` is the condition number of the basis of the heads. ``obstruction`` is the root
        mean square of ``‖[E_b, [E_c, E_a]]‖`` over its triples, exact. ``rho3_over_null`` and
        ``obstruction_over_null`` are over the mean of :data:`DRAWS` layers of pooled heads, the
        null of ρ₃ in :data:`headalgebra.columns.LAYERS`. Not a number where one does not exist.
    """
    blocks = gram_blocks(operators)
    basis = orthonormal_basis(blocks)
    own = _brackets(blocks, basis)
    drawn = []
    for stream in layer_seed(seed, "pooled_null", layer).spawn(DRAWS):
        pooled = gram_blocks(pooled_factors(operators, np.random.default_rng(stream)))
        drawn.append(_brackets(pooled, orthonormal_basis(pooled, max_dim=basis.dimension)))
    over_null = {
        f"{name}_over_null": _over(value, _mean(it[name] for it in drawn))
        for name, value in own.items()
    }
    return _commutators(blocks) | {"kappa": basis.kappa} | own | over_null


def course_of_weights(run: Run) -> dict[int, list[dict[str, float]]]:
    """The numbers of :func:`weight_numbers` at every checkpoint, layer by layer."""
    return {
        step: [
            weight_numbers(operators, layer, run.seed)
            for layer, operators in enumerate(run.operators(step))
        ]
        for step in run.checkpoints
    }


def weight_values(course: dict[int, list[dict[str, float]]]) -> list[Value]:
    """Every quantity of :data:`WEIGHTS` by checkpoint and layer, and the median over layers.

    The median is over the layers in which the quantity exists.
    """
    values = []
    for step, layers in course.items():
        for quantity in WEIGHTS:
            numbers = [numbers_of_layer[quantity] for numbers_of_layer in layers]
            values += [
                Value.of(quantity, number, step=step, layer=layer)
                for layer, number in enumerate(numbers)
            ]
            known = [number for number in numbers if math.isfinite(number)]
            median = float(np.median(known)) if known else None
            values.append(Value.of(quantity, median, step=step))
    return values


def _commutators(blocks: GramBlocks) -> dict[str, float]:
    pairs = pair_commutators(blocks)
    return {"epsilon": pairs.epsilon, "epsilon_over_haar": _over(pairs.epsilon, pairs.epsilon_haar)}


def _brackets(blocks: GramBlocks, basis: OperatorBasis) -> dict[str, float]:
    """ρ₃ and the obstruction."""
    structure = structure_constants(blocks, basis.coefficients, kappa_used=basis.kappa_used)
    rho3 = obstruction = math.nan
    if not structure.abelian:
        rho3 = jacobiator_ratio(structure.f, structure.kappa)
    if basis.dimension >= 2:
        squares = triple_squares(blocks.operators, basis.coefficients)
        obstruction = float(squares.mean().sqrt())
    return {"rho3": rho3, "obstruction": obstruction}


def _over(value: float, null: float) -> float:
    return value / null if null > 0 else math.nan


def _mean(values: Iterator[float]) -> float:
    """Of the draws that have the quantity."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
