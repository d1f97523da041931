"""Reading a mapping against a schema, and what is wrong with it in one line."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

Schema = TypeVar("Schema", bound=BaseModel)


class SchemaError(ValueError):
    """The keys that a mend would touch, the one at fault first, and what is wrong."""

    def __init__(self, keys: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.keys = keys


def read(schema: type[Schema], raw: Any, place: str) -> Schema:
    """What the mapping at `place` says; a `SchemaError` where the schema does not allow it."""
    try:
        return schema.model_validate(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # An unknown key first: it may be a missing one, misspelt.
    fault = min(faults, key=lambda each: each["type"] not in ("extra_forbidden", "invalid_key"))
    raise _in_words(schema, raw, place, fault["loc"], fault)


def _in_words(
    schema: type[BaseModel], raw: Any, place: str, loc: tuple[int | str, ...], fault: Any
) -> SchemaError:
    fields = schema.model_fields
    if not loc:
        if isinstance(own := fault.get("ctx", {}).get("error"), SchemaError):
            keys = tuple(f"{place}.{key}" for key in own.keys)
            return SchemaError(keys, f"{keys[0]}: {own}")
        why = f"{shown(raw)} is not a mapping; keys are {', '.join(fields)}"
        return SchemaError((place,), f"{place}: {why}")
    key, path = loc[0], f"{place}.{loc[0]}".removeprefix(".")
    if key not in fields:
        return SchemaError((path,), unknown_key(key, place or "this file", fields))
    nested = next(
        (
            kind
            for kind in (fields[str(key)].annotation, *get_args(fields[str(key)].annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ),
        None,
    )
    if nested is not None and key in raw:
        return _in_words(nested, raw[key], path, loc[1:], fault)
    words = allowed(schema.model_json_schema()["properties"][key])
    if key not in raw:
        return SchemaError((path,), f"{path}: missing; it must be {words}")
    given = fault["input"]
    bare = isinstance(given, int | float) or (given is None and len(loc) > 1)
    quotes = "; put it in quotes" if fault["type"] == "string_type" and bare else ""
    return SchemaError((path,), f"{path}: {shown(raw[key])} is not {words}{quotes}")


def allowed(key: Mapping[str, Any]) -> str:
    """What a key may hold by its JSON schema, in words that can follow "is not"."""
    match key:
        case {"errorMessage": str(words)}:
            return words
        case {"anyOf": [kind, {"type": "null"}]}:
            return f"null or {allowed(kind)}"
        case {"enum": choices}:
            return f"one of {', '.join(choices)}"
        case {"minimum": low, "maximum": high}:
            return f"an integer from {low} to {high}"
        case {"minimum": low}:
            return f"an integer >= {low}"
        case {"exclusiveMinimum": low, **more}:
            below = f" and below {more['exclusiveMaximum']:g}" if "exclusiveMaximum" in more else ""
            return f"a number above {low:g}{below}"
    return "true or false"


def shown(value: Any) -> str:
    """A value as messages show it, cut short."""
    whole = repr(value)
    return whole if len(whole) <= 60 else whole[:57] + "..."


def close_match(name: Any, choices: Iterable[str]) -> str:
    """The end of a message that proposes the nearest choice, if one is near."""
    matches = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def unknown_key(key: Any, place: str, keys: Iterable[str]) -> str:
    """The message for a key that a place does not have."""
    keys = list(keys)
    return f"no key '{key}' in {place}; keys are {', '.join(keys)}{close_match(key, keys)}"
