"""What jobs ask a cluster for."""

import json
import os
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import demand_states
from demand import (
    STAGES,
    START_SECONDS,
    Shape,
    mem_mb,
    minutes,
    model_shape,
    n_routed,
    seconds_before_bases,
    wants_gpu,
    with_bases,
)
from demand_states import core_seconds
from headalgebra.algebra.linf.dense import dense_bytes
from schema import Analysis, Text, plain

SETTINGS = plain(Analysis())
GPT2_MEDIUM = Shape(d=1024, heads=16, keys=16, r=64, layers=12, n=16, trained=False)
MINILM = Shape(d=384, heads=12, keys=12, r=32, layers=6, n=12, trained=True)

# Peak resident MB and minutes of wall time of jobs on two cores of 2026, as their benchmarks say.
MEASURED = [
    ("decompose_basis", GPT2_MEDIUM, 420, 0.1),
    ("measure_epsilon", GPT2_MEDIUM, 389, 0.1),
    ("extract_linf_sampled", GPT2_MEDIUM, 774, 10.5),
    ("measure_precision", GPT2_MEDIUM, 568, 0.7),
    ("measure_associator", GPT2_MEDIUM, 584, 0.3),
    ("verify_coherence", GPT2_MEDIUM, 454, 0.3),
    ("measure_nulls", GPT2_MEDIUM, 476, 8.2),
    ("measure_tower", GPT2_MEDIUM, 510, 0.4),
    ("extract_linf_sampled", MINILM, 602, 0.2),
    ("measure_nulls", MINILM, 351, 0.5),
    ("measure_tower", MINILM, 412, 0.3),
    # One layer of Llama-3-8B's shape and one of 70B's, from benchmarks/memory.py.
    ("measure_epsilon", Shape(4096, 32, 8, 128, 4, 32, True), 837, 1.0),
    ("measure_epsilon", Shape(8192, 64, 8, 128, 1, 64, True), 1627, 1.0),
    # 128 heads on 8 keys, from benchmarks/stage_costs.py.
    ("verify_coherence", Shape(2048, 128, 8, 128, 1, 128, True), 9610, 3.8),
]

SHAPES = st.builds(
    Shape,
    d=st.integers(1, 4096),
    heads=st.integers(1, 64),
    keys=st.integers(1, 64),
    r=st.integers(1, 128),
    layers=st.integers(1, 40),
    n=st.integers(1, 64),
    trained=st.booleans(),
    ill_conditioned=st.booleans(),
)


@pytest.mark.parametrize(("stage", "shape", "megabytes", "took"), MEASURED)
def test_what_was_measured_fits_in_what_is_asked_for(
    stage: str, shape: Shape, megabytes: float, took: float
) -> None:
    asked = mem_mb(stage, shape, SETTINGS)
    assert 1.1 * megabytes < asked < 4 * megabytes + 1000
    assert 2 * took < minutes(stage, shape, SETTINGS, threads=1)


@pytest.mark.parametrize(("stage", "shape", "megabytes", "took"), MEASURED)
def test_an_estimate_is_no_less_than_what_was_measured_nor_far_from_it(
    stage: str, shape: Shape, megabytes: float, took: float
) -> None:
    assert 60 * took < seconds_before_bases(stage, shape, SETTINGS, jobs=1) < 15 * 60 * took


def test_an_estimate_knows_which_bases_can_go_the_dense_route() -> None:
    def dense(**limits: int) -> float:
        settings = SETTINGS | limits
        return seconds_before_bases("extract_linf_dense", GPT2_MEDIUM, settings, jobs=3)

    assert dense() == 3 * START_SECONDS
    assert dense(max_dim=6) > dense(max_dim=5) > dense()
    assert dense(dense_max_dim=16) > dense(max_dim=6)


@given(st.sampled_from(sorted(STAGES)), SHAPES, st.sampled_from(["d", "heads", "r", "layers"]))
def test_larger_models_ask_for_no_less(stage: str, shape: Shape, grown: str) -> None:
    larger = replace(shape, **{grown: 2 * getattr(shape, grown)})
    # Stages that stop at a size, and one that a GPU does from a size on.
    limits = {"commutant_max_d": 10**9, "lie_max_heads": 10**9, "device": "cpu"}
    settings = SETTINGS | limits
    assert mem_mb(stage, larger, settings) >= mem_mb(stage, shape, settings)
    asked = [minutes(stage, each, settings, threads=1) for each in (shape, larger)]
    assert asked[0] <= asked[1]
    assert minutes(stage, shape, settings, threads=4) <= asked[0]


@given(st.integers(2, 32), st.integers(16, 2048))
def test_dense_extraction_has_room_for_what_it_holds(n: int, d: int) -> None:
    shape = Shape(d=d, heads=n, keys=n, r=8, layers=3, n=n, trained=True)
    assert mem_mb("extract_linf_dense", shape, SETTINGS) * 1e6 > dense_bytes(n, d, torch.float64)


def test_the_words_of_many_heads_have_room() -> None:
    # Measured on words and weighted triples alone, which is where the stage holds most.
    peak_mb = 5550
    asked = mem_mb("extract_linf_sampled", Shape(4096, 64, 64, 64, 1, 64, True), SETTINGS)
    assert 1.1 * peak_mb < asked < 2 * peak_mb


def test_words_of_wide_models_are_the_work_of_a_gpu() -> None:
    wide = replace(GPT2_MEDIUM, d=16384, heads=128, keys=8, r=128, n=128, layers=1)
    assert wants_gpu("extract_linf_dense", GPT2_MEDIUM, SETTINGS)
    assert wants_gpu("extract_linf_sampled", wide, SETTINGS)
    assert not wants_gpu("extract_linf_sampled", GPT2_MEDIUM, SETTINGS)
    assert not wants_gpu("measure_nulls", wide, SETTINGS)
    on_cpu = SETTINGS | {"device": "cpu"}
    for stage in ("extract_linf_dense", "extract_linf_sampled"):
        assert not wants_gpu(stage, wide, on_cpu)
    hours = minutes("extract_linf_sampled", wide, SETTINGS, 32) / 60
    assert hours < minutes("extract_linf_sampled", wide, on_cpu, 32) / 60 / 5


def bases(path: Path, **columns: list) -> str:
    pd.DataFrame(columns).to_parquet(path)
    return str(path)


def test_a_stage_asks_for_the_layers_that_are_routed_to_it(tmp_path: Path) -> None:
    basis = bases(
        tmp_path / "basis.parquet",
        route=["dense", "mixed", "sampled", "sampled"],
        basis_dim=[4, 5, 9, 12],
        kappa_used=[2.0, 400.0, 3.0, 4.0],
    )
    assert [n_routed(stage, basis) for stage in ("extract_linf_dense", "extract_linf_sampled")] == [
        2,
        3,
    ]
    dense = with_bases("extract_linf_dense", MINILM, basis, 100)
    sampled = with_bases("extract_linf_sampled", MINILM, basis, 100)
    every = with_bases("verify_coherence", MINILM, basis, 100)
    assert [(s.layers, s.n, s.ill_conditioned) for s in (dense, sampled, every)] == [
        (2, 5, True),
        (3, 12, True),
        (4, 12, True),
    ]
    assert not with_bases("verify_coherence", MINILM, basis, 1000).ill_conditioned


@pytest.mark.parametrize("stage", ["extract_linf_dense", "extract_linf_sampled"])
def test_a_stage_without_layers_asks_for_its_start_alone(tmp_path: Path, stage: str) -> None:
    basis = bases(tmp_path / "basis.parquet", route=[""], basis_dim=[0], kappa_used=[float("nan")])
    large = Shape(16384, 128, 8, 128, 126, 128, True)
    idle = with_bases(stage, large, basis, 100)
    smallest = replace(MINILM, **{field.name: 0 for field in fields(Shape)})
    assert mem_mb(stage, idle, SETTINGS) == mem_mb(stage, smallest, SETTINGS)
    assert minutes(stage, idle, SETTINGS, 1) == 15


def test_what_is_not_there_yet_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        with_bases("extract_linf_dense", MINILM, str(tmp_path / "basis.parquet"), 100)
    assert missing.value.filename == str(tmp_path / "basis.parquet")


def test_a_file_that_a_run_writes_anew_is_read_anew(tmp_path: Path) -> None:
    record = {"n_heads": 4, "n_kv_heads": 4, "d_model": 8, "d_head": 2, "source": {"source": "hub"}}
    provenance, basis = tmp_path / "provenance.json", tmp_path / "basis.parquet"
    for n in (2, 3):
        provenance.write_text(json.dumps(record | {"layers": list(range(n))}))
        bases(basis, route=["sampled"] * n, basis_dim=[4] * n, kappa_used=[2.0] * n)
        for path in (provenance, basis):
            os.utime(path, ns=(n, n))
        shape = model_shape(str(provenance), None)
        assert shape.layers == n
        assert with_bases("extract_linf_sampled", shape, str(basis), 100).layers == n
    with pytest.raises(FileNotFoundError) as missing:
        model_shape(str(tmp_path / "gone.json"), None)
    assert missing.value.filename == str(tmp_path / "gone.json")


RECORDS = st.fixed_dictionaries(
    {
        "d_model": st.integers(8, 8192),
        "n_layers": st.integers(1, 100),
        "n_heads": st.integers(1, 64),
    }
)


@given(RECORDS, st.sampled_from(["sequences", "tokens"]))
def test_a_model_that_reads_more_asks_for_more(record: dict[str, int], key: str) -> None:
    text, settings = plain(Text()), SETTINGS["states"]
    more = text | {key: 2 * text[key]}
    assert core_seconds(record, more, settings) > core_seconds(record, text, settings) > 0
    deeper = record | {"n_layers": 2 * record["n_layers"]}
    assert core_seconds(deeper, text, settings) > core_seconds(record, text, settings)
    assert demand_states.parameters(deeper) > demand_states.parameters(record)


# Peak resident MB and CPU seconds of the job that reads 16 sequences of 128 tokens.
@pytest.mark.parametrize(
    ("record", "megabytes", "seconds"),
    [
        ({"d_model": 576, "n_layers": 30, "n_heads": 9}, 2362, 231),
        ({"d_model": 384, "n_layers": 6, "n_heads": 12}, 1007, 44),
    ],
)
def test_what_reading_takes_is_asked_for(
    record: dict[str, int], megabytes: int, seconds: float, tmp_path: Path
) -> None:
    provenance = tmp_path / "provenance.json"
    provenance.write_text(json.dumps(record))
    asked = (str(provenance), plain(Text()), SETTINGS["states"], 1, 0)
    assert megabytes < demand_states.mem_mb(*asked) < 4 * megabytes
    assert seconds / 60 < demand_states.runtime(*asked)
    assert not demand_states.wants_gpu(str(provenance))
    provenance.write_text(json.dumps(record | {"d_model": 4096}))
    assert demand_states.wants_gpu(str(provenance))


def test_reading_a_large_model_is_asked_for_as_a_gpu_does_it(tmp_path: Path) -> None:
    """A model of 10⁹ numbers takes an H200 two minutes, of which each part was measured."""
    provenance = tmp_path / "provenance.json"
    provenance.write_text(json.dumps({"d_model": 2048, "n_layers": 16, "n_heads": 32}))
    asked = (str(provenance), plain(Text()), SETTINGS["states"], 1)
    on_gpu = demand_states.runtime(*asked, 1)
    assert 2 < on_gpu < 60 < demand_states.runtime(*asked, 0)


def test_what_reading_takes_is_asked_again_when_the_weights_are_read(tmp_path: Path) -> None:
    missing = str(tmp_path / "provenance.json")
    with pytest.raises(FileNotFoundError, match=r"provenance\.json"):
        demand_states.mem_mb(missing, plain(Text()), SETTINGS["states"], 1, 0)
