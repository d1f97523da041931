"""Paragraphs of English out of docstrings, by rules that look at a line at a time."""

import ast
import inspect
import re
import warnings
from collections.abc import Iterator

SKIPPED = re.compile(
    r"(other )?parameters|returns?|yields?|receives?|raises|warns|see also|references|examples?"
    r"|attributes|methods|args|arguments|keyword arguments|index|properties|doctest.*",
    re.IGNORECASE,
)
"""Sections of a docstring that hold no prose, in the styles of numpy and Google."""
UNDERLINE = re.compile(r"([-=~^*])\1{2,}")
NO_PROSE = re.compile(r">>>|::|\.\. |[$\\|{}<>=]|__|^[-*+•:]|^\(?\d+[.)]|^\[|--|\+\+|@|https?:")
"""What code, tables, lists, formulas, directives and links have in them."""
MARKUP = (
    (re.compile(r":[\w:.-]+:`~?\.?([^`<]*?)`"), r"\1"),
    (re.compile(r"``([^`]*)``"), r"\1"),
    (re.compile(r"`([^`]*)`_*"), r"\1"),
    (re.compile(r"\*\*([^*\s][^*]*)\*\*"), r"\1"),
    (re.compile(r"(?<!\w)\*([^*\s][^*]*)\*(?!\w)"), r"\1"),
)
LOST = re.compile(r"\[[\w.-]+\]_|:math:")
"""Citations and formulas, without which a sentence lacks a word."""
SENTENCE = re.compile(r"[A-Z][^\n]*[a-z)\"'][.?!]")
FEWEST_WORDS = 8
WORDS_SHARE = 0.8


def prose(code: str) -> Iterator[str]:
    """Paragraphs of the docstrings of a module, in its order, each as one line.

    Parameters
    ----------
    code
        Python source; what this Python cannot parse has none.
    """
    for docstring in whole_docstrings(code):
        yield from _paragraphs(docstring)


def whole_docstrings(code: str) -> Iterator[str]:
    """The docstrings of a module as they stand, in its order, without their indentation.

    Parameters
    ----------
    code
        As in `prose`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in others' strings
        try:
            tree = ast.parse(code)
        except (SyntaxError, ValueError):
            return
    yield from _docstrings(tree)


def _docstrings(node: ast.AST) -> Iterator[str]:
    """Of a module, and of the classes and functions in it, in the order of their lines."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if (found := ast.get_docstring(node, clean=False)) is not None:
            yield inspect.cleandoc(found)
        for child in node.body:
            yield from _docstrings(child)


def _paragraphs(docstring: str) -> Iterator[str]:
    """The blocks between empty lines that are sentences at the margin."""
    skipping = False
    for block in re.split(r"\n\s*\n", docstring):
        lines = block.strip("\n").split("\n")
        if len(lines) > 1 and UNDERLINE.fullmatch(lines[1].strip()):
            skipping = bool(SKIPPED.fullmatch(lines[0].strip()))
            lines = lines[2:]
        elif re.fullmatch(r"\w[\w ]*:", lines[0]):
            # A section of Google's style ends where its indentation does.
            continue
        if skipping or not lines or any(line[:1].isspace() for line in lines):
            continue
        sentence = " ".join(" ".join(lines).split())
        if LOST.search(sentence):
            continue
        for pattern, kept in MARKUP:
            sentence = pattern.sub(kept, sentence)
        if _is_prose(sentence):
            yield sentence


def _is_prose(sentence: str) -> bool:
    words = sentence.split(" ")
    plain = sum(bool(re.fullmatch(r"[\"'(]?[A-Za-z][a-z'-]*[\"')]?[,.;:?!]?", it)) for it in words)
    return (
        len(words) >= FEWEST_WORDS
        and SENTENCE.fullmatch(sentence) is not None
        and not NO_PROSE.search(sentence)
        and plain >= WORDS_SHARE * len(words)
    )
