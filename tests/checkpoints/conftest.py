"""Tiny random transformers, saved as their own library saves them."""

from collections.abc import Callable
from functools import partial

import pytest
from tiny_models import BLUEPRINTS, TinyModel, build


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TinyModel]:
    """Build, randomise and save a model of a family, bare or with its language-model head."""
    return partial(build, new_folder=tmp_path_factory.mktemp)


@pytest.fixture(params=BLUEPRINTS)
def family(request: pytest.FixtureRequest) -> str:
    """Each known family in turn."""
    return request.param
