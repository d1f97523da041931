"""How long and how fast a decoder is trained, and when it is looked at."""

from dataclasses import dataclass
from typing import Literal

from headalgebra.defaults import TRAINING_BATCH, TRAINING_STEPS

Optimiser = Literal["adamw", "sgd", "rotated"]
Gains = Literal["learned", "fixed"]


@dataclass(frozen=True)
class Recipe:
    """A linear warm-up and a cosine after it; by default as small decoders learn best.

    Attributes
    ----------
    steps
        Updates of the weights.
    batch
        Sequences of each.
    learning_rate
        The largest.
    warm_up
        Share of the steps in which it is reached, from 0 on: the first update changes no weight.
    final
        Share of it that is left in the end.
    betas
        Of AdamW's running means of the gradient and of its square; the first is SGD's momentum.
    weight_decay
        Of matrices and embeddings alone. Times the learning rate it is what AdamW takes off a
        weight in a step. SGD adds it to the gradient, so that by its momentum it takes off
        1/(1 − momentum) times that.
    clip
        The gradient is scaled down to this norm where it is larger.
    checkpoints
        How many are kept beside that of the initialisation.
    validate_every
        Steps between two validations beside those of the checkpoints, or None.
    optimiser
        ``"adamw"``; ``"sgd"``, with momentum; or ``"rotated"``: AdamW in a random basis of the
        residual stream (:class:`~headalgebra.training.optimisers.RotatedAdamW`).
    gains
        Of all norms: ``"learned"``, or ``"fixed"`` at 1. A learned gain multiplies axes of the
        residual stream one by one, which picks them out whatever the optimiser.
    """

    steps: int = TRAINING_STEPS
    batch: int = TRAINING_BATCH
    learning_rate: float = 3e-3
    warm_up: float = 0.05
    final: float = 0.1
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    checkpoints: int = 24
    validate_every: int | None = None
    optimiser: Optimiser = "adamw"
    gains: Gains = "learned"

    def validated(self) -> set[int]:
        """The steps after which the validation loss is taken."""
        every = self.validate_every
        regular = range(0, self.steps + 1, every) if every else ()
        return {*checkpoint_steps(self.steps, self.checkpoints), *regular}


def checkpoint_steps(steps: int, checkpoints: int = 24) -> tuple[int, ...]:
    """Step 0, and later ones at equal ratios as far as whole numbers have them; the last is one.

    Each is the next of the geometric progression from the one before to the last, rounded, and at
    least one more: early ratios are larger where so many small numbers do not exist.

    Parameters
    ----------
    steps
        The last step.
    checkpoints
        How many there are beside step 0.

    Raises
    ------
    ValueError
        If there are not so many steps.
    """
    if not 1 <= checkpoints <= steps:
        raise ValueError(
            f"checkpoints: {checkpoints} of {steps} steps; ask for 1 to as many as there are steps"
        )
    found = [0, 1] if checkpoints > 1 else [0]
    while (left := checkpoints + 1 - len(found)) > 0:
        last = max(found[-1], 1)
        found.append(max(found[-1] + 1, round(last * (steps / last) ** (1 / left))))
    return tuple(found)
