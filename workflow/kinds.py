"""What keys of the configuration may hold, beyond what Python's own types say."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, JsonValue


def kind(allowed: str, **constraints: Any) -> Any:
    """Constraints, and what they allow in words that can follow "is not"; editors show them."""
    return Field(json_schema_extra={"errorMessage": allowed}, **constraints)


def _where(holds: Any) -> AfterValidator:
    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError
        return value

    return AfterValidator(check)


def _unrolled(value: Any) -> Any:
    ends = re.fullmatch(RANGE, value) if isinstance(value, str) else None
    return list(range(int(ends[1]), int(ends[2]) + 1)) if ends else value


PART = "[A-Za-z0-9][A-Za-z0-9._-]*"
NAME = f"^{PART}$"
NAME_ALLOWED = "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit"
RANGE = "^([0-9]{1,4})-([0-9]{1,4})$"
DIFFERENT = _where(lambda items: len(set(items)) == len(items))

Count = Annotated[int, Field(ge=1)]
Several = Annotated[int, Field(ge=2)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
Fraction = Annotated[FiniteFloat, Field(gt=0, lt=1)]
AboveOne = Annotated[FiniteFloat, Field(gt=1)]
Line = Annotated[str, kind("a line of text", pattern=r"^\S[^\n]*$")]
Name = Annotated[str, kind(NAME_ALLOWED, pattern=NAME)]
Names = Annotated[list[str], kind("a list of names of files in config/model/")]
Experiments = Annotated[
    list[str], kind("a list of different names of files in config/experiment/"), DIFFERENT
]
HubId = Annotated[
    str, kind("a hub id such as openai-community/gpt2", pattern=f"^{PART}(/{PART})?$")
]
Revision = Annotated[str, kind("a branch, tag or commit", pattern="^[A-Za-z0-9_][A-Za-z0-9._/-]*$")]
SEVERAL_REVISIONS = "a list of different branches, tags or commits"
Revisions = Annotated[list[Revision], kind(SEVERAL_REVISIONS, min_length=1), DIFFERENT]
Colour = Annotated[str, kind("a colour such as '#56b4e9' in quotes", pattern="^#[0-9a-fA-F]{6}$")]
Inside = Annotated[
    Line,
    kind("a relative path without '..'"),
    _where(lambda path: path[0] != "/" and ".." not in PurePosixPath(path).parts),
]
GgufFile = Annotated[
    Line,
    kind("a relative path without '..' that ends in .gguf"),
    _where(
        lambda path: (
            path[0] != "/" and ".." not in PurePosixPath(path).parts and path.endswith(".gguf")
        )
    ),
]
Digest = Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]
Digests = Annotated[
    dict[Inside, Digest],
    kind("a mapping from file names to digests of 64 hexadecimal digits"),
    BeforeValidator(lambda value: {} if value is None else value),
]
Numbers = Annotated[list[Annotated[int, Field(ge=0, le=9999)]], Field(min_length=1)]
Range = Annotated[str, Field(pattern=RANGE)]
Layers = Annotated[
    Numbers,
    DIFFERENT,
    AfterValidator(sorted),
    BeforeValidator(_unrolled, json_schema_input_type=Numbers | Range),
    kind("a list of different layers from 0 or a range such as 0-23"),
]
Keys = Annotated[list[Line], kind("a list of different keys of config.json"), DIFFERENT]
Architecture = Annotated[
    dict[str, JsonValue],
    kind("a mapping with a model_type and that architecture's settings"),
    _where(lambda config: isinstance(config.get("model_type"), str)),
]
Packages = Annotated[
    list[Name],
    kind("a list of different names of installed packages", min_length=1),
    DIFFERENT,
]
Wings = Annotated[
    list[Literal["algebra", "states"]],
    kind("a list of different wings, which are algebra and states", min_length=1),
    DIFFERENT,
]
PerLayer = Annotated[
    Positive | Annotated[list[Positive], Field(min_length=1)],
    kind("a number above 0, or a list of one for each layer"),
]
Arms = Annotated[
    dict[Name, dict[str, JsonValue]],
    kind("a mapping from names of arms to the keys of training that each sets", min_length=1),
]
Placebos = Annotated[dict[Name, Name], kind("a mapping from names of arms to those of placebos")]
Quantities = Annotated[list[Name], kind("a list of different quantities"), DIFFERENT]
Choices = Annotated[
    list[dict[str, str] | str],
    kind("the list 'study: <name>', 'analysis: <name>', 'text: <name>', '_self_'"),
    _where(
        lambda found: (
            [*map(list, found[:3]), *found[3:]] == [["study"], ["analysis"], ["text"], "_self_"]
        )
    ),
]
Palette = Literal[
    "colorblind", "deep", "muted", "bright", "dark", "pastel", "tab10", "tab20",
    "Set1", "Set2", "Set3", "Dark2", "Paired", "husl", "hls",
]  # fmt: skip
