"""The configuration of a run, composed by Hydra and checked against the schemas below.

`compose` turns what the user typed (``--config study=…``, ``models=…``, ``hydra=[…]``) and the
files of ``config/`` into a `Configuration` of plain, sorted Python values. Whatever is wrong raises
a `ConfigurationError` of one line before any job starts.
"""

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

# ------ What a key may hold


@dataclass(frozen=True)
class Kind:
    """What a key may hold.

    Attributes
    ----------
    allowed
        In words that can follow "is not".
    read
        The value as the jobs will see it; ValueError for what is not allowed.
    open
        Whether it is a mapping whose keys are the user's own.
    """

    allowed: str
    read: Callable[[Any], Any]
    open: bool = False


def integer(low: int, high: int | None = None) -> Kind:
    """Integers of at least `low` and, where given, at most `high`."""

    def read(value: Any) -> int:
        # bool is an int to isinstance
        if type(value) is not int or value < low or (high is not None and value > high):
            raise ValueError
        return value

    return Kind(f"an integer {f'>= {low}' if high is None else f'from {low} to {high}'}", read)


def number(above: float, below: float = math.inf) -> Kind:
    """Finite numbers strictly between the two; an integer is read as a float."""

    def read(value: Any) -> float:
        if type(value) not in (int, float) or not above < value < below:
            raise ValueError
        return float(value)

    upper = "" if math.isinf(below) else f" and below {below:g}"
    return Kind(f"a number above {above:g}{upper}", read)


def one_of(*choices: str) -> Kind:
    """One of a few words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return Kind(f"one of {', '.join(choices)}", read)


def text(allowed: str, pattern: str) -> Kind:
    """Strings that a regular expression matches from end to end."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError
        return value

    return Kind(allowed, read)


def nullable(kind: Kind) -> Kind:
    """Null or what `kind` allows."""

    def read(value: Any) -> Any:
        return None if value is None else kind.read(value)

    return Kind(f"null or {kind.allowed}", read, kind.open)


def _read_names(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError
    return value


def _read_layers(value: Any) -> list[int]:
    if isinstance(value, str):
        ends = re.fullmatch(r"([0-9]{1,4})-([0-9]{1,4})", value)
        if ends is None:
            raise ValueError
        value = list(range(int(ends[1]), int(ends[2]) + 1))
    layer = integer(0, 9999)
    if not isinstance(value, list) or not value or len(set(map(layer.read, value))) < len(value):
        raise ValueError
    return sorted(value)


def _read_digests(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError
    return {RELATIVE.read(file): DIGEST.read(digest).lower() for file, digest in value.items()}


def _read_architecture(value: Any) -> dict[str, Any]:
    def plain(leaf: Any) -> bool:
        if isinstance(leaf, dict):
            return all(isinstance(key, str) and plain(item) for key, item in leaf.items())
        if isinstance(leaf, list):
            return all(map(plain, leaf))
        return leaf is None or type(leaf) in (bool, int, float, str)

    if not plain(value) or not isinstance(value, dict):
        raise ValueError
    if not isinstance(value.get("model_type"), str):
        raise ValueError
    return value


LINE = text("a line of text", r"\S[^\n]*")
NAME = text(
    "a name of letters, digits, '.', '_' and '-' that starts with a letter or digit",
    r"[A-Za-z0-9][A-Za-z0-9._-]*",
)
NAMES = Kind(
    "a list of names of files in config/model/ (one that looks like a number in quotes)",
    _read_names,
)
HUB_ID = text("a hub id such as openai-community/gpt2", r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
REVISION = text(
    "a branch, tag or commit (one of digits alone in quotes)", r"[A-Za-z0-9_][A-Za-z0-9._/-]*"
)
RELATIVE = text("a relative path without '..'", r"(?!/)(?!(.*/)?\.\.(/|$))\S.*")
DIGEST = text("64 hexadecimal digits", r"[0-9a-fA-F]{64}")
DIGESTS = Kind(
    "a mapping from file names to digests of 64 hexadecimal digits (in quotes if all decimal)",
    _read_digests,
    open=True,
)
LAYERS = Kind("a list of different layers from 0 or a range such as 0-23", _read_layers)
ARCHITECTURE = Kind(
    "a mapping with a model_type and that architecture's settings", _read_architecture, open=True
)
COLOUR = text("a colour such as '#56b4e9' (in quotes)", "#[0-9a-fA-F]{6}")
PALETTES = one_of(
    *("colorblind", "deep", "muted", "bright", "dark", "pastel", "tab10", "tab20"),
    *("Set1", "Set2", "Set3", "Dark2", "Paired", "husl", "hls"),
)
COLOUR_MAPS = one_of("cividis", "viridis", "plasma", "inferno", "magma")

# ------ The schemas


class SchemaError(Exception):
    """A key that cannot stand as it is: the keys that a mend would touch, dotted, and a message."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a mend would touch; in a schema's own check, without the path to them."""
        return tuple(self.args[0])

    def __str__(self) -> str:
        """The message."""
        return str(self.args[1])


@dataclass(frozen=True, kw_only=True)
class Study:
    """Which models are compared with one another."""

    title: Annotated[str, LINE, "what the report is headed with"]
    models: Annotated[list[str], NAMES, "in the order of every table and figure"]


@dataclass(frozen=True, kw_only=True)
class Phases:
    """Where the bands of ε begin and end."""

    weak_below: Annotated[float, number(0), "phase I is ε below this"] = 0.1
    topological_above: Annotated[float, number(0), "phase III is ε above this, II is between"] = 1.0

    def __post_init__(self) -> None:
        """Check the order."""
        if not self.weak_below < self.topological_above:
            why = f"{self.weak_below} is not below topological_above, {self.topological_above}"
            raise SchemaError(("weak_below", "topological_above"), why)


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """The bands of the basis' condition number κ."""

    well_below: Annotated[float, number(1), "κ below this is well conditioned"] = 100.0
    poor_from: Annotated[float, number(1), "κ from this on is poor, moderate is between"] = 1000.0

    def __post_init__(self) -> None:
        """Check the order."""
        if not self.well_below < self.poor_from:
            why = f"{self.well_below} is not below poor_from, {self.poor_from}"
            raise SchemaError(("well_below", "poor_from"), why)


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How much of a model the comparison of floating-point formats takes."""

    layers: Annotated[int, integer(1), "layers, spread over the depth"] = 3
    triples: Annotated[int, integer(1), "triples in each of them"] = 2


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """How every model is measured."""

    seed: Annotated[int, integer(0), "the root of every random draw"] = 0
    device: Annotated[str, one_of("auto", "cpu", "cuda"), "auto: cuda if there is one"] = "auto"
    phases: Phases = field(default_factory=Phases)
    conditioning: Conditioning = field(default_factory=Conditioning)
    rank_cutoff: Annotated[
        float, number(0, 1), "singular values up to this times the largest are dropped"
    ] = 1e-8
    gram_floor: Annotated[
        float,
        number(0, 1),
        "a Gram eigenvalue below this times the largest: decompose the operators instead",
    ] = 1e-8
    max_dim: Annotated[
        int | None, nullable(integer(1)), "keep at most so many basis elements; null keeps all"
    ] = None
    dense_max_dim: Annotated[int, integer(1), "the largest basis that may go the dense route"] = 6
    balance_above: Annotated[
        float, number(1), "heads with factors of a condition number above this are rebalanced"
    ] = 1e6
    cancellation_below: Annotated[
        float,
        number(0, 1),
        "squared commutators below this times their terms are computed again from QR factors",
    ] = 1e-4
    probes: Annotated[
        int, integer(2), "random directions of a sampled norm; below 16 its interval is too narrow"
    ] = 16
    jacobi_triples: Annotated[
        int, integer(1), "triples a layer on which the literal Jacobiator is formed"
    ] = 2
    census_max_triples: Annotated[
        int, integer(1), "the sampled route takes every triple if there are no more than this"
    ] = 20000
    weighted_triples: Annotated[
        int, integer(200), "triples drawn otherwise; the interval is calibrated from 200 on"
    ] = 400
    uniform_tuples: Annotated[
        int, integer(2), "index tuples of the uniform sampling that is kept for comparison"
    ] = 200
    literal_tolerance: Annotated[
        float, number(0, 1), "what the residual of the literal relations is held against"
    ] = 1e-6
    relation_tuples: Annotated[
        int, integer(1), "random tuples on which the two-term relations are checked"
    ] = 100
    relation_exhaustive_max_dim: Annotated[
        int, integer(1), "up to this dimension they are also checked on all basis tuples"
    ] = 64
    precision: Precision = field(default_factory=Precision)


@dataclass(frozen=True, kw_only=True)
class PhaseColours:
    """The bands behind the curves."""

    I: Annotated[str, COLOUR, "band of phase I"] = "#dcedf8"  # noqa: E741  the phases' own names
    II: Annotated[str, COLOUR, "band of phase II"] = "#fbf0b4"
    III: Annotated[str, COLOUR, "band of phase III"] = "#eebd9b"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How figures look; changing it computes nothing again."""

    phase_colours: PhaseColours = field(default_factory=PhaseColours)
    model_palette: Annotated[str, PALETTES, "the models' colours"] = "colorblind"
    map_colours: Annotated[str, COLOUR_MAPS, "the colours of matrices"] = "cividis"
    dpi: Annotated[int, integer(50, 1200), "dots per inch of the PNG files"] = 200
    width_inches: Annotated[float, number(1, 30), "width of a figure"] = 7.0


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a cluster is asked for in place of the rules' own estimates."""

    mem_mb: Annotated[int | None, nullable(integer(1)), "memory of a job in MB"] = None
    runtime: Annotated[int | None, nullable(integer(1)), "time of a job in minutes"] = None


# source -> the keys it needs, the keys it may have besides
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hub": (("id", "revision"), ("sha256",)),
    "path": (("path",), ("sha256",)),
    "package": (("package", "folder"), ("sha256",)),
    "init": ((), ("id", "revision", "config")),
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """Where a model's weights come from, and what is read of them."""

    name: Annotated[str, NAME, "may be left out; anything but the file's name is an error"]
    source: Annotated[str, one_of(*SOURCES), "where the weights come from"]
    id: Annotated[str | None, nullable(HUB_ID), "hub: the model; init: whose architecture"] = None
    revision: Annotated[str | None, nullable(REVISION), "hub: required; init: of the id"] = None
    path: Annotated[str | None, nullable(LINE), "path: the checkpoint's folder"] = None
    package: Annotated[str | None, nullable(NAME), "package: an installed Python package"] = None
    folder: Annotated[str | None, nullable(RELATIVE), "package: the folder inside it"] = None
    config: Annotated[
        dict[str, Any] | None, nullable(ARCHITECTURE), "init: an architecture in place of an id"
    ] = None
    sha256: Annotated[
        dict[str, str], DIGESTS, "hub, path, package: files that must have these digests"
    ] = field(default_factory=dict)
    layers: Annotated[list[int] | None, nullable(LAYERS), "layers to study; null is all"] = None
    dtype: Annotated[
        str | None,
        nullable(one_of("float64", "float32", "float16", "bfloat16")),
        "round the weights to this; null leaves the checkpoint's own",
    ] = None
    threads: Annotated[int, integer(1), "of a job; another number may change last digits"] = 1
    layers_per_job: Annotated[
        int | None, nullable(integer(1)), "split stages into jobs of so many layers; needs layers"
    ] = None
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        """Check that the source has what it needs, and nothing of another source's."""
        needed, optional = SOURCES[self.source]
        own = needed + optional
        listed = ", ".join([*needed, *(f"{key} (optional)" for key in optional)])
        takes = f"source {self.source} takes {listed}"
        for key in ("id", "revision", "path", "package", "folder", "config", "sha256"):
            if getattr(self, key) and key not in own:
                raise SchemaError((key, "source"), f"belongs to another source; {takes}")
            if getattr(self, key) is None and key in needed:
                raise SchemaError((key, "source"), f"missing; {takes}")
        if self.source == "init" and (self.id is None) == (self.config is None):
            raise SchemaError(
                ("config", "id", "source"), "source init takes either a config or an id"
            )
        if self.revision is not None and self.id is None:
            raise SchemaError(("revision", "id"), "is of an id, and there is none")
        if self.layers_per_job is not None and self.layers is None:
            why = "needs layers; write layers: 0-<number of layers - 1>"
            raise SchemaError(("layers_per_job", "layers"), why)


GROUPS: dict[str, type[Any]] = dict(study=Study, model=Model, analysis=Analysis, figures=Figures)


def schema_table() -> str:
    """Every key of the configuration, a Markdown table for each group."""
    places = {group: f"config/{group}/<name>.yaml" for group in GROUPS} | {
        "figures": "config/config.yaml"
    }
    parts = []
    for group, schema in GROUPS.items():
        rows = [f"| `{a}` | {b} | {c} | {d} |" for a, b, c, d in _rows(schema)]
        head = [f"### `{group}`: {places[group]}", "", schema.__doc__ or "", ""]
        parts.append(
            "\n".join([*head, "| key | default | allowed | meaning |", "|---|---|---|---|", *rows])
        )
    return "\n\n".join(parts) + "\n"


def _rows(schema: type[Any]) -> Iterable[tuple[str, str, str, str]]:
    for entry in fields(schema):
        if nested := _nested(entry):
            for key, default, allowed, meaning in _rows(nested):
                yield f"{entry.name}.{key}", default, allowed, meaning
            continue
        kind, meaning = _described(entry)
        if _required(entry):
            shown = "the file's name" if entry.name == "name" else "required"
        else:
            factory = entry.default_factory
            value = entry.default if factory is MISSING else factory()
            shown = f"`{value if isinstance(value, str) else json.dumps(value)}`"
        yield entry.name, shown, kind.allowed, meaning


# ------ Checking


def _shown(value: Any) -> str:
    whole = repr(value)
    return whole if len(whole) <= 60 else whole[:57] + "..."


def _close(name: Any, choices: Iterable[str]) -> str:
    matches = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def _no_key(key: Any, place: str, keys: Iterable[str]) -> str:
    keys = list(keys)
    return f"no key '{key}' in {place}; keys are {', '.join(keys)}{_close(key, keys)}"


def _nested(entry: Field[Any]) -> type[Any] | None:
    """The schema of a key that is itself a mapping of known keys."""
    return entry.type if isinstance(entry.type, type) and is_dataclass(entry.type) else None


def _described(entry: Field[Any]) -> tuple[Kind, str]:
    """What a key that is not nested may hold, and what it means."""
    kind, meaning = get_args(entry.type)[1:]
    return kind, meaning


def _required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _read(schema: type[Any], raw: Any, place: str) -> Any:
    """An instance of `schema` from `raw`, the mapping from YAML that lies at `place`."""
    known = {entry.name: entry for entry in fields(schema)}
    if not isinstance(raw, dict):
        raise SchemaError(
            (place,), f"{place}: {_shown(raw)} is not a mapping; keys are {', '.join(known)}"
        )
    for key in raw:
        if key not in known:
            raise SchemaError((f"{place}.{key}",), _no_key(key, place, known))
    values: dict[str, Any] = {}
    for key, entry in known.items():
        path = f"{place}.{key}"
        if key not in raw:
            if _required(entry):
                raise SchemaError(
                    (path,), f"{path}: missing; it must be {_described(entry)[0].allowed}"
                )
        elif nested := _nested(entry):
            values[key] = _read(nested, raw[key], path)
        else:
            kind, _ = _described(entry)
            try:
                values[key] = kind.read(raw[key])
            except (ValueError, OverflowError):
                raise SchemaError(
                    (path,), f"{path}: {_shown(raw[key])} is not {kind.allowed}"
                ) from None
    try:
        return schema(**values)
    except SchemaError as fault:
        keys = [f"{place}.{key}" for key in fault.keys]
        raise SchemaError(keys, f"{keys[0]}: {fault}") from None


def _read_model(name: str, raw: Any) -> Model:
    """The model of the file `name`.yaml."""
    if isinstance(raw, dict):
        raw = {"name": name} | raw
    model: Model = _read(Model, raw, "model")
    if model.name != name:
        raise SchemaError(
            ("model.name",),
            f"model.name: '{model.name}' is not '{name}', the file's; delete the line",
        )
    return model


def _plain(value: Any) -> Any:
    """Schema instances to dicts, and every dict by sorted keys."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


# ------ Composing


class ConfigurationError(ValueError):
    """What is wrong, in one line: the file or argument, the key, what is allowed."""

    def __init__(self, message: str) -> None:
        """Join the lines of the message."""
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True)
class Configuration:
    """What one run computes. All values are plain Python, resolved, with sorted keys.

    Attributes
    ----------
    study
        The study's name, which names its folder of results.
    title
        What its report is headed with.
    models
        `Model` as a dict for each model's name, in the study's order.
    analysis, figures
        `Analysis` and `Figures` as dicts.
    """

    study: str
    title: str
    models: dict[str, dict[str, Any]]
    analysis: dict[str, Any]
    figures: dict[str, Any]


ARGUMENTS = ("study", "models", "hydra")


def compose(user: Mapping[str, Any], config_dir: str | Path) -> Configuration:
    """The configuration of a run.

    Parameters
    ----------
    user
        What ``--config`` gave. `study`: a file of ``config/study/``. `models`: files of
        ``config/model/``, as a list, a number or a string with commas, for the ad-hoc study
        custom. `hydra`: one Hydra override or a list of them.
    config_dir
        The folder ``config``.

    Raises
    ------
    ConfigurationError
        One line naming the file or the argument at fault, the key, and what is allowed.
    """
    folder = _Folder(Path(config_dir))
    for key in user:
        if key not in ARGUMENTS:
            why = 'no such key; keys are study, models and, for all settings, hydra=["key=value"]'
            raise ConfigurationError(f"--config {key}: {why}{_close(key, ARGUMENTS)}")
    overrides = _overrides(user["hydra"]) if "hydra" in user else []
    settings = [override for override in overrides if override.choice is None]
    defaults, figures_content = _main_file(folder)
    choices = _choices(user, overrides, defaults, folder)
    listed = _listed_models(user["models"], settings, folder) if "models" in user else None

    files = {group: folder.called(group, name) for group, name in choices.items()}
    contents = {group: folder.load(file) for group, file in files.items()}
    contents["figures"], files["figures"] = figures_content, folder.main
    with _blaming(files):
        for group, content in contents.items():
            if not _interpolated(content):
                _read(GROUPS[group], content, group)

    lines = [f"{group}='{name}'" for group, name in choices.items()]
    lines += [f"++{o.setting}" for o in settings if not o.key.startswith("model.")]
    for_models = [o.setting.removeprefix("model.") for o in settings if o.key.startswith("model.")]
    with initialize_config_dir(str(folder.path), version_base="1.3", job_name="headalgebra"):
        composed = _hydra(lines, settings, folder)
        with _blaming(files, settings):
            study: Study = _read(Study, _resolved(composed, "study"), "study")
            analysis = _read(Analysis, _resolved(composed, "analysis"), "analysis")
            figures = _read(Figures, _resolved(composed, "figures"), "figures")
            names = study.models if listed is None else listed
            _check_models(names, folder)
        for name in names:
            content = folder.load(folder.called("model", name))
            if not _interpolated(content):
                with _blaming({"model": folder.called("model", name)}):
                    _read_model(name, content)
        # All models at once, each in a package of its own: a composition for each gives the same
        # and takes 50 ms a model, nearly all of it for Hydra's own files.
        for index, name in enumerate(names):
            lines.append(f"+model@models.m{index}='{name}'")
            lines += [f"++models.m{index}.{setting}" for setting in for_models]
        composed = _hydra(lines, settings, folder)
    models = {}
    for index, name in enumerate(names):
        with _blaming({"model": folder.called("model", name)}, settings):
            raw = _resolved(composed, f"models.m{index}", "model")
            models[name] = _plain(_read_model(name, raw))
    return Configuration(choices["study"], study.title, models, _plain(analysis), _plain(figures))


class _Folder:
    """The folder of the configuration, and what its files are called in messages."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.main = f"{self.path.name}/config.yaml"

    def called(self, group: str, name: str) -> str:
        return f"{self.path.name}/{group}/{name}.yaml"

    def objection(self, group: str, name: str) -> str | None:
        """Why `name` cannot be the name of a file of the group."""
        names = sorted(file.stem for file in self.path.glob(f"{group}/*.yaml"))
        if name not in names:
            has = ", ".join(names) or "no files"
            return f"no such {group}; {self.path.name}/{group}/ has {has}{_close(name, names)}"
        try:
            NAME.read(name)
        except ValueError:
            return f"'{name}' is not {NAME.allowed}; rename the file"
        if (group, name) == ("study", "models"):
            return "rename the study; its results would lie in results/models/, which is taken"
        return None

    def load(self, file: str) -> dict[Any, Any]:
        """What is written in `file`, as `called` names it."""
        try:
            written = (self.path.parent / file).read_text(encoding="utf-8")
            content = OmegaConf.to_container(OmegaConf.load(StringIO(written)), resolve=False)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigurationError(f"{file}{line}: {error.problem}") from None
        except OSError as error:
            raise ConfigurationError(f"{file}: {error.strerror or error}") from None
        except (ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
            raise ConfigurationError(f"{file}: {error}") from None
        if not isinstance(content, dict):
            raise ConfigurationError(f"{file}: {_shown(content)} is no mapping of keys to values")
        if re.search(r"^#\s*@package", written, re.MULTILINE):
            raise ConfigurationError(f"{file}: a '# @package' line has no place here; delete it")
        _refuse_clock(written, file)
        return content


def _interpolated(content: Any) -> bool:
    # what it stands for may lie in another file, so it can only be checked once all are composed
    return "${" in repr(content)


def _refuse_clock(written: str, where: str) -> None:
    if re.search(r"\$\{\s*now:", written):
        raise ConfigurationError(
            f"{where}: ${{now:}} differs at every reading and would rerun all jobs; write the value"
        )


def _main_file(folder: _Folder) -> tuple[dict[str, str], Any]:
    """The default choices of config.yaml, and its figures."""
    content = folder.load(folder.main)
    for key in content:
        if key not in ("defaults", "figures"):
            why = _no_key(key, "this file", ("defaults", "figures"))
            raise ConfigurationError(f"{folder.main}: {why}")
    match content.get("defaults"):
        case [{"study": str()} as study, {"analysis": str()} as analysis, "_self_"]:
            if len(study) == len(analysis) == 1:
                return study | analysis, content.get("figures", {})
    raise ConfigurationError(
        f"{folder.main}: defaults: must be the list 'study: <name>', 'analysis: <name>', '_self_'"
    )


def _words(value: Any) -> list[str]:
    """The names in an argument: a string with commas, a number, or a list of these."""
    if isinstance(value, list):
        return [word for item in value for word in _words(item)]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    words = [word.strip() for word in str(value).split(",")]
    if not all(words):
        raise ValueError
    return words


def _choices(
    user: Mapping[str, Any],
    overrides: Iterable["_Override"],
    defaults: Mapping[str, str],
    folder: _Folder,
) -> dict[str, str]:
    """The file of each group that is in use."""
    choices = dict(defaults)
    chosen_by = {group: f"{folder.main}: defaults: {group}: {choices[group]}" for group in choices}
    if "study" in user and "models" in user:
        raise ConfigurationError(
            "--config study=… models=…: choose one; other models in a study are given as"
            ' hydra=["study.models=[a,b]"]'
        )
    if "models" in user:
        choices["study"], chosen_by["study"] = "custom", "--config models"
    if "study" in user:
        chosen_by["study"] = f"--config study={user['study']}"
        try:
            (choices["study"],) = _words(user["study"])
        except ValueError:
            why = "is not the name of one study; write study=<name>"
            raise ConfigurationError(f"{chosen_by['study']}: {why}") from None
    for override in overrides:
        if override.choice is not None:
            choices[override.key] = override.choice
            chosen_by[override.key] = _hydra_argument(override.line)
    for group, name in choices.items():
        if objection := folder.objection(group, name):
            raise ConfigurationError(f"{chosen_by[group]}: {objection}")
    return choices


def _listed_models(value: Any, settings: Iterable["_Override"], folder: _Folder) -> list[str]:
    """The models of ``--config models``."""
    try:
        names = _words(value)
    except ValueError:
        names = []
    if not names:
        why = "is no list of models; write models=<name>,<name>"
        raise ConfigurationError(f"--config models={value}: {why}")
    for override in settings:
        if override.touches("study.models"):
            why = "--config models lists the models already; choose one"
            raise ConfigurationError(f"{_hydra_argument(override.line)}: {why}")
    if objection := _objection(names, folder):
        name, why = objection
        raise ConfigurationError(f"--config models={name}: {why}")
    return names


def _check_models(names: list[str], folder: _Folder) -> None:
    """Raise if these, a study's models, are none or not all different models."""
    path = "study.models"
    if not names:
        why = "names no model; name some here, or with --config models=<name>,<name>"
        raise SchemaError((path,), f"{path}: {why}")
    if objection := _objection(names, folder):
        name, why = objection
        raise SchemaError((path,), f"{path}: '{name}': {why}")


def _objection(names: list[str], folder: _Folder) -> tuple[str, str] | None:
    """The first of these that cannot be one of a study's models, and why."""
    for position, name in enumerate(names):
        if name in names[:position]:
            return name, "is there twice; name it once"
        if objection := folder.objection("model", name):
            return name, objection
    return None


@dataclass(frozen=True)
class _Override:
    """An element of ``--config hydra=[…]``: sets `key` or chooses the file of that group."""

    line: str
    key: str
    choice: str | None

    @property
    def setting(self) -> str:
        return self.line.strip().lstrip("+")

    def touches(self, key: str) -> bool:
        return f"{key}.".startswith(f"{self.key}.") or f"{self.key}.".startswith(f"{key}.")


def _hydra_argument(*lines: Any) -> str:
    return f"--config hydra={json.dumps(lines, ensure_ascii=False)}"


def _overrides(value: Any) -> list[_Override]:
    lines = value if isinstance(value, list) else [value]
    for line in lines:
        if not isinstance(line, str):
            raise ConfigurationError(f'--config hydra={value}: write hydra=["key=value", …]')
    return [_override(line) for line in lines]


def _override(line: str) -> _Override:
    where = _hydra_argument(line)
    _refuse_clock(line, where)
    try:
        parsed = OverridesParser.create().parse_override(line.strip())
    except HydraException:
        raise ConfigurationError(f"{where}: is not of the form key=value") from None
    key = parsed.key_or_group
    if parsed.is_delete() or parsed.package is not None:
        raise ConfigurationError(f"{where}: '~' and '@' have no use here; write key=value")
    if parsed.is_sweep_override():
        raise ConfigurationError(f"{where}: gives several values; a list is written [a,b]")
    if key in ("study", "model"):
        argument = "study=<name>" if key == "study" else "models=<name>,<name>"
        raise ConfigurationError(f"{where}: choose it by --config {argument}")
    if key == "analysis":
        return _Override(line, key, str(parsed.value()))
    try:
        _find(key)
    except SchemaError as fault:
        raise ConfigurationError(f"{where}: {fault}") from None
    return _Override(line, key, None)


def _find(key: str) -> None:
    """Raise if the schemas have no such dotted key."""
    place, *rest = key.split(".")
    if place not in GROUPS:
        raise SchemaError((key,), _no_key(place, "the configuration", GROUPS))
    schema: type[Any] | None = GROUPS[place]
    for part in rest:
        if schema is None:
            raise SchemaError((key,), f"{place} has no keys of its own")
        known = {entry.name: entry for entry in fields(schema)}
        if part not in known:
            raise SchemaError((key,), _no_key(part, place, known))
        schema = _nested(known[part])
        if schema is None and _described(known[part])[0].open:
            return
        place = f"{place}.{part}"


@contextmanager
def _blaming(files: Mapping[str, str], settings: Iterable[_Override] = ()) -> Iterator[None]:
    """Lay a fault at the door of the last override that touches its keys, or else of a file."""
    try:
        yield
    except SchemaError as fault:
        group = fault.keys[0].partition(".")[0]
        where = files[group]
        guilty = [o.line for o in settings if any(map(o.touches, fault.keys))]
        if guilty:
            # such a setting is made on every model, and may suit only some
            on = f" on {where}" if group == "model" else ""
            where = _hydra_argument(guilty[-1]) + on
        raise ConfigurationError(f"{where}: {fault}") from None


def _hydra(lines: list[str], settings: Iterable[_Override], folder: _Folder) -> DictConfig:
    try:
        return hydra_compose("config", lines)
    except (HydraException, OmegaConfBaseException) as error:
        typed = [override.line for override in settings]
        where = _hydra_argument(*typed) if typed else folder.main
        raise ConfigurationError(f"{where}: {error}") from None


def _resolved(composed: DictConfig, place: str, group: str | None = None) -> Any:
    """What lies at `place`, resolved to plain Python; faults name it as if it lay at `group`."""
    try:
        node = OmegaConf.select(composed, place, default={}, throw_on_missing=True)
        if not OmegaConf.is_config(node):
            return node
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = (error.full_key or place).replace(place, group or place, 1).replace("[", ".[")
        raise SchemaError((key,), f"{key}: {str(error).splitlines()[0]}") from None
