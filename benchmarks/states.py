"""Time and memory of recording a text's states, guards included, against transformers' own forward.

In one run, one precision, on a Llama of SmolLM2-135M's sizes with random weights:

eager     the model's own forward with eager attention, which keeps no states
record    headalgebra: the states on disk, every guard applied
warm      the same without the guards on other passes: the states on disk, no more

Memory is the most resident at any time (VmHWM), beyond what eager took, in states of
N·T·d numbers; in processes of their own, at the given depth and at twice that. The last line
printed with --json is one JSON object.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import AutoConfig, AutoModel

from headalgebra.states import record
from headalgebra.states.recording import write_states
from headalgebra.states.structure import find_stack
from timing import account, seconds

WORDS = 512
DTYPES = {"float32": torch.float32, "float64": torch.float64}


def random_llama(*, d: int, layers: int, heads: int, keys: int, dtype: torch.dtype) -> Any:
    """A Llama of random weights and few words, in evaluation mode."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "llama",
        hidden_size=d,
        intermediate_size=8 * d // 3,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=keys,
        vocab_size=WORDS,
    )
    return AutoModel.from_config(config, dtype=dtype, attn_implementation="eager").eval()


def random_text(sequences: int, tokens: int) -> torch.Tensor:
    """Tokens [N, T] that such a model knows."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(WORDS, (sequences, tokens), generator=generator)


def eager(model: Any, tokens: torch.Tensor) -> None:
    """As a user runs a model that is not to be trained."""
    with torch.no_grad():
        model(input_ids=tokens, use_cache=False)


def memory(arguments: argparse.Namespace, model: Any, tokens: torch.Tensor) -> float:
    """States that recording takes beyond what eager does, in this process."""
    eager(model, tokens)
    before = account("status", "VmHWM")
    with TemporaryDirectory() as folder:
        record(model, tokens, Path(folder))
    state = tokens.numel() * arguments.d_model * DTYPES[arguments.dtype].itemsize
    return 1024 * (account("status", "VmHWM") - before) / state


def main() -> None:
    """Time, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--d-model", type=int, default=576)
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--dtype", choices=DTYPES, default="float64")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model = random_llama(
        d=arguments.d_model, layers=arguments.layers, heads=9, keys=3, dtype=DTYPES[arguments.dtype]
    )
    tokens = random_text(arguments.sequences, arguments.tokens)
    if arguments.memory:
        print(memory(arguments, model, tokens))
        return
    stack = find_stack(model, tokens)
    with TemporaryDirectory() as name:
        folder = Path(name)
        calls = {
            "eager": lambda: eager(model, tokens),
            "record": lambda: record(model, tokens, folder),
            "warm": lambda: write_states(stack, tokens, folder, len(tokens)),
        }
        figures: dict[str, Any] = {
            f"{name}_s": seconds(call, arguments.repeats) for name, call in calls.items()
        }
    for factor in (1, 2):
        command = [sys.executable, __file__, "--memory", "--layers", str(factor * arguments.layers)]
        for option in ("d_model", "sequences", "tokens", "dtype"):
            command += [f"--{option.replace('_', '-')}", str(getattr(arguments, option))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures[f"states_held_{factor * arguments.layers}_blocks"] = float(done.stdout)
    print(f"{'record / eager':>18} {figures['record_s'] / figures['eager_s']:8.2f}")
    print(f"{'warm / eager':>18} {figures['warm_s'] / figures['eager_s']:8.2f}")
    for name, value in figures.items():
        print(f"{name:>28} {value:8.2f}")
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
