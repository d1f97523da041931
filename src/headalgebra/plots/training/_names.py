"""What the quantities of experiments are called in figures."""

NAMES = {
    "test_loss": "test loss, nats a token",
    "gap": "generalisation gap, nats a token",
    "gradient_stability": "rank correlation of changes of log κ and of the gradient's spread",
    "epsilon_with_distance": "rank correlation of ε with attention distance over layers",
    "epsilon_with_layer": "rank correlation of ε with layer",
    "phase_entropy": "entropy of phases over layers, nats",
    "log_obstruction_over_null": "log of obstruction over its null",
    "log_tokens_to_floor": "log of tokens until the loss is below the bigrams'",
    "wilson_over_haar": r"mean $|1 - W|$ over its Haar value",
    "axis_kurtosis": "excess kurtosis of states along axes",
}


def called(quantity: str) -> str:
    """A quantity in words, with its unit."""
    return NAMES.get(quantity, quantity.replace("_", " "))
