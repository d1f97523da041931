"""Model files broken in any way are refused in one line that names them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from resident_memory import LINUX

from configuration import ConfigurationError, compose
from fuzz.mutations import broken_bytes, broken_json
from fuzz.watched import assert_harmless, fuzzed, new_folder
from runs import ROOT

pytestmark = LINUX

MODEL = {
    "source": "path",
    "path": "somewhere",
    "layers": "0-5",
    "dtype": "float32",
    "sha256": {"model.safetensors": "0123456789abcdef" * 4},
    "resources": {"mem_mb": 100},
}


@pytest.fixture(scope="module")
def config() -> Iterator[Path]:
    """A copy of the shipped configuration."""
    folder = new_folder("config")
    shutil.copytree(ROOT / "config", folder / "config")
    yield folder / "config"
    shutil.rmtree(folder)


@fuzzed
@given(data=st.data())
def test_model(data: st.DataObject, config: Path) -> None:
    path = config / "model/broken.yaml"
    content = yaml.safe_dump(MODEL).encode()
    broken = data.draw(broken_json(MODEL) | broken_bytes(content))
    path.write_bytes(broken)
    user = {"models": "broken"}
    said = assert_harmless(
        lambda: compose(user, config), (ConfigurationError,), config, len(broken)
    )
    assert not said or said.startswith(("config/model/broken.yaml", "--config")), said
