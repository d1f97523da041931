"""Write config/schema.json, which editors read, and the table of keys in config/README.md.

python workflow/reference.py
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from reading import allowed
from schema import GROUPS, Group, Main

CONFIG = Path(__file__).resolve().parents[1] / "config"
PLACES = {group: f"config/{group}/<name>.yaml" for group in GROUPS} | {
    "figures": "config/config.yaml"
}
READ: Literal["validation"] = "validation"
HEADING = "## Every key\n\n"


class _Untitled(GenerateJsonSchema):
    """Without titles, which would repeat the keys' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON schema of every file of the configuration, under `$defs`."""
    groups: list[type[Group]] = [Main, *GROUPS.values()]
    of_files = [(group, READ) for group in groups]
    _, schema = models_json_schema(of_files, schema_generator=_Untitled)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def table() -> str:
    """Every key of the configuration, a Markdown table for each group."""
    known = json_schema()["$defs"]
    parts = []
    for group, schema in GROUPS.items():
        rows = [f"| `{name}` | {rest} |\n" for name, rest in _rows(known, schema.__name__).items()]
        head = "| key | default | allowed | meaning |\n|---|---|---|---|\n"
        parts.append(f"### `{group}`: {PLACES[group]}\n\n{schema.__doc__}\n\n{head}{''.join(rows)}")
    return "\n".join(parts)


def _rows(known: dict[str, Any], group: str) -> dict[str, str]:
    rows: dict[str, str] = {}
    for name, key in known[group]["properties"].items():
        if "$ref" in key:
            nested = _rows(known, key["$ref"].rpartition("/")[2])
            rows |= {f"{name}.{inner}": rest for inner, rest in nested.items()}
            continue
        default = key.get("default")
        default = f"`{default if isinstance(default, str) else json.dumps(default)}`"
        if name in known[group].get("required", ()):
            default = "required"
        rows[name] = f"{default} | {allowed(key)} | {key['description']}"
    return rows


def main() -> None:
    """Write both."""
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    (CONFIG / "schema.json").write_text(schema, encoding="utf-8")
    readme = CONFIG / "README.md"
    before = readme.read_text(encoding="utf-8").partition(HEADING)[0]
    readme.write_text(before + HEADING + table(), encoding="utf-8")


if __name__ == "__main__":
    main()
