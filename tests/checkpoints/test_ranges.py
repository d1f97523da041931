"""Of a model on the hub the wanted bytes are fetched, once, and nothing wrong is kept."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from threading import Barrier

import pytest
import torch
from gguf_files import write_gguf
from hypothesis import given
from hypothesis import strategies as st
from local_hub import COMMIT, UNREACHABLE, Hub, new_interpreter, said_by, serving, use_here

from headalgebra.checkpoints import (
    Checkpoint,
    CheckpointError,
    is_kept,
    open_folder,
    open_hub,
    outline_hub,
)
from headalgebra.checkpoints import _hub_ranges as hub_ranges
from headalgebra.checkpoints._ranged_file import BEGINNING, joined, missing
from headalgebra.checkpoints.reading import Reading

ASIDE = 100_001
"""Bytes that a file may cost beside what is wanted of it."""
MODEL = "someone/llama"
AT = (MODEL, "main")
INDEX = "model.safetensors.index.json"


# What is asked for

spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 12)).map(lambda it: (it[0], it[0] + it[1])),
    max_size=8,
)


def bytes_of(some: Iterable[tuple[int, int]]) -> set[int]:
    return {place for start, stop in some for place in range(start, stop)}


@given(spans, spans)
def test_what_is_missing_is_what_is_wanted_and_not_covered(wanted: list, covered: list) -> None:
    found = missing(wanted, covered)
    assert bytes_of(found) == bytes_of(wanted) - bytes_of(covered)
    assert sum(stop - start for start, stop in found) == len(bytes_of(found))
    assert found == sorted(found)


@given(spans, st.integers(0, 40))
def test_neighbours_are_joined_as_far_as_the_bytes_between_allow(some: list, room: int) -> None:
    """As many as can be: the next join would cost more than is left."""
    apart = missing(some, [])
    together = joined(apart, room)
    spent = len(bytes_of(together) - bytes_of(apart))
    assert bytes_of(together) >= bytes_of(apart)
    assert spent <= room
    left = [after[0] - before[1] for before, after in pairwise(together)]
    assert all(gap > room - spent for gap in left)


# Models that take no room


class Layout:
    """The tensors of a Llama, cut into files as `save_pretrained` does, of bfloat16 zeros."""

    def __init__(self, d: int, hidden: int, vocabulary: int, file_bytes: int, layers: int) -> None:
        self.config = {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": d,
            "intermediate_size": hidden,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
            "num_hidden_layers": layers,
            "vocab_size": vocabulary,
            "rope_theta": 500000.0,
            "rms_norm_eps": 1e-05,
            "torch_dtype": "bfloat16",
        }
        shapes = {"model.embed_tokens.weight": (vocabulary, d)}
        for layer in range(layers):
            each = {
                "input_layernorm": (d,),
                "mlp.down_proj": (d, hidden),
                "mlp.gate_proj": (hidden, d),
                "mlp.up_proj": (hidden, d),
                "post_attention_layernorm": (d,),
                "self_attn.k_proj": (d // 8, d),
                "self_attn.o_proj": (d, d),
                "self_attn.q_proj": (d, d),
                "self_attn.v_proj": (d // 8, d),
            }
            shapes |= {f"model.layers.{layer}.{n}.weight": shape for n, shape in each.items()}
        shapes |= {"model.norm.weight": (d,), "lm_head.weight": (vocabulary, d)}
        self.sizes = {name: 2 * prod(shape) for name, shape in shapes.items()}
        files: list[dict[str, tuple[int, ...]]] = [{}]
        for name, shape in shapes.items():
            if files[-1] and sum(map(self.sizes.get, files[-1])) + self.sizes[name] > file_bytes:
                files.append({})
            files[-1][name] = shape
        count = f"{len(files):05d}"
        self.files = {
            f"model-{number:05d}-of-{count}.safetensors": held
            for number, held in enumerate(files, 1)
        }

    def write(self, folder: Path) -> None:
        """Headers, with nothing stored behind them."""
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self.config))
        held = {tensor: name for name, tensors in self.files.items() for tensor in tensors}
        total = {"total_size": sum(self.sizes.values())}
        (folder / INDEX).write_text(json.dumps({"metadata": total, "weight_map": held}))
        for name, tensors in self.files.items():
            entries, end = {"__metadata__": {"format": "pt"}}, 0
            for tensor, shape in tensors.items():
                place = [end, end := end + self.sizes[tensor]]
                entries[tensor] = {"dtype": "BF16", "shape": [*shape], "data_offsets": place}
            header = json.dumps(entries).encode()
            with (folder / name).open("wb") as file:
                file.write(len(header).to_bytes(8, "little") + header)
                file.truncate(8 + len(header) + end)

    def wanted(self, *layers: int) -> dict[str, int]:
        """Bytes of queries and keys by file, of some layers or all."""
        parts = [f"layers.{layer}." for layer in layers] or ["layers."]
        found = {
            name: sum(
                self.sizes[tensor]
                for tensor in tensors
                if tensor.endswith(("q_proj.weight", "k_proj.weight"))
                and any(part in tensor for part in parts)
            )
            for name, tensors in self.files.items()
        }
        return {name: count for name, count in found.items() if count}


LLAMA_3_70B = Layout(8192, 28672, 128256, 5_000_000_000, 80)
A_256TH = Layout(512, 1792, 8016, 19_500_000, 80)
"""A sixteenth as wide."""


def hub_of(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving({MODEL: folder}) as hub:
        use_here(hub, tmp_path / "home", monkeypatch)
        monkeypatch.setattr(hub_ranges, "sleep", lambda seconds: None)
        yield hub


@pytest.fixture
def whole_llama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with a model in 30 files of 141 GB, as Llama-3-70B is published."""
    LLAMA_3_70B.write(tmp_path / "llama")
    yield from hub_of(tmp_path / "llama", tmp_path, monkeypatch)


@pytest.fixture
def small_llama(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The same a sixteenth as wide."""
    A_256TH.write(tmp_path / "llama")
    yield from hub_of(tmp_path / "llama", tmp_path, monkeypatch)


def assert_exact(hub: Hub, wanted: Mapping[str, int], fetched: Mapping[str, int]) -> None:
    """What was sent is what had been said, and that is what is wanted and little beside it."""
    folder = hub.folders[MODEL]
    small = {name: (folder / name).stat().st_size for name in ("config.json", INDEX)}
    assert (+hub.sent).keys() == {*small, *wanted}
    assert dict(fetched) == {name: hub.sent[name] for name in fetched}
    for name, count in small.items():
        assert hub.sent[name] == count
    for name, count in wanted.items():
        assert count < hub.sent[name] <= count + ASIDE


def test_of_a_model_in_many_files_queries_and_keys_are_fetched(small_llama: Hub) -> None:
    """The index, and 100 kB a file; then nothing any more."""
    assert len(A_256TH.files) == len(LLAMA_3_70B.files) == 30
    outline = outline_hub(*AT)
    beginnings = sum(small_llama.sent[name] for name in A_256TH.wanted())
    assert beginnings == BEGINNING * len(A_256TH.wanted())
    checkpoint = open_hub(*AT)
    for layer in range(80):
        checkpoint.read_layer(layer)
    assert_exact(small_llama, A_256TH.wanted(), outline.sizes)
    assert sum(small_llama.sent.values()) < 0.15 * sum(A_256TH.sizes.values())
    assert checkpoint.hashed[INDEX] == "whole"
    assert {checkpoint.hashed[name] for name in A_256TH.wanted()} == {"read"}
    sent = small_llama.sent.copy()
    for again in (checkpoint, open_hub(*AT)):
        again.read_layer(79)
    assert small_llama.sent == sent


def test_of_70_billion_weights_a_twelfth_is_fetched(whole_llama: Hub) -> None:
    """And of one layer what its file has of it."""
    whole = sum(file.stat().st_size for file in whole_llama.folders[MODEL].iterdir())
    outline = outline_hub(*AT)
    total = sum(outline.sizes.values())
    assert f"{whole / 1e9:.1f} {total / 1e9:.2f}" == "141.1 12.08"
    for name, count in LLAMA_3_70B.wanted().items():
        assert count < outline.sizes[name] <= count + ASIDE

    whole_llama.sent.clear()
    reading = Reading(layers=(0,))
    outline = outline_hub(*AT, reading=reading)
    open_hub(*AT, reading=reading).read_layer(0)
    (name,) = LLAMA_3_70B.wanted(0)
    assert (+whole_llama.sent).keys() == {name}
    assert LLAMA_3_70B.wanted(0)[name] == 2 * 8192 * (8192 + 1024)
    # The beginning had been fetched already.
    assert whole_llama.sent[name] + BEGINNING == outline.sizes[name]


# The same numbers


def assert_same(one: Checkpoint, other: Checkpoint) -> None:
    """All layers that were asked for agree to the bit."""
    for layer in one.chosen or range(one.n_layers):
        found, expected = vars(one.read_layer(layer)), vars(other.read_layer(layer))
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[part], expected[part]) for part in found)


@pytest.fixture
def llama(
    tiny_model: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, Path]]:
    """A hub with a random model of 20 layers in three files or so, and its folder."""
    sizes = {"hidden_size": 32, "intermediate_size": 256, "num_hidden_layers": 20}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    folder = tiny_model("llama", **sizes, **heads, max_shard_size="2MB").folder
    for hub in hub_of(folder, tmp_path, monkeypatch):
        yield hub, folder


def weights_of(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.safetensors")}


def cached_whole(tmp_path: Path) -> set[str]:
    """Files that huggingface_hub's own cache has."""
    return {path.name for path in tmp_path.glob(f"home/hub/models--*/snapshots/{COMMIT}/*")}


def test_ranges_give_what_the_folder_gives(llama: tuple[Hub, Path], tmp_path: Path) -> None:
    """Numbers, digests, and what these are taken over; headers and small files, and no more."""
    hub, folder = llama
    checkpoint, local = open_hub(*AT), open_folder(folder)
    assert len(weights_of(folder)) > 1
    assert (checkpoint.files, checkpoint.hashed) == (local.files, local.hashed)
    assert set(checkpoint.hashed.values()) == {"whole", "read"}
    assert checkpoint.revision == COMMIT
    assert_same(checkpoint, local)
    assert cached_whole(tmp_path) == {"config.json", INDEX}
    for name in weights_of(folder):
        assert 2 * hub.sent[name] < (folder / name).stat().st_size


def test_whole_files_are_fetched_where_that_is_asked_for(
    llama: tuple[Hub, Path], tmp_path: Path
) -> None:
    """The numbers are the same; digests are those of whole files."""
    _, folder = llama
    checkpoint = open_hub(*AT, reading=Reading(fetch="files"))
    assert cached_whole(tmp_path) == {"config.json", INDEX, *weights_of(folder)}
    assert set(checkpoint.hashed.values()) == {"whole"}
    assert_same(checkpoint, open_folder(folder))


def test_a_file_with_a_given_digest_is_fetched_whole(
    llama: tuple[Hub, Path], tmp_path: Path
) -> None:
    """For only so can it be compared; the others are not."""
    _, folder = llama
    digests = open_hub(*AT, reading=Reading(fetch="files")).files
    name = min(weights_of(folder))
    for path in tmp_path.glob(f"home/hub/models--*/snapshots/{COMMIT}/*.safetensors"):
        path.unlink()
    checkpoint = open_hub(*AT, sha256={name: digests[name]})
    assert cached_whole(tmp_path) == {"config.json", INDEX, name}
    assert checkpoint.hashed[name] == "whole"
    assert checkpoint.files[name] == digests[name]
    with pytest.raises(CheckpointError, match=f"{name}: sha256 expected 000"):
        open_hub(*AT, sha256={name: 64 * "0"})


def test_a_file_that_is_here_whole_is_not_fetched_again(
    llama: tuple[Hub, Path],
) -> None:
    hub, _ = llama
    open_hub(*AT, reading=Reading(fetch="files"))
    hub.sent.clear()
    assert set(open_hub(*AT).hashed.values()) == {"whole"}
    assert not +hub.sent


def test_a_file_that_is_mostly_wanted_is_fetched_whole(
    tiny_model: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its header has shown it: queries and keys in one matrix with values."""
    folder = tiny_model("gpt2", n_embd=96, n_inner=8).folder
    for hub in hub_of(folder, tmp_path, monkeypatch):
        outline = outline_hub(*AT)
        checkpoint = open_hub(*AT)
        assert set(checkpoint.hashed.values()) == {"whole"}
        assert_same(checkpoint, open_folder(folder))
        size = (folder / "model.safetensors").stat().st_size
        assert outline.sizes["model.safetensors"] == size + BEGINNING
        assert hub.sent["model.safetensors"] == size + BEGINNING


def test_only_the_layers_that_are_asked_for_are_fetched(llama: tuple[Hub, Path]) -> None:
    hub, folder = llama
    reading = Reading(layers=(0,))
    checkpoint = open_hub(*AT, reading=reading)
    assert_same(checkpoint, open_folder(folder, reading=reading))
    tensors = checkpoint.tensors.values()
    (name,) = {tensor.file_name for tensor in tensors}
    wanted = 8 * 32 * (32 + 16)
    assert (+hub.sent).keys() == {"config.json", INDEX, name}
    assert hub.sent[name] <= wanted + ASIDE
    # Control: the others cost more.
    checkpoint = open_hub(*AT)
    assert_same(checkpoint, open_folder(folder))
    assert sum(hub.sent.values()) > 15 * wanted


# Bad servers


@pytest.mark.parametrize("honest", [0, 4])
@pytest.mark.parametrize("ranges", ["ignored", "others", "fewer", "refused"])
def test_a_server_that_does_not_give_ranges_gives_whole_files(
    llama: tuple[Hub, Path], tmp_path: Path, ranges: str, honest: int
) -> None:
    """And the same numbers, whether it shows at once or later, which says what is hashed."""
    hub, folder = llama
    hub.ranges, hub.honest = ranges, honest
    checkpoint, local = open_hub(*AT), open_folder(folder)
    assert_same(checkpoint, local)
    assert checkpoint.hashed == {
        name: "read" if honest and name in weights_of(folder) else "whole"
        for name in checkpoint.files
    }
    if honest:
        assert checkpoint.files == local.files
    assert cached_whole(tmp_path) >= {"config.json", INDEX}
    assert cached_whole(tmp_path) & weights_of(folder)


def test_an_outline_needs_no_ranges(llama: tuple[Hub, Path], tmp_path: Path) -> None:
    """And fetches no whole files for want of them."""
    hub, folder = llama
    hub.ranges = "ignored"
    outline = outline_hub(*AT)
    assert outline.sizes == {
        name: (folder / name).stat().st_size for name in open_folder(folder).files
    }
    assert cached_whole(tmp_path) == {"config.json", INDEX}
    assert not kept(tmp_path)


def test_a_connection_that_breaks_is_taken_up_again(llama: tuple[Hub, Path]) -> None:
    """Where it broke; one that never gives anything is said in one line."""
    hub, folder = llama
    hub.cut_every = 5000
    assert_same(open_hub(*AT, reading=Reading(layers=(0, 19))), open_folder(folder))
    asked = [headers["range"] for *_, headers in hub.asked if "range" in headers]
    assert {f"bytes={place}-{BEGINNING - 1}" for place in range(0, BEGINNING, 5000)} <= {*asked}
    wanted = 2 * 8 * 32 * (32 + 16)
    assert sum(hub.sent.values()) <= wanted + 2 * ASIDE + (folder / INDEX).stat().st_size
    hub.cut_every = 0
    with pytest.raises(CheckpointError) as caught:
        open_hub(*AT)
    assert str(caught.value).startswith(f"{MODEL} at main: not fetched: RemoteProtocolError")
    assert "\n" not in str(caught.value)


# What is kept


def kept(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob(f"home/assets/headalgebra/someone--llama/{COMMIT}/*/*-of-*"))


def test_what_is_kept_serves_without_the_hub(
    llama: tuple[Hub, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a reading of less too; what is not kept is missed in one line."""
    from huggingface_hub import constants

    hub, folder = llama
    reading = Reading(layers=(0, 1))
    first = open_hub(*AT, reading=reading)
    files = first.files
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for there in (reading, Reading(layers=(1,))):
        offline = open_hub(*AT, reading=there)
        assert offline.origin.endswith(", as cached")
        assert_same(offline, open_folder(folder, reading=there))
        if there is reading:
            assert offline.files == files
    with pytest.raises(CheckpointError) as caught:
        open_hub(*AT, reading=Reading(layers=(5,))).read_layer(5)
    assert "HF_HUB_OFFLINE is set" in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", UNREACHABLE)
    assert_same(open_hub(*AT, reading=reading), open_folder(folder))
    assert len(hub.asked) == asked


@pytest.mark.parametrize("damage", ["flipped", "cut", "left"])
def test_nothing_damaged_is_used(llama: tuple[Hub, Path], tmp_path: Path, damage: str) -> None:
    """What a flipped byte or an end cut off has spoilt is fetched again, and nothing else."""
    hub, folder = llama
    open_hub(*AT).files  # noqa: B018  reads all of it
    hub.sent.clear()
    path = kept(tmp_path)[-1]
    start, stop = map(int, path.name.partition("-of-")[0].split("-"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if damage == "left":  # by a process that was killed
        path.rename(path.with_name(f"{start}-{stop}.part"))
    else:
        path.write_bytes(content if damage == "flipped" else content[:-1])
    assert_same(open_hub(*AT), open_folder(folder))
    assert sum(hub.sent.values()) == stop - start
    assert path in kept(tmp_path)
    assert not [*tmp_path.glob("home/assets/**/*.part")]


READ = """
import json
from headalgebra.checkpoints import open_hub

checkpoint = open_hub("someone/llama", "main")
sums = [float(checkpoint.read_layer(layer).keys.sum()) for layer in range(checkpoint.n_layers)]
print(json.dumps([sums, checkpoint.files]))
"""


def test_two_processes_share_what_they_fetch(llama: tuple[Hub, Path], tmp_path: Path) -> None:
    """Each range once, though both want it at the same time."""
    hub, folder = llama
    hub.together, hub.pause = Barrier(2), 0.02
    both = [new_interpreter(READ, hub.url, tmp_path) for _ in range(2)]
    one, other = map(said_by, both)
    local = open_folder(folder)
    sums = [float(local.read_layer(layer).keys.sum()) for layer in range(local.n_layers)]
    assert one == other == [sums, local.files]
    ranges = [(path, headers["range"]) for _, path, headers in hub.asked if "range" in headers]
    assert len(ranges) == len({*ranges}) > 20


# GGUF


def test_of_a_gguf_file_the_header_and_what_is_wanted_are_fetched(
    llama: tuple[Hub, Path],
    tiny_model: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also for an outline, and then from what is kept."""
    from huggingface_hub import constants

    hub, folder = llama
    model = tiny_model("llama", intermediate_size=2048, dtype=torch.float32)
    (folder / "Q8_0").mkdir()
    (path,) = write_gguf(folder / "Q8_0/x.gguf", "llama", model, "Q8_0")
    file = "Q8_0/x.gguf"
    local = open_folder(folder, file=file)
    outline = outline_hub(*AT, file=file)
    assert hub.sent["x.gguf"] == BEGINNING
    checkpoint = open_hub(*AT, file=file)
    assert_same(checkpoint, local)
    assert (checkpoint.files, checkpoint.hashed) == (local.files, {"x.gguf": "read"})
    assert (outline.family, outline.n_layers) == (local.family, local.n_layers)
    assert outline.sizes == {"x.gguf": hub.sent["x.gguf"]}
    assert 2 * hub.sent["x.gguf"] < path.stat().st_size
    assert not cached_whole(tmp_path)
    assert is_kept(*AT, file)
    assert not is_kept(*AT, "Q8_0/y.gguf") and not is_kept(MODEL, "v2", file)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_same(open_hub(*AT, file=file), local)


def test_a_long_header_is_fetched_in_growing_pieces(
    llama: tuple[Hub, Path], tiny_model: Callable
) -> None:
    """For a GGUF file does not say how long it is."""
    hub, folder = llama
    model = tiny_model("llama", intermediate_size=20000, dtype=torch.float32)
    values = {"tokenizer.chat_template": "x" * 5_000_000}
    (path,) = write_gguf(folder / "x.gguf", "llama", model, values=values)
    outline = outline_hub(*AT, file="x.gguf")
    asked = [headers["range"] for *_, headers in hub.asked if "range" in headers]
    assert len(asked) == 1 + 4 + 4  # 2¹⁶ bytes, as many again up to 2²⁰, and 2²⁰ at a time
    assert 5_000_000 < hub.sent["x.gguf"] < 6_000_000 < path.stat().st_size // 2
    assert_same(open_hub(*AT, file="x.gguf"), open_folder(folder, file="x.gguf"))
    assert outline.sizes == {"x.gguf": hub.sent["x.gguf"]}
