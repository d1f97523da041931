"""Kinds of files that others write, and what reading a broken one of each may end in."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import yaml
from gguf import GGUFReader
from gguf_files import write_gguf
from hypothesis import strategies as st
from test_tokenizer import write_tokenizer
from tiny_models import build

from configuration import ConfigurationError, compose
from fuzz.mutations import broken_bytes, broken_json
from fuzz.watched import assert_harmless, new_folder, size_of
from headalgebra.checkpoints import CheckpointError, load_tokenizer, open_checkpoint
from headalgebra.text import Corpus, TextError, tokenise

CORPUS = Corpus("lines", "A text of some length.\n" * 40, {})
REFUSALS = (CheckpointError, TextError)
CONFIG = Path(__file__).resolve().parents[2] / "config"
MODEL = {
    "source": "path",
    "path": "somewhere",
    "layers": "0-5",
    "dtype": "float32",
    "sha256": {"model.safetensors": "0123456789abcdef" * 4},
    "resources": {"mem_mb": 100},
}


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes
    ----------
    whole
        Makes what is to be broken and gives its place; takes it away afterwards.
    attempt
        Breaks it, reads it, mends it, and says how it was refused; empty where it was not.
    """

    whole: Callable[[], AbstractContextManager[Path]]
    attempt: Callable[[st.DataObject, Path], str]


@contextmanager
def sharded() -> Iterator[Path]:
    """A GPT-2 in several files with an index and a tokenizer."""
    with new_folder("sharded") as top:
        folder = build("gpt2", lambda name: top / name, max_shard_size="24KB").folder
        write_tokenizer(folder)
        read(folder)
        yield folder


@contextmanager
def gguf() -> Iterator[Path]:
    """A Llama in one GGUF file."""
    with new_folder("gguf") as top:
        model = build("llama", lambda name: top / name, dtype=torch.float32, head=True)
        (top / "of").mkdir()
        (path,) = write_gguf(top / "of/x.gguf", "llama", model)
        read(path)
        yield path


@contextmanager
def config() -> Iterator[Path]:
    """A copy of the shipped configuration."""
    with new_folder("config") as folder:
        yield Path(shutil.copytree(CONFIG, folder / "config"))


def read(source: Path) -> None:
    """Open it, and read its queries and keys."""
    checkpoint = open_checkpoint(source)
    for layer in range(checkpoint.n_layers):
        checkpoint.read_layer(layer)


def read_tokenizer(folder: Path) -> None:
    """Open its tokenizer, and have it read a text."""
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


def safetensors_bytes(data: st.DataObject, folder: Path) -> str:
    """Any bytes of a file of tensors."""
    path = data.draw(st.sampled_from(sorted(folder.glob("*.safetensors"))))
    return replaced(path, data.draw(broken_bytes(path.read_bytes())), folder)


def safetensors_header(data: st.DataObject, folder: Path) -> str:
    """Values of its header, which has its right length."""
    path = data.draw(st.sampled_from(sorted(folder.glob("*.safetensors"))))
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, rest = content[8 : 8 + length], content[8 + length :]
    broken = data.draw(broken_json(json.loads(header)))
    return replaced(path, len(broken).to_bytes(8, "little") + broken + rest, folder)


def json_file(
    name: str, reader: Callable[[Path], None] = read
) -> Callable[[st.DataObject, Path], str]:
    """Values and bytes of a file of JSON."""

    def attempt(data: st.DataObject, folder: Path) -> str:
        content = (folder / name).read_bytes()
        broken = data.draw(broken_json(json.loads(content)) | broken_bytes(content))
        return replaced(folder / name, broken, folder, reader)

    return attempt


def gguf_header(data: st.DataObject, path: Path) -> str:
    """Bytes of what stands before the tensors: metadata, names, shapes and offsets."""
    content, end = path.read_bytes(), header_bytes(path)
    return replaced(path, data.draw(broken_bytes(content[:end])) + content[end:], path)


@cache
def header_bytes(path: Path) -> int:
    """Where its tensors begin; found once, while the file is whole."""
    return int(GGUFReader(path).data_offset)


def gguf_bytes(data: st.DataObject, path: Path) -> str:
    """Any bytes of the file."""
    return replaced(path, data.draw(broken_bytes(path.read_bytes())), path)


def model_file(data: st.DataObject, folder: Path) -> str:
    """Values and bytes of a model's YAML file."""
    broken = data.draw(broken_json(MODEL) | broken_bytes(yaml.safe_dump(MODEL).encode()))
    (folder / "model/broken.yaml").write_bytes(broken)
    said = assert_harmless(
        lambda: compose({"models": "broken"}, folder), (ConfigurationError,), folder, len(broken)
    )
    assert not said or said.startswith(("config/model/broken.yaml", "--config")), said
    return said


KINDS = {
    "safetensors-bytes": Kind(sharded, safetensors_bytes),
    "safetensors-header": Kind(sharded, safetensors_header),
    "index": Kind(sharded, json_file("model.safetensors.index.json")),
    "config": Kind(sharded, json_file("config.json")),
    "tokenizer": Kind(sharded, json_file("tokenizer.json", read_tokenizer)),
    "gguf-bytes": Kind(gguf, gguf_bytes),
    "gguf-header": Kind(gguf, gguf_header),
    "model": Kind(config, model_file),
}
