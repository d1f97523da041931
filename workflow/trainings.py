"""Which decoders a study trains, and what they are trained on."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from addresses import digest
from configuration import Configuration
from schema import Training, plain

USUAL = plain(Training())

OF_TOKENS = (
    *("corpus", "packages", "path", "vocabulary", "tokens"),
    *("validation_sequences", "test_sequences"),
)
"""Keys of a training that decide its tokens, beside the number of its sequences."""

Settings = Mapping[str, Any]


def runs_of(
    study: Configuration, folder_of: Callable[[str, Settings], str]
) -> dict[str, tuple[Settings, int | None]]:
    """Every training of a study by its folder: its settings, and its seed.

    That of a model's file has the seed of the analysis, None here. Those of experiments are named
    by what they are, so that experiments share them.

    Parameters
    ----------
    study
        The study.
    folder_of
        The folder of a training that a model's file describes, by the file's name and the model.
    """
    file_of = {name: file for file, names in study.series.items() for name in names}
    runs: dict[str, tuple[Settings, int | None]] = {
        folder_of(file_of.get(name, name), model): (model["train"], None)
        for name, model in study.models.items()
        if model["train"] is not None
    }
    for experiment in study.experiments.values():
        for _, seed, training in arms_of(experiment):
            runs[run_name(training, seed)] = training, seed
    return runs


def arms_of(experiment: Mapping[str, Any]) -> Iterator[tuple[str, int, Settings]]:
    """The arm, the seed and the settings of each run of an experiment."""
    for arm, training in experiment["arms"].items():
        for seed in range(experiment["seeds"]):
            yield arm, seed, training


def run_name(training: Settings, seed: int) -> str:
    """Size, digest of the keys that are not at their defaults, and seed."""
    return f"{training['size']}-{digest(unusual(training))}-s{seed}"


def unusual(training: Settings) -> dict[str, Any]:
    """The keys that are not at their defaults: a new key renames no run."""
    return {key: value for key, value in training.items() if value != USUAL[key]}


def tokens_of(training: Settings) -> dict[str, Any]:
    """What decides the tokens that a decoder is trained on and judged by."""
    read = training["steps"] * training["batch"]
    return {key: training[key] for key in OF_TOKENS} | {"sequences": training["sequences"] or read}


def corpora_of(runs: Mapping[str, tuple[Settings, int | None]]) -> dict[str, dict[str, Any]]:
    """The tokens of all trainings, by name."""
    return {corpus_name(training): tokens_of(training) for training, _ in runs.values()}


def corpus_name(training: Settings) -> str:
    """Kind of the texts, and digest of what decides their tokens."""
    return f"{training['corpus']}-{digest(tokens_of(training))}"


def text_name(source: Mapping[str, Any]) -> str:
    """The file of a text that models read: kind, and digest of what it is taken from."""
    return f"{source['corpus']}-{digest(source)}"


def texts_of(path: str | None) -> list[str]:
    """Files of a folder that is trained on; none where packages are."""
    folder = Path(path).expanduser() if path else None
    return sorted(map(str, folder.rglob("*"))) if folder else []
