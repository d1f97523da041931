"""Write a sharded checkpoint of random weights in the layout of Llama, never held in memory.

The sizes are those of Llama-3-8B unless given. One shard for the embedding, one for each layer and
one for the output, all bfloat16, of standard deviation 0.02.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

DRAWN_AT_ONCE = 1 << 24

Shapes = Mapping[str, tuple[int, ...]]


def configuration(sizes: argparse.Namespace) -> dict[str, object]:
    """What config.json says."""
    return {
        "model_type": "llama",
        "hidden_size": sizes.d_model,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.key_heads,
        "head_dim": sizes.head_dim,
        "intermediate_size": sizes.mlp,
        "vocab_size": sizes.vocabulary,
        "num_hidden_layers": sizes.layers,
    }


def shards(sizes: argparse.Namespace) -> Iterator[Shapes]:
    """Shapes of the tensors of each shard, by name."""
    d, wide, narrow = sizes.d_model, sizes.heads * sizes.head_dim, sizes.key_heads * sizes.head_dim
    yield {"model.embed_tokens.weight": (sizes.vocabulary, d)}
    for layer in range(sizes.layers):
        tensors = {
            "input_layernorm": (d,),
            "mlp.down_proj": (d, sizes.mlp),
            "mlp.gate_proj": (sizes.mlp, d),
            "mlp.up_proj": (sizes.mlp, d),
            "post_attention_layernorm": (d,),
            "self_attn.k_proj": (narrow, d),
            "self_attn.o_proj": (d, wide),
            "self_attn.q_proj": (wide, d),
            "self_attn.v_proj": (narrow, d),
        }
        yield {f"model.layers.{layer}.{name}.weight": shape for name, shape in tensors.items()}
    yield {"model.norm.weight": (d,), "lm_head.weight": (sizes.vocabulary, d)}


def write_shard(path: Path, shapes: Shapes, generator: torch.Generator) -> None:
    """Write a safetensors file, its header first and then its entries as they are drawn."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    content = json.dumps(header).encode()
    content += b" " * (-len(content) % 8)
    with path.open("wb") as file:
        file.write(len(content).to_bytes(8, "little") + content)
        for remaining in range(end // 2, 0, -DRAWN_AT_ONCE):
            drawn = torch.randn(min(remaining, DRAWN_AT_ONCE), generator=generator)
            file.write(drawn.mul_(0.02).bfloat16().view(torch.uint8).numpy().data)


def main() -> None:
    """Write configuration, shards and index."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--d-model", type=int, default=4096)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--key-heads", type=int, default=8)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--mlp", type=int, default=14336)
    parser.add_argument("--vocabulary", type=int, default=128256)
    parser.add_argument("--seed", type=int, default=0)
    sizes = parser.parse_args()
    sizes.folder.mkdir(parents=True)
    (sizes.folder / "config.json").write_text(json.dumps(configuration(sizes), indent=2))
    generator = torch.Generator().manual_seed(sizes.seed)
    file_of_tensor: dict[str, str] = {}
    for number, shapes in enumerate(shards(sizes), start=1):
        file = f"model-{number:05d}-of-{sizes.layers + 2:05d}.safetensors"
        write_shard(sizes.folder / file, shapes, generator)
        file_of_tensor |= dict.fromkeys(shapes, file)
    index = {"metadata": {}, "weight_map": file_of_tensor}
    (sizes.folder / "model.safetensors.index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
