"""Figures that the paper gives, for what is measured to stand beside."""

JACOBIATOR_RANGE = (1e-3, 1e-1)
"""Norm of the Jacobiator of basis elements, as claimed (section 3)."""
