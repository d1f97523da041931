"""Write the exact pins of the active environment: requirements, and the same for conda.

Run in an environment where the project works, after a change to the dependencies in pyproject.toml:

    python envs/pin.py
"""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ENVS = Path(__file__).resolve().parent
HEADER = "# Written by envs/pin.py; edit the dependencies in pyproject.toml instead.\n"
ON_EVERY_MACHINE = ("workflow", "plots", "train")
"""Extras that a study takes wherever it runs."""

TORCH_BUILD_TAG = re.compile(r"\+.*")


def closure(roots: Iterable[str]) -> set[str]:
    """Canonical names of some distributions and of everything installed that they need."""
    found: set[str] = set()
    pending = [Requirement(root) for root in roots]
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        new = name not in found
        found.add(name)
        if not new and not requirement.extras:
            continue
        for line in requires(name) or []:
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                pending.append(needed)
    return found


def pins(names: Iterable[str]) -> str:
    """One exact pin a line; torch without the tag of its build."""
    return "".join(f"{name}=={TORCH_BUILD_TAG.sub('', version(name))}\n" for name in sorted(names))


def conda_environment(requirements: str) -> str:
    """The same pins as a conda environment, through its pip section."""
    lines = [line for line in requirements.splitlines() if line and not line.startswith("#")]
    return (
        HEADER
        + "name: headalgebra\nchannels:\n  - conda-forge\n  - nodefaults\ndependencies:\n"
        + "  - python=3.11\n  - pip\n  - pip:\n"
        + "".join(f"      - {line}\n" for line in lines)
    )


def main() -> None:
    """Pin what pyproject.toml names, with all it needs."""
    project = tomllib.loads((ENVS.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    local = [line for extra in ON_EVERY_MACHINE for line in extras[extra]]
    runtime = closure([*project["dependencies"], *local])
    slurm = closure(extras["slurm"]) - runtime
    development = closure([*extras["test"], *extras["dev"]]) - runtime - slurm
    mutation = closure(extras["mutation"]) - runtime - slurm - development
    requirements = HEADER + pins(runtime)
    (ENVS / "requirements.txt").write_text(requirements)
    (ENVS / "requirements-slurm.txt").write_text(HEADER + pins(slurm))
    (ENVS / "requirements-dev.txt").write_text(HEADER + pins(development))
    (ENVS / "requirements-mutation.txt").write_text(HEADER + pins(mutation))
    (ENVS / "environment.yaml").write_text(conda_environment(requirements))


if __name__ == "__main__":
    main()
