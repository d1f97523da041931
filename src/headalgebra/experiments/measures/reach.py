"""Whether heads that commute less look further (000, section 5)."""

import numpy as np

from headalgebra.defaults import SEQUENCES
from headalgebra.experiments.measures.measure import Value, spearman
from headalgebra.experiments.measures.weights import commutators
from headalgebra.experiments.run import Run
from headalgebra.states.patterns import distance_ratio, visible_pairs


def attention_reach(run: Run) -> list[Value]:
    """ε of every layer of the last checkpoint, against how far it looks and where it stands.

    ``epsilon``, ``epsilon_over_haar`` and ``attention_distance`` are of each layer. The last is the
    mean distance that attention reaches back, over that of uniform attention on the visible pairs,
    as in :data:`headalgebra.columns.STATES`, on :data:`~headalgebra.defaults.SEQUENCES` test
    sequences: with a window it is 1 where the window is seen evenly. ``epsilon_with_distance`` is
    Spearman's ρ over layers of ε with it, ``epsilon_with_layer`` and
    ``epsilon_over_haar_with_layer`` with the number of the layer; empty for fewer than three
    layers.
    """
    numbers = [commutators(operators) for operators in run.operators(run.last)]
    by_layer = {name: np.array([it[name] for it in numbers]) for name in numbers[0]}
    by_layer["attention_distance"] = _distances(run)
    depth = np.arange(len(numbers), dtype=np.float64)
    epsilon, over_haar = by_layer["epsilon"], by_layer["epsilon_over_haar"]
    return [
        Value.of("epsilon_with_distance", spearman(epsilon, by_layer["attention_distance"])),
        Value.of("epsilon_with_layer", spearman(epsilon, depth)),
        Value.of("epsilon_over_haar_with_layer", spearman(over_haar, depth)),
        *(
            Value.of(name, float(value), layer=layer)
            for name, values in by_layer.items()
            for layer, value in enumerate(values)
        ),
    ]


def _distances(run: Run) -> np.ndarray:
    blocks = run.recording(run.last, SEQUENCES).blocks()
    patterns = (block.probabilities for block in blocks)
    return np.array([distance_ratio(P, visible_pairs(P)) for P in patterns])
