"""One finished training, as measures read it."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import Checkpoint, LayerFactors, load_model, open_folder
from headalgebra.devices import compute_device
from headalgebra.states import Recording, record
from headalgebra.training import Trained, TrainingTokens


@dataclass(frozen=True)
class Run:
    """One finished training, and what it read.

    Attributes
    ----------
    trained
        The training.
    tokens
        What it read.
    scratch
        A folder where states may be written; nothing in it is needed afterwards.
    device
        Where models run: ``auto``, ``cpu`` or ``cuda``. Numbers of weights are taken on the CPU.
    seed
        Of the random draws of measures, not of the training.

    Raises
    ------
    ValueError
        In one line: if the training read other tokens.
    """

    trained: Trained
    tokens: TrainingTokens = field(repr=False)
    scratch: Path
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse tokens that are not the training's."""
        if self.trained.tokens != self.tokens.digest:
            raise ValueError(
                f"{self.trained.folder}: it was trained on other tokens; give those that it read"
            )

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """A row for each step, as :func:`headalgebra.training.metrics.metrics_table` gives it."""
        return pd.read_parquet(self.trained.folder / "metrics.parquet")

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Steps of the checkpoints, rising."""
        return self.trained.checkpoints

    @property
    def last(self) -> int:
        """The step of the last checkpoint."""
        return self.checkpoints[-1]

    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of a step."""
        return open_folder(self.trained.folder / str(step))

    def factors(self, step: int) -> list[LayerFactors]:
        """Factors of the head operators of every layer, those of soft heads among them."""
        checkpoint = self.checkpoint(step)
        return [checkpoint.read_layer(layer) for layer in range(checkpoint.n_layers)]

    def operators(self, step: int) -> list[HeadOperators]:
        """Head operators of every layer, in float64."""
        return [
            HeadOperators.from_factors(it.queries, it.keys, it.key_of_head)
            for it in self.factors(step)
        ]

    def model(self, step: int, dtype: str | None = None) -> Any:
        """The whole model on the run's device, in evaluation mode.

        Parameters
        ----------
        step
            Of the checkpoint.
        dtype
            As in :func:`headalgebra.checkpoints.load_model`.
        """
        running = load_model(self.checkpoint(step), dtype)
        return running.model.to(compute_device(self.device))

    def recording(self, step: int, sequences: int) -> Recording:
        """Let the model of a checkpoint read test sequences.

        Parameters
        ----------
        step
            Of the checkpoint.
        sequences
            So many of the first ones are read, or all where there are no more.

        Raises
        ------
        GuardError
            If the model fails a guard of :mod:`headalgebra.states.guards`.
        """
        model = self.model(step)
        return record(model, self.tokens.test[:sequences], self.scratch / str(step))
