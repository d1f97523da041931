"""What a training wrote down of itself: its size, its losses, and where it ended."""

import math
from dataclasses import asdict
from typing import Any

import pandas as pd
from safetensors import safe_open

from headalgebra.training import Trained


def training_row(trained: Trained, *, size: str) -> dict[str, Any]:
    """How large a decoder is, what it has read, and its loss on the test part beside n-grams'.

    Parameters
    ----------
    trained
        Of `headalgebra.training.train`.
    size
        What its size is called.
    """
    return {
        "size": size,
        "parameters": _parameters(trained),
        "tokens": int(_metrics(trained)["tokens"].iloc[-1]),
        "test_loss": trained.test_loss,
        **asdict(trained.floors),
        **{f"validation_{name}": it for name, it in asdict(trained.validation_floors).items()},
        "diverged": trained.diverged,
    }


def course_of_losses(trained: Trained) -> pd.DataFrame:
    """Losses in nats a token: ``step``, ``tokens``, ``layer`` (none), ``quantity``, ``value``.

    ``validation_loss`` is there at each step at which it was taken. ``train_loss`` is at the steps
    of checkpoints, the mean over all steps since the checkpoint before.
    """
    metrics = _metrics(trained)
    validated = metrics[metrics["validation_loss"].notna()]
    read = metrics[metrics["train_loss"].notna()]
    # The checkpoint that each step leads to: the first that is no earlier.
    ends = pd.cut(read["step"], [*trained.checkpoints], labels=[*trained.checkpoints[1:]])
    since = read.groupby(ends, observed=True)
    parts = [
        pd.DataFrame(
            {
                "step": validated["step"],
                "tokens": validated["tokens"],
                "quantity": "validation_loss",
                "value": validated["validation_loss"],
            }
        ),
        pd.DataFrame(
            {
                "step": since["step"].max(),
                "tokens": since["tokens"].max(),
                "quantity": "train_loss",
                "value": since["train_loss"].mean(),
            }
        ),
    ]
    return pd.concat(parts, ignore_index=True).assign(layer=None)


def with_tokens(values: pd.DataFrame, trained: Trained) -> pd.DataFrame:
    """Values of a training with the tokens read at their steps; those of its end with all."""
    read = _metrics(trained).set_index("step")["tokens"]
    at = values["step"].map(read).astype("Int64")
    return values.assign(tokens=at.where(values["step"].notna(), read.iloc[-1]))


def _metrics(trained: Trained) -> pd.DataFrame:
    return pd.read_parquet(trained.folder / "metrics.parquet")


def _parameters(trained: Trained) -> int:
    """Numbers of a checkpoint; tied weights are stored once."""
    path = trained.folder / str(trained.checkpoints[0]) / "model.safetensors"
    with safe_open(path, "pt") as file:
        # No mapping, though it has keys.
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    return sum(map(math.prod, shapes))
