"""The source files behind a script, found by reading its imports.

A stage takes them as inputs: editing a library module reruns the stages that use it, and no other.
"""

import ast
from collections.abc import Iterator
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
    for node in _statements(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {path for alias in node.names if (path := _file(alias.name))}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules |= {path for alias in node.names if (path := _origin(node.module, alias.name))}
    return frozenset(modules)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement inside, however deep; expressions, most of a tree, import nothing."""
    for block in ("body", "orelse", "handlers", "finalbody", "cases"):
        for inner in getattr(node, block, ()):
            yield inner
            yield from _statements(inner)


@cache
def _origin(module: str, name: str) -> Path | None:
    """The file that a name imported from a module is defined in; None outside the project."""
    submodule, file = _file(f"{module}.{name}"), _file(module)
    if submodule or file is None or file.name != "__init__.py":
        return submodule or file
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _origin(node.module, alias.name)
    return file


@cache
def _file(dotted: str) -> Path | None:
    relative = Path(*dotted.split("."))
    for folder in (LIBRARY, SCRIPTS):
        for candidate in (relative.with_suffix(".py"), relative / "__init__.py"):
            if (folder / candidate).is_file():
                return folder / candidate
    return None
