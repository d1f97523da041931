"""Reading a checkpoint takes the bytes and the memory of what is wanted, whatever else there is."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
import torch
from resident_memory import LINUX, peak_above_the_start
from safetensors.torch import load_file

from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import Checkpoint, CheckpointError, open_folder, save_factors
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._stored import stored_checkpoint
from headalgebra.checkpoints.convention import PAPER
from headalgebra.checkpoints.reading import AS_IT_IS
from headalgebra.defaults import BALANCE_ABOVE, CANCELLATION_BELOW

ROOT = Path(__file__).resolve().parents[2]
D_MODEL = 512


# Bytes


@pytest.fixture
def bytes_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Bytes read from weights files since the last call."""
    total = 0
    genuine = Path.open

    class Counting(FileIO):
        def readinto(self, buffer: Any) -> int | None:
            nonlocal total
            count = super().readinto(buffer)
            total += count or 0
            return count

        def read(self, size: int | None = -1) -> bytes | None:
            nonlocal total
            content = super().read(size)
            total += len(content or b"")
            return content

    def counted(path: Path, *arguments: Any, **options: Any) -> Any:
        weights = path.suffix == ".safetensors"
        return Counting(path) if weights else genuine(path, *arguments, **options)

    def taken() -> int:
        nonlocal total
        so_far, total = total, 0
        return so_far

    monkeypatch.setattr(Path, "open", counted)
    yield taken


def wanted_bytes(checkpoint: Checkpoint) -> int:
    """Headers and wanted tensors, by the files themselves."""
    total = 0
    stored = {tensor.file_name: tensor.file.where for tensor in checkpoint.tensors.values()}
    for where in stored.values():
        content = Path(where).read_bytes()
        total += 8 + int.from_bytes(content[:8], "little")
    return total + sum(bytes_of(checkpoint, name) for name in checkpoint.tensors)


def bytes_of(checkpoint: Checkpoint, name: str) -> int:
    """Of one tensor."""
    tensor = checkpoint.tensors[name]
    weights = load_file(tensor.file.where)[tensor.name]
    return weights.numel() * weights.itemsize


def read_everything(checkpoint: Checkpoint) -> Checkpoint:
    """All layers, and what says which they are."""
    for layer in range(checkpoint.n_layers):
        checkpoint.read_layer(layer)
    assert checkpoint.revision and checkpoint.files
    return checkpoint


@pytest.mark.parametrize("shards", ["8KB", "1GB"])
def test_headers_and_wanted_tensors_are_read_once(
    tiny_model: Callable, bytes_read: Callable[[], int], family: str, shards: str
) -> None:
    """Though some hold queries and keys at once, and though their digests are recorded."""
    folder = tiny_model(family, max_shard_size=shards).folder
    bytes_read()
    checkpoint = read_everything(open_folder(folder))
    # Keys that layers share are read again for each layer after the first that has them.
    sides = [layer.keys for layer in checkpoint.layers]
    keys = Counter(side.heads.tensor for side in sides)
    keys += Counter(side.norm.tensor for side in sides if side.norm)
    again = sum(
        (times - 1) * bytes_of(checkpoint, name) for name, times in keys.items() if times > 1
    )
    assert (again > 0) == (family == "gemma3n_text")
    assert bytes_read() == wanted_bytes(checkpoint) + again


def test_a_file_that_is_read_whole_is_noticed(
    tiny_model: Callable, bytes_read: Callable[[], int]
) -> None:
    """Control: a digest that is given takes the whole file, once."""
    folder = tiny_model("bert").folder
    path = folder / "model.safetensors"
    bytes_read()
    whole = read_everything(open_folder(folder)).files
    path_digest = _sha256(path)
    bytes_read()
    checkpoint = read_everything(open_folder(folder, sha256={path.name: path_digest}))
    read = bytes_read()
    assert read == wanted_bytes(checkpoint) + path.stat().st_size
    assert checkpoint.files[path.name] == path_digest != whole[path.name]


def test_a_digest_that_is_known_needs_no_reading(
    tiny_model: Callable, bytes_read: Callable[[], int]
) -> None:
    """As that of a large file of the hub is."""
    folder = tiny_model("bert").folder
    names = ("config.json", "model.safetensors")

    def stated(path: Path) -> str | None:
        return 64 * "a" if path.suffix == ".safetensors" else None

    bytes_read()
    files = CheckpointFiles(str(folder), names, lambda name: folder / name, {}, stated)
    checkpoint = read_everything(stored_checkpoint(files, None, PAPER, AS_IT_IS))
    assert bytes_read() == wanted_bytes(checkpoint)
    assert checkpoint.files["model.safetensors"] == 64 * "a"
    assert set(checkpoint.hashed.values()) == {"whole"}


def _sha256(path: Path) -> str:
    from hashlib import sha256

    return sha256(path.read_bytes()).hexdigest()


# Headers


def rewritten(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the header of a file, the tensors staying where they are after it."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    edit(header)
    packed = json.dumps(header).encode()
    path.write_bytes(len(packed).to_bytes(8, "little") + packed + content[end:])


def last_of(header: dict[str, Any]) -> dict[str, Any]:
    """The entry at the end of the file."""
    entries = [entry for name, entry in header.items() if name != "__metadata__"]
    return max(entries, key=lambda entry: entry["data_offsets"])


def moved(by: int, ends: slice) -> Callable[[dict[str, Any]], None]:
    """Move ends of the last tensor."""

    def edit(header: dict[str, Any]) -> None:
        offsets = last_of(header)["data_offsets"]
        offsets[ends] = [offset + by for offset in offsets[ends]]

    return edit


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (moved(-4, slice(0, 2)), "where the one before ends"),
        (moved(4, slice(0, 2)), "where the one before ends"),
        (moved(4, slice(1, 2)), "does not fill"),
        (moved(-(1 << 40), slice(0, 2)), "malformed"),
        (lambda h: last_of(h)["shape"].append(2), "does not fill"),
        (lambda h: last_of(h).pop("shape"), "malformed"),
        (lambda h: last_of(h).update(data_offsets=[0]), "malformed"),
        (lambda h: last_of(h).update(data_offsets=[0.0, 4.0]), "malformed"),
        (lambda h: last_of(h).update(dtype=7), "malformed"),
        (lambda h: h.update(extra=[]), "extra is malformed"),
    ],
)
def test_headers_that_cannot_be_are_refused(
    tiny_model: Callable, edit: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    """Tensors that overlap, leave gaps or leave the file, and entries that are none."""
    folder = tiny_model("bert").folder
    path = folder / "model.safetensors"
    rewritten(path, lambda header: None)
    open_folder(folder)
    rewritten(path, edit)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: .*{complaint}.*; fetch") as no:
        open_folder(folder)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ((100_000_001).to_bytes(8, "little") + b"{}", "would have 100000001 bytes"),
        ((1 << 63).to_bytes(8, "little") + b"{}", "would have"),
        (bytes(8), "would have 0 bytes"),
        ((2).to_bytes(8, "little") + b"[]", "no JSON object"),
        ((2).to_bytes(8, "little") + b"{\xff", "not JSON"),
        ((26).to_bytes(8, "little") + b'{"a":{"b":1,"b":2},"c":{}}', "given twice"),
        ((2).to_bytes(8, "little") + b"{}x", "has 11 bytes, but its header describes 10"),
    ],
)
def test_files_that_are_no_safetensors_are_refused(
    tiny_model: Callable, content: bytes, complaint: str
) -> None:
    """Before room is made for what they claim to hold."""
    folder = tiny_model("bert").folder
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=complaint):
        open_folder(folder)


@LINUX
def test_a_million_tensors_are_refused_before_room_is_made_for_them(tiny_model: Callable) -> None:
    """They are a header of 60 MB, which would take half a gigabyte once it is read."""
    folder = tiny_model("bert").folder
    entries = (
        f'"{number}":{{"dtype":"F32","shape":[1],"data_offsets":[{4 * number},{4 * number + 4}]}}'
        for number in range(1_000_000)
    )
    header = f"{{{','.join(entries)}}}".encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4_000_000)
    del header

    def refuse() -> None:
        with pytest.raises(CheckpointError, match="where 1 to 16777216 can be"):
            open_folder(folder)

    assert peak_above_the_start(refuse) < 1 << 22


# Memory


def wide_folder(tiny_model: Callable, layers: int, vocabulary: int = 50) -> Path:
    """A model with heads that weigh something; its queries and keys are 2 MB a layer in float32."""
    sizes = {
        "hidden_size": D_MODEL,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "head_dim": D_MODEL // 8,
        "intermediate_size": 64,
        "vocab_size": vocabulary,
        "num_hidden_layers": layers,
    }
    return tiny_model("llama", dtype=torch.float32, **sizes).folder


@LINUX
def test_memory_grows_with_one_layer_alone(tiny_model: Callable, tmp_path: Path) -> None:
    """Not with the number of layers, nor with what else the checkpoint holds."""
    layer = 2 * D_MODEL * D_MODEL * 4
    few, many, large = (
        wide_folder(tiny_model, layers, vocabulary)
        for layers, vocabulary in ((2, 50), (24, 50), (2, 24_000))
    )

    def extract(folder: Path) -> None:
        checkpoint = open_folder(folder)
        for n in range(checkpoint.n_layers):
            save_factors(tmp_path / f"{n}.safetensors", checkpoint.read_layer(n), {})
        assert checkpoint.revision

    def mapped(folder: Path) -> None:
        tensors = load_file(next(folder.glob("*.safetensors")))
        assert all(tensor.sum().isfinite() for tensor in tensors.values())

    extract(few)
    room = 6 * layer
    for folder in (few, many, large):
        assert peak_above_the_start(lambda folder=folder: extract(folder)) < room
    # Control: a whole file, mapped, counts.
    for folder in (many, large):
        assert peak_above_the_start(lambda folder=folder: mapped(folder)) > 2 * room


@LINUX
def test_commutators_need_no_blocks_repeated_by_head() -> None:
    """Heads that share a key do not take the memory of heads that have their own."""
    heads, d_model, width = 64, 1024, 16
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(heads, d_model, width, generator=generator).bfloat16()
    keys = torch.randn(4, d_model, width, generator=generator).bfloat16()
    key_of_head = torch.arange(heads) // (heads // 4)
    matrix = 8 * d_model * heads * width

    def measure() -> None:
        operators = HeadOperators.from_factors(queries, keys, key_of_head)
        blocks = gram_blocks(operators, balance_above=BALANCE_ABOVE)
        assert pair_commutators(blocks, cancellation_below=CANCELLATION_BELOW).epsilon > 0

    def repeated() -> None:
        operators = HeadOperators.from_factors(queries, keys, key_of_head)
        blocks = gram_blocks(operators, balance_above=BALANCE_ABOVE)
        kept = blocks.KK_of_heads(), blocks.M_of_heads()
        assert kept[0].shape == kept[1].shape

    measure()
    # The queries and their Gram matrix, and shared keys and blocks, a quarter of it together.
    assert peak_above_the_start(measure) < 3 * matrix
    assert peak_above_the_start(repeated) > 3.5 * matrix


@LINUX
def test_the_benchmark_reads_what_is_needed(tmp_path: Path) -> None:
    """On a small checkpoint with a vocabulary that is not: the two scripts, as they are."""
    folder = tmp_path / "checkpoint"
    sizes = ["--layers", "2", "--d-model", "64", "--heads", "4", "--key-heads", "2"]
    sizes += ["--head-dim", "16", "--mlp", "64", "--vocabulary", "60000"]

    def benchmark(name: str, *arguments: str) -> str:
        command = [sys.executable, f"benchmarks/{name}.py", str(folder), *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    benchmark("make_checkpoint", *sizes)
    figures = json.loads(benchmark("memory", "--json").splitlines()[-1])
    needed, read = figures["needed_bytes"], figures["extract_weights"]["read_bytes"]
    unwanted = sum(path.stat().st_size for path in folder.iterdir()) - needed
    assert 0 < read - needed < unwanted / 10
    assert figures["measure_epsilon"]["peak_bytes"] > figures["measure_epsilon"]["imports_bytes"]
