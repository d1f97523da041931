"""Keep the states and attention of a GPT-2 on a text with headalgebra, TransformerLens and nnsight.

All in one run, each tool in a process of its own with one thread, in float32, on the same
checkpoint and tokens. What each kept is held against transformers' own forward of the same weights
in float64.

The last line printed with --json is one JSON object.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from compare import GPT2_SIZES, Family, ask, make, options_of, quickest
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

TOOLS = {
    "headalgebra": "headalgebra",
    "transformer_lens": "TransformerLens",
    "nnsight": "nnsight",
}
ROWS = {
    "imports, s": "imports_s",
    "load, s": "load_s",
    "states, s": "states_s",
    "attention besides, s": "attention_s",
    "wall time of the process, s": "wall_s",
    "resident memory before the states, MB": "load_peak_mb",
    "peak after the states, MB": "states_peak_mb",
    "relative error of the states": "states_error",
    "largest error of the attention": "attention_error",
}


def expected(folder: Path, tokens: Tensor) -> dict[str, Tensor]:
    """States and attention by transformers in float64.

    The last hidden state that it gives is normalised, so that hooks take what blocks leave.
    """
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager"
    ).eval()
    found: dict[str, Tensor] = {}
    for i, block in enumerate(model.transformer.h):

        def keep(_: Any, given: Any, left: Any, i: int = i) -> None:
            found.setdefault("state.0", given[0])
            found[f"state.{i + 1}"] = left[0] if isinstance(left, tuple) else left

        block.register_forward_hook(keep)
    with torch.no_grad():
        attentions = model(tokens, output_attentions=True).attentions
    return found | {f"attention.{i}": it for i, it in enumerate(attentions)}


def disagreement(kept: Path, right: Mapping[str, Tensor]) -> dict[str, float]:
    """The largest relative error of a state, and the largest error of an attention probability."""
    found = load_file(kept)
    if found.keys() != right.keys():
        raise ValueError(f"{kept} holds {len(found)} tensors, not the {len(right)} asked for")
    errors = {"state": 0.0, "attention": 0.0}
    for name, tensor in right.items():
        kind = name.partition(".")[0]
        if found[name].shape != tensor.shape:
            raise ValueError(f"{name} is {[*found[name].shape]}, not {[*tensor.shape]}")
        away = found[name].double() - tensor
        error = away.norm() / tensor.norm() if kind == "state" else away.abs().max()
        errors[kind] = max(errors[kind], float(error))
    return {"states_error": errors["state"], "attention_error": errors["attention"]}


def main() -> None:
    """Run, compare and print."""
    parser = options_of(__doc__.splitlines()[0], repeats=3)
    parser.add_argument("--sequences", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(options.seed)
    tokens = torch.randint(50257, (options.sequences, options.tokens), generator=generator)
    with tempfile.TemporaryDirectory() as name:
        folder, given, kept = (Path(name) / it for it in ("model", "tokens", "kept"))
        make(Family("GPT2LMHeadModel", (), GPT2_SIZES), folder, options.seed)
        save_file({"tokens": tokens}, given)
        right = expected(folder, tokens)

        def measured(tool: str) -> dict[str, Any]:
            python = Path(sys.executable) if tool == "headalgebra" else options.peers
            figures = ask("forward.py", [tool, folder, given, kept], python)
            return figures if "refused" in figures else figures | disagreement(kept, right)

        best = quickest(TOOLS, options.repeats, measured, by="states_s")
    print(f"| GPT-2 | {' | '.join(TOOLS.values())} |\n|---|---|---|---|")
    for label, key in ROWS.items():
        shown = ".0e" if key.endswith("error") else ".0f" if key.endswith("mb") else ".2f"
        cells = [f"{it[key]:{shown}}" if key in it else "–" for it in best.values()]
        print(f"| {label} | {' | '.join(cells)} |")
    if options.json:
        print(json.dumps(best))


if __name__ == "__main__":
    main()
