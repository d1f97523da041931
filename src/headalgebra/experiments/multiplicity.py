"""Many tests at once."""

import numpy as np
from numpy.typing import ArrayLike

from headalgebra.experiments.effects import Values


def holm(p_values: ArrayLike) -> Values:
    """Holm's step-down correction: the p-values at which a family of tests keeps its level.

    The smallest of m is multiplied by m, the next by m − 1, and so on; none is made smaller than
    one before it, nor larger than 1. It holds whatever the tests have to do with one another.

    Parameters
    ----------
    p_values
        Of all tests of the family, shape (m,), in any order.

    Returns
    -------
    array of shape (m,)
        In the same order.

    Raises
    ------
    ValueError
        If one is not between 0 and 1.
    """
    p = np.asarray(p_values, dtype=np.float64).reshape(-1)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("a p-value is not between 0 and 1: leave out tests that were not made")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(corrected, 1)
