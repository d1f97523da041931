"""The paper's three phases by depth (section 5)."""

PHASES = ("I", "II", "III")


def phase(epsilon: float, *, weak_below: float, topological_above: float) -> str:
    """I below the first threshold, III above the second, II between them, ends included.

    Empty where ε does not exist (a layer of one head).
    """
    if epsilon < weak_below:
        return "I"
    if epsilon > topological_above:
        return "III"
    return "II" if epsilon == epsilon else ""
