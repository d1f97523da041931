"""Runs that several tests measure."""

import pytest
from trained_runs import markov_tokens, trained_run

from headalgebra.experiments.run import Run
from headalgebra.training import TrainingTokens


@pytest.fixture(scope="session")
def tokens() -> TrainingTokens:
    return markov_tokens()


@pytest.fixture(scope="session")
def usual(tokens: TrainingTokens, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained_run(tokens, tmp_path_factory.mktemp("usual"))
