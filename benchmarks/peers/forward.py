"""Keep one model's states and attention on a text with one tool, in a process of its own.

    python forward.py (headalgebra|transformer_lens|nnsight) FOLDER TOKENS KEPT

FOLDER is a checkpoint of GPT-2's family, TOKENS a file of safetensors with its tokens [N, T]. What
enters the first block and what every block leaves goes to the file KEPT, and so do the attention
probabilities of every block. The last line printed is one JSON object.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Figures, bridged, one_word, report


def headalgebra(folder: Path, given: Path, kept: Path, figures: Figures) -> None:
    """Write the states down, guards applied; then run every block again for its attention."""
    with figures.phase("imports"):
        from safetensors.torch import load_file, save_file

        from headalgebra.checkpoints import load_model, open_folder
        from headalgebra.states import record
    with figures.phase("load"):
        model = load_model(open_folder(folder), "float32").model
        tokens = load_file(given)["tokens"]
    with TemporaryDirectory() as states:
        with figures.phase("states"):
            recording = record(model, tokens, Path(states))
        with figures.phase("attention"):
            attention = [block.probabilities for block in recording.blocks()]
        found = {f"state.{i}": recording.state(i) for i in range(recording.n_blocks + 1)}
        found |= {f"attention.{i}": it.contiguous() for i, it in enumerate(attention)}
        save_file(found, kept)


def transformer_lens(folder: Path, given: Path, kept: Path, figures: Figures) -> None:
    """One pass whose cache keeps the residual stream and the attention patterns, nothing else."""
    with figures.phase("imports"):
        import torch
        import transformer_lens.model_bridge  # type: ignore[import-not-found] # noqa: F401
        from safetensors.torch import load_file, save_file

        torch.set_grad_enabled(False)
    with figures.phase("load"):
        bridge = bridged(folder)
        tokens = load_file(given)["tokens"]
    ends = ("hook_resid_pre", "hook_resid_post", "attn.hook_pattern")
    with figures.phase("states"):
        _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name.endswith(ends))
    layers = range(bridge.cfg.n_layers)
    found = {"state.0": cache["blocks.0.hook_resid_pre"]}
    found |= {f"state.{i + 1}": cache[f"blocks.{i}.hook_resid_post"] for i in layers}
    found |= {f"attention.{i}": cache[f"blocks.{i}.attn.hook_pattern"] for i in layers}
    save_file({name: it.contiguous() for name, it in found.items()}, kept)


def nnsight(folder: Path, given: Path, kept: Path, figures: Figures) -> None:
    """One trace of transformers' own model that saves what its blocks and attentions leave."""
    with figures.phase("imports"):
        import torch
        from nnsight import LanguageModel, save  # type: ignore[import-not-found]
        from safetensors.torch import load_file, save_file
        from transformers import AutoModelForCausalLM

        torch.set_grad_enabled(False)
    with figures.phase("load"):
        loaded = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
        model = LanguageModel(loaded, tokenizer=one_word(folder))
        tokens = load_file(given)["tokens"]
    blocks = model.transformer.h
    with figures.phase("states"), model.trace(tokens):
        # In the order in which they are computed: values of a trace are waited for.
        first, left, attention = save(blocks[0].input), save([]), save([])
        for block in blocks:
            attention.append(block.attn.output[1])
            left.append(block.output)
    states = [first, *(it[0] if isinstance(it, tuple) else it for it in left)]
    found = {f"state.{i}": it for i, it in enumerate(states)}
    found |= {f"attention.{i}": it for i, it in enumerate(attention)}
    save_file({name: it.contiguous() for name, it in found.items()}, kept)


TOOLS: dict[str, Callable[[Path, Path, Path, Figures], None]] = {
    "headalgebra": headalgebra,
    "transformer_lens": transformer_lens,
    "nnsight": nnsight,
}


def main() -> None:
    """Run and print."""
    tool, folder, given, kept = sys.argv[1:]
    report(tool, lambda figures: TOOLS[tool](Path(folder), Path(given), Path(kept), figures))


if __name__ == "__main__":
    main()
