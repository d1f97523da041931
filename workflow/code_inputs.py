"""The source files behind a script, found by reading its imports.

A stage takes them as inputs: editing a library module reruns the stages that use it, and no other.
"""

import re
from functools import cache
from pathlib import Path

from paths import ROOT

SCRIPTS = ROOT / "scripts"
LIBRARY = ROOT / "src"


def modules_behind(script: str, *looked_up: str) -> list[str]:
    """Paths of every project module a script uses, itself left out.

    They are relative where Snakemake works in the repository, and whole where it works elsewhere.

    A name that a package re-exports counts as the module it comes from: what else the package
    holds is not used by taking that name. `looked_up` are such names, dotted, that the script is
    given and does not import.
    """
    found: set[Path] = set()
    pending = [SCRIPTS / f"{script}.py"]
    for dotted in looked_up:
        package, _, name = dotted.rpartition(".")
        if (origin := _origin(package, name)) is None or origin == _file(package):
            raise ValueError(f"{package} does not re-export {name}")
        found.add(origin)
        pending.append(origin)
    while pending:
        for module in _imported(pending.pop()) - found:
            found.add(module)
            pending.append(module)
    return sorted(map(seen_from_here, found))


def script_file(script: str) -> str:
    """The path of a script that another one runs."""
    return seen_from_here(SCRIPTS / f"{script}.py")


def files_behind(pattern: str) -> list[str]:
    """Paths of the repository's files that match, such as templates."""
    return sorted(map(seen_from_here, ROOT.glob(pattern)))


def seen_from_here(file: Path) -> str:
    """Its path, relative where Snakemake works in the repository."""
    return str(file.relative_to(ROOT) if Path.cwd() == ROOT else file)


@cache
def _imported(source: Path) -> frozenset[Path]:
    modules: set[Path] = set()
    for module, names in _imports(source):
        for name in names:
            if path := _origin(module, name) if module else _file(name):
                modules.add(path)
    return frozenset(modules)


UNREAD = re.compile(r'"{3}.*?"{3}|#[^\n]*', re.DOTALL)
"""Docstrings, which may hold examples, and comments."""
IMPORT = re.compile(
    r"^[ \t]*(?:from[ ]+(?P<module>[\w.]+)[ ]+)?import[ ]+(?P<names>\([^)]*\)|[^\n(]+?)[ ]*$",
    re.MULTILINE,
)
"""A statement that imports. `ast` finds the same and takes six times as long, a second a run."""
ALIASED = re.compile(r"(?P<name>[\w.]+)(?:\s+as\s+(?P<alias>\w+))?")


@cache
def _imports(source: Path) -> list[tuple[str, dict[str, str]]]:
    """The module that each import of a file names, if any, and its names with what they become."""
    found = []
    for statement in IMPORT.finditer(UNREAD.sub("", source.read_text(encoding="utf-8"))):
        names = ALIASED.finditer(statement["names"])
        taken = {name["name"]: name["alias"] or name["name"] for name in names}
        found.append((statement["module"] or "", taken))
    return found


@cache
def _origin(module: str, name: str) -> Path | None:
    """The file that a name imported from a module is defined in; None outside the project."""
    submodule, file = _file(f"{module}.{name}"), _file(module)
    if submodule or file is None or file.name != "__init__.py":
        return submodule or file
    for origin, taken in _imports(file):
        for exported, alias in taken.items():
            if origin and alias == name:
                return _origin(origin, exported)
    return file


@cache
def _file(dotted: str) -> Path | None:
    relative = Path(*dotted.split("."))
    for folder in (LIBRARY, SCRIPTS):
        for candidate in (relative.with_suffix(".py"), relative / "__init__.py"):
            if (folder / candidate).is_file():
                return folder / candidate
    return None
