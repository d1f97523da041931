"""What changes from checkpoint to checkpoint."""

import math

from headalgebra.defaults import ORDER_SEQUENCES
from headalgebra.dyson import order_norms
from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.measures.weights import course_of_weights, weight_values
from headalgebra.experiments.run import Run
from headalgebra.measurement.orders import depth_orders

PARTIAL_SUMS = (1, 2, 4)
"""Orders up to which the Dyson series is summed."""


def training_course(run: Run) -> list[Value]:
    """The weights of every layer, and how well few Dyson orders give the last state.

    The quantities of :data:`~headalgebra.experiments.measures.weights.WEIGHTS` are given for each
    layer, and as the median over layers. ``partial_error_m`` is the error of the Dyson series' sum
    up to order m, relative to the last state in the Frobenius norm over all tokens of
    :data:`~headalgebra.defaults.ORDER_SEQUENCES` test sequences; empty where the model has fewer
    than m blocks, so that the series ends before.
    """
    return weight_values(course_of_weights(run)) + [
        Value.of(f"partial_error_{order}", error, step=step)
        for step in run.checkpoints
        for order, error in _partial_errors(run, step).items()
    ]


def _partial_errors(run: Run, step: int) -> dict[int, float | None]:
    recording = run.recording(step, ORDER_SEQUENCES)
    orders = depth_orders(recording, ORDER_SEQUENCES)
    errors = order_norms(orders, recording.state(recording.n_blocks)).partial_error.tolist()
    return {order: errors[order] if order < len(errors) else None for order in PARTIAL_SUMS}


def obstruction_course(run: Run) -> list[Value]:
    """How obstructed the heads are, and the validation loss, at every checkpoint.

    ``log_obstruction_over_null`` is the mean over layers of the logarithm of the obstruction over
    its null (:func:`~headalgebra.experiments.measures.weights.weight_numbers`); empty where it is
    0 in a layer. ``validation_loss`` is in nats a token.
    """
    losses = run.metrics.set_index("step")["validation_loss"]
    values = []
    for step, layers in course_of_weights(run).items():
        ratios = [numbers["obstruction_over_null"] for numbers in layers]
        logs = [math.log(ratio) if ratio > 0 else math.nan for ratio in ratios]
        mean = sum(logs) / len(logs)
        values.append(Value.of("log_obstruction_over_null", mean, step=step))
        values.append(Value.of("validation_loss", float(losses[step]), step=step))
    return values
