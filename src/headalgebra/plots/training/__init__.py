"""Figures of decoders trained here: tables in, `matplotlib.figure.Figure` out."""

from headalgebra.plots.training._course import course_over_training
from headalgebra.plots.training._experiment import experiment

__all__ = ["course_over_training", "experiment"]
