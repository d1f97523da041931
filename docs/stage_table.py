"""Write the table of stages in speed.md, from what benchmarks/stage_costs.py printed.

python benchmarks/stage_costs.py --d-model 384 --heads 12 --head-dim 32 --json | tail -1 > docs/stage_costs/384.json
python docs/stage_table.py
"""  # noqa: E501  a command that is to be copied

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study_tables import number

PAGE = Path(__file__).with_name("speed.md")
KEPT = Path(__file__).with_name("stage_costs")
HEAD = "| stage | "
"""Of no other table on the page."""


def kept() -> list[dict[str, Any]]:
    """What is kept of every shape, the narrowest first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in KEPT.glob("*.json")]
    return sorted(found, key=lambda it: it["shape"]["d_model"])


def table(runs: Sequence[dict[str, Any]]) -> str:
    """A row for each stage: of every shape its floor and the ratio to it, and the widest's peak."""
    widths = [f"{run['shape']['d_model']:,}" for run in runs]
    heads = [f"d = {width}: floor, s | taken / floor" for width in widths]
    rows = [f"{HEAD}{' | '.join(heads)} | peak, GB |", "|---" * (2 * len(runs) + 2) + "|"]
    for stage in runs[0]["stages"]:
        cells = [f"`{stage}`"]
        for run in runs:
            found = run["stages"][stage]
            cells += [number(found["floor_s"], 2), number(found["ratio"], 2)]
        cells.append(number(runs[-1]["stages"][stage]["peak_gb"], 2))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def commands(runs: Sequence[dict[str, Any]]) -> str:
    """The commands that were given."""
    lines = []
    for run in runs:
        options = [f"--{key.replace('_', '-')} {value}" for key, value in run["shape"].items()]
        lines.append(f"python benchmarks/stage_costs.py {' '.join(options)}\n")
    return "".join(lines)


def written(page: str, runs: Sequence[dict[str, Any]]) -> str:
    """The page with its table and commands as they should be."""
    before, after = page.split(HEAD)
    rest = after[after.index("\n\n") + 2 :]
    fence = rest.index("```\n", rest.index("```\n") + 4)
    return f"{before}{table(runs)}\n```\n{commands(runs)}{rest[fence:]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), kept()), encoding="utf-8")
