"""What a key of the configuration may hold."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a key may hold.

    Attributes
    ----------
    allowed
        In words that can follow "is not".
    read
        The value as the jobs will see it; ValueError for what is not allowed.
    open
        Whether it is a mapping whose keys are the user's own.
    """

    allowed: str
    read: Callable[[Any], Any]
    open: bool = False


def integer(low: int, high: int | None = None) -> Kind:
    """Integers of at least `low` and, where given, at most `high`."""

    def read(value: Any) -> int:
        # bool is an int to isinstance
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError
        return value

    return Kind(f"an integer {f'>= {low}' if high is None else f'from {low} to {high}'}", read)


def number(above: float, below: float = math.inf) -> Kind:
    """Finite numbers strictly between the two; an integer is read as a float."""

    def read(value: Any) -> float:
        if type(value) not in (int, float) or not above < value < below:
            raise ValueError
        return float(value)

    upper = "" if math.isinf(below) else f" and below {below:g}"
    return Kind(f"a number above {above:g}{upper}", read)


def one_of(*choices: str) -> Kind:
    """One of a few words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return Kind(f"one of {', '.join(choices)}", read)


def text(allowed: str, pattern: str) -> Kind:
    """Strings that a regular expression matches from end to end."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError
        return value

    return Kind(allowed, read)


def nullable(kind: Kind) -> Kind:
    """Null or what `kind` allows."""

    def read(value: Any) -> Any:
        return None if value is None else kind.read(value)

    return Kind(f"null or {kind.allowed}", read, kind.open)


def _read_flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError
    return value


def _read_names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError
    return value


def _read_revisions(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or len(set(map(REVISION.read, value))) < len(value):
        raise ValueError
    return value


def _read_layers(value: Any) -> list[int]:
    if isinstance(value, str):
        ends = re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", value)
        if ends is None:
            raise ValueError
        value = list(range(int(ends[1]), int(ends[2]) + 1))
    layer = integer(0, 9999)
    if not isinstance(value, list) or not value or len(set(map(layer.read, value))) < len(value):
        raise ValueError
    return sorted(value)


def _read_digests(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError
    return {RELATIVE.read(file): DIGEST.read(digest).lower() for file, digest in value.items()}


def _read_architecture(value: Any) -> dict[str, Any]:
    def plain(leaf: Any) -> bool:
        if isinstance(leaf, dict):
            return all(isinstance(key, str) and plain(item) for key, item in leaf.items())
        if isinstance(leaf, list):
            return all(map(plain, leaf))
        return leaf is None or type(leaf) in (bool, int, float, str)

    if not plain(value) or not isinstance(value, dict):
        raise ValueError
    if not isinstance(value.get("model_type"), str):
        raise ValueError
    return value


FLAG = Kind("true or false", _read_flag)
LINE = text("a line of text", r"\S[^\n]*")
NAME = text(
    "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit",
    r"[A-Za-z0-9][A-Za-z0-9._-]*",
)
NAMES = Kind(
    "a list of names of files in config/model/ (one that looks like a number in quotes)",
    _read_names,
)
HUB_ID = text("a hub id such as openai-community/gpt2", r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
REVISION = text(
    "a branch, tag or commit (one of digits alone in quotes)", r"[A-Za-z0-9_][A-Za-z0-9._/-]*"
)
REVISIONS = Kind(
    "a list of different branches, tags or commits (those of digits alone in quotes)",
    _read_revisions,
)
RELATIVE = text("a relative path without '..'", r"(?!/)(?!(.*/)?\.\.(/|$))\S.*")
DIGEST = text("64 hexadecimal digits", r"[0-9a-fA-F]{64}")
DIGESTS = Kind(
    "a mapping from file names to digests of 64 hexadecimal digits (in quotes if all decimal)",
    _read_digests,
    open=True,
)
LAYERS = Kind("a list of different layers from 0 or a range such as 0-23", _read_layers)
ARCHITECTURE = Kind(
    "a mapping with a model_type and that architecture's settings", _read_architecture, open=True
)
COLOUR = text("a colour such as '#56b4e9' (in quotes)", "#[0-9a-fA-F]{6}")
PALETTES = one_of(
    *("colorblind", "deep", "muted", "bright", "dark", "pastel", "tab10", "tab20"),
    *("Set1", "Set2", "Set3", "Dark2", "Paired", "husl", "hls"),
)
COLOUR_MAPS = one_of("cividis", "viridis", "plasma", "inferno", "magma")
