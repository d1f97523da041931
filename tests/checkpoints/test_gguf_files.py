"""GGUF files as files: what cannot be is refused before room is made, and little is read."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf_files import write_gguf
from resident_memory import LINUX, peak_above_the_start

from headalgebra.checkpoints import Checkpoint, CheckpointError, open_checkpoint, open_folder
from headalgebra.checkpoints._gguf import NUMBERS_AT_ONCE
from headalgebra.checkpoints._gguf_file import GgufFile, GgufRows
from headalgebra.checkpoints._reads import PlainFile
from headalgebra.checkpoints.convention import Convention
from headalgebra.checkpoints.reading import Reading

U32, F32, TEXT, ARRAY, U64 = 4, 6, 8, 9, 10


def text(content: str) -> bytes:
    return struct.pack("<Q", len(content.encode())) + content.encode()


def pair(name: str, kind: int, content: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + content


def number(name: str, value: int) -> bytes:
    return pair(name, U32, struct.pack("<I", value))


def tensor(name: str, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    axes = struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
    return text(name) + axes + struct.pack("<IQ", kind, offset)


def file_of(
    *pairs: bytes,
    tensors: tuple[bytes, ...] = (),
    data: int = 64,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A whole file with room for some data."""
    n_tensors, n_pairs = counts or (len(tensors), len(pairs))
    header = b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_pairs) + b"".join(pairs + tensors)
    return header + bytes(-len(header) % 32 + data)


LLAMA = (
    pair("general.architecture", TEXT, text("llama")),
    number("llama.block_count", 1),
    number("llama.embedding_length", 2),
    number("llama.attention.head_count", 1),
)
Q, K = tensor("blk.0.attn_q.weight", [2, 2]), tensor("blk.0.attn_k.weight", [2, 2], offset=32)
HUGE = 1 << 40


def refusal(path: Path) -> str:
    """How a file is refused, in one line, and in no more room than it takes itself."""
    with pytest.raises(CheckpointError) as refused:
        open_checkpoint(path)
    line = str(refused.value)
    assert line.startswith(str(path.parent)) and "\n" not in line and "; " in line
    assert len(line) < 500
    return line


def test_a_file_made_here_is_read(tmp_path: Path) -> None:
    """Control: what the refused ones below begin from."""
    path = tmp_path / "x.gguf"
    path.write_bytes(file_of(*LLAMA, tensors=(Q, K)))
    assert open_checkpoint(path).read_layer(0).queries.shape == (1, 2, 2)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "cut short"),
        (b"GGUF", "cut short"),
        (b"version https://git-lfs", "no GGUF file"),
        (file_of(*LLAMA, version=1), "version 1 is not read"),
        (file_of(*LLAMA, version=3 << 24), "big-endian"),
        (file_of(*LLAMA, counts=(HUGE, 4)), f"claims {HUGE} tensors"),
        (file_of(*LLAMA, counts=(0, HUGE)), f"claims {HUGE} named values"),
        (file_of(*LLAMA, counts=(0, 60000)), "0 bytes, where"),
        (file_of(*LLAMA, LLAMA[1]), "given twice"),
        (file_of(*LLAMA, tensors=(Q, Q)), "given twice"),
        (file_of(struct.pack("<Q", HUGE)), f"{HUGE} bytes"),
        (file_of(pair("a", TEXT, struct.pack("<Q", HUGE))), "cut short"),
        (file_of(pair("a", TEXT, struct.pack("<Q", 2) + b"\xff\xff")), "no UTF-8"),
        (file_of(pair("a", 13, b"")), "unknown type 13"),
        (file_of(pair("a", ARRAY, struct.pack("<IQ", TEXT, HUGE))), "cut short"),
        (file_of(pair("a", ARRAY, struct.pack("<IQ", U64, HUGE))), "cut short"),
        (file_of(pair("a", ARRAY, struct.pack("<IQ", U32, (1 << 64) - 1))), "cut short"),
        (file_of(pair("a", ARRAY, struct.pack("<IQ", ARRAY, 1))), "array of the unknown type 9"),
        (file_of(*LLAMA, number("general.alignment", 0)), "alignment is 0"),
        (file_of(*LLAMA, tensors=(tensor("a", []),)), "0 axes"),
        (file_of(*LLAMA, tensors=(tensor("a", [1] * 5),)), "5 axes"),
        (file_of(*LLAMA, tensors=(tensor("a", [2, 0]),)), "sizes [2, 0]"),
        (file_of(*LLAMA, tensors=(tensor("a", [HUGE, HUGE]),)), "cut short"),
        (file_of(*LLAMA, tensors=(Q, K), data=47), "cut short"),
        (file_of(*LLAMA, tensors=(tensor("blk.0.attn_q.weight", [2, 2], 31), K)), "number 31"),
        (file_of(*LLAMA, tensors=(tensor("blk.0.attn_q.weight", [2, 2], 26), K)), "I32"),
        (file_of(*LLAMA, tensors=(tensor("blk.0.attn_q.weight", [2, 2], 2), K)), "blocks of 32"),
        (file_of(*LLAMA, tensors=(Q, tensor("blk.0.attn_k.weight", [2, 2]))), "the one before"),
        (file_of(*LLAMA, tensors=(tensor("blk.0.attn_q.weight", [4]), K)), "shape [4]"),
        (file_of(*LLAMA, tensors=(Q,)), "attn_k.weight is missing"),
        (file_of(*LLAMA[1:], tensors=(Q, K)), "architecture None"),
        (
            file_of(pair("general.architecture", TEXT, text("mamba")), *LLAMA[1:]),
            "architecture 'mamba' is not read",
        ),
        (
            file_of(*LLAMA, pair("general.type", TEXT, text("adapter")), tensors=(Q, K)),
            "no model but 'adapter'",
        ),
        (file_of(*LLAMA[:1], *LLAMA[2:], tensors=(Q, K)), "llama.block_count is missing"),
        (
            file_of(*LLAMA[:2], number("llama.embedding_length", 0), LLAMA[3]),
            "embedding_length is 0",
        ),
        (
            file_of(LLAMA[0], number("llama.block_count", 1 << 24), *LLAMA[2:], tensors=(Q, K)),
            "llama.block_count is 16777216, and no model has more than 4096",
        ),
        (
            file_of(
                *(LLAMA[0], number("llama.block_count", 4096)),
                number("llama.embedding_length", 1 << 10),
                number("llama.attention.head_count", 1 << 10),
                tensors=(Q, K),
            ),
            "the number of heads in all layers is 4194304, and no model has more than 262144",
        ),
        (
            file_of(*LLAMA, number("llama.attention.clamp_kqv", 8), tensors=(Q, K)),
            "clamp_kqv is 8, and how it changes queries and keys is not known",
        ),
        (
            file_of(*LLAMA, number("llama.attention.value_length", 4), tensors=(Q, K)),
            "value_length is 4",
        ),
        (
            file_of(
                *LLAMA,
                pair("llama.attention.head_count_kv", ARRAY, struct.pack("<IQ2I", U32, 2, 1, 0)),
                tensors=(Q, K),
            ),
            "layers that differ",
        ),
        (
            file_of(*LLAMA, tensors=(Q, K, tensor("blk.0.attn_q.scale", [1], offset=64)), data=128),
            "attn_q.scale belongs to a quantised blk.0.attn_q.weight",
        ),
        (
            file_of(
                *LLAMA, tensors=(Q, K, tensor("blk.0.attn_q_norm.weight", [2], 0, 64)), data=99
            ),
            "attn_q_norm.weight is no part of attention",
        ),
        (file_of(*LLAMA[:3], number("llama.attention.head_count", 3), tensors=(Q, K)), "multiple"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_cannot_be_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    assert complaint in refusal(path)


def test_a_file_that_ends_anywhere_is_refused(shared_model: Callable, tmp_path: Path) -> None:
    """Whatever is cut off: of the header, and of the last tensors."""
    (path,) = write_gguf(tmp_path / "x.gguf", "bert", shared_model("bert", dtype=torch.float32))
    whole = path.read_bytes()
    for end in (*range(0, 1500, 61), *range(len(whole) - 500, len(whole) - 32, 61)):
        path.write_bytes(whole[:end])
        assert "cut short" in refusal(path)


def test_a_large_tokenizer_is_passed_over(tmp_path: Path) -> None:
    """In its own time, and in the room of what is read at once."""
    tokens = b"".join(text(f"token {n}") for n in range(200_000))
    listed = pair("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", TEXT, 200_000) + tokens)
    path = tmp_path / "x.gguf"
    path.write_bytes(file_of(*LLAMA, listed, tensors=(Q, K)))
    assert open_checkpoint(path).n_layers == 1
    if Path("/proc/self/clear_refs").exists():
        assert peak_above_the_start(lambda: open_checkpoint(path)) < 1 << 20


# Several files


@pytest.fixture
def parts(shared_model: Callable, tmp_path: Path) -> tuple[Any, list[Path]]:
    """A model in several files; the first may have no tensor of any use."""
    model = shared_model("llama", dtype=torch.float32, head=True)
    found = write_gguf(
        tmp_path / "x.gguf", "llama", model, split_max_size=2000, small_first_shard=True
    )
    assert len(found) > 3
    return model, found


def assert_same(found: Checkpoint, expected: Checkpoint) -> None:
    for layer in range(expected.n_layers):
        for name, factor in vars(expected.read_layer(layer)).items():
            assert torch.equal(getattr(found.read_layer(layer), name), factor)


def names_in(path: Path) -> set[str]:
    return {*GgufFile(PlainFile(path, "")).header.tensors}


def test_any_of_several_files_opens_them_all(parts: tuple[Any, list[Path]]) -> None:
    model, paths = parts
    for path in (paths[0], paths[-1]):
        found = open_checkpoint(path)
        assert_same(found, open_folder(model.folder))
        # The first says what the model is; of the others those that hold what is wanted.
        holders = [each for each in paths[1:] if names_in(each) & found.tensors.keys()]
        assert sorted(found.files) == [each.name for each in (paths[0], *holders)]
        assert 1 < len(found.files) < len(paths)
        assert found.revision == open_checkpoint(paths[1]).revision


def test_files_of_other_layers_may_be_missing(parts: tuple[Any, list[Path]]) -> None:
    _, paths = parts
    whole = open_checkpoint(paths[0])
    for path in paths[1:]:
        if not {name.split(".")[1] for name in names_in(path)} & {"0", "3"}:
            path.unlink()
    assert len([path for path in paths if path.exists()]) < len(paths)
    some = open_checkpoint(paths[0], reading=Reading(layers=(0, 3)))
    assert some.chosen == (0, 3)
    for layer in some.chosen:
        assert torch.equal(some.read_layer(layer).keys, whole.read_layer(layer).keys)
    assert "is missing, and so is file" in refusal(paths[0])
    # How fast it rotates may be said in one of the others.
    with pytest.raises(CheckpointError, match=r"rope_offset: a file is missing that may have"):
        open_checkpoint(
            paths[0], convention=Convention(rope_offset=1), reading=Reading(layers=(0, 3))
        )


def test_files_that_do_not_belong_together_are_refused(parts: tuple[Any, list[Path]]) -> None:
    _, paths = parts
    number, path = next(
        (number, path)
        for number, path in enumerate(paths, start=1)
        if "blk.1.attn_q.weight" in names_in(path)
    )
    content, first = path.read_bytes(), paths[0].read_bytes()
    path.write_bytes(paths[-1].read_bytes())
    assert "split.no" in refusal(paths[0])
    path.unlink()
    assert f"missing, and so is file {number} of {len(paths)}; fetch the whole" in refusal(paths[0])
    path.write_bytes(content)
    paths[0].unlink()
    assert "the first says what the model is" in refusal(path)
    paths[0].write_bytes(first)
    alone = path.with_name("alone.gguf")
    alone.write_bytes(content)
    assert "split.no" in refusal(alone)


# What is read


def test_content_names_the_revision(shared_model: Callable, tmp_path: Path) -> None:
    """Of the header and the wanted tensors, whichever way they were read."""
    model = shared_model("llama", dtype=torch.float32)

    def revision(name: str, *, read: bool = False, sha256: dict = {}, **options: Any) -> str:  # noqa: B006
        write_gguf(tmp_path / name, "llama", model, **options)
        checkpoint = open_folder(tmp_path, file=name, sha256=sha256)
        if read:
            for layer in (*range(checkpoint.n_layers), 0):
                checkpoint.read_layer(layer)
        assert checkpoint.hashed == {name: "whole" if sha256 else "read"}
        return checkpoint.revision

    def changed(name: str) -> Callable[[dict[str, np.ndarray]], None]:
        def edit(tensors: dict[str, np.ndarray]) -> None:
            tensors[name] = -tensors[name]

        return edit

    plain = revision("a.gguf")
    assert plain == revision("b.gguf", read=True)
    assert plain == revision("c.gguf", edit=changed("blk.0.attn_v.weight"))
    assert plain != revision("d.gguf", edit=changed("blk.3.attn_k.weight"))
    assert plain != revision("e.gguf", values={"context_length": 65})
    with pytest.raises(CheckpointError, match="sha256 expected"):
        revision("f.gguf", sha256={"f.gguf": 64 * "a"})


@LINUX
def test_memory_is_that_of_safetensors(
    shared_model: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And less: rows are made numbers some at a time, and no matrix is beside the factors."""
    sizes = {"hidden_size": 1024, "num_attention_heads": 16, "num_key_value_heads": 16}
    model = shared_model(
        "llama", dtype=torch.float32, num_hidden_layers=2, head_dim=64, vocab_size=8000, **sizes
    )
    (path,) = write_gguf(tmp_path / "x.gguf", "llama", model, "Q4_0")

    def read(checkpoint: Checkpoint) -> None:
        for layer in range(checkpoint.n_layers):
            checkpoint.read_layer(layer)

    compared = [open_checkpoint(path), open_folder(model.folder)]
    for checkpoint in compared:
        read(checkpoint)
    ours, theirs = (peak_above_the_start(lambda c=c: read(c)) for c in compared)
    assert ours < theirs

    at_once = []
    genuine = GgufRows.rows

    def noted(stored: GgufRows, first: int, last: int) -> torch.Tensor:
        at_once.append((last - first) * stored.tensor.shape[-1])
        return genuine(stored, first, last)

    monkeypatch.setattr(GgufRows, "rows", noted)
    read(open_checkpoint(path, convention=Convention(circuit="ov")))
    assert sum(at_once) == 2 * 2 * 1024**2
    assert max(at_once) == NUMBERS_AT_ONCE < 1024**2
