"""Texts are the same bytes everywhere, and prose is sentences."""

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from headalgebra.text import TextError, docstrings, file, source
from headalgebra.text._prose import prose

MODULE = '''
"""The first line says what the module is good for in a sentence.

A paragraph that goes on
over two lines, with ``code`` and a :class:`~a.b.Thing` in it.

Parameters
----------
x : array
    What is passed to it and what it is used for in the end.

A second paragraph of parameters that is left out with its section.

Notes
-----
Notes are prose like any other, and they are kept as they stand.

>>> this(is) # not a sentence of English, whatever else it may be.

- Neither is a list of things, even if its items are sentences.

A sentence with a formula :math:`x^2` in it has lost its meaning already.

As shown by others in [1]_, what refers to nothing is left out.

Too short a line.

    An indented block belongs to what is before it, and may be anything at all.

a paragraph does not begin like this, in small letters.
"""


class Thing:
    """Documentation of a class is taken after that of its module.

    Args:
        x: what Google's style says of arguments is left out, for it is no prose.
    """

    def method(self):
        """Documentation of a method comes after that of its class, too."""

    async def other(self):
        """A paragraph that goes on over two lines, with code and a b.Thing in it."""
'''

SENTENCES = [
    "The first line says what the module is good for in a sentence.",
    "A paragraph that goes on over two lines, with code and a a.b.Thing in it.",
    "Notes are prose like any other, and they are kept as they stand.",
    "Documentation of a class is taken after that of its module.",
    "Documentation of a method comes after that of its class, too.",
    "A paragraph that goes on over two lines, with code and a b.Thing in it.",
]


def test_prose_is_sentences_and_nothing_else() -> None:
    assert list(prose(MODULE)) == SENTENCES


def test_what_python_cannot_parse_has_no_prose() -> None:
    assert list(prose("def (:")) == list(prose("x = '\0'")) == []


BUILT = ("__init__.py", "tests/d.py", "a/version.py", "distutils/e.py")
"""Files that another build may have otherwise, or not at all."""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that cannot be imported."""
    code = tmp_path / "carried_prose"
    for name in ("b.py", "a/c.py", *BUILT):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        stem = Path(name).stem
        (code / name).write_bytes(
            f'"""The module {stem} has one sentence of documentation and no more."""\r\n'
            f"raise RuntimeError('imported {stem}')\r\n".encode()
        )
    information = tmp_path / "carried_prose-2.1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: carried-prose\nVersion: 2.1\n")
    files = ("b.py", *BUILT, "a/c.py", "data.json")
    (information / "RECORD").write_text("".join(f"carried_prose/{name},,\n" for name in files))
    monkeypatch.syspath_prepend(tmp_path)
    return code


def test_a_package_is_read_in_order_without_being_imported(package: Path) -> None:
    """But for its tests and the files that differ from build to build."""
    corpus = docstrings(["carried-prose"])
    one = "The module {} has one sentence of documentation and no more.\n"
    assert corpus.text == one.format("c") + one.format("b")
    assert corpus.origins == {"carried-prose": "2.1"}
    assert corpus.digest == hashlib.sha256(corpus.text.encode()).hexdigest()
    code = source(["carried-prose"])
    assert code.text.count("raise RuntimeError") == 2
    assert "\r" not in code.text
    assert "carried_prose" not in sys.modules


def test_the_same_paragraph_is_taken_once(package: Path) -> None:
    (package / "a/e.py").write_bytes((package / "a/c.py").read_bytes())
    record = package.parent / "carried_prose-2.1.dist-info/RECORD"
    before = docstrings(["carried-prose"])
    record.write_text(record.read_text() + "carried_prose/a/e.py,,\n")
    assert docstrings(["carried-prose"]).text == before.text


def test_packages_without_text_are_refused(package: Path) -> None:
    with pytest.raises(TextError, match=r"package no-such: not installed; pip install --no-deps"):
        docstrings(["no-such"])
    for name in ("b.py", "a/c.py"):
        (package / name).write_text("x = 1")
    with pytest.raises(TextError, match="package carried-prose: it has no text of this kind"):
        docstrings(["carried-prose"])


NETWORKX = "d49efe0fa5354007fadd2bdcfa62757f784ac1bcce9caddc3a800c0af593f73e"


def test_the_docstrings_of_a_package_are_the_same_bytes_everywhere() -> None:
    """networkx is one wheel for all systems; the digest is that of its pinned version."""
    if version("networkx") != "3.6.1":
        pytest.skip("another version of networkx is installed")
    assert docstrings(["networkx"]).digest == NETWORKX


def test_a_file_is_its_characters(tmp_path: Path) -> None:
    """Without a mark of the byte order, and whatever its lines end in."""
    path = tmp_path / "x.txt"
    path.write_bytes("﻿Grüße\r\naus\rder Ferne\n".encode())
    corpus = file(path)
    assert corpus.text == "Grüße\naus\nder Ferne\n"
    assert corpus.origins == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "the file is empty"),
        (b" \n\t", "the file is empty"),
        ("Grüße".encode("latin1"), "byte 2 is not UTF-8"),
        ("Gruß".encode("utf-16"), "byte 0 is not UTF-8"),
    ],
)
def test_files_that_are_no_text_are_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "x.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TextError, match=message) as refused:
        file(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
