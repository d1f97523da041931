"""Unit roundoffs, and when a computed quantity counts as nonzero."""

import torch

UNIT_ROUNDOFF = {
    torch.float64: 2.0**-53,
    torch.float32: 2.0**-24,
    torch.float16: 2.0**-11,
    torch.bfloat16: 2.0**-8,
}

ROUNDING_MARGIN = 100.0
"""How many unit roundoffs of its factors a quantity must exceed to count as nonzero."""
