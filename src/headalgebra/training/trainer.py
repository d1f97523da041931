"""The Trainer of transformers, which also writes down gradients and keeps a series of weights."""

import math
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from headalgebra.training.gradients import gradient_norms
from headalgebra.training.metrics import Row, RowFile

Penalty = Callable[[PreTrainedModel, int], Tensor]
"""What is added to the training loss, a differentiable scalar of the model's weights."""


class DivergedError(Exception):
    """The loss or a gradient is not finite.

    Parameters
    ----------
    row
        Of the step at which that is so.
    """

    def __init__(self, row: Row) -> None:
        super().__init__(f"not finite at step {row.step}")
        self.row = row


class Sequences(Dataset[dict[str, Tensor]]):
    """Sequences of tokens, each to be continued at every place.

    Parameters
    ----------
    ids
        ``[n, T]``.
    """

    def __init__(self, ids: Int64[Tensor, "n T"]) -> None:
        self.ids = ids

    def __len__(self) -> int:
        """n."""
        return len(self.ids)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        """One of them."""
        return {"input_ids": self.ids[place], "labels": self.ids[place]}


class DecoderTrainer(Trainer):
    """Trains a decoder, with a penalty if there is one, and measures each step.

    Parameters
    ----------
    model, args, train, validation
        As Trainer takes them, the sequences as tokens.
    penalty
        Added to the loss in training, not in validation.
    undecayed
        Names of parameters without weight decay, beside biases and the norms of torch.
    optimiser
        The class of the optimizer and its settings; None for the one that ``args`` names.
    """

    row: Row
    """Of the step under way."""

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        train: Int64[Tensor, "n T"],
        validation: Int64[Tensor, "v T"],
        penalty: Penalty | None,
        undecayed: Collection[str],
        optimiser: tuple[type[Optimizer], dict[str, Any]] | None,
    ) -> None:
        super().__init__(
            model,
            args,
            train_dataset=Sequences(train),
            eval_dataset=Sequences(validation),
            optimizer_cls_and_kwargs=optimiser,
        )
        # Of a batch is the mean that the model gives. The other way, Trainer divides a sum over the
        # T − 1 tokens that GPT-2 predicts by T.
        self.model_accepts_loss_kwargs = False
        self.decoder = model
        self.penalty = penalty
        self.undecayed = undecayed
        self.tokens_a_step = self._train_batch_size * args.world_size * train.shape[1]

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """Names of the parameters that decay."""
        return [it for it in super().get_decay_parameter_names(model) if it not in self.undecayed]

    def compute_loss(self, model: nn.Module, inputs: Any, *given: Any, **named: Any) -> Any:
        """The cross-entropy, and in training the penalty besides."""
        loss: Any = super().compute_loss(model, inputs, *given, **named)
        if not model.training:
            return loss
        self._parts = [loss.detach()]
        if self.penalty is not None:
            self._parts.append(self.penalty(self.decoder, self.state.global_step))
            loss = loss + self._parts[1]
        return loss

    def training_step(self, *given: Any, **named: Any) -> Tensor:
        """Forward and backward pass; the gradients are not clipped yet."""
        loss = super().training_step(*given, **named)
        step = self.state.global_step + 1
        parts = self.accelerator.reduce(torch.stack([it.detach() for it in self._parts]), "mean")
        values = parts.tolist()
        query_key, block = gradient_norms(self.decoder)
        self.row = Row(
            step,
            step * self.tokens_a_step,
            train_loss=values[0],
            penalty=values[1] if self.penalty is not None else None,
            learning_rate=self._get_learning_rate(),
            query_key=query_key,
            block=block,
        )
        if not all(map(math.isfinite, (*values, *block))):
            raise DivergedError(self.row)
        return loss


class Series(TrainerCallback):
    """Keeps weights and rows at the steps at which they are wanted.

    Parameters
    ----------
    trainer
        Whose rows they are.
    folder
        Where a folder for each checkpoint is written, named by its step.
    rows
        Where rows are written.
    tokenizer
        Saved with every checkpoint.
    checkpoints, validated
        Steps of checkpoints and of validation.
    resumable_every
        Steps between two states from which a killed training goes on.
    """

    def __init__(
        self,
        trainer: DecoderTrainer,
        folder: Path,
        rows: RowFile,
        tokenizer: PreTrainedTokenizerFast,
        checkpoints: Collection[int],
        validated: Collection[int],
        resumable_every: int,
    ) -> None:
        self.trainer = trainer
        self.folder = folder
        self.rows = rows
        self.tokenizer = tokenizer
        self.checkpoints = checkpoints
        self.validated = validated
        self.resumable_every = resumable_every

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the initialisation."""
        if state.global_step == 0:
            self._keep(state)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the weights, and ask for what else is due."""
        step = state.global_step
        if step in self.checkpoints:
            self._keep(state)
        control.should_evaluate = step in self.validated
        control.should_save = step % self.resumable_every == 0 or step == state.max_steps
        if not control.should_evaluate:
            self._write(self.trainer.row, state)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the row that waited for it."""
        if metrics and "eval_loss" in metrics:
            row = self.trainer.row if state.global_step else Row(0, 0)
            row.validation_loss = metrics["eval_loss"]
            self._write(row, state)

    def _write(self, row: Row, state: TrainerState) -> None:
        if state.is_world_process_zero:
            self.rows.add(row)

    def _keep(self, state: TrainerState) -> None:
        # Of weights that are not finite, the next loss will say it.
        finite = all(bool(it.isfinite().all()) for it in self.trainer.decoder.parameters())
        if not (finite and state.is_world_process_zero):
            return
        kept = self.folder / str(state.global_step)
        aside = self.folder / f".{state.global_step}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        self.trainer.decoder.save_pretrained(aside)
        self.tokenizer.save_pretrained(str(aside))
        aside.replace(kept)
