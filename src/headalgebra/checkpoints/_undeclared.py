"""Keys of a config.json that no code reads."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headalgebra.checkpoints._families import FAMILIES

JUDGED = frozenset().union(*(family.handled for family in FAMILIES.values())) | {
    "clip_qkv",
    "is_causal",
    "per_layer_config",
    "position_embedding_type",
    "quantization_config",
    "rotary_pct",
    "transformers_weights",
}
"""What changes attention somewhere: never let pass."""
# Training and tests, which no loaded model runs.
UNUSED = re.compile(r"(trainer|training|testing|hyperparameter|convert_|hf_argparser).*")


def reaches_no_code(name: str, value: Any, config_class: Any, used: Mapping[str, Any]) -> bool:
    """Whether it is shown that a key of a configuration changes nothing of its model.

    It is when transformers' class declares no such attribute and has no alias of that name, the
    name stands nowhere in the code that loads and runs the model, and no other field of the
    configuration becomes another with it.

    Parameters
    ----------
    name, value
        The key.
    config_class
        Transformers' configuration class of the model.
    used
        What the configuration is built from otherwise.
    """
    if name in JUDGED or name in config_class.attribute_map or hasattr(config_class(), name):
        return False
    if any(name in words for words in map(_words, _code(config_class.__module__))):
        return False
    try:
        without, within = (
            config_class(**used).to_dict(),
            config_class(**used, **{name: value}).to_dict(),
        )
    except Exception:  # whatever a class raises at it, it has read it
        return False
    return {key: it for key, it in within.items() if key != name} == without


@cache
def _code(module: str) -> tuple[Path, ...]:
    """The files of transformers that load a model and compute with it."""
    root = _root()
    general = (*root.glob("*.py"), *root.glob("integrations/*.py"), *root.glob("models/auto/*.py"))
    return (
        *(file for file in general if not UNUSED.fullmatch(file.name)),
        *_of_model(root / "models" / module.split(".")[2], set()),
    )


def _of_model(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """The modules of an architecture, and of those that it takes parts of."""
    seen.add(folder)
    for file in sorted((*folder.glob("configuration_*.py"), *folder.glob("modeling_*.py"))):
        yield file
        for other in re.findall(r"^from \.\.(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE):
            if (near := folder.parent / other) not in seen and other != "auto":
                yield from _of_model(near, seen)


@cache
def _words(file: Path) -> frozenset[str]:
    """What a file names as an attribute or in quotes."""
    text = file.read_text(encoding="utf-8")
    return frozenset(re.findall(r"""[.'"]([^\W\d][\w.]*)""", text)) | frozenset(
        re.findall(r"\.(\w+)", text)
    )


def _root() -> Path:
    spec = find_spec("transformers")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("transformers")
    return Path(spec.origin).parent
