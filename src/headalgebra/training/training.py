"""Train a decoder, and keep its weights at log-spaced steps."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PrinterCallback, set_seed
from transformers.utils import logging

from headalgebra.devices import compute_device
from headalgebra.recipe import Recipe, checkpoint_steps
from headalgebra.training.arguments import training_arguments
from headalgebra.training.floors import ngram_floors
from headalgebra.training.metrics import RowFile, metrics_table, replaced
from headalgebra.training.optimisers import rotated_adamw
from headalgebra.training.residual import fix_gains
from headalgebra.training.tokens import TrainingTokens
from headalgebra.training.trained import Trained, read_trained
from headalgebra.training.trainer import DecoderTrainer, DivergedError, Penalty, Sequences, Series

RESUMABLE_STATES = 20
"""Of a training, spread over it: a kill costs a twentieth at the most."""


def train(
    build: Callable[[], PreTrainedModel],
    tokens: TrainingTokens,
    folder: str | PathLike[str],
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    penalty: Penalty | None = None,
    undecayed: Callable[[PreTrainedModel], Collection[str]] | None = None,
    device: str = "auto",
) -> Trained:
    """Train a decoder by transformers' Trainer, and keep its weights at log-spaced steps.

    Called again with the same arguments after a kill, it goes on from the newest whole state and
    ends in the same bytes; after the end it returns what is there. The same seed, number of threads
    and kind of machine give the same bytes. Under ``torchrun`` the processes share each batch.

    Parameters
    ----------
    build
        Makes the model, in the form of GPT-2 or Llama; random draws are seeded before it is called.
    tokens
        What it reads. Each training sequence is read at least once, in an order that the seed
        draws, and anew where there are fewer of them than the recipe reads.
    folder
        Where checkpoints go, each with its tokenizer, and ``metrics.parquet``, ``result.json`` and
        ``settings.json``.
    recipe
        By default `Recipe()`.
    seed
        Of the initial weights, of the order of the sequences, and of the basis of a rotated
        optimiser. The order of the n-th time through the sequences is drawn from the sum of seed
        and n: the seed after this one has the same orders, a time earlier.
    penalty
        Given the model and the number of the step, what is added to the loss in training.
    undecayed
        Given the model, names of parameters without weight decay, beside biases and LayerNorms.
    device
        ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    ValueError
        In one line: if the folder holds another training, or sequences, batch, processes and model
        do not fit each other.
    """
    recipe, folder = recipe or Recipe(), Path(folder)
    _check_sequences(tokens, recipe)
    on_cpu = compute_device(device).type == "cpu"
    set_seed(seed)
    model = build()
    _check_vocabulary(model, tokens)
    if recipe.gains == "fixed":
        fix_gains(model)
    names = set(undecayed(model)) if undecayed else set()
    if unknown := names - {name for name, _ in model.named_parameters()}:
        raise ValueError(f"undecayed: the model has no parameter {min(unknown)}")
    settings = asdict(recipe) | {
        "seed": seed,
        "tokens": tokens.digest,
        "model": _digest(model),
        "undecayed": sorted(names),
        "penalty": None if penalty is None else penalty(model, 0).item(),
    }
    arguments = training_arguments(folder / "resumable", recipe, seed, on_cpu)
    rotated = recipe.optimiser == "rotated"
    optimiser = rotated_adamw(model, arguments, seed) if rotated else None
    rows = RowFile(folder / "resumable" / "rows.jsonl")
    with arguments.main_process_first(local=False):
        _check_settings(folder, settings)
        if (folder / "result.json").exists():
            return read_trained(folder)
        start = _newest_whole(folder, rows)
    arguments.eval_on_start = start is None
    with _quiet():
        trainer = DecoderTrainer(
            model, arguments, tokens.train, tokens.validation, penalty, names, optimiser
        )
        trainer.remove_callback(PrinterCallback)
        checkpoints = checkpoint_steps(recipe.steps, recipe.checkpoints)
        every = max(1, recipe.steps // RESUMABLE_STATES)
        validated = recipe.validated()
        trainer.add_callback(
            Series(trainer, folder, rows, tokens.tokenizer, checkpoints, validated, every)
        )
        diverged, test_loss = None, None
        try:
            trainer.train(resume_from_checkpoint=str(start) if start else None)
        except DivergedError as stopped:
            diverged = stopped.row.step
            if arguments.should_save:
                rows.add(stopped.row)
        else:
            tested = trainer.evaluate(Sequences(tokens.test), metric_key_prefix="test")
            test_loss = tested["test_loss"]
            if not math.isfinite(test_loss):
                diverged, test_loss = recipe.steps, None
    with arguments.main_process_first(local=False):
        if arguments.should_save:
            floors, validation_floors = (
                ngram_floors(tokens.train, scored, len(tokens.tokenizer))
                for scored in (tokens.test, tokens.validation)
            )
            kept = [it for it in checkpoints if (folder / str(it)).exists()]
            ended = Trained(
                folder, (*kept,), diverged, test_loss, floors, validation_floors, tokens.digest
            )
            _finish(folder, rows, ended)
    return read_trained(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars and warnings of transformers."""
    progress, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if progress:
            logging.enable_progress_bar()


def _check_sequences(tokens: TrainingTokens, recipe: Recipe) -> None:
    n, batch, read = len(tokens.train), recipe.batch, recipe.steps * recipe.batch
    if n % batch or not n:
        raise ValueError(f"tokens: {n} training sequences make no whole batches of {batch}")
    if n > read:
        raise ValueError(
            f"tokens: {recipe.steps} steps of {batch} sequences read {read}, and there are {n}; "
            "what is not read must not count among what was trained on, so take no more"
        )


def _check_vocabulary(model: PreTrainedModel, tokens: TrainingTokens) -> None:
    known, length = model.config.vocab_size, tokens.train.shape[1]
    if known < len(tokens.tokenizer):
        raise ValueError(
            f"the model knows {known} tokens, and the tokenizer makes {len(tokens.tokenizer)}"
        )
    if model.config.max_position_embeddings < length:
        raise ValueError(
            f"the model takes {model.config.max_position_embeddings} tokens at once, and the "
            f"sequences have {length}"
        )


def _digest(model: PreTrainedModel) -> str:
    """SHA-256, in hex, of a model's configuration and weights."""
    found = hashlib.sha256(model.config.to_json_string().encode())
    for name, weights in model.state_dict().items():
        found.update(name.encode())
        found.update(weights.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Refuse a folder of another training, and say in an empty one which this is."""
    path = folder / "settings.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        replaced(path, (json.dumps(settings, indent=1) + "\n").encode())
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    # As text, in which tuples are lists and one NaN is another.
    if other := [it for it in settings if json.dumps(found.get(it)) != json.dumps(settings[it])]:
        raise ValueError(
            f"{folder}: it holds a training with another {', '.join(other)}; name another folder"
        )


def _newest_whole(folder: Path, rows: RowFile) -> Path | None:
    """The newest state that a training can go on from; what is later is deleted."""
    resumable = folder / "resumable"
    resumable.mkdir(exist_ok=True)
    states = {int(it.name.split("-")[1]): it for it in resumable.glob("checkpoint-*")}
    newest, step = None, -1
    written = [row.step for row in rows.read()]
    for number, state in sorted(states.items()):
        # It is written last.
        try:
            json.loads((state / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if written[: number + 1] == [*range(number + 1)]:
            newest, step = state, number
    rows.drop_beyond(step)
    for number, state in states.items():
        if number > step:
            shutil.rmtree(state)
    for kept in folder.iterdir():
        if kept.name.isdigit() and int(kept.name) > step:
            shutil.rmtree(kept)
    return newest


def _finish(folder: Path, rows: RowFile, result: Trained) -> None:
    table = metrics_table(rows.read())
    aside = folder / ".metrics.parquet.partial"
    table.to_parquet(aside, index=False)
    aside.replace(folder / "metrics.parquet")
    content = asdict(result)
    # The one is where it lies, the other is a setting.
    del content["folder"], content["tokens"]
    replaced(folder / "result.json", (json.dumps(content, indent=1) + "\n").encode())
    shutil.rmtree(folder / "resumable")
