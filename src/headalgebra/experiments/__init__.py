"""Experiments on decoders that are trained here: what is measured of a run, and compared."""

from headalgebra.experiments.comparison import compare, corrected
from headalgebra.experiments.experiment import Experiment
from headalgebra.experiments.losses import course_of_losses, training_row, with_tokens
from headalgebra.experiments.measures import MEASURES, Value
from headalgebra.experiments.run import Run

__all__ = [
    "MEASURES",
    "Experiment",
    "Run",
    "Value",
    "compare",
    "corrected",
    "course_of_losses",
    "training_row",
    "with_tokens",
]
