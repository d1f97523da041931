"""Experiments on decoders that are trained here: what is measured of a run, and compared."""

from headalgebra.experiments.comparison import compare, corrected
from headalgebra.experiments.experiment import Experiment

__all__ = ["Experiment", "compare", "corrected"]
