"""Tables as CSV files: what is written is read again, and nothing in it runs."""

import csv
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from headalgebra.csv_files import FORMULA_STARTS, read_csv, write_csv

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
UNSAFE = st.sampled_from(("", "'", *FORMULA_STARTS))


@given(st.lists(st.builds("".join, st.tuples(UNSAFE, TEXT)), min_size=1, max_size=9))
def test_no_text_is_a_formula_and_each_is_read_as_it_was(notes: list[str]) -> None:
    table = pd.DataFrame({"note": notes, "epsilon": -0.5})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        write_csv(path, table)
        with path.open(encoding="utf-8", newline="") as file:
            cells = list(csv.DictReader(file))
        assert not any(cell["note"].startswith(FORMULA_STARTS) for cell in cells)
        assert {cell["epsilon"] for cell in cells} == {"-0.5"}
        read = read_csv(path)
    assert read["note"].tolist() == ["\n".join(re.split("\r\n?", note)) for note in notes]
