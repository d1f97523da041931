"""What captions say of the models, and which models count as the paper's."""

import json
from pathlib import Path
from typing import Any

import pytest
from docutils.core import publish_string

from captions import provenance_lines, read_provenance
from figures import before_training, gpt2_medium, of_source

RECORD: dict[str, Any] = {
    "source": {"name": "one", "source": "package"},
    "family": "bert",
    "layers": [0, 1],
    "n_heads": 12,
    "d_model": 384,
    "revision": "v1",
    "files": {"config.json": "c" * 64, "model.safetensors": "0123456789abcdef" * 4},
    "dtype": "float32",
    "seed": None,
    "packages": {"torch": "2.0", "numpy": "1.0"},
}
DRAWN = {"source": {"name": "two_"}, "files": {}, "seed": 3, "layers": [0], "n_heads": 4}


def write(folder: Path, name: str, record: dict[str, Any]) -> str:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record))
    return str(path)


def test_a_caption_counts_its_layers_and_names_every_models_origin(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a", RECORD), write(tmp_path, "b", RECORD | DRAWN)]
    lines = provenance_lines(read_provenance(paths))
    assert lines == [
        "n = 3 layers of 2 models:",
        "",
        "- one: bert, 2 layers of 12 heads, d = 384; revision v1; SHA-256 0123456789ab; float32.",
        r"- two\_: bert, 1 layer of 4 heads, d = 384; revision v1; float32; "
        "initialised from seed 3.",
        "",
        "Weights read with torch 2.0, numpy 1.0.",
    ]


def test_versions_that_differ_and_many_files_are_said() -> None:
    files = {f"model-{k}.safetensors": f"{k}" * 64 for k in range(5)}
    other = RECORD | {"packages": {"torch": "3.0"}, "files": files}
    lines = provenance_lines({"one": RECORD, "other": other})
    assert lines[-1] == "Weights read with torch 2.0, numpy 1.0; or torch 3.0."
    assert f"SHA-256 {'0' * 12}, {'1' * 12}, {'2' * 12} and 2 more" in lines[3]


@pytest.mark.parametrize("name", ["a_", "_b", "*c*", "`d`", "|e|", "f\\g", "x_y_"])
def test_names_are_no_markup(name: str) -> None:
    record = RECORD | {"revision": name}
    text = "\n".join(provenance_lines({name: record}))
    strict = {"halt_level": 2, "report_level": 5}
    html = publish_string(text, writer="html", settings_overrides=strict).decode()
    assert html.count(name) == 2


def model(**keys: Any) -> dict[str, Any]:
    plain = {"source": "hub", "id": None, "config": None, "circuit": "qk"}
    return plain | {"scale": False, "fold_norm": False} | keys


SHAPE = {"model_type": "gpt2", "n_layer": 24, "n_head": 16, "n_embd": 1024}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (model(id="openai-community/gpt2-medium"), "measured"),
        (model(id="gpt2-medium"), "measured"),
        (model(id="gpt2-medium", circuit="ov"), None),
        (model(id="gpt2-medium", scale=True), None),
        (model(id="gpt2-medium", fold_norm=True), None),
        (model(id="someone/gpt2-medium"), None),
        (model(id="gpt2"), None),
        (model(source="path", id=None), None),
        (model(source="init", id="gpt2-medium"), "initial"),
        (model(source="init", config=SHAPE | {"initializer_range": 0.02}), "initial"),
        (model(source="init", config=SHAPE | {"n_layer": 12}), None),
        (model(source="init", config=SHAPE | {"model_type": "bert"}), None),
    ],
)
def test_the_published_checkpoint_alone_is_gpt2_medium(
    settings: dict[str, Any], kind: str | None
) -> None:
    expected: dict[str, list[str]] = {"measured": [], "initial": []}
    if kind is not None:
        expected[kind] = ["it"]
    assert gpt2_medium({"it": settings, "other": model(id="bert-base-uncased")}) == expected


def test_models_are_listed_by_their_source() -> None:
    models = [{"name": "a", "source": "hub"}, {"name": "b", "source": "init"}]
    assert of_source(models, "init") == ["b"]


def test_a_trained_model_stands_beside_the_first_of_its_shape_that_was_never_trained() -> None:
    shape = {"family": "bert", "n_layers": 6, "n_heads": 12, "d_model": 384}
    drawn = {"drawn": shape, "drawn-again": shape}
    records = {"one": shape, **drawn, "two": shape, "three": shape | {"n_layers": 12}}
    assert before_training(records, drawn) == {"one": "drawn", "two": "drawn"}
    for key in shape:
        other = records | {"one": shape | {key: 1}}
        assert before_training(other, drawn) == {"two": "drawn"}
    assert before_training(records, ["of-another-study"]) == {}
