"""Figures as a page shows them: embedded, small enough together, with their captions."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

from docutils.core import publish_parts
from docutils.utils import SystemMessage
from markupsafe import Markup
from PIL import Image

WIDTH = 1400
"""Pixels that a picture is wide at the most: enough for a screen, and not for print."""

COLOURS = 64
"""Enough for a drawing, and a third of the bytes of all of them."""

BYTES = 2_200_000
"""Of all pictures of a page in base64."""

SHRINKING = 0.95
"""Factor by which the widest shrink at least, from one try to the next."""

CAPTION_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "math_output": "MathML",
    # From a warning on it raises; nothing is printed.
    "halt_level": 2,
    "report_level": 5,
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure of a study.

    Attributes
    ----------
    name
        Its own among the study's figures.
    title, category
        What it is listed as, and under what.
    caption
        What there is to know to read it, in reStructuredText; the first paragraph says what it is.
    png
        The bytes of its bitmap.
    href
        Where the whole of it lies, as seen from the page.
    """

    name: str
    title: str
    category: str
    caption: str
    png: bytes
    href: str


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A figure that a study has nothing to show in.

    Attributes
    ----------
    title, reason
        What it would be, and why it is not there.
    """

    title: str
    reason: str


@dataclass(frozen=True)
class Embedded:
    """A bitmap in a page: the address that holds all of it, and its sides in pixels."""

    address: str
    width: int
    height: int


def embedded(pictures: Sequence[Picture], n_bytes: int = BYTES) -> dict[str, Embedded]:
    """The pictures by name, as wide as they are, or narrower where that is too much together.

    Raises
    ------
    ValueError
        When they would not fit into so many bytes at a pixel each.
    """
    width = WIDTH
    while width:
        written = {picture.name: _written(picture.png, width) for picture in pictures}
        total = sum(len(one.address) for one in written.values())
        if total <= n_bytes:
            return written
        widest = max(one.width for one in written.values())
        # Bytes go about as the area does.
        width = int(widest * min(SHRINKING, (n_bytes / total) ** 0.5))
    raise ValueError(f"{len(pictures)} pictures do not fit in {n_bytes} bytes; allow more")


def _written(png: bytes, width: int) -> Embedded:
    with Image.open(BytesIO(png)) as image:
        scale = min(1.0, width / image.width)
        sides = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        # A transparent ground would be black without its transparency.
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
    small = ground.convert("RGB").resize(sides, Image.Resampling.LANCZOS)
    few = small.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
    file = BytesIO()
    few.save(file, "WEBP", lossless=True, quality=80, method=4)
    return Embedded(f"data:image/webp;base64,{b64encode(file.getvalue()).decode()}", *sides)


def caption_html(caption: str) -> tuple[Markup, Markup]:
    """The first paragraph of a caption, and what follows, as HTML that holds no script.

    Parameters
    ----------
    caption
        In reStructuredText.

    Raises
    ------
    ValueError
        When it is not, or would insert files or HTML.
    """
    try:
        parts = publish_parts(caption, writer="html5", settings_overrides=CAPTION_SETTINGS)
    except SystemMessage as message:
        raise ValueError(f"the caption {caption[:40]!r} …: {message}; mend its markup") from None
    first, end, rest = str(parts["fragment"]).partition("</p>")
    return Markup(first + end), Markup(rest.strip())


def by_category(pictures: Sequence[Picture]) -> dict[str, list[Picture]]:
    """The pictures under each category, both in their order."""
    found: dict[str, list[Picture]] = {}
    for picture in pictures:
        found.setdefault(picture.category, []).append(picture)
    return found
