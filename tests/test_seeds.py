"""Random streams are apart for every purpose and layer, and depend on nothing else."""

from itertools import product

import numpy as np
import pytest

from headalgebra.seeds import PURPOSES, layer_seed

FIRST = [17, 484, 109, 199, 410, 368, 3, 805, 737, 811, 867, 585, 775, 18, 317, 666, 207, 373, 771]
FIRST += [862, 399, 282, 165, 752, 641, 468, 776, 839, 262, 527, 868]


def test_streams_differ_by_seed_purpose_and_layer() -> None:
    keys = list(product((0, 1), PURPOSES, range(5)))
    first = {np.random.default_rng(layer_seed(*key)).integers(2**63) for key in keys}
    assert len(first) == len(keys)


def test_the_same_key_gives_the_same_stream() -> None:
    draws = [np.random.default_rng(layer_seed(7, "probes", 3)).random(4) for _ in range(2)]
    assert (draws[0] == draws[1]).all()


def test_the_streams_are_those_of_earlier_results() -> None:
    first = [np.random.default_rng(layer_seed(0, p, 0)).integers(1000) for p in PURPOSES]
    assert first == FIRST


def test_an_unknown_purpose_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        layer_seed(0, "weather", 0)
