"""Files broken in any way are read or refused at once, in one line, and nothing else is touched."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resident_memory import LINUX

from fuzz.broken_files import KINDS
from heads import unchecked_shapes

EXAMPLES = 100
"""Of each kind in a run of all tests; `python -m fuzz` has any number."""


@LINUX
@pytest.mark.parametrize("name", KINDS)
def test_a_broken_file_is_refused_or_read(name: str) -> None:
    kind = KINDS[name]
    refused = []

    @settings(max_examples=EXAMPLES)
    @given(data=st.data())
    def attempt(data: st.DataObject) -> None:
        refused.append(bool(kind.attempt(data, place)))

    # What may not take a second is the reading, which the checks of shapes make ten times as long.
    with kind.whole() as place, unchecked_shapes():
        attempt()
    # Some are broken where nobody looks, and some are not.
    assert any(refused)
