"""Measure one checkpoint with one tool, in a process of its own.

    python measure.py (headalgebra|transformer_lens|weightwatcher) (time|read) GIVEN FACTORS

GIVEN is the folder of a checkpoint, or a GGUF file.

``time`` does the tool's work on every layer; ``read`` writes what the tool takes for the queries
and keys of every head to the file FACTORS. The last line printed is one JSON object.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

QUERIES_AND_KEYS = re.compile(
    r"\.(c_attn|query_key_value|qkv_proj|q_proj|k_proj|query|key|SelfAttention\.[qk])\.weight$"
)


class Figures(dict[str, Any]):
    """What a run cost, phase by phase."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note the wall time of a phase, and the peak of resident memory at its end."""
        start = perf_counter()
        yield
        self[f"{name}_s"] = perf_counter() - start
        self[f"{name}_peak_mb"] = peak_mb()


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+)", status)[0]) / 1024


def headalgebra(task: str, folder: Path, factors: Path, figures: Figures) -> None:
    """Read each layer's queries and keys alone, and commute the heads in r×r blocks."""
    with figures.phase("imports"):
        from safetensors.torch import save_file

        import headalgebra as measured
        from headalgebra.algebra.commutators import pair_commutators
        from headalgebra.algebra.gram import gram_blocks
        from headalgebra.algebra.operators import HeadOperators
        from headalgebra.checkpoints import open_checkpoint
    # An absent folder on PYTHONPATH is passed over in silence, for another installation.
    figures["source"] = str(Path(measured.__file__).parent)
    with figures.phase("load"):
        checkpoint = open_checkpoint(folder)
    if task == "read":
        layers = [checkpoint.read_layer(i) for i in range(checkpoint.n_layers)]
        save_file(
            {f"queries.{i}": layer.queries.contiguous() for i, layer in enumerate(layers)}
            | {
                f"keys.{i}": layer.keys[layer.key_of_head].contiguous()
                for i, layer in enumerate(layers)
            },
            factors,
        )
        return
    with figures.phase("work"):
        epsilon = []
        for i in range(checkpoint.n_layers):
            layer = checkpoint.read_layer(i)
            operators = HeadOperators.from_factors(layer.queries, layer.keys, layer.key_of_head)
            blocks = gram_blocks(operators, balance_above=1e6)
            epsilon.append(pair_commutators(blocks, cancellation_below=1e-4).epsilon)
    figures["epsilon"] = epsilon


def transformer_lens(task: str, folder: Path, factors: Path, figures: Figures) -> None:
    """Load the model, take its QK circuits factored, and commute them as they are.

    The raw weights: nothing is folded or centred unless one asks for the compatibility mode.
    Products stay factored; only their difference is dense, because the norm of a
    `FactoredMatrix` of twice the width, which takes three singular value decompositions, is ten
    times slower at GPT-2's size.
    """
    with figures.phase("imports"):
        import torch
        from safetensors.torch import save_file
        from transformer_lens import FactoredMatrix  # type: ignore[import-not-found]
        from transformers import AutoModelForCausalLM

        torch.set_grad_enabled(False)
    with figures.phase("load"):
        model, place = None, folder
        if folder.suffix == ".gguf":  # transformers reads it for the bridge, which takes models
            place = folder.parent
            model = AutoModelForCausalLM.from_pretrained(place, gguf_file=folder.name)
        bridge = bridged(place, model)
    if task == "read":
        sides: dict[str, Any] = {}
        for i, attention in enumerate(attentions(bridge)):
            queries, keys = attention.W_Q, attention.W_K
            # What its QK does with the keys that heads share.
            keys = keys.repeat_interleave(len(queries) // len(keys), dim=0)
            sides |= {f"queries.{i}": queries.contiguous(), f"keys.{i}": keys.contiguous()}
        save_file(sides, factors)
        return
    with figures.phase("work"):
        circuits = bridge.QK
        epsilon = []
        for layer in range(circuits.A.shape[0]):
            heads = [
                FactoredMatrix(circuits.A[layer, h], circuits.B[layer, h])
                for h in range(circuits.A.shape[1])
            ]
            norms = [
                float(torch.linalg.matrix_norm((a @ b).AB - (b @ a).AB))
                for a, b in combinations(heads, 2)
            ]
            epsilon.append(sum(norms) / len(norms) / circuits.A.shape[2])
    figures["epsilon"] = epsilon


def bridged(folder: Path, model: Any = None) -> Any:
    """A local checkpoint, or a model that transformers has loaded, as TransformerLens takes it."""
    from transformer_lens.model_bridge import (  # type: ignore[import-not-found]
        TransformerBridge,
    )

    return TransformerBridge.boot_transformers(
        str(folder), device="cpu", tokenizer=one_word(folder), hf_model=model
    )


def one_word(folder: Path) -> Any:
    """A tokenizer of a single word: tools refuse a checkpoint that has none."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token="a",
        eos_token="a",
        pad_token="a",
        name_or_path=str(folder),
    )


def attentions(bridge: Any) -> Iterator[Any]:
    """The self-attention of every layer that has one, an encoder's before its decoder's."""
    for stack in ("blocks", "encoder_blocks", "decoder_blocks"):
        for block in getattr(bridge, stack, ()):
            for name in ("attn", "self_attn"):
                if name in block._modules:
                    yield block._modules[name]
                    break


def weightwatcher(task: str, folder: Path, factors: Path, figures: Figures) -> None:
    """Take the attention's query and key matrices alone, and fit their spectra."""
    with figures.phase("imports"):
        import torch
        from safetensors import safe_open
        from weightwatcher import WeightWatcher  # type: ignore[import-not-found]

        logging.disable(logging.WARNING)
    with figures.phase("load"):
        weights = {}
        if folder.suffix == ".gguf":  # what it makes of such a file itself
            watcher = WeightWatcher(model=str(folder))
            watcher.describe()
        else:
            with safe_open(folder / "model.safetensors", framework="pt") as stored:
                names = filter(QUERIES_AND_KEYS.search, stored.keys())
                weights = {name: stored.get_tensor(name) for name in names}
            watcher = WeightWatcher(model=weights)
    if task == "read":
        matrices = {}
        for name, weight in weights.items():
            spectrum = watcher.get_ESD(layer=name.removesuffix(".weight"))
            expected = torch.linalg.svdvals(weight.double()).square()
            found = torch.as_tensor(sorted(spectrum, reverse=True), dtype=torch.float64)
            same = found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-3)
            matrices[name] = [list(weight.shape), bool(same)]
        figures["matrices"] = matrices
        return
    with figures.phase("work"):
        details = watcher.analyze()
    figures["matrices_analysed"] = len(details)


TOOLS: dict[str, Callable[[str, Path, Path, Figures], None]] = {
    "headalgebra": headalgebra,
    "transformer_lens": transformer_lens,
    "weightwatcher": weightwatcher,
}


def report(tool: str, work: Callable[[Figures], None]) -> None:
    """Have a tool do its work, and print what it cost as one JSON object."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    figures = Figures(versions={name: version(name) for name in (tool, "torch")})
    try:
        work(figures)
    except Exception as error:  # whatever a peer raises is its answer
        figures["refused"] = f"{type(error).__name__}: {error}"
    figures |= {"processor_s": process_time(), "peak_mb": peak_mb()}
    print(json.dumps(figures))


def main() -> None:
    """Measure and print."""
    tool, task, folder, factors = sys.argv[1:]
    report(tool, lambda figures: TOOLS[tool](task, Path(folder), Path(factors), figures))


if __name__ == "__main__":
    main()
