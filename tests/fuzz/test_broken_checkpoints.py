"""Checkpoints broken in any way are refused in one line, at once, and touch nothing else."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from gguf_files import write_gguf
from hypothesis import given
from hypothesis import strategies as st
from resident_memory import LINUX
from test_tokenizer import write_tokenizer
from tiny_models import build

from fuzz.mutations import broken_bytes, broken_json
from fuzz.watched import assert_harmless, fuzzed, new_folder, size_of
from headalgebra.checkpoints import CheckpointError, load_tokenizer, open_checkpoint
from headalgebra.text import Corpus, TextError, tokenise

pytestmark = LINUX

CORPUS = Corpus("lines", "A text of some length.\n" * 40, {})
REFUSALS = (CheckpointError, TextError)
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def sharded() -> Iterator[Path]:
    """A GPT-2 in several files with an index and a tokenizer."""
    top = new_folder("sharded")
    folder = build("gpt2", lambda name: top / name, max_shard_size="8KB").folder
    write_tokenizer(folder)
    read(folder)
    yield folder
    shutil.rmtree(top)


@pytest.fixture(scope="module")
def gguf() -> Iterator[Path]:
    """A Llama in one GGUF file."""
    top = new_folder("gguf")
    model = build("llama", lambda name: top / name, dtype=torch.float32, head=True)
    (top / "of").mkdir()
    (path,) = write_gguf(top / "of/x.gguf", "llama", model)
    read(path)
    yield path
    shutil.rmtree(top)


def read(source: Path) -> None:
    """Open it, and read its queries and keys."""
    checkpoint = open_checkpoint(source)
    for layer in range(checkpoint.n_layers):
        checkpoint.read_layer(layer)


def read_tokenizer(folder: Path) -> None:
    tokenizer = load_tokenizer(open_checkpoint(folder))
    tokenise(CORPUS, tokenizer, vocabulary=1 << 62, sequences=2, tokens=4)


def replaced(
    path: Path, content: bytes, source: Path, reader: Callable[[Path], None] = read
) -> str:
    """How the checkpoint is refused with another content of one of its files."""
    kept = path.read_bytes()
    folder = source if source.is_dir() else source.parent
    try:
        path.write_bytes(content)
        return assert_harmless(lambda: reader(source), REFUSALS, folder, size_of(folder))
    finally:
        path.write_bytes(kept)


def header(content: bytes) -> bytes:
    return content[8 : 8 + int.from_bytes(content[:8], "little")]


@fuzzed
@given(data=st.data())
def test_safetensors_bytes(data: st.DataObject, sharded: Path) -> None:
    path = data.draw(st.sampled_from(sorted(sharded.glob("*.safetensors"))))
    replaced(path, data.draw(broken_bytes(path.read_bytes())), sharded)


@fuzzed
@given(data=st.data())
def test_safetensors_header(data: st.DataObject, sharded: Path) -> None:
    path = data.draw(st.sampled_from(sorted(sharded.glob("*.safetensors"))))
    content = path.read_bytes()
    broken = data.draw(broken_json(json.loads(header(content))))
    rest = content[8 + len(header(content)) :]
    replaced(path, len(broken).to_bytes(8, "little") + broken + rest, sharded)


@pytest.mark.parametrize(
    ("name", "reader"), [(INDEX, read), ("config.json", read), ("tokenizer.json", read_tokenizer)]
)
@fuzzed
@given(data=st.data())
def test_json(
    data: st.DataObject, sharded: Path, name: str, reader: Callable[[Path], None]
) -> None:
    content = (sharded / name).read_bytes()
    broken = data.draw(broken_json(json.loads(content)) | broken_bytes(content))
    replaced(sharded / name, broken, sharded, reader)


@fuzzed
@given(data=st.data())
def test_gguf(data: st.DataObject, gguf: Path) -> None:
    replaced(gguf, data.draw(broken_bytes(gguf.read_bytes())), gguf)
