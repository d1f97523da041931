"""Which files hold the weights of a checkpoint, by their names alone."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from headalgebra.checkpoints._adapters import ADAPTER_FILE
from headalgebra.checkpoints._config import CONFIG
from headalgebra.checkpoints._digest import CheckpointFiles
from headalgebra.checkpoints._errors import CheckpointError
from headalgebra.checkpoints.reading import Reading

Choice = TypeVar("Choice")
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONVERSION = (
    'convert them with: python -c "import transformers as t; '
    "t.AutoModel.from_pretrained('CHECKPOINT').save_pretrained('FOLDER')\" and open FOLDER"
)
PICKLED = (".bin", ".ckpt", ".pt", ".pth")
SHARD = re.compile(r"(.+)-(\d+)-of-(\d+)((?:\.\w+)*\.\w+)")
NO_WEIGHTS = re.compile(r"(training_args|optimizer|scheduler|scaler|rng_state.*)\.(bin|pt|pth)")
OTHER_LIBRARY = "use the model's safetensors or PyTorch weights"
# What a folder may hold instead, and what to do about it.
OTHERS = (
    (
        r".*\.(incomplete|part|crdownload|aria2|download)",
        "a download that is not finished",
        "fetch the whole checkpoint",
    ),
    (
        r".*\.(bin|ckpt|pt|pth)",
        "pickled weights, which can run code, are not read",
        f"allow pytorch_model*.bin by allow_pickle: true, or {CONVERSION}",
    ),
    (r".*\.gguf", "a GGUF file is no folder's weights", "open it by its own name, as `file`"),
    (
        r"tf_model.*|.*\.(h5|tflite|pb|keras)|.*\.ckpt(-\d+)?\.(index|meta|data-.*)",
        "weights of TensorFlow are not read",
        OTHER_LIBRARY,
    ),
    (
        r".*\.(msgpack|onnx|onnx_data|ot|npz|mlmodel|nemo)",
        "weights of another library are not read",
        OTHER_LIBRARY,
    ),
)


@dataclass(frozen=True)
class Holdings:
    """The files that hold a checkpoint's weights.

    Attributes
    ----------
    index
        The file that says which tensor is where, if there is one.
    files
        Otherwise those with weights.
    absent
        Shards that must exist by the names of the others and are not there.
    """

    index: str | None
    files: tuple[str, ...]
    absent: tuple[str, ...] = ()


def find_holdings(files: CheckpointFiles, reading: Reading) -> Holdings:
    """Find the weights of a checkpoint: one file, an index and its files, or numbered shards.

    transformers' own names go first; then those of a variant, as ``model.fp16.safetensors``; then
    shards without an index; then a safetensors file of any name, if it is alone.

    Raises
    ------
    CheckpointError
        If there are no weights that can be read, or several that could be meant.
    """
    names = {n for n in files.names if not (ADAPTER_FILE.fullmatch(n) or NO_WEIGHTS.fullmatch(n))}
    if found := _named(names, "model", ".safetensors", files):
        return found
    if alone := {name for name in names if name.endswith(".safetensors")}:
        return Holdings(None, (_only(alone, files),))
    if reading.allow_pickle and (found := _named(names, "pytorch_model", ".bin", files)):
        return found
    raise _nothing(files, names)


def transformer_folder(names: Iterable[str]) -> str:
    """The folder of a model's transformer among its files: the model's own, or one inside it.

    Those that sentence-transformers saved in its first years have a folder for each of their parts,
    ``0_Transformer`` for this one.
    """
    configured = {str(PurePosixPath(name).parent) for name in names if name.endswith(CONFIG)}
    inside = {name for name in configured if re.fullmatch(r"\d+_Transformer", name)}
    return inside.pop() if len(inside) == 1 and "." not in configured else ""


def _named(names: set[str], stem: str, suffix: str, files: CheckpointFiles) -> Holdings | None:
    """Weights under the names that transformers gives them, or with a variant in them."""
    single, index = f"{stem}{suffix}", f"{stem}{suffix}.index.json"
    if single in names:
        return Holdings(None, (single,))
    if index in names:
        return Holdings(index, ())
    tail = re.escape(suffix)
    variants = {
        *(n for n in names if re.fullmatch(rf"{stem}{tail}\.index\.\w+\.json", n)),
        *(n for n in names if re.fullmatch(rf"{stem}\.\w+{tail}", n)),
    }
    if variants:
        name = _only(variants, files)
        return Holdings(name, ()) if name.endswith(".json") else Holdings(None, (name,))
    shards = _shards(name for name in names if name.endswith(suffix))
    own = {whole: parts for whole, parts in shards.items() if whole[0].split(".")[0] == stem}
    shards = own if own or suffix == ".bin" else shards
    if not shards:
        return None
    before, count, after = whole = _only(shards, files)
    present = shards[whole]
    absent = tuple(
        f"{before}-{number:0{len(count)}}-of-{count}{after}"
        for number in range(1, int(count) + 1)
        if number not in present
    )
    return Holdings(None, tuple(present[number] for number in sorted(present)), absent)


def _shards(names: Iterable[str]) -> dict[tuple[str, str, str], dict[int, str]]:
    """Files that are numbered as parts of one whole, by what their names share."""
    found: dict[tuple[str, str, str], dict[int, str]] = {}
    for name in names:
        if parts := SHARD.fullmatch(name):
            before, number, count, after = parts.groups()
            found.setdefault((before, count, after), {})[int(number)] = name
    return found


def _only(choices: Collection[Choice], files: CheckpointFiles) -> Choice:
    """The only one of several weights that could be meant."""
    if len(choices) > 1:
        shown = sorted("-".join(it) if isinstance(it, tuple) else str(it) for it in choices)
        raise CheckpointError(
            files.origin,
            f"it holds several weights: {', '.join(shown)}",
            "put those that are meant into a folder of their own, with config.json",
        )
    return next(iter(choices))


def _nothing(files: CheckpointFiles, names: set[str]) -> CheckpointError:
    """What there is instead of weights."""
    for pattern, problem, mend in OTHERS:
        if found := min((n for n in names if re.fullmatch(pattern, n)), default=None):
            return CheckpointError(files.where(found), problem, mend)
    return CheckpointError(
        files.origin, f"neither {SINGLE} nor {INDEX}", "point at a folder with one of them"
    )
