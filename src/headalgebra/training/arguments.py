"""A recipe as transformers' Trainer is told it."""

import os
from pathlib import Path

from transformers import TrainingArguments

from headalgebra.recipe import Recipe


def training_arguments(folder: Path, recipe: Recipe, seed: int, on_cpu: bool) -> TrainingArguments:
    """The arguments of Trainer by which it follows a recipe.

    Parameters
    ----------
    folder
        Of the states from which a killed training goes on.
    recipe
        How long and how fast.
    seed
        Of the order of the sequences.
    on_cpu
        Whether a GPU that is there is left alone.

    Raises
    ------
    ValueError
        If the batch does not share out to the processes, or one process sees several GPUs.
    """
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if recipe.batch % processes:
        raise ValueError(
            f"batch: {recipe.batch} sequences do not share out to {processes} processes"
        )
    made = TrainingArguments(
        output_dir=str(folder),
        seed=seed,
        use_cpu=on_cpu,
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.batch // processes,
        per_device_eval_batch_size=32,
        optim="sgd" if recipe.optimiser == "sgd" else "adamw_torch",
        optim_args=f"momentum={recipe.betas[0]}" if recipe.optimiser == "sgd" else None,
        learning_rate=recipe.learning_rate,
        adam_beta1=recipe.betas[0],
        adam_beta2=recipe.betas[1],
        weight_decay=recipe.weight_decay,
        max_grad_norm=recipe.clip,
        warmup_steps=round(recipe.warm_up * recipe.steps),
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": recipe.final},
        # What is saved and when, `Series` decides.
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        save_total_limit=1,
        prediction_loss_only=True,
        logging_nan_inf_filter=False,
        dataloader_pin_memory=not on_cpu,
        report_to=[],
        disable_tqdm=True,
    )
    if made.n_gpu > 1:
        raise ValueError(
            f"device: {made.n_gpu} GPUs are visible to one process; set CUDA_VISIBLE_DEVICES to "
            "one of them, or start a process for each by torchrun"
        )
    return made
