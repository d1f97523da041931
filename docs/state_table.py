"""Write the table of families whose states are read in families.md, from tiny random models.

python docs/state_table.py
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from headalgebra.states import GuardError, Recording, record
from headalgebra.states.kind import kind

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests" / name) for name in ("checkpoints", "states")]

from reading_models import reading_model, some_tokens  # noqa: E402
from tiny_models import BLUEPRINTS, model_type  # noqa: E402

PAGE = Path(__file__).with_name("families.md")
HEAD = (
    "| `model_type` | what is run | attention | (a) agrees with eager | blocks, (b), (c), (d) |\n"
    "|---|---|---|---|---|\n"
)
ROUNDING = 1e-12
"""Below this, and far below it, is what agrees in float64."""


def table() -> str:
    """A row for each family that reads tokens."""
    rows: dict[str, None] = {}
    for family in sorted(BLUEPRINTS):
        model = reading_model(family)
        if model.main_input_name == "input_ids":
            with TemporaryDirectory() as folder:
                try:
                    row = passed(family, record(model, some_tokens(), Path(folder)))
                except GuardError as error:
                    row = refused(family, error)
            rows[row] = None
    return HEAD + "".join(rows)


def passed(family: str, recording: Recording) -> str:
    """The row of a family whose states are read."""
    stack = recording.stack
    run: str = kind(recording)
    if stack.model.config.is_encoder_decoder:
        run += " of an encoder-decoder"
    attention = "its own softmax" if stack.by_hand.attention else "the registry"
    rounds = recording.guards[0].value > ROUNDING
    agrees = "but for float32 inside" if rounds else "to rounding"
    declared = "; a factor is declared" if stack.by_hand.factors else ""
    return f"| `{model_type(family)}` | {run} | {attention} | {agrees} | pass{declared} |\n"


def refused(family: str, error: GuardError) -> str:
    """The row of a family that fails a guard."""
    what = error.failed.note
    return f"| `{model_type(family)}` | | | | refused by guard {error.guard}: {what} |\n"


def written(page: str) -> str:
    """The page with its table as it should be."""
    before, after = page.split(HEAD)
    return before + table() + after[after.index("\n\n") + 1 :]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
