"""Tiny random transformers, saved as their own library saves them."""

from collections.abc import Callable
from functools import partial

import pytest
from tiny_models import BLUEPRINTS, TinyModel, build


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TinyModel]:
    """Build, randomise and save a model of a family, bare or with its language-model head."""
    return partial(build, new_folder=tmp_path_factory.mktemp)


@pytest.fixture(scope="session")
def shared_model(tiny_model: Callable[..., TinyModel]) -> Callable[..., TinyModel]:
    """The same, each built once: for tests that leave model and folder as they are."""
    built: dict[str, TinyModel] = {}

    def find(family: str, **settings: object) -> TinyModel:
        key = f"{family} {settings}"
        if key not in built:
            built[key] = tiny_model(family, **settings)
        return built[key]

    return find


@pytest.fixture(params=BLUEPRINTS)
def family(request: pytest.FixtureRequest) -> str:
    """Each known family in turn."""
    return request.param
