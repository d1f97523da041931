"""How a decoder is trained, as the keys of its file say."""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import PreTrainedModel

from headalgebra.recipe import Recipe
from headalgebra.text import Split, split_docstrings, split_folder, split_source
from headalgebra.training import SIZES, Size
from headalgebra.training.models import Start, build_model
from headalgebra.training.penalties import Commutator, Obstruction, Penalty, Placebo, Target
from headalgebra.variants import Variant

Settings = Mapping[str, Any]


def split_of(corpus: Settings) -> Split:
    """The texts that decoders are trained on and judged by."""
    match corpus["corpus"]:
        case "folder":
            return split_folder(corpus["path"])
        case "docstrings":
            return split_docstrings(corpus["packages"])
    return split_source(corpus["packages"])


def recipe_of(training: Settings) -> Recipe:
    """How long and how fast."""
    keys = (
        *("steps", "batch", "learning_rate", "optimiser", "gains"),
        *("checkpoints", "validate_every"),
    )
    return Recipe(**{key: training[key] for key in keys})


def size_of(training: Settings) -> Size:
    """The shape of the decoder."""
    usual = SIZES[training["size"]]
    return Size(
        training["layers"] or usual.layers,
        training["heads"] or usual.heads,
        training["width"] or usual.width,
    )


def variant_of(training: Settings) -> Variant:
    """What it computes in another way."""
    return Variant(
        attention=training["attention"],
        width=training["window"],
        heads=training["head_windows"],
        overlap=training["overlap"],
        normaliser=training["normaliser"],
        mixing=training["mixing"],
    )


def builder_of(training: Settings, seed: int) -> Callable[[], PreTrainedModel]:
    """What makes the decoder at its start."""
    size, vocabulary, positions = size_of(training), training["vocabulary"], training["tokens"]
    configuration = (
        size.gpt2(vocabulary, positions)
        if training["form"] == "gpt2"
        else size.llama(
            vocabulary,
            positions,
            head_width=training["head_width"],
            feed_forward=training["feed_forward"],
        )
    )
    start = Start(orientation=training["initial"], qk_scale=training["qk_scale"])
    return lambda: build_model(configuration, variant_of(training), start, seed=seed)


def penalty_of(training: Settings, seed: int) -> Penalty | Placebo | None:
    """What is added to its loss."""
    weight = training["penalty_weight"]
    penalty: Penalty
    match training["penalty"]:
        case "none":
            return None
        case "obstruction":
            penalty = Obstruction(weight=weight, seed=seed)
        case "commutator":
            penalty = Commutator(weight=weight)
        case _:
            targets, layers = training["targets"], size_of(training).layers
            each = targets if isinstance(targets, list) else [targets] * layers
            penalty = Target(weight=weight, targets=each)
    return Placebo(penalty=penalty, seed=seed) if training["placebo"] else penalty
