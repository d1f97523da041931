"""A checkpoint's config.json, read so that nothing in it can be misunderstood in silence."""

import copy
import json
import re
import reprlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from headalgebra.checkpoints._assembly import refuse_meaningless, sides
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints._families import (
    FAMILIES,
    FLAT,
    OTHER_PARTS,
    OVERRIDDEN,
    TEXT_PARTS,
    Attention,
    Family,
    refuse_endless,
)
from headalgebra.checkpoints._undeclared import reaches_no_code
from headalgebra.checkpoints._varied import refused, varied
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import AS_IT_IS, Reading
from headalgebra.variants import KEY, VariantError

CONFIG = "config.json"
LAYER_COUNT = re.compile(r"layers?$")
"""What the names of attributes end in that count layers."""
UNKNOWN = object()


@dataclass(frozen=True)
class Architecture:
    """The attention that a configuration describes.

    Attributes
    ----------
    model_type
        Its family.
    attention
        Where its weights are and what becomes of them.
    unread
        Keys of the configuration that were let pass, though nothing is known of them, and why.
    """

    model_type: str
    attention: Attention
    unread: Mapping[str, str]

    def among(self, names: Collection[str]) -> "Architecture":
        """What of it a checkpoint with these tensors has."""
        return replace(self, attention=self.attention.among(names))

    def sizes(self, convention: Convention) -> dict[str, int]:
        """Sizes of the attention, with the width that factors have under a convention."""
        layer = self.attention.layers[0]
        reading, _ = sides(layer, convention)
        width = layer.soft.width if layer.soft else reading.heads.width
        return vars(self.attention.shape) | {"d_head": width}


def read_architecture(
    files: CheckpointFiles, convention: Convention, reading: Reading
) -> Architecture:
    """What config.json describes.

    Raises
    ------
    CheckpointError
        As :func:`recognise`, or if the convention has no meaning for the architecture.
    """
    where = files.where(CONFIG)
    architecture = recognise(read_json(files.hashed(CONFIG), where), where, reading)
    refuse_meaningless(architecture.attention, convention, architecture.model_type, where)
    return architecture


def read_json(path: Path, where: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises
    ------
    CheckpointError
        If the file holds anything else, or gives a name twice.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        content = dict(pairs)
        if len(content) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CheckpointError(where, f"{twice} is given twice", "keep the one that is meant")
        return content

    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=unique)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(where, f"not JSON: {error}", "fetch the file again") from error
    if not isinstance(content, dict):
        raise CheckpointError(where, "not a JSON object", "fetch the file again")
    return content


def recognise(config: Mapping[str, Any], where: str, reading: Reading = AS_IT_IS) -> Architecture:
    """Find the architecture that a configuration describes.

    Parameters
    ----------
    config
        The content of a config.json.
    where
        Its name in error messages.
    reading
        Which of its keys are passed over, and the family where none of them names it.

    Raises
    ------
    CheckpointError
        If the family is unknown, or another than asked for; the weights are quantised; the sizes
        are impossible; a key is to be ignored that is not there or that the family reads; the model
        is a variant that does not exist; or if an
        attribute that the family neither handles nor ignores departs from its default, and is not
        shown to reach no code.
    """
    # Imported here because it takes seconds, and only those who open a checkpoint need it.
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if config.get("quantization_config") is not None:
        raise CheckpointError(
            where,
            "quantization_config: the weights are quantised",
            "use the checkpoint they were quantised from",
        )
    model_type = config.get("model_type")
    if reading.model_type is not None:
        if model_type not in (None, reading.model_type):
            raise CheckpointError(
                where,
                f"model_type {reprlib.repr(model_type)} is not {reading.model_type}, as asked",
                "leave model_type out of what is asked",
            )
        model_type = reading.model_type
        config = {**config, "model_type": model_type}
        reading = replace(reading, model_type=None)
    if isinstance(model_type, str) and model_type in TEXT_PARTS:
        if config.get(KEY) is not None:
            raise refused(VariantError(f"no variant is defined for {model_type}"), where)
        text = config.get("text_config")
        if text is None and model_type in FLAT:
            text = {key: value for key, value in config.items() if key != "model_type"}
        if model_type in OVERRIDDEN and isinstance(config.get("text_config_dict"), dict):
            text = _overridden(text, config["text_config_dict"], TEXT_PARTS[model_type], where)
        if not isinstance(text, dict):
            raise CheckpointError(
                where, f"{model_type} has no text_config", "fetch the whole config.json"
            )
        part = recognise(
            {"model_type": TEXT_PARTS[model_type], **text}, f"{where}, text_config", reading
        )
        return replace(part, attention=replace(part.attention, other_parts=OTHER_PARTS))
    if model_type is None:
        raise CheckpointError(where, "no model_type", "name it, as in model_type: bert")
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise CheckpointError(
            where,
            f"model_type {reprlib.repr(model_type)} is not known",
            f"use a checkpoint of one of these: {', '.join(FAMILIES | TEXT_PARTS)}; or write the "
            "family's module in headalgebra.checkpoints._families",
        )
    family, config_class = FAMILIES[model_type], CONFIG_MAPPING[model_type]
    attributes = _under_own_names(config, config_class.attribute_map, where)
    said = attributes.pop(KEY, None)
    defaults = {**config_class().to_dict(), **family.harmless}
    _refuse_to_ignore(reading.ignore_config, config, attributes, family, where)
    unhandled = {
        name: value
        for name, value in sorted(attributes.items())
        if name not in family.handled | family.ignored | {*reading.ignore_config}
        and value != defaults.get(name, UNKNOWN)
    }
    # Copied because transformers completes nested attributes where they stand.
    handled = copy.deepcopy({name: attributes[name] for name in family.handled & attributes.keys()})
    completed = _completed(config_class, handled, where)
    unread = dict.fromkeys(reading.ignore_config, "ignored as asked")
    for name, value in unhandled.items():
        if name in defaults or not reaches_no_code(name, value, config_class, handled):
            raise _unhandled(name, value, defaults, model_type, where)
        unread[name] = "reaches no code"
    attention = family.attention(completed, where)
    if said is not None:
        attention = varied(attention, said, model_type, where)
    return Architecture(model_type, attention, unread)


def _completed(config_class: Any, attributes: Mapping[str, Any], where: str) -> Any:
    """A configuration of transformers with these attributes."""
    from huggingface_hub.errors import StrictDataclassError

    # Before transformers makes lists of that many entries.
    for name, value in attributes.items():
        if LAYER_COUNT.search(name) and isinstance(value, int):
            refuse_endless(name, value, where)
    try:
        return config_class(**attributes)
    except (StrictDataclassError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(where, str(error), "correct the value") from error
    except IndexError as error:
        raise CheckpointError(
            where, "a list has fewer entries than there are layers", "correct the list"
        ) from error


def _overridden(
    text: object, override: Mapping[str, Any], model_type: str, where: str
) -> dict[str, Any]:
    """A text_config where a text_config_dict stands beside it, as transformers has it."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    known = {name: value for name, value in override.items() if name != "model_type"}
    whole = _completed(CONFIG_MAPPING[model_type], known, f"{where}, text_config_dict")
    return (text if isinstance(text, dict) else {}) | whole.to_dict()


def _under_own_names(
    config: Mapping[str, Any], aliases: Mapping[str, str], where: str
) -> dict[str, Any]:
    """Replace the attribute names that transformers takes as aliases."""
    attributes: dict[str, Any] = {}
    for name, value in config.items():
        own = aliases.get(name, name)
        if own in attributes and attributes[own] != value:
            raise CheckpointError(
                where,
                f"{own} is given twice, as {reprlib.repr(attributes[own])} "
                f"and {reprlib.repr(value)}",
                "keep the one that describes the weights",
            )
        attributes[own] = value
    return attributes


def _refuse_to_ignore(
    names: Iterable[str],
    config: Mapping[str, Any],
    attributes: Mapping[str, Any],
    family: Family,
    where: str,
) -> None:
    """Raise on the first key that is to be ignored and cannot be."""
    for name in names:
        if name not in config:
            raise CheckpointError(
                where, f"{name} is to be ignored, and is not there", "take it out of ignore_config"
            )
        if name in family.handled or name not in attributes:
            raise CheckpointError(
                where,
                f"{name} is to be ignored, but says how the weights are read",
                "take it out of ignore_config, and correct it here if it is wrong",
            )


def _unhandled(
    name: str, value: object, defaults: Mapping[str, object], model_type: str, where: str
) -> CheckpointError:
    """What there is to say of an attribute whose effect on queries and keys is not known."""
    usual = f"{defaults[name]!r} by default" if name in defaults else "unknown to it"
    return CheckpointError(
        where,
        f"{name} is {reprlib.repr(value)} but {usual}, and how that changes queries and keys is "
        f"not known for {model_type}",
        f"use a checkpoint without it; or, if it cannot change them, read it with ignore_config: "
        f"[{name}]",
    )
