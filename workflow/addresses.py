"""Which folder each result of a run lies in, so that two runs do not overwrite one another.

What is computed as the files of config/ have it lies under the plain name of its model or study.
What overrides, or another analysis or text, make different lies beside it, in ``<name>@<digest>``:
the digest is of those settings alone that differ and that the result depends on.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Leaves = Mapping[str, Any]
"""Settings that are no mappings themselves, by their keys with dots."""

DRAWN = ("init", "train")
"""Sources whose weights depend on the seed."""


def leaves(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Every setting by its dotted key; an empty mapping is a setting."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= leaves(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def differing(settings: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The leaves that the other settings have otherwise or not; None for those they alone have."""
    here, there = leaves(settings), leaves(other)
    missing = object()
    changed = {key: value for key, value in here.items() if there.get(key, missing) != value}
    return changed | {key: None for key in there.keys() - here.keys()}


def digest(content: Mapping[str, Any]) -> str:
    """Ten digits that tell a content from others, in whatever order of its keys."""
    written = json.dumps(content, sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:10]


def addressed(name: str, differences: Mapping[str, Any]) -> str:
    """The folder of a result by its name and what differs; the name, where nothing does."""
    return f"{name}@{digest(differences)}" if differences else name


def plain(folder: str) -> str:
    """The name without the digest, of a folder or of a span of layers inside it."""
    name, _, rest = folder.partition("@")
    _, slash, inside = rest.partition("/")
    return f"{name}{slash}{inside}"


@dataclass(frozen=True)
class Differences:
    """What a run has otherwise than the files of config/ have it.

    Attributes
    ----------
    analysis
        Of the analysis that config.yaml names.
    text
        Of the text that config.yaml names.
    models
        Of each model's own file, in what decides its weights.
    tokenizers
        Of the tokenizer that each model's file names.
    """

    analysis: Leaves = field(default_factory=dict)
    text: Leaves = field(default_factory=dict)
    models: Mapping[str, Leaves] = field(default_factory=dict)
    tokenizers: Mapping[str, Leaves] = field(default_factory=dict)

    def of_analysis(self, keys: Iterable[str]) -> dict[str, Any]:
        """Those of the analysis at these keys or below them."""
        asked = tuple(keys)
        return {
            leaf: value
            for leaf, value in self.analysis.items()
            if any(f"{leaf}.".startswith(f"{key}.") for key in asked)
        }

    def of_weights(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Those that the weights of a model depend on."""
        seed = self.of_analysis(["seed"]) if model["source"] in DRAWN else {}
        return _parts(model=self.models.get(model["name"], {}), analysis=seed)

    def of_training(self, model: Mapping[str, Any]) -> dict[str, Any]:
        """Those that a training depends on which a model's file describes."""
        differing = self.models.get(model["name"], {})
        training = {leaf: it for leaf, it in differing.items() if leaf.startswith("train.")}
        return _parts(model=training, analysis=self.of_analysis(["seed"]))

    def of_stage(self, model: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        """Those that a stage of a model depends on, which takes these keys of the analysis."""
        of_weights = self.of_weights(model)
        analysis = self.of_analysis(keys) | of_weights.get("analysis", {})
        return of_weights | _parts(analysis=analysis)

    def of_reading(self, model: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
        """The same of a stage that lets the model read the text."""
        tokenizer = self.tokenizers.get(model["name"], {})
        return self.of_stage(model, keys) | _parts(text=self.text, tokenizer=tokenizer)


def _parts(**parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(part) for name, part in parts.items() if part}
