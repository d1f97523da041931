"""What is written down of each step of a training, so that a kill loses none that counts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd


@dataclass
class Row:
    """One step.

    Attributes
    ----------
    step
        Updates of the weights so far.
    tokens
        Read so far, those read again among them.
    train_loss
        Mean cross-entropy of the next token, in nats, on the sequences of this step before its
        update; None for step 0.
    validation_loss
        The same on the validation part after the update; None where it was not taken.
    penalty
        What was added to the training loss; None without a penalty.
    learning_rate
        Of the update.
    query_key, block
        Norms of the gradient for each block, before clipping, of the query-key weights and of all
        parameters; empty for step 0.
    """

    step: int
    tokens: int
    train_loss: float | None = None
    validation_loss: float | None = None
    penalty: float | None = None
    learning_rate: float | None = None
    query_key: Sequence[float] = ()
    block: Sequence[float] = ()


class RowFile:
    """Rows in a file, one a line, each there as soon as it is added.

    Parameters
    ----------
    path
        The file; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, row: Row) -> None:
        """Append a row."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")

    def read(self) -> list[Row]:
        """All whole rows: what a kill left of a last one is none."""
        if not self.path.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").split("\n")
        return [Row(**json.loads(line)) for line in lines[:-1]]

    def drop_beyond(self, step: int) -> None:
        """Forget the rows of later steps."""
        kept = [json.dumps(asdict(row)) + "\n" for row in self.read() if row.step <= step]
        replaced(self.path, "".join(kept).encode())


def metrics_table(rows: Sequence[Row]) -> pd.DataFrame:
    """A row for each step; gradient norms in a column for each block, numbered from 0."""
    layers = max((len(row.block) for row in rows), default=0)
    columns: dict[str, list[float | int | None]] = {
        name: [getattr(row, name) for row in rows]
        for name in ("step", "tokens", "train_loss", "validation_loss", "penalty", "learning_rate")
    }
    for kind in ("query_key", "block"):
        for layer in range(layers):
            columns[f"gradient_{kind}_{layer}"] = [
                norms[layer] if (norms := getattr(row, kind)) else None for row in rows
            ]
    table = pd.DataFrame(columns)
    whole = ["step", "tokens"]
    return table.astype({name: "int64" if name in whole else "float64" for name in table})


def replaced(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, so that it is whole or as it was."""
    aside = path.with_name(f".{path.name}.partial")
    aside.write_bytes(content)
    aside.replace(path)
