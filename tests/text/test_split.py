"""Texts to train on are split by the paths of files, and nothing stands in two parts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from headalgebra.text import Split, TextError, split_docstrings, split_folder, split_source
from headalgebra.text.split import hashed, without_licence

FILES = {f"{'a/' * (n % 3)}{n}.py": f'"""Module {n}."""\nx = {n}\n' for n in range(120)}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def all_of(split: Split) -> dict[str, str]:
    return {**split.train, **split.validation, **split.test}


def test_each_file_is_in_one_part_and_its_path_says_in_which(tmp_path: Path) -> None:
    split = split_folder(write(tmp_path, FILES))
    parts = (split.train, split.validation, split.test)
    assert all_of(split) == FILES
    assert sum(map(len, parts)) == len(FILES)
    for part, start, end in zip(parts, (0, 0.9, 0.95), (0.9, 0.95, 1), strict=True):
        assert all(start <= hashed(path) < end for path in part)
        assert [*part] == sorted(part, key=hashed)


def test_shares_are_those_of_a_uniform_hash() -> None:
    found = np.array([hashed(f"package/module_{n}.py") for n in range(20_000)])
    assert kstest(found, "uniform").pvalue > 0.01


@given(st.text())
def test_a_hash_is_below_one(path: str) -> None:
    assert 0 <= hashed(path) < 1


def test_no_other_file_moves_a_file(tmp_path: Path) -> None:
    """Nor does what is in it; the digest tells, and names the part too."""
    split = split_folder(write(tmp_path, FILES))
    assert split_folder(tmp_path).digest == split.digest
    moved = split_folder(write(tmp_path, {"0.py": "y = 3\n", "new.py": "z = 1\n"}))
    for before, after in zip(
        (split.train, split.validation, split.test),
        (moved.train, moved.validation, moved.test),
        strict=True,
    ):
        assert {*before} == {*after} - {"new.py"}
    assert moved.digest != split.digest
    swapped = Split(split.name, split.test, split.validation, split.train, split.origins)
    assert swapped.digest != split.digest


def test_a_text_is_taken_once(tmp_path: Path) -> None:
    """So that no test text is one that was trained on."""
    copies = FILES | {f"copies/{name}": text for name, text in FILES.items()}
    taken = all_of(split_folder(write(tmp_path, copies)))
    assert sorted(taken.values()) == sorted(FILES.values())


def test_hidden_and_empty_files_are_left_out(tmp_path: Path) -> None:
    more = {".git/x": "one", ".hidden": "two", "empty.txt": " \n"}
    split = split_folder(write(tmp_path, FILES | more))
    assert {*all_of(split)} == {*FILES}
    assert {*split.origins} == {*FILES, "empty.txt"}


def test_folders_that_give_nothing_are_refused_in_a_line(tmp_path: Path) -> None:
    write(tmp_path / "few", {"1.py": "x = 1"})
    write(tmp_path / "odd", FILES)
    (tmp_path / "odd/x.bin").write_bytes(b"\xff\xfe\x00")
    for name, message in (
        ("none", "no such folder"),
        ("few", "of 1 none fell into it; give more files"),
        ("odd", "x.bin: byte 0 is not UTF-8"),
    ):
        with pytest.raises(TextError, match=message) as refused:
            split_folder(tmp_path / name)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("# Copyright 2024 A. N. Other\n#\n# All of it.\n\nimport x\n", "import x\n"),
        ("#!/usr/bin/env python\n# Licensed under\nx = 1\n", "x = 1\n"),
        ("# what follows counts\nx = 1\n", "# what follows counts\nx = 1\n"),
        ("x = 1\n# Copyright in the middle\n", "x = 1\n# Copyright in the middle\n"),
        ("# License: none", "# License: none"),
        ("", ""),
    ],
)
def test_a_licence_at_the_head_is_dropped(code: str, left: str) -> None:
    assert without_licence(code) == left


@pytest.mark.parametrize(
    ("split", "text"),
    [(split_source, '"""Module 7."""\nx = 7\n'), (split_docstrings, "Module 7.")],
)
def test_packages_give_their_code_or_their_docstrings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    split: Callable[[list[str]], Split],
    text: str,
) -> None:
    heads = {name: "# Copyright\n" + code for name, code in FILES.items()}
    write(tmp_path / "carried_code", heads)
    information = tmp_path / "carried_code-2.1.dist-info"
    write(information, {"METADATA": "Name: carried-code\nVersion: 2.1\n"})
    write(information, {"RECORD": "".join(f"carried_code/{name},,\n" for name in FILES)})
    monkeypatch.syspath_prepend(tmp_path)
    found = split(["carried-code"])
    assert all_of(found)["carried_code/a/7.py"] == text
    assert len(all_of(found)) == len(FILES)
    assert found.origins == {"carried-code": "2.1"}
