"""Decoders trained here and experiments, as their files say."""

import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

import demand_training
from addresses import plain as plain_name
from configuration import ConfigurationError, compose
from headalgebra import recipe
from headalgebra.recipe import Recipe, checkpoint_steps
from headalgebra.training import SIZES
from headalgebra.variants import variant
from schema import Training, plain
from trainings import arms_of, corpora_of, corpus_name, run_name, runs_of, unusual

SHIPPED = Path(__file__).parents[2] / "config"
EXPERIMENTS = sorted(file.stem for file in SHIPPED.glob("experiment/*.yaml"))
TINY = "source: train\ntrain: {size: tiny, steps: 48, checkpoints: 4}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


def by_file(name: str, model: dict[str, Any]) -> str:
    """The folder of a training where no setting differs from its file's."""
    return name


def refusal(user: dict[str, Any], config: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        compose(user, config)
    return str(caught.value)


def test_what_a_file_may_say_is_what_the_library_has() -> None:
    """Names and defaults stand in two places, of which one knows nothing of transformers."""
    field = Training.model_fields
    assert get_args(field["size"].annotation) == tuple(SIZES)
    assert get_args(field["attention"].annotation) == get_args(variant.AttentionKind)
    assert get_args(field["head_windows"].annotation) == get_args(variant.HeadKind)
    assert get_args(get_args(field["normaliser"].annotation)[0]) == get_args(variant.Normaliser)
    assert get_args(get_args(field["mixing"].annotation)[0]) == get_args(variant.Mixing)
    assert get_args(field["optimiser"].annotation) == get_args(recipe.Optimiser)
    assert get_args(field["gains"].annotation) == get_args(recipe.Gains)
    for key in ("steps", "batch", "learning_rate", "optimiser", "gains", "checkpoints"):
        assert field[key].default == Recipe.__dataclass_fields__[key].default
    shapes = {name: (it.layers, it.heads, it.width) for name, it in SIZES.items()}
    assert shapes == demand_training.SHAPES


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_shipped_experiments_compose(name: str) -> None:
    """Each arm is a whole training; nothing of weights or states is asked for."""
    composed = compose({"experiment": name}, SHIPPED)
    assert (composed.study, composed.wings, composed.models) == (name, (), {})
    (experiment,) = composed.experiments.values()
    written = yaml.safe_load((SHIPPED / f"experiment/{name}.yaml").read_text(encoding="utf-8"))
    assert list(experiment["arms"]) == list(written["arms"])
    for arm, training in experiment["arms"].items():
        given = written.get("train", {}) | written["arms"][arm]
        assert unusual(training) == {
            key: value
            for key, value in plain(Training(**given)).items()
            if value != plain(Training())[key]
        }
    runs = runs_of(composed, by_file)
    assert len(runs) == len({(*map(repr, it),) for it in runs.values()})
    assert len([*arms_of(experiment)]) == experiment["seeds"] * len(experiment["arms"])
    assert set(corpora_of(runs)) == {corpus_name(training) for training, _ in runs.values()}


def test_all_experiments_are_one_study_and_share_their_runs() -> None:
    composed = compose({"study": "experiments"}, SHIPPED)
    asked = sum(len([*arms_of(it)]) for it in composed.experiments.values())
    assert {*composed.experiments} == {*EXPERIMENTS} - {"variants"}
    runs = runs_of(composed, by_file)
    assert len(runs) < asked
    assert {run_name(plain(Training()), seed) for seed in range(8)} <= runs.keys()


def test_a_run_is_named_by_what_is_not_usual() -> None:
    usual, window = plain(Training()), plain(Training(attention="window", window=8))
    assert unusual(usual) == {}
    assert unusual(window) == {"attention": "window", "window": 8}
    names = {run_name(training, seed) for training in (usual, window) for seed in (0, 1)}
    assert len(names) == 4
    assert all(name.startswith("tiny4-") for name in names)


def test_checkpoints_are_revisions_of_one_model(config: Path) -> None:
    steps = [f"step{step}" for step in checkpoint_steps(48, 4)]
    (config / "model/mine.yaml").write_text(TINY + f"revisions: [{', '.join(steps)}]\n")
    composed = compose({"models": "mine"}, config)
    assert composed.series == {"mine": [f"mine.{step}" for step in steps]}
    assert all(model["trained"] for model in composed.models.values())
    assert list(runs_of(composed, by_file)) == ["mine"]
    (config / "model/mine.yaml").write_text(TINY)
    (model,) = compose({"models": "mine"}, config).models.values()
    assert model["revision"] == "step48"


@pytest.mark.parametrize(
    ("train", "told"),
    [
        (
            "{size: huge}",
            "model.train.size: 'huge' is not one of tiny, tiny4, tiny6, small, medium",
        ),
        ("{overlap: 0.5}", "model.train.overlap: is for soft head_windows"),
        ("{attention: window}", "model.train.window: missing, for attention window"),
        ("{form: llama}", "model.train.head_width: missing, for form llama"),
        ("{corpus: folder}", "model.train.path: missing, for corpus folder"),
        ("{placebo: true}", "model.train.placebo: is of a penalty, and there is none"),
        ("{checkpoints: 20, steps: 10}", "model.train.checkpoints: 20 of 10 steps"),
        ("{qk_scale: [1, 0]}", "model.train.qk_scale: [1, 0] is not a number above 0, or a list"),
        ("{atention: linear}", "no key 'atention' in model.train; keys are size, layers"),
    ],
)
def test_a_fault_in_a_training_names_its_key(config: Path, train: str, told: str) -> None:
    (config / "model/mine.yaml").write_text(f"source: train\ntrain: {train}\n")
    message = refusal({"models": "mine"}, config)
    assert message.startswith(f"config/model/mine.yaml: {told}"), message
    assert "\n" not in message


def test_a_revision_that_is_no_checkpoint_is_refused(config: Path) -> None:
    (config / "model/mine.yaml").write_text(TINY + "revisions: [step0, step5000]\n")
    message = refusal({"models": "mine"}, config)
    assert message.startswith(
        "config/model/mine.yaml: model.revisions: 'step5000' is no checkpoint"
    )
    assert message.endswith("step48")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("arms: {a: {overlap: 0.5}}", "experiment.arms.a.overlap: is for soft head_windows"),
        ("arms: {a: {sise: tiny}}", "no key 'sise' in experiment.arms.a"),
        ("arms: {a: {}}\ncontrol: b", "experiment.control: 'b' is no arm; arms are a"),
        (
            "arms: {a: {}}\nplacebo_of: {a: a}",
            "experiment.placebo_of: is for comparison equal_loss",
        ),
        ("arms: {a: {}}\njudged: [d]", "experiment.judged: 'd' is no arm; arms are a"),
        ("arms: {}", "experiment.arms: {} is not a mapping from names of arms"),
    ],
)
def test_a_fault_in_an_experiment_names_its_key(config: Path, written: str, told: str) -> None:
    usual = "title: T\nclaim: c\nquantity: test_loss\ncomparison: mean\nside: below\n"
    (config / "experiment/mine.yaml").write_text(usual + written + "\n")
    message = refusal({"experiment": "mine"}, config)
    assert message.startswith(f"config/experiment/mine.yaml: {told}"), message


def test_an_experiment_is_chosen_by_name_and_alone(config: Path) -> None:
    assert "no such experiment" in refusal({"experiment": "soft-haeds"}, config)
    assert refusal({"experiment": "stability", "models": "minilm"}, config).startswith(
        "--config experiment=… with study or models: choose one"
    )
    (config / "experiment/demo.yaml").write_text(
        (config / "experiment/stability.yaml").read_text(encoding="utf-8")
    )
    assert "rename the experiment" in refusal({"experiment": "demo"}, config)


def test_overrides_reach_every_experiment(config: Path) -> None:
    asked = ["experiment.seeds=2", "experiment.train.steps=48"]
    composed = compose({"experiment": "soft-heads,gauge-init", "hydra": asked}, config)
    assert plain_name(composed.study) == "gauge-init+soft-heads"
    for experiment in composed.experiments.values():
        assert experiment["seeds"] == 2
        assert {training["steps"] for training in experiment["arms"].values()} == {48}
    with pytest.raises(ConfigurationError, match=r"experiment\.seeds: 0 is not an integer >= 1"):
        compose({"experiment": "stability", "hydra": ["experiment.seeds=0"]}, config)
