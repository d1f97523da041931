"""Broken files: bytes changed anywhere, values of JSON and YAML replaced by hostile ones."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

NUMBERS = (0, -1, 1, 10**6, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 10**30)
WORDS = (
    *(number.to_bytes(8, "little", signed=number < 0) for number in NUMBERS if number < 2**64),
    *(b"\xff" * 4, b"\0" * 64, b"\x80", b"..", b"/etc/passwd", b"\xed\xa0\x80", b'"', b"{", b"["),
)
"""What parsers stumble over: the ends of whole numbers, paths, half of a character, brackets."""
DEEP = 20_000
LONG = 1_000_000


@dataclass(frozen=True)
class Written:
    """A value by how it is written, which need not be JSON."""

    text: str


HOSTILE: tuple[Any, ...] = (
    *NUMBERS,
    *(
        0.5,
        -0.0,
        1e308,
        Written("NaN"),
        Written("-Infinity"),
        Written("1e999"),
        Written("9" * 5000),
    ),
    *("", "..", "../../etc/passwd", "/etc/passwd", "a\0b", "\ud800", "\u202e", "x" * LONG),
    *("<script>alert(1)</script>", "=1+1", "{0}", "%s", "${oc.env:HOME}", "float16", "\n\r\t"),
    *(None, True, [], {}, [[]], {"": {}}, [None] * 3, ["x"] * 1000),
    *(Written("[" * DEEP + "]" * DEEP), Written('{"a":' * DEEP + "1" + "}" * DEEP), Written("[")),
)


@st.composite
def broken_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with up to four edits."""
    edited = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(edited) - 1, 0)))
        match draw(st.sampled_from(("flip", "put", "insert", "cut", "end", "repeat"))):
            case "flip" if edited:
                edited[place] ^= 1 << draw(st.integers(0, 7))
            case "put":
                word = draw(st.sampled_from(WORDS) | st.binary(min_size=1, max_size=9))
                edited[place : place + len(word)] = word
            case "insert":
                edited[place:place] = draw(st.sampled_from(WORDS))
            case "cut":
                del edited[place : place + draw(st.integers(1, 64))]
            case "end":
                del edited[place:]
            case "repeat":
                part = edited[place : place + draw(st.integers(1, 64))]
                edited[place:place] = part * draw(st.sampled_from((1, 7, 1000)))
    return bytes(edited)


@st.composite
def broken_json(draw: st.DrawFn, value: Any) -> bytes:
    """A document of which up to three values are others, gone, or there twice."""
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        value = _edited(value, draw(st.sampled_from(places)), draw(_EDITS))
    return _dump(value).encode("utf-8", "surrogatepass")


_EDITS = st.one_of(
    st.tuples(st.just("value"), st.sampled_from(HOSTILE)),
    st.tuples(st.just("value"), st.integers() | st.floats() | st.text(max_size=9)),
    st.tuples(st.just("key"), st.sampled_from(tuple(it for it in HOSTILE if isinstance(it, str)))),
    st.tuples(st.sampled_from(("gone", "twice")), st.none()),
)

Place = tuple[Any, ...]


class Pairs(list[tuple[str, Any]]):
    """A mapping as it is written, so that a key can be there twice."""


def _places(value: Any, here: Place = ()) -> Iterator[Place]:
    for key, part in _items(value):
        yield (*here, key)
        yield from _places(part, (*here, key))


def _items(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, Pairs):
        return [(place, part) for place, (_, part) in enumerate(value)]
    return list(enumerate(value)) if isinstance(value, list) else []


def _edited(value: Any, place: Place, edit: tuple[str, Any]) -> Any:
    """The document with one of its values edited; what it was made of stays as it was."""
    first, *rest = place
    kind, content = edit
    if isinstance(value, dict):
        value = Pairs(value.items())
        first = [key for key, _ in value].index(first)
    found: list[Any] = list(value)
    keyed = isinstance(value, Pairs)
    part = found[first][1] if keyed else found[first]
    name = found[first][0] if keyed else ""

    def named(it: Any) -> Any:
        return (name, it) if keyed else it

    if rest:
        found[first] = named(_edited(part, tuple(rest), edit))
    elif kind == "value":
        found[first] = named(content)
    elif kind == "key" and keyed:
        found[first] = (content, part)
    elif kind == "gone":
        del found[first]
    else:
        found.append(found[first])
    return Pairs(found) if keyed else found


def _dump(value: Any) -> str:
    match value:
        case Written():
            return value.text
        case Pairs() | dict():
            pairs = value.items() if isinstance(value, dict) else value
            return "{" + ", ".join(f"{json.dumps(key)}: {_dump(it)}" for key, it in pairs) + "}"
        case list():
            return "[" + ", ".join(map(_dump, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
