"""What reruns and what does not, on the smoke study in a copy of the repository."""

import json
import math
import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from demand import STAGES
from headalgebra import columns
from kept_experiments import kept_experiments
from runs import (
    ROOT,
    SMOKE,
    WEIGHTS_ALONE,
    folder_of,
    planned,
    run,
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
    alone = planned(smoke, *SMOKE, WEIGHTS_ALONE)
    assert alone["measure_small"] == 1 and "measure_epsilon" not in alone


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


def test_a_training_run_has_one_figure_for_all_its_checkpoints(smoke: Path) -> None:
    (smoke / "config/model/run.yaml").write_text(
        "source: hub\nid: someone/something\nrevisions: [step0, step1000, step2000]\n"
    )
    jobs = planned(smoke, "--config", "models=run")
    assert jobs["extract_weights"] == jobs["measure_epsilon"] == 3
    assert jobs["draw_figures"] == 1
