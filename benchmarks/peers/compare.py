"""Measure attention heads with headalgebra, TransformerLens and WeightWatcher, side by side.

All in one run, each tool in a process of its own with one thread, on the same checkpoints: one
of the sizes of GPT-2, timed, and one of every family, small, whose queries and keys as each tool
takes them are held against the attention probabilities of the live model.

The last line printed with --json is one JSON object.
"""

import argparse
import inspect
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from time import perf_counter
from typing import Any

import gguf
import torch
import transformers
from jaxtyping import Bool, Float
from safetensors.torch import load_file
from torch import Tensor

TOOLS = ("headalgebra", "transformer_lens", "weightwatcher")
SHOWN = {
    "headalgebra": "headalgebra",
    "transformer_lens": "TransformerLens",
    "weightwatcher": "WeightWatcher",
}
GGUF = "model.gguf"
D, HEADS, GROUPS = 64, 8, 2
AGREES_BELOW = 1e-3
"""Probabilities in float32 of scores near 1 leave 1e-6; another head or layout leaves above 0.1."""


@dataclass(frozen=True)
class Family:
    """How to make a small model of a family and where its attention is.

    Attributes
    ----------
    model
        Class of transformers that has a configuration class.
    attention
        Paths of the self-attention modules that give probabilities, with the layer's number open.
    settings
        Attributes of the configuration.
    layers
        Numbers to fill into the paths.
    norms
        Names of the attention's norms of queries and keys, if it has any.
    gguf
        Whether the tools are given a GGUF file, whose architecture has the model's own name.
    """

    model: str
    attention: Sequence[str]
    settings: Mapping[str, Any]
    layers: Sequence[int] = (0, 1)
    norms: tuple[str, str] | None = None
    gguf: bool = False


WORDS: dict[str, Any] = {"vocab_size": 64, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIZES = WORDS | {
    "hidden_size": D,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
GPT = WORDS | {"n_embd": D, "n_head": HEADS, "n_layer": 2, "n_positions": 32}
GROUPED = SIZES | {"num_key_value_heads": GROUPS}
WIDE = GROUPED | {"head_dim": 12}
FALCON = SIZES | {"ffn_hidden_size": 32}
MOE = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}
DECODER = ("model.layers.{}.self_attn",)
NORMED = ("q_norm", "k_norm")

FAMILIES = {
    "gpt2": Family("GPT2LMHeadModel", ("transformer.h.{}.attn",), GPT),
    "gpt_neo": Family(
        "GPTNeoForCausalLM",
        ("transformer.h.{}.attn.attention",),
        WORDS
        | {"hidden_size": D, "num_heads": HEADS, "num_layers": 2, "max_position_embeddings": 32}
        | {"attention_types": [[["global", "local"], 1]], "intermediate_size": 32},
    ),
    "gptj": Family("GPTJForCausalLM", ("transformer.h.{}.attn",), GPT | {"rotary_dim": 4}),
    "codegen": Family("CodeGenForCausalLM", ("transformer.h.{}.attn",), GPT | {"rotary_dim": 4}),
    "gpt_bigcode, one key": Family("GPTBigCodeForCausalLM", ("transformer.h.{}.attn",), GPT),
    "gpt_neox": Family("GPTNeoXForCausalLM", ("gpt_neox.layers.{}.attention",), SIZES),
    "bloom": Family(
        "BloomForCausalLM",
        ("transformer.h.{}.self_attention",),
        WORDS | {"hidden_size": D, "n_head": HEADS, "n_layer": 2},
    ),
    "falcon, one key": Family("FalconForCausalLM", ("transformer.h.{}.self_attention",), FALCON),
    "falcon, grouped": Family(
        "FalconForCausalLM",
        ("transformer.h.{}.self_attention",),
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": GROUPS},
    ),
    "bert": Family("BertForMaskedLM", ("bert.encoder.layer.{}.attention.self",), SIZES),
    "t5": Family(
        "T5ForConditionalGeneration",
        (
            "encoder.block.{}.layer.0.SelfAttention",
            "decoder.block.{}.layer.0.SelfAttention",
        ),
        WORDS
        | {"d_model": D, "d_kv": 12, "d_ff": 32, "num_layers": 2, "num_heads": HEADS}
        | {"decoder_start_token_id": 0},
    ),
    "opt": Family(
        "OPTForCausalLM",
        ("model.decoder.layers.{}.self_attn",),
        SIZES | {"ffn_dim": 32, "word_embed_proj_dim": D},
    ),
    "llama, grouped": Family("LlamaForCausalLM", DECODER, GROUPED),
    "mistral, grouped": Family("MistralForCausalLM", DECODER, GROUPED),
    "mixtral, grouped": Family("MixtralForCausalLM", DECODER, GROUPED | {"num_local_experts": 2}),
    "qwen2, grouped": Family("Qwen2ForCausalLM", DECODER, GROUPED),
    "qwen3, grouped": Family("Qwen3ForCausalLM", DECODER, WIDE, norms=NORMED),
    "qwen3_next, gated": Family(
        "Qwen3NextForCausalLM",
        DECODER,
        WIDE
        | MOE
        | {"num_hidden_layers": 4, "shared_expert_intermediate_size": 16}
        | {"linear_num_value_heads": 2, "linear_num_key_heads": 2}
        | {"linear_key_head_dim": 8, "linear_value_head_dim": 8},
        layers=(3,),
        norms=NORMED,
    ),
    "olmo2, grouped": Family("Olmo2ForCausalLM", DECODER, GROUPED, norms=NORMED),
    "gemma, wide heads": Family("GemmaForCausalLM", DECODER, WIDE),
    "gemma2, wide heads": Family(
        "Gemma2ForCausalLM",
        DECODER,
        WIDE | {"query_pre_attn_scalar": 12, "attn_logit_softcapping": None},
    ),
    "gemma3, wide heads": Family(
        "Gemma3ForCausalLM", DECODER, WIDE | {"query_pre_attn_scalar": 12}, norms=NORMED
    ),
    "phi, grouped": Family("PhiForCausalLM", DECODER, GROUPED),
    "phi3, grouped": Family("Phi3ForCausalLM", DECODER, GROUPED),
    "llama, grouped, GGUF": Family("LlamaForCausalLM", DECODER, GROUPED, gguf=True),
    "qwen2, grouped, GGUF": Family("Qwen2ForCausalLM", DECODER, GROUPED, gguf=True),
}
ROWS = {
    "imports, s": "imports_s",
    "load, s": "load_s",
    "work, s": "work_s",
    "wall time of the process, s": "wall_s",
    "processor time of the process, s": "processor_s",
    "resident memory after imports, MB": "imports_peak_mb",
    "peak resident memory, MB": "peak_mb",
}
GPT2_SIZES = {"n_embd": 768, "n_head": 12, "n_layer": 12}


@dataclass
class Seen:
    """What an attention module was given and gave, for two texts of n tokens.

    Attributes
    ----------
    inputs
        [2, n, d].
    probabilities
        [2, H, n, n].
    sizes
        What its norms of queries and keys divided by, [2, H, G or 1, n, 1].
    projected
        What they were given, [2, H or G, n, r].
    """

    inputs: Tensor = field(default_factory=lambda: torch.empty(0))
    probabilities: Tensor = field(default_factory=lambda: torch.empty(0))
    sizes: dict[str, Tensor] = field(default_factory=dict)
    projected: dict[str, Tensor] = field(default_factory=dict)

    def scores(
        self, queries: Float[Tensor, "H d r"], keys: Float[Tensor, "H d r"]
    ) -> Float[Tensor, "2 H n n"]:
        """Query-key scores of factors on the same inputs, divided by the sizes of the norms."""
        inputs = self.inputs[:, None]
        sides = []
        for factors, norm in zip((queries, keys), ("q_norm", "k_norm"), strict=True):
            side = inputs @ factors.double()
            if norm in self.sizes:
                size = self.sizes[norm]
                shared = len(factors) // size.shape[1]
                side = side / size.repeat_interleave(shared, dim=1)
            sides.append(side)
        return sides[0] @ sides[1].mT

    def allowed(self) -> Bool[Tensor, "2 H n n"]:
        """Pairs of tokens that the mask lets see each other in both texts."""
        return (self.probabilities > 0).all(dim=0).expand(self.probabilities.shape)


def make(family: Family, folder: Path, seed: int) -> None:
    """Save a model with random weights, its gains too, and no biases."""
    torch.manual_seed(seed)
    model_class = getattr(transformers, family.model)
    model = model_class(model_class.config_class(**family.settings))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.data.zero_()
        elif parameter.ndim == 1:
            parameter.data.normal_(mean=1.0, std=0.3, generator=generator)
        else:
            parameter.data.normal_(std=D**-0.5, generator=generator)
    model.save_pretrained(folder)
    if family.gguf:
        write_gguf(folder)


def write_gguf(folder: Path) -> None:
    """Turn a saved decoder with Llama's names into a GGUF file, as llama.cpp's converter does.

    Matrices are rounded to 8 bits. In files of llama, coordinates of queries and keys that rotate
    together are neighbours.
    """
    config = json.loads((folder / "config.json").read_text())
    architecture, layers = config["model_type"], config["num_hidden_layers"]
    heads, keys = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(folder / GGUF, architecture)
    writer.add_block_count(layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(keys)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    kind = gguf.GGMLQuantizationType.Q8_0
    arch = next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, layers)
    for name, tensor in load_file(folder / "model.safetensors").items():
        stem, _, end = name.rpartition(".")
        if architecture == "llama" and (n := {"q_proj": heads, "k_proj": keys}.get(stem[-6:])):
            tensor = tensor.unflatten(0, (n, 2, -1)).transpose(1, 2).flatten(0, 2)
        content, stored = tensor.numpy(), f"{names.get_name(stem)}.{end}"
        if content.ndim == 1:
            writer.add_tensor(stored, content)
        else:
            writer.add_tensor(stored, gguf.quants.quantize(content, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for file in ("config.json", "model.safetensors"):
        (folder / file).unlink()


def watch(family: Family, folder: Path, seed: int) -> list[Seen]:
    """Run the live model on two texts, every token at position 0, and see each attention."""
    model = getattr(transformers, family.model).from_pretrained(
        folder, attn_implementation="eager", gguf_file=GGUF if family.gguf else None
    )
    model.eval()
    modules = [
        model.get_submodule(path.format(i)) for path in family.attention for i in family.layers
    ]
    seen = [Seen() for _ in modules]
    for module, one in zip(modules, seen, strict=True):
        attach(module, one, family)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(3, WORDS["vocab_size"], (2, 12), generator=generator)
    arguments = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
    accepted = inspect.signature(model.forward).parameters
    if "position_ids" in accepted:
        arguments["position_ids"] = torch.zeros_like(tokens)
    if "decoder_input_ids" in accepted:
        arguments["decoder_input_ids"] = tokens
    with torch.no_grad():
        model(**arguments, output_attentions=True, use_cache=False)
    return seen


def attach(module: Any, seen: Seen, family: Family) -> None:
    """Note what an attention module is given, what its norms are given, and what it gives."""

    def given(_: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.inputs = (positional[0] if positional else named["hidden_states"]).double()

    def gives(_: Any, __: Any, output: tuple[Any, ...]) -> None:
        n = seen.inputs.shape[1]
        seen.probabilities = [
            part.double()
            for part in output
            if isinstance(part, Tensor) and part.ndim == 4 and part.shape[-2:] == (n, n)
        ][-1]

    module.register_forward_pre_hook(given, with_kwargs=True)
    module.register_forward_hook(gives)
    for name in family.norms or ():

        def normalises(norm: Any, positional: tuple[Any, ...], name: str = name) -> None:
            rows = positional[0].double()
            size = (rows.square().mean(dim=-1, keepdim=True) + epsilon(norm)).sqrt()
            if rows.ndim == 3:  # all heads at once
                rows, size = rows.unflatten(-1, (-1, module.head_dim)), size[..., None]
            if rows.shape[1] == seen.inputs.shape[1]:
                rows, size = rows.transpose(1, 2), size.transpose(1, 2)
            seen.projected[name], seen.sizes[name] = rows, size

        getattr(module, name).register_forward_pre_hook(normalises)


def epsilon(norm: Any) -> float:
    """What a norm adds to the mean square."""
    return float(norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps)


def disagreement(seen: Seen, queries: Tensor, keys: Tensor) -> float:
    """How far scores of factors are from those behind the live probabilities, relatively.

    The logarithm of a probability is the score times the softmax scale, plus the position's
    term, less the row's. The first is fitted over the layer; the second is equal in both texts
    and the third along a row, so a difference and a row mean take them out.
    """
    allowed = seen.allowed()[0]

    def compared(scores: Tensor) -> Tensor:
        change = torch.where(allowed, scores[0] - scores[1], 0.0)
        mean = change.sum(dim=-1, keepdim=True) / allowed.sum(dim=-1, keepdim=True)
        return torch.where(allowed, change - mean, 0.0)

    expected = compared(torch.where(seen.allowed(), seen.probabilities.log(), 0.0))
    if queries.shape != keys.shape or queries.shape[:2] != (len(expected), seen.inputs.shape[2]):
        return float("inf")
    found = compared(seen.scores(queries, keys))
    scale = ((found * expected).sum() / found.square().sum()).clamp(min=0.0)
    return float((scale * found - expected).norm() / expected.norm())


def verdict(factors: Path, seen: Sequence[Seen]) -> str:
    """Whether the factors that a tool wrote are those of the live model, all layers."""
    sides = load_file(factors)
    layers = sum(name.startswith("queries.") for name in sides)
    if layers != len(seen):
        return f"wrong: {layers} layers of {len(seen)}"
    layer = [(one, sides[f"queries.{i}"], sides[f"keys.{i}"]) for i, one in enumerate(seen)]
    worst = max(disagreement(*one) for one in layer)
    if worst < AGREES_BELOW:
        return f"right ({worst:.0e})"
    if all(only_projections(*one) for one in layer):
        return f"wrong ({worst:.2f}): projections right, gains of their norms left out"
    return f"wrong ({worst:.2f})"


def only_projections(seen: Seen, queries: Tensor, keys: Tensor) -> bool:
    """Whether factors are those of the scores before queries and keys are normalised."""
    if not seen.projected or queries.shape != keys.shape:
        return False
    before = [seen.projected[name] for name in ("q_norm", "k_norm")]
    shared = len(keys) // before[1].shape[1]
    expected = before[0] @ before[1].repeat_interleave(shared, dim=1).mT
    if expected.shape[1] != len(queries):
        return False
    inputs = seen.inputs[:, None]
    found = (inputs @ queries.double()) @ (inputs @ keys.double()).mT
    return bool((found - expected).norm() < AGREES_BELOW * expected.norm())


def spectra(family: Family, matrices: Mapping[str, Any]) -> str:
    """What WeightWatcher takes the spectra of: it does not look at heads."""
    if not matrices or not all(same for _, same in matrices.values()):
        return "no heads; spectra not those on disk"
    if len(matrices) == len(family.attention) * len(family.layers):
        return "no heads; Q, K, V one matrix"
    width = HEADS * family.settings.get("head_dim", D // HEADS)
    gated = any(shape[0] > width and "q_proj" in name for name, (shape, _) in matrices.items())
    return f"no heads; Q{' with its gate' if gated else ''} and K whole"


def ask(script: str, arguments: Sequence[str | Path], python: Path) -> dict[str, Any]:
    """Run a tool in a fresh process with one thread; its figures and the wall time of it all."""
    command = [python, Path(__file__).with_name(script), *arguments]
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    start = perf_counter()
    run = subprocess.run(
        [str(it) for it in command],
        env=os.environ | threads,
        capture_output=True,
        text=True,
    )
    wall = perf_counter() - start
    if run.returncode != 0 or not run.stdout.strip():
        return {"refused": (run.stderr.strip().splitlines() or ["no output"])[-1], "wall_s": wall}
    figures: dict[str, Any] = json.loads(run.stdout.strip().splitlines()[-1])
    return figures | {"wall_s": wall}


def short(message: str, length: int = 90) -> str:
    """The first line of a message, cut, fit for a table."""
    line = message.strip().splitlines()[0].replace("|", "/")
    return line if len(line) <= length else line[: length - 1] + "…"


def reading(folder: Path, pythons: Mapping[str, Path], seed: int) -> dict[str, dict[str, str]]:
    """Each tool's answer for each family."""
    answers: dict[str, dict[str, str]] = {}
    for name, family in FAMILIES.items():
        checkpoint, factors = folder / name, folder / "factors.safetensors"
        make(family, checkpoint, seed)
        seen = watch(family, checkpoint, seed)
        answers[name] = {}
        given = checkpoint / GGUF if family.gguf else checkpoint
        for tool in TOOLS:
            figures = ask("measure.py", [tool, "read", given, factors], pythons[tool])
            if "refused" in figures:
                answer = f"refused: {short(figures['refused'].replace(f'{checkpoint}/', ''))}"
            elif tool == "weightwatcher":
                answer = spectra(family, figures["matrices"])
            else:
                answer = verdict(factors, seen)
            answers[name][tool] = answer
        print(f"| {name} | {' | '.join(answers[name].values())} |", flush=True)
    return answers


def quickest(
    tools: Mapping[str, str], repeats: int, measured: Callable[[str], dict[str, Any]], *, by: str
) -> dict[str, dict[str, Any]]:
    """The figures of each tool's quickest run, the tools by turns."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(repeats):
        for tool, shown in tools.items():
            figures = measured(tool)
            if "refused" in figures:
                sys.exit(f"{shown}: {figures['refused']}")
            if tool not in best or figures[by] < best[tool][by]:
                best[tool] = figures
    return best


def timing(
    folder: Path, pythons: Mapping[str, Path], repeats: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Each tool's quickest run over every layer of one checkpoint."""
    make(Family("GPT2LMHeadModel", (), GPT2_SIZES), folder / "large", seed)

    def measured(tool: str) -> dict[str, Any]:
        given: list[str | Path] = [tool, "time", folder / "large", folder / "unused"]
        return ask("measure.py", given, pythons[tool])

    best = quickest(SHOWN, repeats, measured, by="wall_s")
    expected = dense_epsilon(folder / "large")
    for figures in best.values():
        if "epsilon" in figures:
            figures["relative_error"] = abs(figures["epsilon"][0] / expected - 1)
    return best


def dense_epsilon(folder: Path) -> float:
    """Mean commutator norm of the heads of layer 0 of a GPT-2, over d, dense and in float64."""
    fused = load_file(folder / "model.safetensors")["transformer.h.0.attn.c_attn.weight"].double()
    d, heads = len(fused), GPT2_SIZES["n_head"]
    queries, keys = (side.reshape(d, heads, -1).transpose(0, 1) for side in fused.chunk(3, 1)[:2])
    norms = [torch.linalg.matrix_norm(a @ b - b @ a) for a, b in combinations(queries @ keys.mT, 2)]
    return float(torch.stack(norms).mean()) / d


def options_of(description: str, repeats: int) -> argparse.ArgumentParser:
    """What a comparison with other tools is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--peers",
        type=Path,
        required=True,
        help="the Python of the environment that requirements.txt makes",
    )
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    return parser


def main() -> None:
    """Time, hold against the live models and print."""
    arguments = options_of(__doc__.splitlines()[0], repeats=2).parse_args()
    own = Path(sys.executable)
    pythons = {tool: own if tool == "headalgebra" else arguments.peers for tool in TOOLS}
    head = " | ".join(SHOWN.values())
    with tempfile.TemporaryDirectory() as folder:
        print(f"| family | {head} |\n|---|---|---|---|")
        answers = reading(Path(folder), pythons, arguments.seed)
        times = timing(Path(folder), pythons, arguments.repeats, arguments.seed)
    print(f"\n| every layer of a GPT-2 | {head} |\n|---|---|---|---|")
    for label, key in ROWS.items():
        cells = [f"{t[key]:.1f}" if key in t else "–" for t in times.values()]
        print(f"| {label} | {' | '.join(cells)} |")
    errors = [
        f"{t['relative_error']:.0e}" if "relative_error" in t else "–" for t in times.values()
    ]
    print(f"| relative error of the ε of layer 0 | {' | '.join(errors)} |")
    print(f"\nheadalgebra from {times['headalgebra']['source']}")
    if arguments.json:
        print(json.dumps({"reading": answers, "timing": times}))


if __name__ == "__main__":
    main()
