"""Rounding of float64, and thresholds that every number, or none, is below."""

import math
import sys

U = sys.float_info.epsilon / 2
"""Unit roundoff of float64."""

NEVER = -math.inf
"""A bound that no number is below."""

ALWAYS = math.inf
"""A bound that every number is below."""
