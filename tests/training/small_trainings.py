"""Trainings of a second, as tests and the process that one of them kills call them."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel

from headalgebra.training import Recipe, Size, Trained, TrainingTokens, train

SIZE = Size(layers=2, heads=2, width=16)
RECIPE = Recipe(steps=60, batch=4, checkpoints=5, validate_every=25)
"""Three times through 80 sequences; a state to go on from every third step."""


def gpt2() -> PreTrainedModel:
    return GPT2LMHeadModel(SIZE.gpt2(280, 16))


def llama() -> PreTrainedModel:
    return LlamaForCausalLM(SIZE.llama(280, 16, head_width=6, feed_forward=40))


def trained(tokens: TrainingTokens, folder: Path, **given: Any) -> Trained:
    """On the CPU, by default a GPT-2 by the recipe above."""
    return train(
        given.pop("build", gpt2), tokens, folder, device="cpu", **{"recipe": RECIPE} | given
    )


def killed(calls: int, tokens: TrainingTokens, folder: Path, recipe: Recipe = RECIPE) -> None:
    """Leave what a training leaves that dies by signal 9 in the middle of a step."""
    stored = folder.with_suffix(".pickle")
    stored.write_bytes(pickle.dumps((tokens, recipe)))
    done = subprocess.run(
        [sys.executable, __file__, str(stored), str(folder), str(calls)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    """All files by their paths."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def killing(calls: int) -> PreTrainedModel:
    """The same model; the process dies in the middle of a training step."""
    model = gpt2()
    left = iter(range(calls))

    def count(module: torch.nn.Module, _: Any) -> None:
        if module.training and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    model.register_forward_pre_hook(count)
    return model


if __name__ == "__main__":
    torch.set_num_threads(1)
    read, by = pickle.loads(Path(sys.argv[1]).read_bytes())
    trained(read, Path(sys.argv[2]), build=lambda: killing(int(sys.argv[3])), recipe=by)
