"""The paper's three phases by depth (section 5)."""

from headalgebra.defaults import TOPOLOGICAL_ABOVE, WEAK_BELOW

PHASES = ("I", "II", "III")


def phase(
    epsilon: float,
    *,
    weak_below: float = WEAK_BELOW,
    topological_above: float = TOPOLOGICAL_ABOVE,
) -> str:
    """I below the first threshold, III above the second, II between them, ends included.

    Empty where ε does not exist (a layer of one head).
    """
    if epsilon < weak_below:
        return "I"
    if epsilon > topological_above:
        return "III"
    return "II" if epsilon == epsilon else ""
