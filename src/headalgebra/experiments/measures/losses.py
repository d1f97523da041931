"""What a decoder has learned, and how fast."""

import math
from collections.abc import Sequence

from headalgebra.experiments.measures.measure import Value
from headalgebra.experiments.run import Run


def test_loss(run: Run) -> list[Value]:
    """``test_loss``: mean cross-entropy of the next token on the test part, in nats, in the end."""
    return [Value.of("test_loss", run.trained.test_loss)]


def tokens_to_floor(run: Run) -> list[Value]:
    """How many tokens are read until the decoder knows more than the token before tells.

    ``log_tokens_to_floor`` is the logarithm of the tokens read when the validation loss is first
    below what bigrams of the training part get on the same tokens; empty where it never is.
    """
    rows = run.metrics.dropna(subset="validation_loss")
    tokens, losses = rows["tokens"].tolist(), rows["validation_loss"].tolist()
    floor = run.trained.validation_floors.bigram
    return [Value.of("log_tokens_to_floor", log_crossing(tokens, losses, floor))]


def log_crossing(tokens: Sequence[int], losses: Sequence[float], floor: float) -> float | None:
    """Logarithm of the tokens at which a loss first falls below a floor.

    Between the validation there and the one before, the loss is taken for linear in the logarithm
    of the tokens. Where that one is before the first token, the crossing is at the later one.

    Parameters
    ----------
    tokens
        Read before each validation, rising.
    losses
        Of each.
    floor
        What the loss is to be below.

    Returns
    -------
    float or None
        None where it never is, or is so before the first token.
    """
    below = next((place for place, loss in enumerate(losses) if loss < floor), None)
    if below is None or tokens[below] == 0:
        return None
    after = math.log(tokens[below])
    if below == 0 or tokens[below - 1] == 0:
        return after
    before = math.log(tokens[below - 1])
    share = (losses[below - 1] - floor) / (losses[below - 1] - losses[below])
    return before + share * (after - before)
