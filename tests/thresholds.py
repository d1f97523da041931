"""The thresholds under which the laws are tested: those of the default analysis."""

import math
import sys

BALANCE_ABOVE = 1e6
CANCELLATION_BELOW = 1e-4
RANK_CUTOFF = 1e-8
GRAM_FLOOR = 1e-8
WELL_BELOW = 100.0
POOR_FROM = 1000.0
DENSE_MAX_DIM = 6

U = sys.float_info.epsilon / 2
"""Unit roundoff of float64."""

NEVER = -math.inf
"""A bound that no number is below."""

ALWAYS = math.inf
"""A bound that every number is below."""
