"""One function opens a checkpoint from whatever names it, and says in one line what it cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import headalgebra.checkpoints._open as front_door
from headalgebra.checkpoints import Checkpoint, CheckpointError, open_checkpoint, open_folder
from headalgebra.checkpoints.convention import PAPER, Convention

OV = Convention(circuit="ov")


def refusal(source: object, **settings: object) -> str:
    """How it is refused, in one line."""
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(source, **settings)
    text = str(refused.value)
    assert "\n" not in text and text.count("; ") >= 1
    return text


def assert_same(found: Checkpoint, folder: Path, convention: Convention = PAPER) -> None:
    expected = open_folder(folder, convention=convention)
    assert found.revision == expected.revision
    assert torch.equal(found.read_layer(1).queries, expected.read_layer(1).queries)


def test_a_folder_opens_by_its_path(shared_model: Callable) -> None:
    folder = shared_model("gpt2").folder
    assert_same(open_checkpoint(folder), folder)
    assert_same(open_checkpoint(str(folder), convention=OV), folder, OV)


def test_the_weights_in_a_folder_open_it(shared_model: Callable) -> None:
    """The one file, or any of several, or their index."""
    folder = shared_model("gpt2").folder
    assert_same(open_checkpoint(folder / "model.safetensors"), folder)
    sharded = shared_model("gpt2", head=False, max_shard_size="8KB").folder
    index = "model.safetensors.index.json"
    shard = next(iter(json.loads((sharded / index).read_text())["weight_map"].values()))
    for name in (index, shard):
        assert_same(open_checkpoint(str(sharded / name)), sharded)


def test_files_that_are_no_weights_of_their_folder_are_refused(tiny_model: Callable) -> None:
    folder = tiny_model("gpt2").folder
    other = folder / "adapter_model.safetensors"
    other.write_bytes((folder / "model.safetensors").read_bytes())
    assert refusal(other) == (
        f"{other}: not the weights of its folder, which are model.safetensors; "
        "open one of them, or the folder"
    )
    assert "config.json: not the weights of its folder" in refusal(folder / "config.json")
    (folder / "config.json").unlink()
    assert refusal(folder / "model.safetensors").endswith(
        "there is no config.json beside it; put the model's config.json there"
    )


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_files_of_other_kinds_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name}: ")
    assert "pickled" in refusal(str(tmp_path / name))
    (tmp_path / name).unlink()
    assert "no such folder or file" in refusal(str(tmp_path / name))


@pytest.mark.parametrize("id", ["gpt2", "openai-community/gpt2", "a.b/c_d-1.2"])
def test_ids_of_the_hub_are_looked_up_there(
    shared_model: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, id: str
) -> None:
    """Unless there is a folder of that name, at the revision asked for."""
    folder = shared_model("gpt2").folder
    asked = []

    def open_hub(*given: object, **settings: Any) -> Checkpoint:
        asked.append(given)
        return open_folder(folder, **settings)

    monkeypatch.setattr(front_door, "open_hub", open_hub)
    monkeypatch.chdir(tmp_path)
    assert_same(open_checkpoint(id), folder)
    assert_same(open_checkpoint(id, revision="v1", convention=OV), folder, OV)
    assert asked == [(id, "main"), (id, "v1")]
    Path(id).parent.mkdir(exist_ok=True)
    Path(id).symlink_to(folder)
    assert_same(open_checkpoint(id), folder)
    assert len(asked) == 2


def test_what_the_hub_does_not_have_may_have_been_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_hub(*_: object, **__: object) -> Checkpoint:
        raise CheckpointError("models/mine at main", "the hub has no such model", "check the id")

    monkeypatch.setattr(front_door, "open_hub", open_hub)
    assert refusal("models/mine") == (
        "models/mine at main: no such folder, and as a model of the hub: "
        "the hub has no such model; check the id"
    )


@pytest.mark.parametrize(
    "source", ["no/such/folder", "./nothing", "two words", "model.safetensors", Path("owner/name")]
)
def test_what_is_neither_a_path_nor_an_id_is_refused(source: object) -> None:
    assert refusal(source).startswith(
        f"{Path(source)}: no such folder or file, nor an id of the hub; give a checkpoint's folder"
    )


@pytest.mark.parametrize("source", [3, None, {}, torch.nn.Linear(2, 2)])
def test_other_objects_are_refused(source: object) -> None:
    text = refusal(source)
    assert text.startswith(f"{type(source).__name__}: nothing that a checkpoint can be opened from")


def test_an_opened_checkpoint_is_given_back(shared_model: Callable) -> None:
    """Under the convention that it was opened under, and no other."""
    tiny = shared_model("gpt2")
    opened = open_folder(tiny.folder, convention=OV)
    assert open_checkpoint(opened) is open_checkpoint(opened, convention=OV) is opened
    fold = Convention(fold_norm=True)
    assert "open its source under the one that is meant" in refusal(opened, convention=fold)


def test_a_revision_is_refused_where_there_is_none(shared_model: Callable) -> None:
    tiny = shared_model("gpt2")
    for source in (tiny.folder, open_folder(tiny.folder), tiny.model):
        assert "revision 'v1' is asked of what is no model of the hub" in refusal(
            source, revision="v1"
        )
