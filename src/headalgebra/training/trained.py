"""What a training that has ended leaves."""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from headalgebra.training.floors import Floors


@dataclass(frozen=True)
class Trained:
    """A training that has ended.

    Attributes
    ----------
    folder
        Where its checkpoints are, one folder each, named by its step, and ``metrics.parquet``.
    checkpoints
        Their steps.
    diverged
        The step at which the loss or a gradient was not finite, which ended it, or the last one if
        the test loss is not; None if all were. Checkpoints have finite weights in any case.
    test_loss
        Mean cross-entropy of the next token on the test part, in nats; None if it diverged.
    floors, validation_floors
        What n-grams of the training sequences get on the tokens of the test, and of the validation.
    tokens
        Digest of what it read: :attr:`TrainingTokens.digest`.
    """

    folder: Path
    checkpoints: tuple[int, ...]
    diverged: int | None
    test_loss: float | None
    floors: Floors
    validation_floors: Floors
    tokens: str


def read_trained(folder: str | PathLike[str]) -> Trained:
    """A training that has ended, from its folder.

    Raises
    ------
    ValueError
        In one line: if none has ended there.
    """
    folder = Path(folder)
    if not (folder / "result.json").exists():
        raise ValueError(f"{folder}: no training has ended there; let `train` go on with it")
    content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return Trained(
        folder,
        tuple(content["checkpoints"]),
        content["diverged"],
        content["test_loss"],
        Floors(**content["floors"]),
        Floors(**content["validation_floors"]),
        settings["tokens"],
    )
