"""Which settings give a result a folder of its own, and which do not."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addresses import Differences, addressed, differing, leaves, plain
from configuration import Configuration, ConfigurationError, compose
from runs import ROOT

SHIPPED = ROOT / "config"
KEYS = st.text("abc", min_size=1, max_size=2)
SETTINGS = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3),
    max_leaves=8,
).filter(lambda it: isinstance(it, dict))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A copy of the shipped configuration, to which models are added."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


def composed(*overrides: str, **user: Any) -> Configuration:
    return compose({**user, **({"hydra": list(overrides)} if overrides else {})}, SHIPPED)


@given(SETTINGS, SETTINGS)
def test_what_differs_is_what_turns_the_one_into_the_other(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    changed = differing(one, other)
    assert differing(one, one) == {}
    assert changed.keys() == differing(other, one).keys()
    there = {key: it for key, it in (leaves(other) | changed).items() if it is not None}
    assert there == leaves(one)


@given(SETTINGS, SETTINGS)
def test_a_folder_is_named_by_what_differs_in_whatever_order(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    name = addressed("gpt2", one)
    assert name == addressed("gpt2", dict(reversed(one.items())))
    assert (name == addressed("gpt2", other)) == (one == other)
    assert plain(name) == "gpt2"
    assert plain(f"{name}/layers/000-003") == "gpt2/layers/000-003"
    assert addressed("gpt2", {}) == "gpt2"


@pytest.mark.parametrize(
    ("override", "stage", "reading", "weights"),
    [
        ("analysis.probes=7", True, False, False),
        ("analysis.conditioning.well_below=50", False, False, False),
        ("analysis.seed=5", True, True, False),
        ("analysis.states.norm_tokens=9", False, True, False),
        ("text.tokens=24", False, True, False),
        ("text=source", False, True, False),
        ("model.dtype=float32", True, True, True),
        ("model.threads=2", False, False, False),
        ("model.resources.mem_mb=9", False, False, False),
        ("model.one_job=true", False, False, False),
        ("model.trained=false", False, False, False),
        ("figures.dpi=99", False, False, False),
    ],
)
def test_a_setting_moves_what_depends_on_it_and_nothing_else(
    override: str, stage: bool, reading: bool, weights: bool
) -> None:
    study = composed(override)
    model, of = study.models["minilm"], study.differences
    assert bool(of.of_stage(model, ["probes", "seed"])) == stage
    assert bool(of.of_reading(model, ["states", "seed"])) == reading
    assert bool(of.of_weights(model)) == weights
    # What a person sees of a study lies apart where any number or verdict may differ.
    of_no_number = ("threads", "resources", "one_job", "figures")
    assert ("@" in study.study) == (not any(key in override for key in of_no_number))


def test_the_seed_moves_the_weights_that_are_drawn_alone() -> None:
    study = composed("analysis.seed=5")
    drawn, read = (study.models[name] for name in ("minilm-init", "minilm"))
    assert study.differences.of_weights(drawn) and not study.differences.of_weights(read)


def test_what_is_as_the_files_have_it_lies_under_its_plain_name() -> None:
    for user in ({}, {"study": "paper"}, {"models": "gpt2,minilm"}, {"experiment": "soft-heads"}):
        study = composed(**user)
        assert "@" not in study.study
        assert study.differences == Differences()
    # A study's own text moves what is read, and not the study.
    smoke = composed(study="smoke")
    assert smoke.study == "smoke"
    assert smoke.differences.of_reading(smoke.models["minilm"], [])
    assert not smoke.differences.of_stage(smoke.models["minilm"], ["probes"])


def test_an_override_that_changes_nothing_moves_nothing() -> None:
    study = composed("analysis.probes=64", "model.dtype=null")
    assert study.study == "demo"
    assert not any(study.differences.models.values())


def test_ad_hoc_studies_are_named_by_their_models_in_no_order() -> None:
    assert composed(models="minilm,gpt2") == composed(models="gpt2,minilm")
    assert composed(models="minilm,gpt2").study == "gpt2+minilm"
    assert composed(models="minilm,gpt2", name="mine").study == "mine"
    assert composed(experiment="soft-heads,stability", name="both").study == "both"


def test_another_order_of_models_is_another_study() -> None:
    """Its tables have other rows first."""
    turned = "study.models=[smollm2-init,minilm-init,smollm2,minilm]"
    assert composed(turned).study.startswith("demo@")


def test_a_checkpoint_is_told_by_its_name_or_else_by_its_revision(config: Path) -> None:
    (config / "model/ser.yaml").write_text(
        "source: hub\nid: someone/something\nrevisions: [step0, step8]\n"
    )

    def weights(*overrides: str) -> dict[str, Any]:
        study = compose({"models": "ser", "hydra": list(overrides)}, config)
        return {name: study.differences.of_weights(it) for name, it in study.models.items()}

    assert weights("model.revisions=[step5]") == {"ser.step5": {}}
    one, other = (
        weights("model.revisions=null", f"model.revision={step}")["ser"] for step in ("a", "b")
    )
    assert one and other and one != other
    with pytest.raises(ConfigurationError, match="two of them have one name"):
        weights("model.revisions=[a/b,a-b]")


def test_many_models_have_a_short_name_of_their_own(config: Path) -> None:
    text = (config / "model/tiny-init.yaml").read_text()
    names = [f"a-model-of-a-long-name-{k}" for k in range(6)]
    for name in names:
        (config / f"model/{name}.yaml").write_text(text)
    study = compose({"models": names}, config).study
    assert study.startswith("6-models-") and len(study) < 30
    assert study == compose({"models": names[::-1]}, config).study
    assert study != compose({"models": [*names[:5], "tiny-init"]}, config).study


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ({"models": "minilm", "name": "demo"}, "results/demo/, which is taken"),
        ({"models": "minilm", "name": "models"}, "results/models/, which is taken"),
        ({"models": "minilm", "name": "gpt2"}, "results/gpt2/, which is taken"),
        ({"models": "minilm", "name": "a b"}, "is not a name"),
        ({"models": "minilm", "name": "a@b"}, "is not a name"),
        ({"study": "demo", "name": "mine"}, "a study has its own name"),
    ],
)
def test_a_name_that_cannot_be_a_folder_is_refused(user: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        compose(user, SHIPPED)


def test_a_model_named_as_a_study_does_not_lie_in_its_folder(config: Path) -> None:
    (config / "model/demo.yaml").write_text((config / "model/tiny-init.yaml").read_text())
    study = compose({"models": "demo"}, config).study
    assert study.startswith("1-models-")
    assert compose({"models": "demo", "name": "other"}, config).study == "other"
