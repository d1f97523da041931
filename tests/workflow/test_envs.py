"""The pins agree with one another and cover what the project imports."""

import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"[a-z0-9][a-z0-9.-]*==[\w.!]+")


def pinned(name: str) -> list[str]:
    lines = (ROOT / "envs" / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_requirement_is_an_exact_pin() -> None:
    for extra in ("", "-slurm", "-dev", "-mutation"):
        name = f"requirements{extra}.txt"
        assert pinned(name)
        assert all(PIN.fullmatch(line) for line in pinned(name))


def test_every_declared_dependency_is_pinned_to_a_version_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    pinned_in = {
        "requirements.txt": {"workflow", "plots", "train"},
        "requirements-slurm.txt": {"slurm"},
        "requirements-dev.txt": {"dev"},
        "requirements-mutation.txt": {"mutation"},
    }
    assert set().union(*pinned_in.values()) == set(optional)
    pins: dict[str, str] = {}
    for file, extras in pinned_in.items():
        pins |= dict(line.split("==") for line in pinned(file))
        declared = [line for extra in extras for line in optional[extra]]
        if file == "requirements.txt":
            declared += project["dependencies"]
        for requirement in map(Requirement, declared):
            name = canonicalize_name(requirement.name)
            assert name in pins and requirement.specifier.contains(pins[name]), requirement


def test_the_conda_environment_is_made_from_the_requirements() -> None:
    text = (ROOT / "envs/environment.yaml").read_text()
    pip = next(item for item in yaml.safe_load(text)["dependencies"] if isinstance(item, dict))
    assert pip["pip"] == pinned("requirements.txt")
    generate = runpy.run_path(str(ROOT / "envs/pin.py"))["conda_environment"]
    assert generate((ROOT / "envs/requirements.txt").read_text()) == text


def test_the_makefile_installs_the_torch_that_is_pinned() -> None:
    (torch_pin,) = (line for line in pinned("requirements.txt") if line.startswith("torch=="))
    assert f"pip install --quiet {torch_pin}\n" in (ROOT / "Makefile").read_text()


def test_the_profile_says_how_its_plugin_is_installed() -> None:
    profile = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())
    (check,) = (code for code in profile["__definitions__"] if "find_spec(" in code)
    exec(check, {"find_spec": lambda name: name, "sys": sys})
    with pytest.raises(SystemExit, match="make slurm"):
        exec(check, {"find_spec": lambda name: None, "sys": sys})
