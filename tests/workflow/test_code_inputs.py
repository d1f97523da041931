"""A stage's inputs name the library modules behind its script."""

import ast
from pathlib import Path

import pytest

import code_inputs
from code_inputs import SCRIPTS, modules_behind

ROOT = Path(__file__).resolve().parents[2]


def library(script: str) -> set[str]:
    prefix = "src/headalgebra/"
    return {m.removeprefix(prefix) for m in modules_behind(script) if m.startswith(prefix)}


def test_epsilon_depends_on_commutators_and_their_roots_alone() -> None:
    assert library("measure_epsilon") == {
        "checkpoints/_errors.py",
        "checkpoints/_factors.py",
        "columns.py",
        "csv_files.py",
        "algebra/commutators.py",
        "algebra/gram.py",
        "algebra/nulls/_haar.py",
        "algebra/operators.py",
        "defaults.py",
        "fingerprints.py",
        "measurement/_rows.py",
        "measurement/depth.py",
        "measurement/epsilon.py",
    }


@pytest.mark.parametrize(
    ("script", "used", "unused"),
    [
        ("extract_linf_dense", "algebra/linf/dense.py", "algebra/linf/sampled.py"),
        ("extract_linf_sampled", "algebra/linf/sampled.py", "algebra/linf/dense.py"),
        ("verify_coherence", "algebra/coherence/two_term.py", "algebra/commutators.py"),
        ("extract_weights", "checkpoints/_families/gpt2.py", "algebra/operators.py"),
        ("gather_tables", "algebra/phases.py", "algebra/operators.py"),
        ("measure_nulls", "algebra/nulls/_draws.py", "algebra/tower/generated.py"),
        ("measure_tower", "algebra/gauge.py", "algebra/nulls/_draws.py"),
        (
            "measure_associator",
            "algebra/hochschild/deformation.py",
            "algebra/hochschild/cochains.py",
        ),
    ],
)
def test_a_script_names_what_it_uses_and_no_sibling(script: str, used: str, unused: str) -> None:
    assert used in library(script)
    assert unused not in library(script)


CONSTRUCTED = {"measure_conditioning", "measure_feasibility"}
RUN = "measure_run"
TRAINED = {"gather_training_tokens", "train_decoder"}
FACTORED = {
    *("decompose_basis", "measure_epsilon", "extract_linf_dense", "extract_linf_sampled"),
    *("measure_precision", "measure_associator", "verify_coherence", "measure_nulls"),
    *("measure_tower", "measure_normality", "measure_states"),
}


@pytest.mark.parametrize(
    ("module", "scripts"),
    [
        ("algebra/commutators.py", {"measure_epsilon", "measure_nulls", "measure_tower", RUN}),
        ("algebra/linf/dense.py", {"extract_linf_dense", *CONSTRUCTED}),
        ("algebra/linf/sampled.py", {"extract_linf_sampled", *CONSTRUCTED}),
        ("algebra/coherence/two_term.py", {"verify_coherence", "measure_nulls", RUN}),
        ("algebra/nulls/_draws.py", {"measure_nulls", RUN}),
        ("algebra/tower/lie.py", {"measure_tower", RUN}),
        ("algebra/gram.py", FACTORED | CONSTRUCTED | {RUN}),
        (
            "checkpoints/_families/bert.py",
            {"extract_weights", "outline_checkpoints", "fetch_model", "measure_states", RUN},
        ),
        ("text/_prose.py", {"gather_text", "measure_states", *TRAINED, RUN}),
    ],
)
def test_a_module_is_behind_the_scripts_that_use_it_and_no_other(
    module: str, scripts: set[str]
) -> None:
    every = {path.stem for path in SCRIPTS.glob("*.py") if "with job(" in path.read_text()}
    assert {script for script in every if module in library(script)} == scripts


def test_a_figure_depends_on_its_own_module_and_no_other_figures() -> None:
    behind = modules_behind("draw_figures", "headalgebra.plots.linf.tower_by_depth")
    plots = {Path(path).name for path in behind if "/plots/" in path}
    assert plots == {
        "_tower.py",
        "_axes.py",
        "_panels.py",
        "_tables.py",
        "_style.py",
        "_write.py",
        "_nothing.py",
    }
    with pytest.raises(
        ValueError, match=r"^headalgebra.plots.linf does not re-export no_such_plot$"
    ):
        modules_behind("draw_figures", "headalgebra.plots.linf.no_such_plot")


def test_every_script_reads_and_every_input_exists() -> None:
    scripts = [path.stem for path in SCRIPTS.glob("*.py")]
    assert len(scripts) > 10
    for script in scripts:
        assert all((ROOT / module).is_file() for module in modules_behind(script))


EVERYWHERE = """
import a
if b:
    import c
elif d:
    import e
else:
    with f:
        import g
try:
    import h
except i:
    import j
else:
    import k
finally:
    import l
for m in n:
    import o
while p:
    import q
match r:
    case s:
        import t
class u:
    async def v(w):
        import x
"""


def parsed(source: str) -> list[tuple[str, dict[str, str]]]:
    """The imports of a file, as Python itself reads them."""
    return [
        (
            (node.module or "") if isinstance(node, ast.ImportFrom) else "",
            {alias.name: alias.asname or alias.name for alias in node.names},
        )
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]


def as_found(path: Path, source: str) -> list[tuple[str, dict[str, str]]]:
    path.write_text(source, encoding="utf-8")
    return code_inputs._imports(path)


def ordered(found: list[tuple[str, dict[str, str]]]) -> list[str]:
    return sorted(map(str, found))


def test_imports_are_found_wherever_a_statement_may_stand(tmp_path: Path) -> None:
    found = as_found(tmp_path / "everywhere.py", EVERYWHERE)
    assert "".join(name for _, names in found for name in names) == "aceghjkloqtx"
    assert ordered(found) == ordered(parsed(EVERYWHERE))


@pytest.mark.parametrize(
    "source",
    [
        "from a.b import c as d, e",
        "from a import (\n    b,  # of (some) use\n    c as d,\n)  # noqa: F401",
        "import a.b as c  # (why)",
        "x = 'import a'\ny = 1  # from a import b",
        '"""Used so::\n\n    import a\n"""\nimport b',
    ],
)
def test_imports_are_those_that_python_reads(tmp_path: Path, source: str) -> None:
    assert ordered(as_found(tmp_path / "one.py", source)) == ordered(parsed(source))


def test_in_all_of_the_project_imports_are_those_that_python_reads() -> None:
    files = [path for folder in (code_inputs.LIBRARY, SCRIPTS) for path in folder.rglob("*.py")]
    assert len(files) > 100
    for path in files:
        expected = parsed(path.read_text(encoding="utf-8"))
        assert ordered(code_inputs._imports(path)) == ordered(expected), path
