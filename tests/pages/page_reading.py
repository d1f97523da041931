"""A page read back: its tags, its links, and what it says."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

VOID = ("meta", "img", "br", "hr", "input", "link")

FETCHING = ("src", "srcset", "poster", "data", "action", "background")
"""Attributes whose address a browser fetches at once; a link waits to be followed."""


class Read(HTMLParser):
    """Tags with their attributes in order; raises where one is closed that is not the last open."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        # No script in an attribute: what a name says can start nothing.
        assert not any(name.startswith("on") for name in attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.tags.append((tag, attributes))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def having(self, attribute: str, tag: str = "") -> list[str]:
        """The values of an attribute, in the order of the page."""
        return [
            attributes[attribute]
            for name, attributes in self.tags
            if attribute in attributes and tag in ("", name)
        ]


def fetched(page: str) -> list[str]:
    """What a browser would fetch besides the page: addresses of tags, style sheets and scripts."""
    read = Read(page)
    addresses = [one for name in FETCHING for one in read.having(name)]
    addresses += read.having("href", "link")
    addresses += re.findall(r"url\([^)]*\)|@import[^;]*|\bfetch\(|XMLHttpRequest|\bimport\(", page)
    return [address for address in addresses if not address.startswith("data:")]


def text_of(html: str) -> str:
    """What a reader sees of it, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def between(page: str, start: str, end: str) -> str:
    """What stands from one mark to the next other."""
    assert page.count(start) == 1, start
    return page.partition(start)[2].partition(end)[0]


def claims_shown(page: str) -> dict[str, str]:
    """What is said of each claim, by its id."""
    parts = re.split(r'<details class="claim [\w-]+" id="claim-([\w-]+)"', page)[1:]
    bodies = [text_of("<" + part.partition("</details>")[0]) for part in parts[1::2]]
    return dict(zip(parts[::2], bodies, strict=True))


def rows_of(part: str) -> list[list[str]]:
    """The cells of a table's body."""
    body = part.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [text_of(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


def attributes_of(read: Read, tag: str, **wanted: str) -> list[dict[str, Any]]:
    """The attributes of every such tag."""
    return [
        attributes
        for name, attributes in read.tags
        if name == tag and wanted.items() <= attributes.items()
    ]
