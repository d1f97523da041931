"""Time and memory of every stage of the weights on one layer, and of the states of a small stack.

The layer is drawn: independent normal entries, written in float32 as extraction writes factors. The
stack is a Llama of such layers with random weights, which reads 16 sequences of 128 tokens. Each
stage works in a process of its own, as the project is set by default, save `--null-draws`.

floor     for a stage of the weights, what the floating-point operations that workflow/demand.py
          counts would take at the rate of a large product of float64 matrices; for recording, the
          model's own eager forward; for Dyson orders, their L(L + 1)/2 bare applications of a
          block. Timed in the same process
seconds   wall time of the stage, the reading of the factors included
ratio     seconds over floor
peak      most memory that was resident at any time (VmHWM)
asked     memory that the workflow asks a cluster for, of a stage of the weights

    python benchmarks/stage_costs.py --d-model 4096 --heads 32 --keys 8 --head-dim 128
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch

import timing
from states import eager, random_llama, random_text

OF_STATES = ("record", "depth_orders")
"""What is timed of the states, as the library calls it."""

SHAPE = ("d_model", "heads", "keys", "head_dim", "elements", "null_draws", "blocks", "threads")
"""What a run of all stages depends on, as the command line calls it."""

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))


def write_layers(sizes: argparse.Namespace, folder: Path) -> None:
    """Factors of two layers: the nulls of one take heads of the other."""
    from headalgebra.checkpoints import LayerFactors, save_factors

    generator = torch.Generator().manual_seed(sizes.seed)
    of_head = torch.arange(sizes.heads) // (sizes.heads // sizes.keys)
    for layer in range(2):
        queries, keys = (
            torch.randn(n, sizes.d_model, sizes.head_dim, generator=generator)
            for n in (sizes.heads, sizes.keys)
        )
        save_factors(folder / f"{layer:03d}.safetensors", LayerFactors(queries, keys, of_head), {})


def calls(sizes: argparse.Namespace, folder: Path) -> Mapping[str, Callable[[], object]]:
    """What each stage does on the first layer, by the name of its rule."""
    from headalgebra.algebra.gram import GramBlocks, gram_blocks
    from headalgebra.algebra.operators import HeadOperators
    from headalgebra.checkpoints import FactorInitialisation, load_factors, load_group
    from headalgebra.measurement.associator import measure_associator
    from headalgebra.measurement.basis import decompose_basis
    from headalgebra.measurement.coherence import verify_coherence
    from headalgebra.measurement.epsilon import measure_epsilon
    from headalgebra.measurement.linf_dense import extract_linf_dense
    from headalgebra.measurement.linf_sampled import extract_linf_sampled
    from headalgebra.measurement.normality import measure_normality
    from headalgebra.measurement.nulls import ModelHeads, measure_nulls
    from headalgebra.measurement.precision import measure_precision
    from headalgebra.measurement.tower import measure_tower

    def file_of(layer: int) -> Path:
        return folder / f"{layer:03d}.safetensors"

    def operators() -> HeadOperators:
        factors = load_factors(file_of(0))
        return HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head)

    def blocks() -> GramBlocks:
        return gram_blocks(operators())

    def law(_: int) -> FactorInitialisation:
        return FactorInitialisation(1.0, 1.0, query_centred=False, key_centred=False)

    model = ModelHeads(
        circuit="qk",
        layers=[0, 1],
        n_groups=sizes.keys,
        group_size=sizes.heads // sizes.keys,
        trained=True,
        read_layer=lambda layer: load_factors(file_of(layer)),
        read_heads=lambda layer, heads: load_group(file_of(layer), heads),
        initialisation=law,
    )
    # Random heads are as good as orthogonal: normed, they stand in for the basis of the layer.
    coefficients = torch.diag(1 / operators().norms())
    few = coefficients[: sizes.elements]
    return {
        "decompose_basis": lambda: decompose_basis(0, blocks()),
        "measure_epsilon": lambda: measure_epsilon(0, blocks()),
        "extract_linf_sampled": lambda: extract_linf_sampled(0, blocks(), coefficients),
        "extract_linf_dense": lambda: extract_linf_dense(0, blocks(), few),
        "measure_precision": lambda: measure_precision(0, blocks().operators, coefficients),
        "measure_associator": lambda: measure_associator(0, blocks().operators, coefficients),
        "verify_coherence": lambda: verify_coherence(0, blocks(), coefficients, kappa_used=2.0),
        "measure_nulls": lambda: measure_nulls(
            0, model, basis_dim=sizes.heads, null_draws=sizes.null_draws
        ),
        "measure_tower": lambda: measure_tower(0, blocks()),
        "measure_normality": lambda: measure_normality(0, operators()),
    }


def recorded_stack(sizes: argparse.Namespace) -> tuple[Any, torch.Tensor]:
    """The stack, in the arithmetic of a model of its size, and what it reads."""
    from headalgebra import defaults

    shape = {"d": sizes.d_model, "layers": sizes.blocks, "heads": sizes.heads, "keys": sizes.keys}
    with torch.device("meta"):
        numbers = random_llama(**shape, dtype=torch.float32).num_parameters()
    dtype = torch.float64 if numbers <= defaults.FLOAT64_UP_TO else torch.float32
    model = random_llama(**shape, dtype=dtype)
    return model, random_text(defaults.SEQUENCES, defaults.TOKENS)


def run_on_states(stage: str, sizes: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run one of the stages of the states in this process, and what it cannot do without."""
    from headalgebra.defaults import ORDER_SEQUENCES
    from headalgebra.measurement.orders import depth_orders
    from headalgebra.states import record

    torch.set_num_threads(sizes.threads)
    model, tokens = recorded_stack(sizes)
    if stage == "record":
        floor = timing.seconds(lambda: eager(model, tokens), 1)
        taken = timing.seconds(lambda: record(model, tokens, folder / "states"), 1)
    else:
        few = record(model, tokens[:ORDER_SEQUENCES], folder / "states")
        state = few.state(0)

        def bare() -> None:
            for block in few.blocks():
                for _ in range(block.layer + 1):
                    block.linear(state)

        def frozen() -> None:
            for _ in few.blocks():
                pass

        # Blocks are frozen once in both.
        floor = timing.seconds(bare, 1) - timing.seconds(frozen, 1)
        taken = timing.seconds(lambda: depth_orders(few, ORDER_SEQUENCES), 1)
    return {
        "floor_s": floor,
        "seconds": taken,
        "ratio": taken / floor,
        "peak_gb": timing.peak_bytes() / 1e9,
    }


def gemm_flops_per_second() -> float:
    """Of a product of two matrices of order 2048 in float64, on the threads of the stage."""
    order = 2048
    matrix = torch.ones(order, order, dtype=torch.float64)
    return 2 * order**3 / timing.seconds(lambda: matrix @ matrix, 2)


def run_stage(stage: str, sizes: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Run a stage of the weights in this process, and what is counted and asked of it."""
    import demand
    from schema import Analysis, plain

    torch.set_num_threads(sizes.threads)
    settings: dict[str, Any] = {**plain(Analysis()), "null_draws": sizes.null_draws}
    n = sizes.elements if stage == "extract_linf_dense" else sizes.heads
    shape = demand.Shape(
        *(sizes.d_model, sizes.heads, sizes.keys, sizes.head_dim), layers=1, n=n, trained=True
    )
    rate = gemm_flops_per_second()
    call = calls(sizes, folder)[stage]
    start = perf_counter()
    call()
    elapsed = perf_counter() - start
    floor = demand.STAGES[stage](shape, settings).flops / rate
    return {
        "floor_s": floor,
        "seconds": elapsed,
        "ratio": elapsed / floor,
        "peak_gb": timing.peak_bytes() / 1e9,
        "asked_gb": demand.mem_mb(stage, shape, settings) / 1e3,
    }


def main() -> None:
    """Measure the stages one after another and print."""
    from demand import STAGES

    stages = [*STAGES, *OF_STATES]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d-model", type=int, default=1024)
    parser.add_argument("--heads", type=int, default=16)
    parser.add_argument(
        "--keys", type=int, help="heads that have keys of their own; all by default"
    )
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--elements", type=int, default=6, help="of the basis of dense extraction")
    parser.add_argument("--null-draws", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=12, help="of the stack")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stages", nargs="+", choices=stages, default=stages)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--run", nargs=2, metavar=("STAGE", "FOLDER"), help=argparse.SUPPRESS)
    sizes = parser.parse_args()
    sizes.keys = sizes.keys or sizes.heads
    if sizes.run:
        stage, folder = sizes.run
        run = run_on_states if stage in OF_STATES else run_stage
        print(json.dumps(run(stage, sizes, Path(folder))))
        return
    figures = {}
    with TemporaryDirectory() as folder:
        write_layers(sizes, Path(folder))
        print(f"{'':>22}  floor    seconds  ratio  peak GB  asked GB")
        for stage in sizes.stages:
            command = [sys.executable, *sys.argv, "--run", stage, folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = figures[stage] = json.loads(done.stdout.splitlines()[-1])
            asked = f"{found['asked_gb']:9.1f}" if "asked_gb" in found else ""
            print(
                f"{stage:>22} {found['floor_s']:8.2f} {found['seconds']:8.2f} "
                f"{found['ratio']:6.2f} {found['peak_gb']:8.2f} {asked}",
                flush=True,
            )
    if sizes.json:
        shape = {name: getattr(sizes, name) for name in SHAPE}
        print(json.dumps({"shape": shape, "stages": figures}))


if __name__ == "__main__":
    main()
