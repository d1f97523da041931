"""Which package may import which, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[1] / "src/headalgebra"

MAY_IMPORT: dict[str, set[str]] = {
    "defaults": set(),
    "columns": set(),
    "csv_files": {"columns"},
    "fingerprints": set(),
    "panics": set(),
    "rounding": set(),
    "seeds": set(),
    "devices": set(),
    "recipe": {"defaults"},
    "provenance": set(),
    "variants": set(),
    "checkpoints": {"defaults", "devices", "panics", "variants"},
    "text": {"defaults", "panics", "seeds"},
    "algebra": {"defaults", "rounding"},
    "states": {"rounding", "variants"},
    "dyson": {"defaults", "rounding"},
    "normality": {"defaults", "rounding", "algebra"},
    "convolution": {"defaults", "rounding"},
    "geometry": {"rounding", "states"},
    "training": {
        "defaults",
        "devices",
        "recipe",
        "text",
        "rounding",
        "seeds",
        "variants",
        "algebra",
    },
    "tables": {"defaults", "columns", "algebra"},
    "measurement": {
        *("defaults", "columns", "rounding", "seeds", "checkpoints", "algebra", "tables"),
        *("text", "states", "dyson", "normality", "convolution", "geometry"),
    },
    "experiments": {
        *("defaults", "columns", "devices", "seeds", "checkpoints", "algebra", "states", "dyson"),
        *("training", "measurement"),
    },
    "claims": {"columns", "seeds"},
    "plots": {"defaults", "algebra", "experiments", "claims"},
    "pages": {"provenance", "claims", "plots"},
    "": {"defaults", "checkpoints", "measurement"},
    "command": {"", "defaults", "csv_files", "checkpoints"},
}
"""Each package or module of the library, in order: none imports what stands below it."""

WORKFLOW = ("hydra", "omegaconf", "pydantic", "snakemake", "yaml")
PLOTS = ("altair", "jinja2", "matplotlib", "PIL", "seaborn", "vl_convert")


def room(module: str) -> str:
    """The package or module that a dotted name lies in; the front door's is empty."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported(source: Path) -> set[str]:
    """Rooms of the library that a file imports, whether or not it waits until they are needed."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {room(a.name) for a in node.names if a.name.split(".")[0] == "headalgebra"}
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "headalgebra":
                names = {alias.name for alias in node.names}
                found |= {name if name in MAY_IMPORT else "" for name in names}
            elif node.module.startswith("headalgebra."):
                found.add(room(node.module))
    return found


def room_of(source: Path) -> str:
    first = source.relative_to(LIBRARY).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def test_every_room_stands_in_the_order() -> None:
    rooms = {room_of(source) for source in LIBRARY.rglob("*.py")}
    assert rooms == set(MAY_IMPORT)
    above: set[str] = set()
    for name, allowed in MAY_IMPORT.items():
        assert allowed <= above, name
        above.add(name)


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_room_imports_what_it_may_and_nothing_else(name: str) -> None:
    sources = [source for source in LIBRARY.rglob("*.py") if room_of(source) == name]
    used = set[str]().union(*(imported(source) for source in sources)) - {name}
    # What it may import and does not, it need not be allowed.
    assert used == MAY_IMPORT[name]


def loaded_by(statements: str) -> set[str]:
    """Top-level modules that a fresh interpreter has after some statements."""
    script = f"{statements}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(LIBRARY.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_front_door_and_the_command_load_nothing_heavy() -> None:
    loaded = loaded_by("import headalgebra, headalgebra.command\nheadalgebra.measure")
    assert not loaded & {"torch", "transformers", "numpy", "pandas", "scipy", *WORKFLOW, *PLOTS}


def test_measuring_needs_nothing_of_the_workflow_or_of_plots() -> None:
    blocked = "\n".join(f"sys.modules[{name!r}] = None" for name in ("snakemake", "hydra", *PLOTS))
    statements = f"import sys\n{blocked}\nimport headalgebra.measurement.layers"
    statements += "\nimport headalgebra.checkpoints, headalgebra.tables"
    assert "torch" in loaded_by(statements)
