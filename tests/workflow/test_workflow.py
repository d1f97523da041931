"""What reruns and what does not, on the smoke study in a copy of the repository."""

import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from transformers import GPT2Config, GPT2Model

from demand import STAGES
from headalgebra import columns
from kept_experiments import kept_experiments
from runs import (
    ROOT,
    SMOKE,
    complaints,
    copy_of_repository,
    folder_of,
    planned,
    run,
    share_constructed,
    snakemake,
)

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("workflow")]

JUDGED = {"judge_claims", "write_pages"}
GATHERED = {"gather_tables", "gather_state_tables", "gather_experiments"}
# What a study of its own has anew: it lies in a folder of its own.
OF_A_STUDY = GATHERED | JUDGED | {"draw_figures", "record_study"}
CONSTRUCTED = {"measure_conditioning", "measure_feasibility"}


def with_cost(jobs: set[str]) -> set[str]:
    """The jobs, and the table of costs where one of them computes."""
    computes = {*STAGES, *CONSTRUCTED, "extract_weights", "measure_states", "measure_small"}
    return jobs | {"gather_cost"} if jobs & {*computes, "train_decoder"} else jobs


README = ROOT / "README.md"
USUAL = ("softmax", "hard", None)
"""Of attention, heads and norms."""


def test_the_smoke_study_leaves_its_tables_and_figures(smoke: Path) -> None:
    layers = pd.read_csv(smoke / "results/smoke/tables/layers.csv")
    assert tuple(layers.columns) == columns.LAYERS
    assert list(layers["model"]) == ["minilm"] * 6 + ["tiny-init"] * 4
    assert list(layers["layer"]) == [*range(6), *range(4)]
    assert set(layers["route"]) == {"exact", "dense"}
    assert not layers.drop(columns=["note", "quantisation"]).isna().any().any()
    for name, expected in (
        ("phases", columns.PHASES),
        ("sampling", columns.MODEL_SAMPLING),
        ("precision", columns.MODEL_PRECISION),
        ("literal", columns.MODEL_LITERAL),
        ("associator", columns.MODEL_ASSOCIATOR),
        ("nulls", columns.MODEL_NULLS),
        ("tower", columns.MODEL_TOWER),
        ("runs", columns.MODEL_RUNS),
        ("guards", columns.MODEL_GUARDS),
        ("states", columns.MODEL_STATES),
        ("dyson", columns.MODEL_DYSON),
        ("resummation", columns.MODEL_RESUMMATION),
        ("normality", columns.MODEL_NORMALITY),
        ("convolution", columns.MODEL_CONVOLUTION),
        ("geometry", columns.MODEL_GEOMETRY),
        ("axes", columns.MODEL_AXES),
        ("drift", columns.MODEL_DRIFT),
        ("conditioning", columns.CONDITIONING),
        ("feasibility", columns.FEASIBILITY),
        ("trainings", columns.TRAININGS),
        ("training_values", columns.TRAINING_VALUES),
        ("experiments", columns.EXPERIMENTS),
        ("claims", columns.CLAIMS),
        ("evidence", columns.EVIDENCE),
        ("cost", columns.COST),
    ):
        table = pd.read_csv(smoke / f"results/smoke/tables/{name}.csv")
        assert tuple(table.columns) == expected
        assert len(table)
    cost = pd.read_csv(smoke / "results/smoke/tables/cost.csv")
    of_the_study = {"measure_conditioning", "measure_feasibility", "train_decoder"}
    assert set(cost.query("model == 'minilm'")["rule"]) == {
        *("extract_weights", "measure_states"),
        *STAGES,
    }
    assert set(cost.query("model == 'tiny-init'")["rule"]) == {"measure_small"}
    assert of_the_study <= set(cost["rule"])
    assert (cost[["jobs", "wall_s", "max_rss_mb"]] > 0).all().all()
    listing = json.loads((smoke / "results/smoke/figures.json").read_text())
    for name in listing["drawn"]:
        for suffix in ("svg", "png"):
            assert (smoke / f"results/smoke/figures/{name}.{suffix}").stat().st_size > 5_000
    per_model = {f"{of}_{m}" for of in ("nulls", "pseudospectra") for m in ("minilm", "tiny-init")}
    assert per_model | {"epsilon", "experiment_variants", "orders"} <= set(listing["drawn"])
    assert "size" in listing["left_out"]
    assert all(figure["reason"] for figure in listing["left_out"].values())
    claims = pd.read_csv(smoke / "results/smoke/tables/claims.csv").set_index("id")
    # Six layers of the reference model are too few for an order; what it has of J is rounding.
    assert claims.loc["eps-monotone", "verdict"] == "not measured"
    assert claims.loc["eps-depth", "verdict"] == "not reproduced"
    assert claims.loc["jacobi-range", "verdict"] == "contradicted by an identity"
    assert claims.loc["eps-gpt2-medium", "verdict"] == "not measured"
    evidence = pd.read_csv(smoke / "results/smoke/tables/evidence.csv")
    assert "minilm" in set(evidence["on"])
    # But for what is said of trained and of initialised models alike.
    of_trained = evidence[evidence["id"] != "hopf-coherence"]
    assert "tiny-init" not in {name for on in of_trained["on"] for name in on.split(", ")}
    # README.md has a second trained model, a decoder of 30 layers: one more to judge an order by,
    # with ε of order one, and in which one token holds nearly all of the states' norm.
    shown = re.findall(r"^\| `([\w-]+)` \|.* \| ([\w ]+) \|$", README.read_text(), re.MULTILINE)
    by_the_second = {
        **dict.fromkeys(("eps-monotone", "obstruction-range", "gauge"), "not reproduced"),
        **dict.fromkeys(("dyson-saturation", "hopf-lti", "hopf-gradient"), "not reproduced"),
        "geometry-drift": "not reproduced",
        "dyson-bidirectional": "reproduced",
        "dyson-triangular": "contradicted by an identity",
    }
    assert (claims.loc[list(by_the_second), "verdict"] == "not measured").all()
    by_the_second |= dict.fromkeys(("dyson-collapse", "geometry-filter"), "not reproduced")
    # Nor does this study train what takes hours.
    kept = {claim: dict(shown)[claim] for claim in kept_experiments()["claim"]}
    assert dict(shown) == claims["verdict"].to_dict() | by_the_second | kept
    page = (smoke / "results/smoke/index.html").read_text()
    assert 'href="#figure-epsilon"' in page and 'id="figure-epsilon"' in page
    assert len(page.encode()) < 3_000_000
    for model in ("minilm", "tiny-init"):
        folder = folder_of(smoke, model, "provenance.json")
        recorded = json.loads((folder / "provenance.json").read_text())
        assert {"source", "revision", "files", "dtype", "device", "threads", "seed"} <= set(
            recorded
        )
        assert (folder / "config.yaml").is_file()


def test_every_kind_of_decoder_is_trained(smoke: Path) -> None:
    trainings = pd.read_csv(smoke / "results/smoke/tables/trainings.csv")
    assert list(trainings["arm"]) == list(
        yaml.safe_load((ROOT / "config/experiment/variants.yaml").read_text())["arms"]
    )
    assert trainings["run"].is_unique
    assert trainings["diverged"].isna().all()
    # Nothing is learned in so few steps but how often tokens occur, by AdamW.
    assert (trainings["test_loss"] < math.log(512)).all()
    for run_name in trainings["run"]:
        folder = smoke / f"results/trained/{run_name}"
        config = json.loads((folder / "48/config.json").read_text())
        provenance = json.loads((folder / "provenance.json").read_text())
        unusual = {"attention", "head_windows", "normaliser"} & {
            key for key, value in provenance["training"].items() if value not in USUAL
        }
        assert bool(unusual) == ("headalgebra_variant" in config)


def test_nothing_changed_starts_no_job(smoke: Path) -> None:
    assert "Nothing to be done" in run(smoke, *SMOKE)


def test_a_colour_redraws_and_recomputes_nothing(smoke: Path) -> None:
    jobs = planned(smoke, *SMOKE, "hydra=[\"figures.phase_colours.I='#ffffff'\"]")
    assert set(jobs) == {"draw_figures", "write_pages", "record_study"}


def test_every_caption_names_its_models_and_the_report_lists_its_figures(
    smoke: Path, report: Path
) -> None:
    page = report.read_text(encoding="utf-8")
    figures = list(smoke.glob("results/smoke/figures/*.svg"))
    assert page.count("Weights read with gguf ") >= len(figures)
    of_study = r"n = 10 layers of 2 models:</p>\n<ul class=\"simple\">\n<li>minilm: bert"
    assert page.count(of_study) >= len(figures)
    labels = re.findall(r'"labels": {"figure": "(.*?)"}', page)
    assert len(labels) == len(set(labels)) == len(figures) + 2  # the claims, the page of layers


def test_a_text_of_other_length_is_read_again_and_weighs_nothing_again(smoke: Path) -> None:
    reading = {"measure_states", "measure_small", "record_folder"}
    jobs = planned(smoke, *SMOKE, 'hydra=["text.tokens=24"]')
    assert set(jobs) == with_cost(reading | OF_A_STUDY)
    jobs = planned(smoke, *SMOKE, 'hydra=["text.packages=[numpy]"]')
    assert set(jobs) == with_cost({"gather_text"} | reading | OF_A_STUDY)


def test_a_study_of_weights_alone_runs_no_model(smoke: Path) -> None:
    jobs = set(planned(smoke, "--config", "study=gpt2-medium-init"))
    assert not jobs & {"measure_states", "gather_text", "gather_state_tables", "measure_normality"}
    assert "measure_epsilon" in jobs


def test_a_plot_that_is_edited_is_drawn_again_and_nothing_measured(smoke: Path) -> None:
    path = smoke / "src/headalgebra/plots/linf/_tower.py"
    before = path.read_bytes()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    try:
        path.write_bytes(before + b"\n# edited\n")
        assert set(planned(smoke, *SMOKE)) == {"draw_figures", "write_pages"}
    finally:
        path.write_bytes(before)
        os.utime(path, ns=times)


def test_a_caption_that_is_edited_reaches_the_pages(smoke: Path) -> None:
    path = smoke / "workflow/report/orders.rst"
    before = path.read_text()
    try:
        path.write_text(f"{before}\nOne more sentence.\n")
        assert set(planned(smoke, *SMOKE)) == {"draw_figures", "write_pages"}
    finally:
        path.write_text(before)


def test_a_file_asked_for_by_its_path_is_of_these_settings_or_refused(smoke: Path) -> None:
    """Else it would take the place of what other settings gave."""
    table = "results/models/minilm/epsilon.parquet"
    other = ("--config", "models=minilm", 'hydra=["analysis.balance_above=50"]')
    assert table in run(smoke, table, "--dry-run", "--forcerun", "measure_epsilon", "-p", *SMOKE)
    refused = snakemake(smoke, table, "--dry-run", "--force", *other)
    assert refused.returncode != 0
    assert "MissingRuleException" in refused.stdout + refused.stderr


def test_probes_rerun_sampled_extraction_and_what_follows(smoke: Path) -> None:
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.probes=8"]')
    sampled = {"extract_linf_sampled", "measure_small", "record_folder"}
    assert set(jobs) == with_cost(sampled | OF_A_STUDY | CONSTRUCTED)
    assert jobs["extract_linf_sampled"] == 1


def test_the_device_reaches_what_may_use_a_gpu_alone(smoke: Path) -> None:
    dense = {"extract_linf_dense", "measure_small", "record_folder"} | OF_A_STUDY
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.dense_dtype=float32"]')
    assert set(jobs) == with_cost(dense)
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.device=cpu"]')
    assert set(jobs) == with_cost(dense | {"extract_linf_sampled", "measure_states"})


def test_the_seed_redraws_drawn_weights_and_reads_no_checkpoint_again(smoke: Path) -> None:
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.seed=1"]')
    assert {"measure_small", "extract_linf_sampled"} <= set(jobs)
    assert "extract_weights" not in jobs
    separate = planned(smoke, *SMOKE, 'hydra=["analysis.seed=1","model.one_job=false"]')
    assert separate["extract_weights"] == 1


def test_two_analyses_and_two_lists_of_models_lie_side_by_side(smoke: Path) -> None:
    """Running the one leaves nothing of the other to be done, and both are there."""
    # Weights alone, of the model whose stages are there: what is compared is where things lie.
    alone = '"study.wings=[algebra]","model.one_job=false"'
    first = ("--config", "models=minilm", f"hydra=[{alone}]")
    second = ("--config", "models=minilm", f'hydra=[{alone},"analysis.precision.triples=7"]')
    third = ("--config", "models=minilm", "name=mine", f"hydra=[{alone}]")
    for arguments in (first, second, third):
        run(smoke, "tables", "weights", *arguments)
    for arguments in (first, second, third):
        assert not planned(smoke, "tables", "weights", *arguments)
    studies = [*smoke.glob("results/minilm@*"), *smoke.glob("results/mine@*")]
    assert len(studies) == 3
    # What the one setting decides differs, and what it does not is the same.
    assert len({(study / "tables/layers.csv").read_bytes() for study in studies}) == 1
    by_triples = {
        yaml.safe_load((study / "config.yaml").read_text())["analysis"]["precision"]["triples"]: (
            study / "tables/precision.csv"
        ).read_bytes()
        for study in studies
    }
    assert 7 in by_triples and len(set(by_triples.values())) == len(by_triples) == 2


def test_a_lost_table_or_picture_comes_back_as_it_was(smoke: Path) -> None:
    study = smoke / "results/smoke"
    lost = [study / name for name in ("figures/epsilon.png", "tables/phases.csv")]
    # What follows from the table is made again too, by other processes.
    follows = [study / "tables/claims.csv", *study.glob("figures/*.*")]
    before = {path: path.read_bytes() for path in [*lost, *follows]}
    start = time.time()
    lost[0].unlink()
    assert set(planned(smoke, *SMOKE)) == {"draw_figures", "write_pages"}
    lost[1].unlink()
    run(smoke, *SMOKE)
    made = {path.name for path in follows if path.stat().st_mtime > start}
    assert {"claims.csv", "epsilon.png", "epsilon.svg", "tower.svg"} <= made
    for path, content in before.items():
        assert path.read_bytes() == content, path


def test_a_table_that_was_cut_off_is_found_out_and_made_again(smoke: Path) -> None:
    """At the time it had, too, by which Snakemake would take it for what it was."""
    folder = folder_of(smoke, "tiny-init", "epsilon.parquet")
    table, factors = folder / "epsilon.parquet", folder / "factors/000.safetensors"
    whole = {path: path.read_bytes() for path in (table, factors)}
    times = {path: path.stat().st_mtime_ns for path in whole}
    for path, content in whole.items():
        path.write_bytes(content[: len(content) // 2])
        os.utime(path, ns=(times[path], times[path]))
    said = run(smoke, "--dry-run", *SMOKE)
    for path in (table, factors.parent):
        assert f"{path.relative_to(smoke)} is not what its job left there" in said
        assert path.exists()
    run(smoke, *SMOKE)
    for path, content in whole.items():
        assert path.read_bytes() == content
        assert path.stat().st_mtime_ns > times[path]


@pytest.mark.parametrize(("device", "gpus"), [("auto", "1"), ("cpu", "0")])
def test_a_gpu_is_asked_for_where_there_is_work_that_may_use_it(
    stages_apart: Path, device: str, gpus: str
) -> None:
    """Every layer here is extracted densely, so that the other stage has nothing to do."""
    stages = ("extract_linf_dense", "extract_linf_sampled")
    log = run(
        stages_apart,
        "--dry-run",
        "-p",
        "--forcerun",
        *stages,
        *STAGES_APART[:2],
        f'hydra=["text=short","model.one_job=false","analysis.device={device}",'
        '"analysis.sampled_gpu_from_d=2"]',
    )
    for stage, number in zip(stages, (gpus, "0"), strict=True):
        asked = re.findall(rf"rule {stage}:(?:\n    .*)*?span=(\S+)(?:\n    .*)*?gpu=(\d)", log)
        assert [(span.partition("@")[0], gpu) for span, gpu in asked] == [("tiny-init", number)]


def save_gpt2(
    folder: Path, n_head: int, edit: Callable[[list[torch.Tensor]], None], n_layer: int = 2
) -> None:
    """A GPT-2 of d = 16; ``edit`` changes its query-key-value weights first."""
    config = GPT2Config(
        n_embd=16,
        n_layer=n_layer,
        n_head=n_head,
        n_positions=4,
        vocab_size=5,
        initializer_range=0.3,
    )
    torch.manual_seed(0)
    model = GPT2Model(config)
    with torch.no_grad():
        edit([block.attn.c_attn.weight for block in model.h])
    model.save_pretrained(folder)


def nothing(weights: list[torch.Tensor]) -> None:
    """Leave the weights as they are."""


def zero_and_twin_heads(weights: list[torch.Tensor]) -> None:
    weights[1][:, :4] = 0  # the queries of head 0 in layer 1
    for start in (0, 16):  # queries and keys of head 1 in layer 2 become those of head 0
        weights[2][:, start + 4 : start + 8] = weights[2][:, start : start + 4]


def not_a_number(weights: list[torch.Tensor]) -> None:
    weights[1][3, 5] = math.nan


def infinite(weights: list[torch.Tensor]) -> None:
    weights[0][3, 20] = math.inf


def path_model(folder: Path, name: str, more: str = "") -> None:
    text = f"source: path\npath: checkpoints/{name}\n{more}"
    (folder / f"config/model/{name}.yaml").write_text(text)


def test_odd_layers_have_a_row_and_a_note(smoke: Path, tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    share_constructed(smoke, folder)
    save_gpt2(folder / "checkpoints/onehead", 1, nothing)
    save_gpt2(folder / "checkpoints/odd", 4, zero_and_twin_heads, n_layer=3)
    for name in ("onehead", "odd"):
        path_model(folder, name)
    run(folder, "tables", "--config", "models=onehead,odd")
    layers = pd.read_csv(folder / "results/odd+onehead/tables/layers.csv").set_index(
        ["model", "layer"]
    )
    assert len(layers) == 5
    alone = layers.loc[("onehead", 0)]
    empty = ["epsilon", "epsilon_relative", "epsilon_haar", "phase", "obstruction_rms", "rho3"]
    assert alone[empty].isna().all()
    assert "no pairs" in alone["note"]
    assert alone["kappa"] == 1
    zero = layers.loc[("odd", 1)]
    assert math.isnan(zero["epsilon_relative"])
    assert zero["epsilon"] > 0
    assert "a head is zero" in zero["note"]
    assert zero["rank"] == 3
    twins = layers.loc[("odd", 2)]
    assert (twins["rank"], twins["basis_dim"]) == (3, 3)
    assert "rank 3 of 4" in twins["note"]
    pairs = pd.read_parquet(folder / "results/models/odd/pairs.parquet")
    twin = pairs.query("layer == 2 and i == 0 and j == 1")
    assert twin["commutator_relative"].item() < 1e-14
    sound = layers.loc[("odd", 0)]
    assert sound.drop(["note", "quantisation"]).notna().all()
    assert isinstance(sound["note"], float)  # empty


def test_each_bad_checkpoint_stops_with_one_line_and_the_rest_stays(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    checkpoints = folder / "checkpoints"
    expected = {
        "truncated": "model.safetensors",
        "wrongdigest": "sha256",
        "pickled": "pytorch_model.bin",
        "nans": "infinities or NaNs",
        "infs": "infinities or NaNs",
        "unsupported": "mamba",
        "offline": "openai-community/gpt2",
    }
    for name, edit in (("nans", not_a_number), ("infs", infinite)):
        save_gpt2(checkpoints / name, 4, edit)
        path_model(folder, name)
    for name in ("truncated", "wrongdigest", "pickled", "unsupported"):
        save_gpt2(checkpoints / name, 4, nothing)
        path_model(folder, name)
    weights = checkpoints / "truncated/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    path_model(folder, "wrongdigest", f"sha256: {{model.safetensors: '{'0' * 64}'}}\n")
    (checkpoints / "pickled/model.safetensors").rename(checkpoints / "pickled/pytorch_model.bin")
    config = json.loads((checkpoints / "unsupported/config.json").read_text())
    (checkpoints / "unsupported/config.json").write_text(
        json.dumps(config | {"model_type": "mamba"})
    )
    shutil.copy(folder / "config/model/gpt2.yaml", folder / "config/model/offline.yaml")
    models = ",".join([*expected, "tiny-init"])
    failed = snakemake(
        folder,
        *("basis", "--keep-going", "--config", f"models={models}"),
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HOME=str(tmp_path / "cache"),
    )
    assert failed.returncode != 0
    lines = [line for line in complaints(failed) if line.startswith("extract_weights:")]
    assert len(lines) == len(expected), failed.stderr
    for name, words in expected.items():
        assert sum(words in line for line in lines) >= 1, (name, lines)
        log = (folder / f"results/logs/{name}/extract_weights.log").read_text()
        assert "Traceback" in log
        assert not (folder / f"results/models/{name}/factors").exists()
    assert (folder / "results/models/tiny-init/basis.parquet").is_file()
    # Mended and run again, only what failed runs.
    path_model(folder, "wrongdigest")
    log = run(folder, "basis", "-p", "--config", "models=wrongdigest,tiny-init")
    assert "model=tiny-init" not in log
    assert (folder / "results/models/wrongdigest/basis.parquet").is_file()


def test_a_key_that_takes_another_keys_value_is_seen(smoke: Path) -> None:
    # dense_max_dim is 6 as well, and Snakemake compares bare values.
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.max_dim=6"]')
    assert {
        "decompose_basis",
        "extract_linf_dense",
        "extract_linf_sampled",
        "verify_coherence",
    } <= set(jobs)


def test_phase_thresholds_reach_the_tables_alone(smoke: Path) -> None:
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.phases.weak_below=0.05"]')
    assert set(jobs) == OF_A_STUDY | {"gather_cost"}


def test_a_claims_threshold_judges_again_and_measures_nothing(smoke: Path) -> None:
    jobs = planned(smoke, *SMOKE, 'hydra=["analysis.claims.share=0.5"]')
    assert set(jobs) == OF_A_STUDY | {"gather_cost"}


def test_whether_a_model_is_trained_decides_no_weights(smoke: Path) -> None:
    jobs = set(planned(smoke, *SMOKE, 'hydra=["model.trained=false"]'))
    assert jobs == OF_A_STUDY | {"gather_cost"}


def test_an_edited_module_reruns_its_stage_and_what_follows(smoke: Path) -> None:
    path = smoke / "src/headalgebra/algebra/tower/lie.py"
    before = path.read_bytes()
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    try:
        path.write_bytes(before + b"\n# edited\n")
        jobs = planned(smoke, *SMOKE)
    finally:
        path.write_bytes(before)
        os.utime(path, ns=times)
    of_tables = {"gather_tables", "draw_figures"} | JUDGED
    assert set(jobs) == with_cost(
        {"measure_tower", "measure_small"} | of_tables | {"gather_state_tables"}
    )


def test_a_new_model_file_runs_that_model_alone(smoke: Path) -> None:
    shutil.copy(smoke / "config/model/tiny-init.yaml", smoke / "config/model/mine.yaml")
    models = ("--config", "models=mine", 'hydra=["text=short"]')
    jobs = planned(smoke, *models)
    once = {"measure_small", *OF_A_STUDY} - {"gather_experiments"}
    assert set(jobs) == with_cost(once)
    assert sum(jobs.values()) <= 10
    jobs = planned(smoke, *models[:2], 'hydra=["text=short","model.one_job=false"]')
    stages = {"extract_weights", "measure_states", *STAGES}
    assert set(jobs) == with_cost(once - {"measure_small"} | stages | {"record_folder"})
    assert all(jobs[stage] == 1 for stage in stages)


def test_a_study_of_one_wing_has_no_job_of_the_other(smoke: Path) -> None:
    algebra, states = (
        set(planned(smoke, "--forceall", *SMOKE, f'hydra=["study.wings=[{wing}]"]'))
        for wing in ("algebra", "states")
    )
    both = set(planned(smoke, "--forceall", *SMOKE))
    assert algebra | states == both
    assert {"measure_epsilon", "gather_tables", "measure_feasibility"} <= algebra - states
    assert {"measure_states", "measure_normality", "gather_text"} <= states - algebra
    assert {"extract_weights", "measure_small", "judge_claims"} <= states & algebra
    # The one job of a small model is another for other wings, and leaves its tables elsewhere.
    alone = planned(smoke, *SMOKE, 'hydra=["study.wings=[algebra]"]')
    assert alone["measure_small"] == 1 and "measure_epsilon" not in alone


def test_a_checkpoint_with_another_content_is_read_again(smoke: Path, tmp_path: Path) -> None:
    """Though its files are older than what was made from the former ones."""
    for name, width in (("wide", 32), ("narrow", 16)):
        torch.manual_seed(0)
        GPT2Model(GPT2Config(n_embd=width, n_head=4, n_layer=1, vocab_size=8)).save_pretrained(
            tmp_path / name
        )
        for file in (tmp_path / name).iterdir():
            os.utime(file, ns=(10**18, 10**18))
    link, copied = tmp_path / "link", tmp_path / "copied"
    link.symlink_to(tmp_path / "wide")
    shutil.copytree(tmp_path / "wide", copied)
    for model in (link, copied):
        (smoke / f"config/model/{model.name}.yaml").write_text(f"source: path\npath: {model}\n")
    weights = ("weights", "--config", "models=link,copied", 'hydra=["model.one_job=false"]')
    run(smoke, *weights)
    assert not planned(smoke, *weights)
    shutil.copytree(tmp_path / "narrow", copied, dirs_exist_ok=True)
    assert planned(smoke, *weights) == {"extract_weights": 1}
    link.unlink()
    link.symlink_to(tmp_path / "narrow")
    assert planned(smoke, *weights) == {"extract_weights": 2}


def test_a_split_model_has_the_rows_of_the_whole_one(smoke: Path) -> None:
    whole = (smoke / "config/model/tiny-init.yaml").read_text()
    split = whole + "layers: 0-3\nlayers_per_job: 3\n"
    (smoke / "config/model/tiny-split.yaml").write_text(split)
    run(smoke, "tables", "--config", "models=tiny-init,tiny-split", 'hydra=["text=short"]')
    study = next(smoke.glob("results/tiny-init+tiny-split@*"))
    layers = pd.read_csv(study / "tables/layers.csv").drop(columns="model")
    assert len(layers) == 8
    first, second = (layers[start : start + 4].reset_index(drop=True) for start in (0, 4))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


STAGES_APART = ("--config", "models=tiny-init", 'hydra=["text=short","model.one_job=false"]')


@pytest.fixture(scope="module")
def stages_apart(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model of the smoke study, a job for each stage, on one core."""
    folder = copy_of_repository(tmp_path_factory.mktemp("apart"))
    share_constructed(smoke, folder)
    run(folder, "tables", "states", *STAGES_APART, cores=1)
    return folder


def test_one_core_and_a_job_for_each_stage_give_the_same_bytes(
    smoke: Path, stages_apart: Path
) -> None:
    together = folder_of(smoke, "tiny-init", "epsilon.parquet")
    parquets = sorted(path.name for path in together.glob("*.parquet"))
    assert len(parquets) > len(STAGES)
    for name in parquets:
        other = folder_of(stages_apart, "tiny-init", name) / name
        assert (together / name).read_bytes() == other.read_bytes(), name


def test_a_damaged_file_stops_with_its_name_and_the_rest_stays(
    stages_apart: Path, tmp_path: Path
) -> None:
    folder = copy_of_repository(tmp_path)
    shutil.copytree(stages_apart / "results/models", folder / "results/models")
    models = ("--config", "models=tiny-init", 'hydra=["model.one_job=false"]')
    run(folder, "basis", *models)
    # Otherwise it is found out before any job runs, and made again.
    (folder / "results/logs/tiny-init/extract_weights.left.json").unlink(missing_ok=True)
    damaged = folder / "results/models/tiny-init/factors/002.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    failed = snakemake(folder, "epsilon", "--forcerun", "measure_epsilon", *models)
    assert failed.returncode != 0
    complaint = [line for line in failed.stderr.splitlines() if "002.safetensors" in line]
    assert complaint
    assert complaint[0].startswith("measure_epsilon: ")
    assert (folder / "results/models/tiny-init/basis.parquet").is_file()
    assert not list(folder.glob("results/models/tiny-init/*.partial"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("models=minilm", 'hydra=["model.folder=elsewhere"]'),
            ("config/model/minilm.yaml", "model.folder", "elsewhere"),
        ),
        (("models=minilm,gtp2",), ("gtp2", "config/model/", "gpt2")),
        (('hydra=["analysis.probes=five"]',), ("analysis.probes", "five", "integer")),
    ],
)
def test_a_wrong_setting_stops_before_any_job(
    tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    folder = copy_of_repository(tmp_path)
    failed = snakemake(folder, "--config", *arguments)
    assert failed.returncode != 0
    lines = complaints(failed)
    assert len(lines) == 1, failed.stderr
    assert all(word in lines[0] for word in words), lines[0]
    assert not (folder / "results").exists()


def test_every_null_and_level_has_its_rows(smoke: Path) -> None:
    nulls = pd.read_csv(smoke / "results/smoke/tables/nulls.csv")
    of_model = nulls.groupby("model")["null"].agg(set)
    assert of_model["minilm"] == {"pooled", "haar", "gaussian", "init", "layers"}
    assert of_model["tiny-init"] == {"pooled", "haar"}
    assert len(nulls) == (6 * 5 + 4 * 2) * 4
    assert (nulls.query("null != 'layers'")["sd"] > 0).all()
    # Two draws of few heads from few layers may be the same heads.
    assert (nulls["sd"] >= 0).all()
    layers = pd.read_csv(smoke / "results/smoke/tables/layers.csv")
    means = nulls.set_index(["null", "quantity", "model", "layer"])["mean"]
    keys = list(zip(layers["model"], layers["layer"], strict=True))
    for column, of in (
        ("epsilon_null", ("haar", "epsilon")),
        ("closure_isotropy_null", ("pooled", "closure_isotropy")),
        ("rho3_null", ("pooled", "rho3")),
    ):
        assert [means[(*of, *key)] for key in keys] == layers[column].tolist()
    # The closed form is the mean of the square, and the draws have an error of their own.
    assert np.abs(layers["epsilon_null"] / layers["epsilon_haar"] - 1).max() < 0.05
    tower = pd.read_csv(smoke / "results/smoke/tables/tower.csv")
    assert list(tower["level"].unique()) == ["C*", "W*", "Lie", "L∞", "gauge"]
    actions = tower.query("quantity == 'action'")["value"]
    assert actions.tolist() == layers["action"].tolist()
    spectra = pd.read_parquet(folder_of(smoke, "minilm", "spectra.parquet") / "spectra.parquet")
    assert len(spectra) == 6 * 12 * 32


def test_an_option_that_a_family_cannot_honour_stops_with_the_reason(tmp_path: Path) -> None:
    folder = copy_of_repository(tmp_path)
    refused = {
        "folded": ("minilm", "fold_norm: true", "norm"),
        "turned": ("minilm", "rope_offset: 3", "rotary"),
        "turned-init": ("tiny-init", "rope_offset: 3", "rotary"),
    }
    for name, (model, option, _) in refused.items():
        text = (folder / f"config/model/{model}.yaml").read_text()
        (folder / f"config/model/{name}.yaml").write_text(f"{text}{option}\n")
    # The models are small, and their weights are read by a job of its own all the same.
    models = ("--config", f"models={','.join(refused)}", 'hydra=["model.one_job=false"]')
    failed = snakemake(folder, "weights", "--keep-going", *models)
    assert failed.returncode != 0
    for name, (_, option, reason) in refused.items():
        log = (folder / f"results/logs/{name}/extract_weights.log").read_text()
        complaint = log.splitlines()[-1]
        assert option.partition(":")[0] in complaint and reason in complaint
        assert not (folder / f"results/models/{name}/factors").exists()
    lines = failed.stderr.splitlines()
    assert sum(line.startswith("extract_weights:") for line in lines) == len(refused)


def test_two_readings_of_one_checkpoint_stand_side_by_side(smoke: Path) -> None:
    tiny = (smoke / "config/model/tiny-init.yaml").read_text()
    (smoke / "config/model/tiny-values.yaml").write_text(tiny + "circuit: ov\nfold_norm: true\n")
    run(smoke, "tables", "--config", "models=tiny-init,tiny-values", 'hydra=["text=short"]')
    study = next(smoke.glob("results/tiny-init+tiny-values@*"))
    layers = pd.read_csv(study / "tables/layers.csv").set_index("model")
    read = layers.loc["tiny-values"]
    assert set(read["circuit"]) == {"ov"} and read["fold_norm"].all() and not read["scale"].any()
    assert set(layers.loc["tiny-init", "circuit"]) == {"qk"}
    ratio = read["epsilon"].to_numpy() / layers.loc["tiny-init", "epsilon"].to_numpy()
    assert (np.abs(ratio - 1) > 1e-3).all()
    for column in ("rho3", "rho3_null", "action", "wilson_mean", "obstruction_rms"):
        assert layers[column].notna().all()


def test_scale_and_rotation_reach_epsilon(smoke: Path) -> None:
    rotary = "{model_type: llama, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 4, "
    rotary += "num_key_value_heads: 2, head_dim: 16}"
    readings = {"plain": "", "scaled": "scale: true\n", "turned": "rope_offset: 5\n"}
    for name, option in readings.items():
        (smoke / f"config/model/{name}.yaml").write_text(
            f"source: init\nconfig: {rotary}\n{option}"
        )
    # In the same run, some layers of a decoder whose weights are those of a GGUF file.
    decoder = (smoke / "config/model/smollm2.yaml").read_text()
    (smoke / "config/model/few.yaml").write_text(f"{decoder}layers: [0, 15, 29]\n")
    models = ("--config", f"models={','.join([*readings, 'few'])}", 'hydra=["model.one_job=false"]')
    run(smoke, "epsilon", *models)
    few = pd.read_parquet(smoke / "results/models/few/epsilon.parquet").set_index("layer")
    assert list(few.index) == [0, 15, 29]
    assert few["epsilon"].tolist() == pytest.approx([453.675, 3.86399, 1.07442], rel=1e-5)
    recorded = json.loads((smoke / "results/models/few/provenance.json").read_text())
    assert recorded["quantisation"] == dict.fromkeys(("0", "15", "29"), "Q4_1")
    epsilon = {
        name: pd.read_parquet(smoke / f"results/models/{name}/epsilon.parquet")["epsilon"].item()
        for name in readings
    }
    # Heads are 16 wide, so that every operator is a quarter of what it was; weights are float32.
    assert epsilon["scaled"] / epsilon["plain"] == pytest.approx(1 / 16, rel=1e-12)
    assert abs(epsilon["turned"] / epsilon["plain"] - 1) > 1e-3


def test_a_training_run_has_one_figure_for_all_its_checkpoints(smoke: Path) -> None:
    (smoke / "config/model/run.yaml").write_text(
        "source: hub\nid: someone/something\nrevisions: [step0, step1000, step2000]\n"
    )
    jobs = planned(smoke, "--config", "models=run")
    assert jobs["extract_weights"] == jobs["measure_epsilon"] == 3
    assert jobs["draw_figures"] == 1
