"""What is measured of a run, by name; each says in its docstring what its quantities are."""

from headalgebra.experiments.measures.axes import axis_kurtosis
from headalgebra.experiments.measures.course import (
    PARTIAL_SUMS,
    obstruction_course,
    training_course,
)
from headalgebra.experiments.measures.gap import generalisation
from headalgebra.experiments.measures.loops import wilson
from headalgebra.experiments.measures.losses import test_loss, tokens_to_floor
from headalgebra.experiments.measures.measure import Measure, Value
from headalgebra.experiments.measures.norms import normaliser
from headalgebra.experiments.measures.reach import attention_reach
from headalgebra.experiments.measures.stability import gradient_stability
from headalgebra.experiments.measures.weights import COMMUTATORS, WEIGHTS

__all__ = ["MEASURES", "Measure", "Value"]

MEASURES: dict[str, Measure] = {
    "test_loss": Measure(test_loss, ("test_loss",)),
    "training_course": Measure(
        training_course, (*WEIGHTS, *(f"partial_error_{order}" for order in PARTIAL_SUMS))
    ),
    "gradient_stability": Measure(
        gradient_stability,
        (
            *("gradient_stability", "gradient_stability_rho3", "gradient_stability_obstruction"),
            *WEIGHTS,
        ),
    ),
    "attention_reach": Measure(
        attention_reach,
        (
            *("epsilon_with_distance", "epsilon_with_layer", "epsilon_over_haar_with_layer"),
            *(*COMMUTATORS, "attention_distance"),
        ),
    ),
    "generalisation": Measure(
        generalisation, ("gap", "test_loss", "phase_entropy", "log_qk_scale_sum")
    ),
    "obstruction_course": Measure(
        obstruction_course, ("log_obstruction_over_null", "validation_loss")
    ),
    "tokens_to_floor": Measure(tokens_to_floor, ("log_tokens_to_floor",)),
    "wilson": Measure(wilson, ("wilson_over_haar", "test_loss", "log_width", "log_layers")),
    "normaliser": Measure(normaliser, ("test_loss", "largest_gradient_norm", "drift")),
    "axis_kurtosis": Measure(axis_kurtosis, ("axis_kurtosis",)),
}
"""Every measure by the name that experiments call it by."""
