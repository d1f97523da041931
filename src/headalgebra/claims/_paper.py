"""Figures that the paper gives, for what is measured to stand beside."""

JACOBIATOR_RANGE = (1e-3, 1e-1)
"""Norm of the Jacobiator of basis elements, as claimed (section 3)."""

OBSTRUCTION_RANGE = (1e-2, 1e-1)
"""Norm of half the Gerstenhaber bracket of the commutator with itself, as claimed (section 2)."""

EPSILON_BY_THIRD = ((0.1, 0.8), (0.3, 1.5), (1.0, float("inf")))
"""ε in the early, middle and deep third of a model's layers, as claimed (section 1)."""

GPT2_MEDIUM_EPSILON = (
    (range(0, 8), (0.05, 0.3)),
    (range(8, 16), (0.4, 1.2)),
    (range(16, 24), (1.1, 2.3)),
)
"""ε of GPT-2 Medium, as claimed (section 5): layers, counted from 0, and the interval of each."""

COHERENCE_RESIDUAL = 1e-6
"""Residual of the relations after dense extraction, as claimed (section 4)."""

GPT2_MEDIUM_COHERENCE_RESIDUAL = 1e-5
"""The same for GPT-2 Medium, as claimed (section 4)."""

FEASIBLE_DIMENSION = 6
"""Largest basis that dense extraction is said to be for (section 4)."""

INFEASIBLE_SIZE = (10, 512)
"""n and d at which dense extraction is said to run out of memory (section 4)."""

SAMPLES_OF_HOURS = 1_000_000
"""Samples that are said to take hours (section 4)."""
