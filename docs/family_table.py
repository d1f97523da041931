"""Write the table of families in families.md.

python docs/family_table.py
"""

import inspect
from pathlib import Path

from headalgebra.checkpoints._families import FAMILIES, TEXT_PARTS, Family

PAGE = Path(__file__).with_name("families.md")
HEAD = "| `model_type` | what it is | storage and what is of note |\n|---|---|---|\n"


def table() -> str:
    """A row for each family, in the words of its class and of the module."""
    types: dict[type[Family], list[str]] = {}
    for model_type, family in FAMILIES.items():
        types.setdefault(type(family), []).append(model_type)
    rows = []
    for kind, names in types.items():
        module = inspect.getmodule(kind)
        storage = (inspect.getdoc(module) or "").partition(": ")[2]
        of_class, _, _ = (inspect.getdoc(kind) or "").partition("\nAttributes\n")
        what, *notes = of_class.split("\n\n")
        listed = ", ".join(f"`{name}`" for name in sorted(names))
        of_note = " ".join([storage[:1].upper() + storage[1:], *notes])
        rows.append(f"| {listed} | {_line(what)} | {_line(of_note)} |\n")
    wholes = ", ".join(f"`{name}`" for name in sorted(TEXT_PARTS))
    rows.append(
        f"| {wholes} | Models of text and images. | Their text part is read, as the `model_type` "
        "in its `text_config` has it. |\n"
    )
    return HEAD + "".join(rows)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def written(page: str) -> str:
    """The page with its table as it should be."""
    before, after = page.split(HEAD)
    return before + table() + after[after.index("\n\n") + 1 :]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
