"""The benchmarks print what others read, and their routes agree."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from demand import STAGES

ROOT = Path(__file__).resolve().parents[2]


def figures_of(name: str, *arguments: str) -> dict:
    """The JSON object on the last line of a benchmark's output."""
    command = [sys.executable, f"benchmarks/{name}.py", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_epsilon() -> None:
    figures = figures_of("epsilon", "--d-model", "96", "--heads", "4")
    assert set(figures) == {"dense_s", "thin_s", "factored_s", "gemm_floor_s", "relative_error"}
    assert all(value > 0 for value in figures.values())
    # Its last two heads differ by 1e-6, where plain blocks would be 1e-4 off.
    assert figures["relative_error"] < 1e-10


def test_obstruction() -> None:
    by_size = figures_of(
        "obstruction", "--d-model", "32", "48", "--heads", "4", "--tuples", "400", "--repeats", "1"
    )
    assert set(by_size) == {"32", "48"}
    for figures in by_size.values():
        assert figures["n_triples"] == 4 * math.comb(4, 2)
        assert all(figures[name] > 0 for name in figures if name.endswith("_s"))
        assert figures["dense_over_probes"] == figures["dense_s"] / figures["probes_s"]
        # 64 random directions, and 400 draws of 24 triples, whose norms are of like size.
        for route in ("probes", "single", "uniform_dense"):
            assert 0 < abs(figures[f"{route}_error"]) < 0.2
        assert abs(figures["exact_error"]) < 1e-13


def test_orders() -> None:
    by_depth = figures_of(
        "orders", "--depths", "3", "5", "--tokens", "8", "--d-model", "16", "--repeats", "1"
    )
    assert set(by_depth) == {"3", "5"}
    for figures in by_depth.values():
        assert set(figures) == {"orders_s", "bare_s", "paths_s", "relative_error"}
        assert all(value > 0 for value in figures.values())
        assert figures["relative_error"] < 1e-13


def test_dense() -> None:
    figures = figures_of(
        *("dense", "--d-model", "96", "--d-head", "8", "--block-d", "16", "--block-tokens", "6"),
        *("--tangent-d", "32", "--directions", "2"),
        *("--tokens", "16", "--heads", "2"),
    )
    assert set(figures) == {"head", "block", "tangent", "attention"}
    for name, found in figures.items():
        assert found["ours_s"] > 0 and found["dense_s"] > 0
        # Lanczos and Arnoldi stop at 1e-6.
        assert found["relative_error"] < (1e-5 if name == "block" else 1e-12)


def test_states() -> None:
    figures = figures_of(
        *("states", "--layers", "2", "--d-model", "36", "--sequences", "2", "--tokens", "8"),
        *("--repeats", "1"),
    )
    assert set(figures) == {
        *("eager_s", "record_s", "warm_s", "states_held_2_blocks", "states_held_4_blocks"),
    }
    assert all(figures[name] > 0 for name in ("eager_s", "record_s", "warm_s"))


def test_structure() -> None:
    figures = figures_of("structure", "--d-model", "48", "--heads", "4", "--elements", "3")
    assert figures["dense_pairs"] == 3
    assert all(figures[name] > 0 for name in figures if name.endswith("_s"))
    assert 0 < figures["relative_error"] < 1e-13


@pytest.mark.parametrize(("dtype", "digits"), [("float64", 1e-13), ("float32", 1e-4)])
def test_dense_on_a_gpu_or_a_line_that_there_is_none(dtype: str, digits: float) -> None:
    figures = figures_of("dense_gpu", "--d-model", "64", "--elements", "4", "--dtype", dtype)
    assert figures["predicted_bytes"] > 4 * 64 * 64 * 4
    if figures["device"] == "cpu":
        assert set(figures) == {"device", "predicted_bytes"}
        return
    assert figures["seconds"] > 0 and figures["tflops"] > 0
    assert 0 < figures["coherence_residual"] < digits < figures["obstruction_rms"]


def test_scale() -> None:
    figures = figures_of("scale", "--models", "5")
    spans = 126 // 2 + 2 * 80 // 8 + 32 // 8 + 1
    states = figures["asked"].pop("measure_states")
    assert states["jobs"] == 5
    assert states["small_gpus"] == states["largest_gpus"] == 1
    # 126 layers of d = 16,384 are 4 · 10¹¹ numbers, in float32, and held twice while they are read.
    assert 3200 < states["largest_gb"] < 3600
    assert {asked["jobs"] for asked in figures["asked"].values()} == {spans}
    assert set(figures["asked"]) == set(STAGES)
    for asked in figures["asked"].values():
        assert 0 < asked["small_gb"] <= asked["largest_gb"]
        assert min(asked["small_h"], asked["largest_h"]) > 0
    # 128 heads at d = 16,384, in float64.
    assert max(asked["largest_gb"] for asked in figures["asked"].values()) < 16
    # Words of 126 layers on a GPU are hours.
    assert figures["asked"]["extract_linf_sampled"]["largest_h"] < 2
    assert figures["asked"]["extract_linf_sampled"]["largest_gpus"] == 1
    assert figures["asked"]["measure_precision"]["small_gb"] < 2


def test_stages_take_no_more_than_they_ask_for() -> None:
    found = figures_of(
        *("stage_costs", "--d-model", "64", "--heads", "4", "--keys", "2", "--head-dim", "16"),
        *("--null-draws", "2", "--blocks", "2"),
        *("--stages", "measure_nulls", "extract_linf_dense", "record", "depth_orders"),
    )
    assert found["shape"]["keys"] == found["shape"]["blocks"] == 2
    by_stage = found["stages"]
    assert set(by_stage) == {"measure_nulls", "extract_linf_dense", "record", "depth_orders"}
    for stage, figures in by_stage.items():
        of_weights = {"asked_gb"} if stage in STAGES else set()
        assert set(figures) == {"floor_s", "seconds", "ratio", "peak_gb"} | of_weights
        assert figures["ratio"] == pytest.approx(figures["seconds"] / figures["floor_s"])
        assert 0 < figures["peak_gb"] < figures.get("asked_gb", 3)


def test_quantisation() -> None:
    figures = figures_of("quantisation", "--layers", "0")
    sizes = {name: abs(*changes) for name, changes in figures.items()}
    assert len(sizes) == 9
    for quantity in ("epsilon", "rho3", "closure_isotropy"):
        # Sixteen times the step, and changes of either sign that may cancel.
        assert 0 < sizes[f"Q8_0 {quantity}"] < 0.003
        assert 0 < sizes[f"Q4_0 {quantity}"] < 0.1


def test_pseudospectra() -> None:
    figures = figures_of("pseudospectra", "--d-model", "96", "--d-head", "8", "--repeats", "1")
    assert figures["dense_svd_s"] > 0
    for k in (1, 2, 3):
        assert figures[f"evaluations_{k}"] < 200 and figures[f"grid_points_{k}"] > 20
        assert 0 <= figures[f"error_{k}"] < 1e-13
        assert figures[f"ratio_{k}"] > 0 and figures[f"schur_ratio_{k}"] > 0
