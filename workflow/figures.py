"""What a figure is made of, and which models it shows as what."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from headalgebra.claims.linf.gpt2_medium import IDS, SHAPE

KINDS = ("svg", "png")
"""Of files, of each figure."""

SHAPES = ("family", "n_layers", "n_heads", "d_model")
"""What a model's record has in common with its architecture's before training."""


Tables = str | Mapping[str, str]
"""The file of a table, or those of tables by the models that they are of."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of the study, or of each of its models, series or experiments.

    Attributes
    ----------
    title, category
        What the report lists it as, and under what.
    plot
        The function of `headalgebra.plots` that draws it.
    tables
        Where the tables lie that the function takes, by its parameters' names: one file, or files
        by their models; a function of the subject where that decides, which may give none.
    settings
        The function's other parameters; a function of the subject and of the models' records where
        they decide.
    counts
        Numbers of the analysis that the caption gives.
    per
        What there is one of for each figure.
    experiments
        Those that there is one of; None for all, where there is one for each.
    """

    title: str
    category: str
    plot: str
    tables: Mapping[str, Tables | Callable[[Any], Tables]]
    settings: Mapping[str, Any] | Callable[[Any, Mapping[str, Any]], Mapping[str, Any]]
    counts: Mapping[str, Any] = field(default_factory=dict)
    per: Literal["study", "model", "series", "experiment"] = "study"
    experiments: Sequence[str] | None = None

    def settings_of(self, subject: str | None, records: Mapping[str, Any]) -> dict[str, Any]:
        """The function's other parameters, of one figure."""
        settings = self.settings
        return dict(settings(subject, records) if callable(settings) else settings)


def forget_if_incomplete(listing: str, folder: str) -> None:
    """Delete the list of figures where one of them is gone, so that they are drawn again."""
    try:
        listed = json.loads(Path(listing).read_text(encoding="utf-8"))["drawn"]
    except (OSError, ValueError, KeyError):
        listed = []
    files = [Path(folder) / f"{name}.{kind}" for name in listed for kind in KINDS]
    if not all(file.is_file() for file in files):
        Path(listing).unlink(missing_ok=True)


def gpt2_medium(models: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """The models that are GPT-2 Medium, and those that are its architecture before training.

    Only the operators of the paper's definition count, and only the published checkpoint.
    """
    found: dict[str, list[str]] = {"measured": [], "initial": []}
    for name, model in models.items():
        if model["circuit"] != "qk" or model["scale"] or model["fold_norm"]:
            continue
        if model["id"] in IDS and model["source"] in ("hub", "init"):
            found["measured" if model["source"] == "hub" else "initial"].append(name)
        elif model["source"] == "init" and _has_its_shape(model["config"] or {}):
            found["initial"].append(name)
    return found


def _has_its_shape(config: Mapping[str, Any]) -> bool:
    names = {"n_layer": "n_layers", "n_head": "n_heads", "n_embd": "d_model"}
    shape = {key: SHAPE[column] for key, column in names.items()}
    return ({"model_type": "gpt2"} | shape).items() <= config.items()


def before_training(
    records: Mapping[str, Mapping[str, Any]], initialised: Iterable[str]
) -> dict[str, str]:
    """For each trained model the first that has its architecture's shape and was never trained."""

    def shape(record: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(record[key] for key in SHAPES)

    drawn = [name for name in initialised if name in records]
    initial: dict[tuple[Any, ...], str] = {}
    for name in drawn:
        initial.setdefault(shape(records[name]), name)
    return {
        name: initial[shape(record)]
        for name, record in records.items()
        if name not in drawn and shape(record) in initial
    }


def of_source(models: Iterable[Mapping[str, Any]], source: str) -> list[str]:
    """Names of the models whose weights come from there."""
    return [model["name"] for model in models if model["source"] == source]
