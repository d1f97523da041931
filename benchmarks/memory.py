"""Memory and input of weights extraction and of the epsilon stage on a checkpoint folder.

The two scripts of the workflow run as they are, each in a process of its own. Of each it prints

peak      most memory resident at any time (VmHWM), and what it was before the script began
read      bytes that reads returned, whether the disk or the page cache had them (rchar)
seconds   wall time of the script, without the imports

and what extraction has to read: the bytes of queries and keys, headers, configuration and index.
Files that are mapped, as the factors of the epsilon stage are, count as memory and not as read. The
last line printed with --json is one JSON object.
"""

import argparse
import json
import runpy
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from timing import account, peak_bytes

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("extract_weights", "measure_epsilon")
WANTED = ("self_attn.q_proj.weight", "self_attn.k_proj.weight")


def needed(checkpoint: Path) -> int:
    """Bytes of queries and keys named as Llama's, of headers, configuration and index."""
    small = ("config.json", "model.safetensors.index.json")
    total = sum((checkpoint / name).stat().st_size for name in small)
    index = json.loads((checkpoint / small[1]).read_text())
    for name in {file for t, file in index["weight_map"].items() if t.endswith(WANTED)}:
        with (checkpoint / name).open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        total += 8 + length
        for tensor, entry in header.items():
            if tensor.endswith(WANTED):
                start, stop = entry["data_offsets"]
                total += stop - start
    return total


def job(stage: str, checkpoint: Path, results: Path, threads: int) -> SimpleNamespace:
    """What the workflow would give the stage's script."""
    from snakemake.iocontainers import Namedlist

    from headalgebra.checkpoints.convention import PAPER
    from headalgebra.checkpoints.reading import AS_IT_IS

    if stage == "extract_weights":
        source: dict[str, Any] = {
            "name": "measured",
            "source": "path",
            "path": str(checkpoint),
            "sha256": {},
        }
        source |= {"dtype": None, "file": None, **asdict(AS_IT_IS), **asdict(PAPER)}
        parts: dict[str, dict[str, Any]] = {
            "input": {},
            "params": {"source": source, "seed": 0},
            "output": {
                "factors": str(results / "factors"),
                "provenance": str(results / "provenance.json"),
            },
            "wildcards": {"model": "measured"},
        }
    else:
        settings = {"balance_above": 1e6, "cancellation_below": 1e-4}
        parts = {
            "input": {
                "factors": str(results / "factors"),
                "provenance": str(results / "provenance.json"),
            },
            "params": {"layers": None, "settings": settings},
            "output": {
                "pairs": str(results / "pairs.parquet"),
                "epsilon": str(results / "epsilon.parquet"),
            },
            "wildcards": {"span": "all"},
        }
    named = {part: Namedlist(fromdict=values) for part, values in parts.items()}
    return SimpleNamespace(
        rule=stage, threads=threads, log=[str(results / f"{stage}.log")], **named
    )


def run_stage(stage: str, checkpoint: Path, results: Path, threads: int) -> dict[str, float]:
    """Run a stage's script in this process."""
    sys.path.insert(0, str(ROOT / "scripts"))
    # What the scripts import is not what they read.
    import layers  # noqa: F401
    from headalgebra.algebra import commutators  # noqa: F401
    from headalgebra.checkpoints import initialise

    if stage == "extract_weights":
        initialise(json.loads((checkpoint / "config.json").read_text()), seed=0)
    given = {"snakemake": job(stage, checkpoint, results, threads)}
    before, read, start = peak_bytes(), account("io", "rchar"), perf_counter()
    runpy.run_path(str(ROOT / "scripts" / f"{stage}.py"), given)
    return {
        "seconds": perf_counter() - start,
        "read_bytes": account("io", "rchar") - read,
        "peak_bytes": peak_bytes(),
        "imports_bytes": before,
    }


def main() -> None:
    """Measure both stages and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="as benchmarks/make_checkpoint.py writes it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object as last line")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    checkpoint, threads = arguments.checkpoint.resolve(), arguments.threads
    if arguments.stage:
        print(json.dumps(run_stage(arguments.stage, checkpoint, arguments.results, threads)))
        return
    figures: dict[str, Any] = {"needed_bytes": needed(checkpoint)}
    print(f"{'needed':>16} {figures['needed_bytes'] / 1e6:10.3f} MB")
    with TemporaryDirectory(dir=checkpoint.parent) as results:
        for stage in STAGES:
            command = [sys.executable, __file__, str(checkpoint), "--threads", str(threads)]
            command += ["--stage", stage, "--results", results]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            measured = json.loads(done.stdout.splitlines()[-1])
            figures[stage] = measured
            print(
                f"{stage:>16} peak {measured['peak_bytes'] / 1e6:8.1f} MB "
                f"(imports {measured['imports_bytes'] / 1e6:.1f}), "
                f"read {measured['read_bytes'] / 1e6:.3f} MB, {measured['seconds']:.1f} s"
            )
    if arguments.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
