"""Independent random streams, one for each purpose and layer, from one seed.

A layer's numbers depend on the seed, the purpose and the layer alone: not on which job drew them,
nor on what was drawn before.
"""

import numpy as np

PURPOSES = (
    "probes",
    "literal_triples",
    "uniform_tuples",
    "weighted_triples",
    "relations",
    "haar_null",
    "gaussian_null",
    "init_null",
    "layers_null",
    "commutant",
    "conditioned_layers",
    "feasibility",
    "pooled_null",
    "uniform_coverage",
    "rank_permutations",
    "patterns",
    "impulses",
    "exchanged_updates",
    "perturbations",
    "claims_bootstrap",
    "places",
    "axes",
    "isotropic_null",
    "initial_scores",
    "gaussian_units",
    "initial_frames",
    "penalty_probes",
    "placebos",
    "experiments_bootstrap",
    "rotations",
    "literal_coordinates",
)
"""New ones go to the end: the place of a purpose is part of its seed."""


def layer_seed(seed: int, purpose: str, layer: int) -> np.random.SeedSequence:
    """Seed of one purpose (of :data:`PURPOSES`) in one layer."""
    return np.random.SeedSequence(seed, spawn_key=(PURPOSES.index(purpose), layer))
