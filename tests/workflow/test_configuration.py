"""The configuration: a fault is one line that says what to mend, the rest is plain and sorted."""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import seaborn
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from omegaconf import OmegaConf
from snakemake.cli import parse_config

import reference
from configuration import RESERVED, UNLIKE_WEIGHTS, Configuration, ConfigurationError, compose
from headalgebra import defaults
from schema import READING, SOURCES, Analysis, Experiment, Figures, Model, Text, Training, plain
from typed import as_typed

SHIPPED = Path(__file__).parents[2] / "config"
STUDIES = sorted(file.stem for file in SHIPPED.glob("study/*.yaml"))
MODELS = sorted(file.stem for file in SHIPPED.glob("model/*.yaml"))
HAS_MODELS = f"config/model/ has {', '.join(MODELS)}"
HAS_STUDIES = f"config/study/ has {', '.join(STUDIES)}"
ANALYSIS_KEYS = ", ".join(Analysis.model_fields)
DIGEST = "0123456789abcdef" * 4
INIT = "source: init\nconfig: {model_type: bert}\n"
HERE = "source: path\npath: x\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A copy of the shipped configuration to break."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "config"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy for tests that write one file over and over."""
    return Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("shared") / "config"))


def refusal(user: dict[str, Any], config: Path) -> str:
    """The message of the error, which is one line."""
    with pytest.raises(ConfigurationError) as caught:
        compose(user, config)
    message = str(caught.value)
    assert message == " ".join(message.split())
    return message


def assert_plain_and_sorted(value: Any) -> None:
    """Only dicts with sorted keys, lists and scalars of the exact built-in types."""
    if type(value) is dict:
        assert all(type(key) is str for key in value)
        assert list(value) == sorted(value)
        for item in value.values():
            assert_plain_and_sorted(item)
    elif type(value) is list:
        for item in value:
            assert_plain_and_sorted(item)
    else:
        assert value is None or type(value) in (bool, int, float, str)


# ------ What is shipped


@pytest.mark.parametrize("study", [study for study in STUDIES if study != "custom"])
def test_shipped_study_composes(study: str) -> None:
    """Every study that names models has them, in its order, plain and sorted."""
    composed = compose({"study": study}, SHIPPED)
    written = yaml.safe_load((SHIPPED / f"study/{study}.yaml").read_text())
    assert (composed.study, composed.title) == (study, written["title"])
    assert list(composed.models) == written["models"]
    for part in (composed.text, composed.analysis, composed.figures, *composed.models.values()):
        assert_plain_and_sorted(part)


def test_demo_is_the_default() -> None:
    """Without arguments the run is the study demo."""
    assert compose({}, SHIPPED) == compose({"study": "demo"}, SHIPPED)


def test_every_shipped_model_is_in_a_study() -> None:
    """No model file lies about unused."""
    used = [
        name
        for study in STUDIES
        if study != "custom"
        for name in compose({"study": study}, SHIPPED).models
    ]
    assert set(used) == set(MODELS)


def test_models_are_what_hydra_gives_one_by_one() -> None:
    """Composing all models at once is composing each by itself."""
    names = ["minilm", "pythia-1.4b", "qwen3-1.7b", "gpt2-medium-init"]
    together = compose({"models": names, "hydra": "model.threads=3"}, SHIPPED).models
    for name, model in together.items():
        with initialize_config_dir(str(SHIPPED), version_base="1.3"):
            alone = hydra_compose("config", [f"+model='{name}'", "++model.threads=3"])["model"]
        unlisted = {key: value for key, value in alone.items() if key != "layers"}
        assert unlisted.items() <= model.items()
        assert compose({"models": name, "hydra": "model.threads=3"}, SHIPPED).models[name] == model


def test_every_key_of_a_model_can_be_read() -> None:
    """A model has each key of the schema, the defaults too, and its file's name."""
    model = compose({"models": "gpt2-medium-init"}, SHIPPED).models["gpt2-medium-init"]
    assert list(model) == sorted(Model.model_fields.keys() - {"revisions"})
    assert model["name"] == "gpt2-medium-init"
    assert (model["layers"], model["layers_per_job"]) == (list(range(24)), 12)
    assert (model["threads"], model["sha256"]) == (1, {})
    assert model["resources"] == {"mem_mb": None, "runtime": None}


def test_the_command_line_chooses_the_text_before_the_study_and_the_study_before_the_rest(
    config: Path,
) -> None:
    (config / "study/demo.yaml").write_text("title: a\nmodels: [minilm]\ntext: source\n")
    (config / "text/mine.yaml").write_text("tokens: 9\n")

    def chosen(*hydra: str) -> tuple[str, int]:
        text = compose({"hydra": [*hydra]}, config).text
        return text["corpus"], text["tokens"]

    assert chosen() == ("source", 128)
    assert chosen("text=mine") == chosen("study.text=mine") == ("docstrings", 9)
    assert chosen("text=mine", "text.tokens=10") == ("docstrings", 10)
    (config / "study/demo.yaml").write_text("title: a\nmodels: [minilm]\n")
    assert chosen() == ("docstrings", 128)


def test_a_tokenizer_is_the_source_of_the_model_that_is_named(config: Path) -> None:
    """The same for all that name it, whatever is set on the models of the study."""
    user = {"models": "minilm-init,tiny-init,minilm", "hydra": "model.threads=3"}
    models = compose(user, config).models
    taken = models["minilm-init"]["tokenizer"]
    assert taken == models["tiny-init"]["tokenizer"]
    assert taken["name"] == "minilm"
    assert taken == {key: models["minilm"][key] for key in taken}
    assert models["minilm"].keys() - taken.keys() == set(UNLIKE_WEIGHTS)
    assert models["minilm"]["tokenizer"] is None


@pytest.mark.parametrize(
    ("tokenizer", "message"),
    [
        ("minlm", f"'minlm': no such model; {HAS_MODELS}; did you mean 'minilm'?"),
        ("tiny-init", "'tiny-init' is an initialisation, which has none"),
    ],
)
def test_a_tokenizer_has_to_be_there(config: Path, tokenizer: str, message: str) -> None:
    (config / "model/minilm-init.yaml").write_text(f"{INIT}tokenizer: {tokenizer}\n")
    where = "config/model/minilm-init.yaml: model.tokenizer: "
    assert refusal({"models": "minilm-init"}, config) == where + message


def test_a_training_run_is_a_model_for_each_revision(config: Path) -> None:
    """In the place of the file, each with its own revision, and nothing else differs."""
    (config / "model/run.yaml").write_text(
        "source: hub\nid: a/b\nrevisions: [step0, step512, ckpt/final]\nlayers: 0-1\n"
    )
    composed = compose({"models": "minilm,run,gpt2"}, config)
    names = ["run.step0", "run.step512", "run.ckpt-final"]
    assert list(composed.models) == ["gpt2", "minilm", *names]
    assert composed.series == {"run": names}
    found = [composed.models[name] for name in names]
    assert [model["revision"] for model in found] == ["step0", "step512", "ckpt/final"]
    assert [model["name"] for model in found] == names
    for model in found:
        assert_plain_and_sorted(model)
        assert {**model, "name": "", "revision": ""} == {**found[0], "name": "", "revision": ""}
    assert compose({"models": "minilm"}, config).series == {}


@pytest.mark.parametrize(
    ("body", "organisation"),
    [
        ("source: hub\nid: a/b\nrevision: main\n", "a"),
        ("source: hub\nid: b\nrevision: main\n", ""),
        ("source: package\npackage: a\nfolder: b\n", ""),
        (HERE, ""),
        ("source: init\nid: a/b\n", "a"),
    ],
)
def test_who_made_a_model_is_the_owner_of_its_id_or_as_its_file_says(
    config: Path, body: str, organisation: str
) -> None:
    for line, known in (("", organisation), ("organisation: Someone\n", "Someone")):
        (config / "model/any.yaml").write_text(body + line)
        assert compose({"models": "any"}, config).models["any"]["organisation"] == known


@pytest.mark.parametrize(
    ("body", "trained"),
    [
        ("source: hub\nid: a/b\nrevision: main\n", True),
        ("source: package\npackage: a\nfolder: b\n", True),
        (HERE, None),
        (INIT, False),
    ],
)
def test_what_is_known_to_be_trained(config: Path, body: str, trained: bool | None) -> None:
    """The file may say it; where it does not, the source does. No initialisation is trained."""
    known = []
    for line in ("", "trained:", "trained: false", "trained: true"):
        (config / "model/any.yaml").write_text(body + line)
        if line == "trained: true" and trained is False:
            assert "never trained" in refusal({"models": "any"}, config)
        else:
            known.append(compose({"models": "any"}, config).models["any"]["trained"])
    assert known == [trained, trained, False, True][: len(known)]


def test_a_revision_that_takes_another_models_name_is_refused(config: Path) -> None:
    """Two models cannot share a folder of results."""
    (config / "model/run.yaml").write_text("source: hub\nid: a/b\nrevisions: [one, two]\n")
    shutil.copy(config / "model/gpt2.yaml", config / "model/run.two.yaml")
    message = refusal({"models": "run.two,run"}, config)
    assert message == "config/model/run.two.yaml: model.name: another model is named run.two"
    (config / "study/both.yaml").write_text("title: both\nmodels: [run.two, run]\n")
    message = refusal({"study": "both"}, config)
    assert message == "config/model/run.yaml: model.revisions: another model is named run.two"


# ------ No drift between the schema, the files and the documentation


def test_the_shipped_files_set_no_default_again() -> None:
    """What the default files leave out comes from the schema."""
    composed = compose({}, SHIPPED)
    assert composed.analysis == plain(Analysis())
    assert composed.figures == plain(Figures())
    assert composed.text == plain(Text())
    assert yaml.safe_load((SHIPPED / "text/docstrings.yaml").read_text()) is None
    assert yaml.safe_load((SHIPPED / "analysis/default.yaml").read_text()) is None
    assert "figures" not in yaml.safe_load((SHIPPED / "config.yaml").read_text())


def test_the_librarys_defaults_are_those_of_an_analysis() -> None:
    """Each of its constants is the default of the key of that name, or is no key at all."""
    analysis = plain(Analysis())
    keys = analysis | analysis["phases"] | analysis["conditioning"] | analysis["claims"]
    keys |= analysis["states"]
    constants = {name.lower(): value for name, value in vars(defaults).items() if name.isupper()}
    # Those of trainings and experiments are named after what they are of.
    keys |= plain(Text()) | {f"training_{key}": it for key, it in plain(Training()).items()}
    keys["training_seeds"] = Experiment.model_fields["seeds"].default
    own = ("validation_sequences", "test_sequences", "validate_every")
    keys |= {key: plain(Training())[key] for key in own}
    assert constants.keys() - keys.keys() == {
        *("borel_nodes", "certified_within", "converged_below", "departure_probes"),
        *(
            "effect_sequences",
            "float64_up_to",
            "growth_delta",
            "growth_draws",
            "growth_size",
            "impulse_draws",
        ),
        *("impulse_positions", "null_patterns", "portrait_points", "probes_at_once"),
        *("pseudospectral_decades", "rank_share", "ridge_folds", "tokens_per_dimension"),
        *("strip_numbers", "words_held", "words_kept"),
    }
    for packages in ("packages", "training_packages"):
        constants[packages] = list(constants[packages])
    assert {
        name: keys[name] for name in constants.keys() & keys.keys()
    }.items() <= constants.items()


def test_the_reference_is_as_the_schema_writes_it(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing schema.json and the table of keys again changes neither."""
    monkeypatch.setattr(reference, "CONFIG", config)
    reference.main()
    for name in ("README.md", "schema.json"):
        assert (config / name).read_bytes() == (SHIPPED / name).read_bytes()


@pytest.mark.parametrize("file", sorted(SHIPPED.rglob("*.yaml")), ids=lambda file: file.stem)
def test_each_shipped_file_names_its_schema_and_is_valid_by_it(file: Path) -> None:
    """The first line leads an editor to the group's schema, which allows the file."""
    first = file.read_text().partition("\n")[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(.+)#/\$defs/(\w+)", first)
    assert named
    group = "Main" if file.parent == SHIPPED else file.parent.name.capitalize()
    assert ((file.parent / named[1]).resolve(), named[2]) == (SHIPPED / "schema.json", group)
    content = OmegaConf.to_container(OmegaConf.load(file))
    assert valid(group).is_valid(content), file
    assert isinstance(content, dict)
    assert not valid(group).is_valid(content | {"no such key": 1})


def valid(group: str) -> Draft202012Validator:
    """Whether editors take a file of the group for right."""
    schema = json.loads((SHIPPED / "schema.json").read_text())
    return Draft202012Validator(schema | {"$ref": f"#/$defs/{group}"})


def test_readme_states_what_each_source_takes() -> None:
    """The table of sources in config/README.md agrees with the schema."""
    rows = (SHIPPED / "README.md").read_text().partition("## Every key")[0].splitlines()
    for source, keys in SOURCES.items():
        (row,) = [row for row in rows if row.startswith(f"| `{source}` |")]
        assert set(re.findall("`([a-z0-9_]+)`", row)) == {source, *sum(keys, ())}


def test_allowed_palettes_exist() -> None:
    """seaborn and matplotlib know every name that is allowed."""
    figures = Figures.model_json_schema()["properties"]
    for name in figures["model_palette"]["enum"]:
        assert len(seaborn.color_palette(name, 3)) == 3
    for name in figures["map_colours"]["enum"]:
        assert name in matplotlib.colormaps


# ------ Faults in files

# It differs at every reading, and would rerun all jobs.
CLOCK = "analysis.seed: Unsupported interpolation type now"
AT = "config/analysis/default.yaml: analysis"
UNKNOWN = "config/analysis/default.yaml: no key"
DEFAULTS = "defaults: [study: demo, analysis: default, text: docstrings, _self_]\n"

ANALYSIS_FAULTS = [
    ("probes: five", f"{AT}.probes: 'five' is not an integer >= 2"),
    ("probes: 1", f"{AT}.probes: 1 is not an integer >= 2"),
    ("probes: true", f"{AT}.probes: True is not an integer >= 2"),
    ("probes: 16.0", f"{AT}.probes: 16.0 is not an integer >= 2"),
    ("probes:", f"{AT}.probes: None is not an integer >= 2"),
    ("seed: -1", f"{AT}.seed: -1 is not an integer >= 0"),
    ("device: gpu", f"{AT}.device: 'gpu' is not one of auto, cpu, cuda"),
    ("max_dim: 0", f"{AT}.max_dim: 0 is not null or an integer >= 1"),
    ("dense_max_dim: 0", f"{AT}.dense_max_dim: 0 is not an integer >= 1"),
    ("weighted_triples: 199", f"{AT}.weighted_triples: 199 is not an integer >= 200"),
    ("uniform_tuples: 1", f"{AT}.uniform_tuples: 1 is not an integer >= 2"),
    ("jacobi_triples: 0", f"{AT}.jacobi_triples: 0 is not an integer >= 1"),
    ("relation_tuples: 0", f"{AT}.relation_tuples: 0 is not an integer >= 1"),
    ("precision: {layers: 0}", f"{AT}.precision.layers: 0 is not an integer >= 1"),
    ("rank_cutoff: '1e-8'", f"{AT}.rank_cutoff: '1e-8' is not a number above 0 and below 1"),
    ("rank_cutoff: 0", f"{AT}.rank_cutoff: 0 is not a number above 0 and below 1"),
    ("rank_cutoff: .nan", f"{AT}.rank_cutoff: nan is not a number above 0 and below 1"),
    ("balance_above: .inf", f"{AT}.balance_above: inf is not a number above 1"),
    (f"balance_above: 1{'0' * 400}", f"{AT}.balance_above: 1{'0' * 56}... is not a number above 1"),
    ("phases: 3", f"{AT}.phases: 3 is not a mapping; keys are weak_below, topological_above"),
    (
        "phases: {weak_below: 1, topological_above: 1}",
        f"{AT}.phases.weak_below: 1.0 is not below topological_above, 1.0",
    ),
    (
        "conditioning: {poor_from: 50}",
        f"{AT}.conditioning.well_below: 100.0 is not below poor_from, 50.0",
    ),
    (
        "phases: {weak: 1}",
        f"{UNKNOWN} 'weak' in analysis.phases; keys are weak_below, topological_above",
    ),
    (
        "prbes: 16",
        f"{UNKNOWN} 'prbes' in analysis; keys are {ANALYSIS_KEYS}; did you mean 'probes'?",
    ),
    ("1: 16", f"{UNKNOWN} '1' in analysis; keys are {ANALYSIS_KEYS}"),
    ("defaults: [other]", f"{UNKNOWN} 'defaults' in analysis; keys are {ANALYSIS_KEYS}"),
    ("[16]", "config/analysis/default.yaml: [16] is no mapping of keys to values"),
    (
        "seed: 1\nprobes: 3\nseed: 2",
        "config/analysis/default.yaml, line 3: found duplicate key seed",
    ),
    (
        "seed: 1\nprobes: a: b",
        "config/analysis/default.yaml, line 2: mapping values are not allowed here",
    ),
    (
        "# @package figures\n",
        "config/analysis/default.yaml: a '# @package' line has no place here; delete it",
    ),
    (
        "seed: ${now:%S}",
        f"config/analysis/default.yaml: {CLOCK}",
    ),
    ("seed: ${figures.no}", f"{AT}.seed: Interpolation key 'figures.no' not found"),
    ("seed: ${analysis.device}\ndevice: cpu", f"{AT}.seed: 'cpu' is not an integer >= 0"),
    ("seed: ${analysis.device}\ndevice: gpu", f"{AT}.seed: 'gpu' is not an integer >= 0"),
]

OWN = "belongs to another source; source"
READ = ", ".join(READING)
MODEL_FAULTS = [
    ("", "source: missing; it must be one of hub, path, package, init, train"),
    ("source: git", "source: 'git' is not one of hub, path, package, init, train"),
    (
        "source: hub\nid: a/b",
        "revision: source hub takes either revision or revisions",
    ),
    (
        "source: hub\nid: a/b\nrevision: main\nrevisions: [main]",
        "revision: source hub takes either revision or revisions",
    ),
    (
        "source: hub\nid: a/b\nrevisions: [main, main]",
        "revisions: ['main', 'main'] is not null or a list of different branches, tags or commits",
    ),
    (
        f"{HERE}circuit: ov\nscale: true",
        "scale: belongs to query-key scores, and circuit ov has none",
    ),
    (f"{HERE}circuit: vo", "circuit: 'vo' is not one of qk, ov"),
    (f"{HERE}fold_norm: 1", "fold_norm: 1 is not true or false"),
    (
        f"{HERE}rope_offset: 1.5",
        "rope_offset: 1.5 is not an integer from -1048576 to 1048576",
    ),
    (
        "source: hub\nrevision: main",
        f"id: missing; source hub takes id, revision, revisions, file, fetch, {READ}",
    ),
    ("source: path", f"path: missing; source path takes path, file, {READ}"),
    (
        "source: package\npackage: a",
        "folder: source package takes either folder or file",
    ),
    (f"{HERE}id: a/b", f"id: {OWN} path takes path, file, {READ}"),
    (f"{HERE}revision: main", f"revision: {OWN} path takes path, file, {READ}"),
    (f"{HERE}config: {{model_type: a}}", f"config: {OWN} path takes path, file, {READ}"),
    (
        "source: package\npackage: a\nfolder: b\nfile: c.gguf",
        "folder: source package takes either folder or file",
    ),
    (
        f"{HERE}file: ../x.gguf",
        "file: '../x.gguf' is not null or a relative path without '..' that ends in .gguf",
    ),
    (
        f"{HERE}file: x.bin",
        "file: 'x.bin' is not null or a relative path without '..' that ends in .gguf",
    ),
    (
        f"{HERE}file: x.gguf\nadapters: ignore",
        "adapters: has no meaning for a GGUF file, which is read by itself",
    ),
    (
        f"{INIT}file: x.gguf",
        f"file: {OWN} init takes config, id, revision, ignore_config, tokenizer",
    ),
    (
        f"{INIT}sha256: {{a: {DIGEST}}}",
        f"sha256: {OWN} init takes config, id, revision, ignore_config, tokenizer",
    ),
    ("source: init", "config: source init takes either config or id"),
    (f"{INIT}id: a/b", "config: source init takes either config or id"),
    (f"{INIT}revision: main", "revision: is of an id, and there is none"),
    (
        "source: init\nconfig: {n: 3}",
        "config: {'n': 3} is not null or a mapping with a model_type and that architecture's"
        " settings",
    ),
    (
        "source: init\nconfig: {model_type: a, 1: 3}",
        "config: {'model_type': 'a', 1: 3} is not null or a mapping with a model_type and that"
        " architecture's settings; put it in quotes",
    ),
    (
        "source: hub\nid: a b\nrevision: main",
        "id: 'a b' is not null or a hub id such as openai-community/gpt2",
    ),
    (
        "source: hub\nid: a/b\nrevision: 0123",
        "revision: 83 is not null or a branch, tag or commit; put it in quotes",
    ),
    (
        "source: hub\nid: a/b\nrevision: 1.10",
        "revision: 1.1 is not null or a branch, tag or commit; put it in quotes",
    ),
    (
        "source: hub\nid: a/b\nrevisions: [main, 2]",
        "revisions: ['main', 2] is not null or a list of different branches, tags or commits; put"
        " it in quotes",
    ),
    (f"{INIT}trained: true", "trained: an initialisation is never trained; delete the line"),
    (f"{HERE}trained: 'yes'", "trained: 'yes' is not null or true or false"),
    (
        f"{HERE}trianed: true",
        f"no key 'trianed' in model; keys are {', '.join(Model.model_fields)}; did you mean"
        " 'trained'?",
    ),
    (
        "sorce: hub",
        f"no key 'sorce' in model; keys are {', '.join(Model.model_fields)}; did you mean"
        " 'source'?",
    ),
    (
        "source: package\npackage: a\nfolder: ../b",
        "folder: '../b' is not null or a relative path without '..'",
    ),
    (
        f"{HERE}sha256: {{a: abc}}",
        "sha256: {'a': 'abc'} is not a mapping from file names to digests of 64 hexadecimal digits",
    ),
    (
        f"{HERE}sha256: {{a: {'1' * 64}}}",
        f"sha256: {{'a': {'1' * 51}... is not a mapping from file names to digests of 64"
        " hexadecimal digits; put it in quotes",
    ),
    (f"{HERE}name: other", "name: 'other' is not 'minilm', the file's; delete the line"),
    (f"{HERE}threads: 0", "threads: 0 is not an integer >= 1"),
    (
        f"{HERE}dtype: int8",
        "dtype: 'int8' is not null or one of float64, float32, float16, bfloat16",
    ),
    (
        f"{HERE}layers_per_job: 2",
        "layers_per_job: needs layers; write layers: 0-<number of layers - 1>",
    ),
    (f"{HERE}resources: {{mem_mb: 0}}", "resources.mem_mb: 0 is not null or an integer >= 1"),
    *(
        (
            f"{HERE}layers: {layers}",
            f"layers: {shown} is not null or a list of different layers from 0 or a range such as"
            " 0-23",
        )
        for layers, shown in [
            ("[]", "[]"),
            ("[1, 1]", "[1, 1]"),
            ("[-1]", "[-1]"),
            ("[true]", "[True]"),
            ("5", "5"),
            ("5-3", "'5-3'"),
            ("0-99999", "'0-99999'"),
        ]
    ),
]

STUDY_FAULTS = [
    ("models: [minilm]", "title: missing; it must be a line of text"),
    (
        "title: a",
        "models: missing; it must be a list of names of files in config/model/",
    ),
    (
        "title: a\nmodels: [70]",
        "models: [70] is not a list of names of files in config/model/; put it in quotes",
    ),
    (
        "title: a\nmodels: []",
        "models: names no model; name some here, or with --config models=<name>,<name>",
    ),
    (
        "title: a\nmodels: [minilm]\nwings: [algbra]",
        "wings: ['algbra'] is not a list of different wings, which are algebra and states",
    ),
    (
        "title: a\nmodels: [minilm]\ntext: sorce",
        "text: sorce: no such text; config/text/ has docstrings, file, short, source; did you mean"
        " 'source'?",
    ),
    ("title: a\nmodels: [minilm, minilm]", "models: 'minilm': is there twice; name it once"),
    (
        "title: a\nmodels: [gtp2]",
        f"models: 'gtp2': no such model; {HAS_MODELS}; did you mean 'gpt2'?",
    ),
]

TEXT_FAULTS = [
    ("corpus: book", "corpus: 'book' is not one of docstrings, source, file"),
    ("corpus: file", "path: missing; corpus file takes a path"),
    ("path: novel.txt", "path: is for corpus file"),
    ("tokens: 7", "tokens: 7 is not an integer >= 8"),
    ("packages: []", "packages: [] is not a list of different names of installed packages"),
    (
        "packages: [numpy, numpy]",
        "packages: ['numpy', 'numpy'] is not a list of different names of installed packages",
    ),
]

MAIN_FAULTS = [
    (
        "figures: {}",
        "defaults: missing; it must be the list 'study: <name>', 'analysis: <name>', "
        "'text: <name>', '_self_'",
    ),
    (
        "defaults: [study: demo, _self_]",
        "defaults: [{'study': 'demo'}, '_self_'] is not the list 'study: <name>',"
        " 'analysis: <name>', 'text: <name>', '_self_'",
    ),
    (
        f"{DEFAULTS}figres: {{}}",
        "no key 'figres' in this file; keys are defaults, figures; did you mean 'figures'?",
    ),
    (
        DEFAULTS.replace("demo", "dem"),
        f"defaults: study: dem: no such study; {HAS_STUDIES}; did you mean 'demo'?",
    ),
    (f"{DEFAULTS}figures: {{dpi: 10}}", "figures.dpi: 10 is not an integer from 50 to 1200"),
    (
        f"{DEFAULTS}figures: {{width_inches: 70}}",
        "figures.width_inches: 70 is not a number above 3 and below 30",
    ),
    (
        f"{DEFAULTS}figures: {{phase_colours: {{II: red}}}}",
        "figures.phase_colours.II: 'red' is not a colour such as '#56b4e9' in quotes",
    ),
    (
        f"{DEFAULTS}figures: {{map_colours: jet}}",
        "figures.map_colours: 'jet' is not one of cividis, viridis, plasma, inferno, magma",
    ),
]

FILE_FAULTS = [
    *(("analysis/default.yaml", body, message) for body, message in ANALYSIS_FAULTS),
    *(
        (
            "model/minilm.yaml",
            body,
            "config/model/minilm.yaml: "
            + (message if message.startswith("no key") else f"model.{message}"),
        )
        for body, message in MODEL_FAULTS
    ),
    *(
        ("study/demo.yaml", body, f"config/study/demo.yaml: study.{message}")
        for body, message in STUDY_FAULTS
    ),
    *(
        ("text/docstrings.yaml", body, f"config/text/docstrings.yaml: text.{message}")
        for body, message in TEXT_FAULTS
    ),
    *(("config.yaml", body, f"config/config.yaml: {message}") for body, message in MAIN_FAULTS),
]


@pytest.mark.parametrize(("file", "body", "message"), FILE_FAULTS)
def test_fault_in_a_file(config: Path, file: str, body: str, message: str) -> None:
    """The message names the file, the key and what is allowed."""
    (config / file).write_text(body)
    assert refusal({}, config) == message


@pytest.mark.parametrize(
    ("file", "body", "override", "fault"),
    [
        ("analysis/default.yaml", "probes: five", "analysis.probes=32", "analysis.probes: 'five'"),
        ("config.yaml", f"{DEFAULTS}figures: {{dpi: x}}", "figures.dpi=90", "figures.dpi: 'x'"),
        ("model/minilm.yaml", f"{HERE}threads: x", "model.threads=2", "model.threads: 'x'"),
        ("study/demo.yaml", "title:\nmodels: [minilm]", "study.title=a", "study.title: None"),
    ],
)
def test_fault_in_a_file_that_an_override_hides(
    config: Path, file: str, body: str, override: str, fault: str
) -> None:
    """A file in use is checked by itself, whatever an override then puts in its place."""
    (config / file).write_text(body)
    assert refusal({"hydra": override}, config).startswith(f"config/{file}: {fault} is not ")


def test_files_not_in_use_are_not_read(config: Path) -> None:
    """A broken model file stops only the studies that use it."""
    (config / "model/gpt2.yaml").write_text("source: [")
    assert "minilm" in compose({}, config).models
    assert refusal({"models": "gpt2"}, config).startswith("config/model/gpt2.yaml, line 1: ")


def test_missing_files(config: Path) -> None:
    """A folder that holds no configuration, and a group that holds no file."""
    shutil.rmtree(config / "analysis")
    where = "config/config.yaml: defaults: analysis: default"
    message = "no such analysis; config/analysis/ has no files"
    assert refusal({}, config) == f"{where}: {message}"
    (config / "config.yaml").unlink()
    assert refusal({}, config) == "config/config.yaml: No such file or directory"


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"seed: \x07", b"seed: '${'", b"!!set {a}", b"3", b"*a", b"&a {seed: *a}"],
)
def test_unreadable_file(config: Path, content: bytes) -> None:
    """What is no text, no YAML or no interpolation is refused in the name of the file."""
    (config / "analysis/default.yaml").write_bytes(content)
    assert refusal({}, config).startswith("config/analysis/default.yaml")


# ------ The command line

NO_ARGUMENT = (
    "no such key; keys are study, models, experiment, name and, for all settings, "
    'hydra=["key=value"]'
)
BOTH = (
    "--config study=… models=…: choose one; other models in a study are given as"
    ' hydra=["study.models=[a,b]"]'
)
NAMES_NONE = "study.models: names no model; name some here, or with --config models=<name>,<name>"
ARGUMENT_FAULTS = [
    *(
        (
            [f"models={value}"],
            f"--config models={shown}: study.models: '{name}': no such model; {HAS_MODELS}",
        )
        for value, shown, name in [
            ("gtp2", "gtp2", "gtp2"),
            ("gpt2,gtp2", "gpt2,gtp2", "gtp2"),
            ("71", "71", "71"),
            ("../model/gpt2", "../model/gpt2", "../model/gpt2"),
            ("a,,b", "a,,b", "a"),
            ("gpt2,,minilm", "gpt2,,minilm", ""),
            ("", "", ""),
            ("true", "true", "true"),
            ("{gpt2: 1}", "{gpt2: 1}", "{gpt2: 1}"),
        ]
    ),
    (["models=[]"], f"--config models=[]: {NAMES_NONE}"),
    (
        ["models=gpt2,gpt2"],
        "--config models=gpt2,gpt2: study.models: 'gpt2': is there twice; name it once",
    ),
    (
        ["study=papr"],
        f"--config study=papr: no such study; {HAS_STUDIES}; did you mean 'paper'?",
    ),
    (["study=demo,paper"], f"--config study=demo,paper: no such study; {HAS_STUDIES}"),
    (["study="], f"--config study=: no such study; {HAS_STUDIES}"),
    (["study=custom"], f"config/study/custom.yaml: {NAMES_NONE}"),
    (["study=demo", "models=gpt2"], BOTH),
    (
        ["models=gpt2", "hydra=study.models=[gpt2]"],
        '--config hydra=["study.models=[gpt2]"]: --config models lists the models already;'
        " choose one",
    ),
    (
        ["model=gpt2"],
        f"--config model: {NO_ARGUMENT}; did you mean 'models'?",
    ),
    (
        ["probes=64"],
        f"--config probes: {NO_ARGUMENT}",
    ),
    (["hydra="], '--config hydra=None: write hydra=["key=value", …]'),
    (["hydra={a: 1}"], "--config hydra={'a': '1'}: write hydra=[\"key=value\", …]"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENT_FAULTS)
def test_fault_in_an_argument(arguments: list[str], message: str) -> None:
    """The message names the argument and what is allowed."""
    user = as_typed(parse_config(arguments), arguments)
    assert refusal(user, SHIPPED).startswith(message)


OVERRIDE_FAULTS = [
    (
        "analysis.prbes=64",
        f"no key 'prbes' in analysis; keys are {ANALYSIS_KEYS}; did you mean 'probes'?",
    ),
    (
        "+analysis.prbes=64",
        f"no key 'prbes' in analysis; keys are {ANALYSIS_KEYS}; did you mean 'probes'?",
    ),
    ("analysis={probes: 64}", "no such analysis; config/analysis/ has default"),
    ("analysis=mine", "no such analysis; config/analysis/ has default"),
    ("analysis.probes=five", "analysis.probes: 'five' is not an integer >= 2"),
    ("analysis.probes=", "analysis.probes: '' is not an integer >= 2"),
    ("analysis.seed=${analysis.no}", "analysis.seed: Interpolation key 'analysis.no' not found"),
    ("analysis.probes.x=1", "analysis.probes: {'x': 1} is not an integer >= 2"),
    (
        "analysis.phases=3",
        "analysis.phases: 3 is not a mapping; keys are weak_below, topological_above",
    ),
    (
        "analysis.phases={weak: 3}",
        "no key 'weak' in analysis.phases; keys are weak_below, topological_above",
    ),
    (
        "analysis.phases.topological_above=0.1",
        "analysis.phases.weak_below: 0.1 is not below topological_above, 0.1",
    ),
    ("analysis.seed=${x}", "analysis.seed: Interpolation key 'x' not found"),
    (
        "analysis.seed=${now:%S}",
        CLOCK,
    ),
    (
        "anlysis.probes=64",
        "no key 'anlysis' in the configuration; keys are study, model, text, experiment, analysis, "
        "figures; did you mean 'analysis'?",
    ),
    (
        "hydra.searchpath=[x]",
        "no key 'hydra' in the configuration; keys are study, model, text, experiment, analysis, "
        "figures",
    ),
    ("analysis.probes=16,64", "gives several values; a list is written [a,b]"),
    ("~analysis.probes", "'~' and '@' have no use here; write key=value"),
    ("analysis@x=default", "'~' and '@' have no use here; write key=value"),
    ("analysis.probes", "is not of the form key=value"),
    ("study=paper", "choose it by --config study=<name>"),
    ("model=gpt2", "choose it by --config models=<name>,<name>"),
    ("+model=gpt2", "choose it by --config models=<name>,<name>"),
    (
        "study.models=[gtp2]",
        f"study.models: 'gtp2': no such model; {HAS_MODELS}; did you mean 'gpt2'?",
    ),
    ("study.models=[${x}]", "study.models.[0]: Interpolation key 'x' not found"),
    ("figures.dpi=10", "figures.dpi: 10 is not an integer from 50 to 1200"),
]


@pytest.mark.parametrize(("override", "message"), OVERRIDE_FAULTS)
def test_fault_in_an_override(override: str, message: str) -> None:
    """The message names the override, the key and what is allowed; valid ones are not blamed."""
    user = {"hydra": ["analysis.uniform_tuples=9", override, "figures.width_inches=9"]}
    assert refusal(user, SHIPPED) == f"--config hydra={json.dumps([override])}: {message}"


def test_the_last_override_of_a_key_is_blamed() -> None:
    """It is the one that holds."""
    user = {"hydra": ["analysis.probes=32", "analysis.probes=five"]}
    assert refusal(user, SHIPPED).startswith('--config hydra=["analysis.probes=five"]: ')
    assert compose({"hydra": user["hydra"][::-1]}, SHIPPED).analysis["probes"] == 32


def test_override_that_does_not_suit_a_model() -> None:
    """Overrides of model keys are made on each model; the message says on which they fail."""
    message = (
        '--config hydra=["model.layers_per_job=2"] on config/model/minilm.yaml:'
        " model.layers_per_job: needs layers; write layers: 0-<number of layers - 1>"
    )
    assert refusal({"hydra": "model.layers_per_job=2"}, SHIPPED) == message


def test_overrides_that_exclude_each_other() -> None:
    """What Hydra itself refuses is one line too."""
    lines = ["model.threads.x=2"]
    assert refusal({"hydra": lines}, SHIPPED).startswith('--config hydra=["model.threads.x=2"] on ')
    lines = ["model.config=3", "model.config.n=3"]
    assert refusal({"hydra": lines}, SHIPPED).startswith("--config hydra=")


@pytest.mark.parametrize(
    "argument",
    [
        "models=gpt2,bert-base",
        "models=gpt2, bert-base",
        "models=[gpt2, bert-base]",
        "models=['gpt2,bert-base']",
    ],
)
def test_models_in_every_form(argument: str) -> None:
    """A string with commas and lists give the same ad-hoc study."""
    composed = compose(parse_config([argument]), SHIPPED)
    assert (composed.study, list(composed.models)) == ("bert-base+gpt2", ["bert-base", "gpt2"])


# What Python or YAML take for a number, a truth value or nothing.
BARE = ("1.10", "70", "1e5", "1_000", "0x10", "010", "NaN", "inf", "on", "True", "yes", "null")


@pytest.mark.parametrize("name", BARE)
def test_names_are_names(config: Path, name: str) -> None:
    """As they were typed, whatever Snakemake makes of them, alone, in a list, or in quotes."""
    shutil.copy(config / "study/smoke.yaml", config / f"study/{name}.yaml")
    for model in (name, "1.1", "1000", "100000.0", "None"):
        (config / f"model/{model}.yaml").write_text(HERE)

    def composed(argument: str) -> Configuration:
        # A job is given the same arguments as the run that started it.
        return compose(as_typed(parse_config([argument]), [argument]), config)

    for typed in (name, f"[{name}]", f"'{name}'", f'["{name}"]'):
        assert list(composed(f"models={typed}").models) == [name]
    for typed in (f"minilm,{name}", f"[minilm, {name}]"):
        assert list(composed(f"models={typed}").models) == sorted(["minilm", name])
    assert composed(f"study={name}").study == name


@pytest.mark.parametrize("name", sorted({*BARE} - {"NaN", "inf"}))
def test_bare_names_in_a_file_are_refused(config: Path, name: str) -> None:
    """What YAML has made of them may be the name of another model."""
    (config / "study/smoke.yaml").write_text(f"title: t\nmodels: [{name}]")
    assert refusal({"study": "smoke"}, config).endswith("; put it in quotes")


@pytest.mark.parametrize("user", [{"models": 1.1}, {"models": [True]}, {"study": 7}])
def test_bare_names_in_a_configfile_are_refused(user: dict[str, Any]) -> None:
    assert re.fullmatch(r"--config \w+=.*: is no name; put it in quotes", refusal(user, SHIPPED))


@pytest.mark.parametrize(
    "argument",
    ['hydra=["analysis.probes=32"]', "hydra=analysis.probes=32", "hydra=[++analysis.probes=32]"],
)
def test_overrides_in_every_form(argument: str) -> None:
    """One string or a list of strings."""
    assert compose(parse_config([argument]), SHIPPED).analysis == plain(Analysis(probes=32))


def test_overrides_reach_everything(config: Path) -> None:
    """A group's file, keys its file leaves out, figures, models; the later of two wins."""
    (config / "analysis/mine.yaml").write_text("probes: 32")
    lines = [
        "analysis=mine",
        "analysis.seed=5",
        "analysis.seed=6",
        "analysis.phases={weak_below: 0.2}",
        "figures.phase_colours.I='#ABCDEF'",
        "study.models=[gpt2,gpt2-medium]",
        "model.layers=1-3",
        "model.resources.mem_mb=100",
    ]
    composed = compose({"study": "paper", "hydra": lines}, config)
    analysis = composed.analysis
    assert (analysis["probes"], analysis["seed"], analysis["jacobi_triples"]) == (32, 6, 2)
    assert analysis["phases"] == {"topological_above": 1.0, "weak_below": 0.2}
    assert composed.figures["phase_colours"]["I"] == "#ABCDEF"
    assert composed.study.startswith("paper@")
    assert list(composed.models) == ["gpt2", "gpt2-medium"]
    for model in composed.models.values():
        assert (model["layers"], model["resources"]["mem_mb"]) == ([1, 2, 3], 100)


def test_names_that_cannot_be_folders(config: Path) -> None:
    """Names become folders of results, one of which is taken."""
    (config / "model/my model.yaml").write_text(HERE)
    assert "rename the file" in refusal({"models": "my model"}, config)
    shutil.copy(config / "study/smoke.yaml", config / "study/models.yaml")
    for name in RESERVED:
        (config / "study" / f"{name}.yaml").write_text("title: t\nmodels: [minilm]\n")
        assert f"results/{name}/, which is taken" in refusal({"study": name}, config)


def test_interpolations_are_resolved(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment and from other keys."""
    monkeypatch.setenv("PLACE", "/data")
    (config / "model/here.yaml").write_text(
        "source: path\npath: ${oc.env:PLACE}/x\nthreads: ${analysis.probes}"
    )
    # A default that no file states is there too.
    model = compose({"models": "here"}, config).models["here"]
    assert (model["path"], model["threads"]) == ("/data/x", defaults.PROBES)
    monkeypatch.delenv("PLACE")
    assert refusal({"models": "here"}, config).startswith("config/model/here.yaml: model.path: ")


def test_numbers_are_read_as_the_schema_says(config: Path) -> None:
    """1e-8 without a point is a float, and an integer in a float's place is one."""
    (config / "analysis/default.yaml").write_text("rank_cutoff: 1e-9\nbalance_above: 10")
    analysis = compose({}, config).analysis
    assert (analysis["rank_cutoff"], analysis["balance_above"]) == (1e-9, 10.0)
    assert type(analysis["balance_above"]) is float


# ------ Laws

WORDS = st.text("abcdefghij", min_size=1, max_size=6)
VALID = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 2**62),
        "max_dim": st.none() | st.integers(1, 99),
        "rank_cutoff": st.floats(1e-300, 0.99),
        "balance_above": st.integers(2, 10**9) | st.floats(1.5, 1e300),
        "device": st.sampled_from(["auto", "cpu", "cuda"]),
        "precision": st.fixed_dictionaries({}, optional={"layers": st.integers(1, 9)}),
        "phases": st.just({"topological_above": 3, "weak_below": 2}),
    },
)
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def shuffled(value: Any, order: Any) -> Any:
    """The same mapping, its keys and those within in another order."""
    if not isinstance(value, dict):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: shuffled(value[key], order) for key in keys}


@settings(max_examples=8, deadline=None, phases=[Phase.generate])
@given(
    analysis=VALID,
    architecture=st.dictionaries(WORDS, NESTED, max_size=4),
    layers=st.sets(st.integers(0, 50), min_size=1).map(list),
    order=st.randoms(use_true_random=False),
)
def test_composed_is_plain_sorted_and_blind_to_order(
    shared: Path, analysis: Any, architecture: Any, layers: list[int], order: Any
) -> None:
    """What is composed does not depend on the order of keys, and says what the files say."""
    model = {"source": "init", "config": architecture | {"model_type": "gpt2"}, "layers": layers}
    results = []
    for _ in range(2):
        for file, content in (("analysis/default.yaml", analysis), ("model/any.yaml", model)):
            content = shuffled(content, order)
            (shared / file).write_text(yaml.safe_dump(content, sort_keys=False))
        results.append(compose({"models": "any"}, shared))
    first, second = results
    assert json.dumps(asdict(first)) == json.dumps(asdict(second))
    assert_plain_and_sorted([first.models["any"], first.analysis, first.figures])
    expected = plain(Analysis()) | {k: v for k, v in analysis.items() if k != "precision"}
    expected["precision"] = expected["precision"] | analysis.get("precision", {})
    assert first.analysis == expected
    assert first.models["any"]["config"] == model["config"]
    assert first.models["any"]["layers"] == sorted(layers)


def one_line_or_composed(user: dict[str, Any], config: Path) -> None:
    """Anything else than a configuration or a refusal of one line is an error of this test."""
    try:
        assert isinstance(compose(user, config), Configuration)
    except ConfigurationError as error:
        assert str(error) == " ".join(str(error).split())


KEYS = st.sampled_from(
    ["analysis.probes", "analysis.phases", "model.config", "figures", "analysis", "study.title"]
)
LINES = st.text(max_size=12) | st.builds("{}={}".format, KEYS, st.text(max_size=8))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["study", "models"]) | st.text(max_size=4),
        NESTED | st.text(max_size=6),
        max_size=2,
    )
)
def test_any_argument_is_refused_in_one_line(user: dict[str, Any]) -> None:
    """Whatever arrives as an argument."""
    one_line_or_composed(user, SHIPPED)


@settings(max_examples=40, deadline=None)
@given(st.lists(LINES, max_size=2))
def test_any_override_is_refused_in_one_line(lines: list[str]) -> None:
    """Whatever arrives as an override."""
    one_line_or_composed({"study": "smoke", "hydra": lines}, SHIPPED)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["study/smoke.yaml", "model/minilm.yaml", "config.yaml"]),
    st.binary(max_size=12) | NESTED,
)
def test_any_file_is_refused_in_one_line(shared: Path, file: str, content: Any) -> None:
    """Whatever is in a file."""
    written = content if isinstance(content, bytes) else yaml.safe_dump(content).encode()
    before = (shared / file).read_bytes()
    try:
        (shared / file).write_bytes(written)
        one_line_or_composed({"study": "smoke"}, shared)
    finally:
        (shared / file).write_bytes(before)


def test_a_file_too_large_to_be_settings_is_not_parsed(shared: Path) -> None:
    (shared / "model/large.yaml").write_text(HERE + "# " + "x" * 65536)
    size = len(HERE) + 2 + 65536
    message = f"config/model/large.yaml: {size} bytes; a file of settings has at most 65536"
    assert refusal({"models": "large"}, shared) == message
    (shared / "model/large.yaml").unlink()
