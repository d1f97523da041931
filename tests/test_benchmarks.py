"""The benchmark prints what others read, and its four ways agree."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_epsilon_benchmark_ends_with_one_json_object() -> None:
    command = [sys.executable, "benchmarks/epsilon.py", "--d-model", "96", "--heads", "4", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert set(figures) == {"dense_s", "thin_s", "factored_s", "gemm_floor_s", "relative_error"}
    assert all(value > 0 for value in figures.values())
    # Its last two heads differ by 1e-6, where plain blocks would be 1e-4 off.
    assert figures["relative_error"] < 1e-10
