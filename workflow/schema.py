"""The keys of the configuration, what each may hold, and reading a mapping against them."""

import difflib
import json
from collections.abc import Iterable
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, is_dataclass
from typing import Annotated, Any, get_args

from kinds import (
    ARCHITECTURE,
    COLOUR,
    COLOUR_MAPS,
    DIGESTS,
    FLAG,
    HUB_ID,
    LAYERS,
    LINE,
    NAME,
    NAMES,
    PALETTES,
    RELATIVE,
    REVISION,
    REVISIONS,
    Kind,
    integer,
    nullable,
    number,
    one_of,
)


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
class Claims:
    """What statistics are held against when the paper's claims are judged."""

    share: Annotated[
        float, number(0, 1), "of layers or cases that must be as claimed, at the least"
    ] = 0.8
    rank_correlation: Annotated[
        float, number(0, 1), "something grows from this Spearman's ρ on"
    ] = 0.7
    sizes: Annotated[int, integer(3), "different sizes of a family that show an order"] = 3
    classical_up_to: Annotated[float, number(0, 1), "ε̂ of a layer up to this is rounding"] = 1e-14
    near_one_from: Annotated[float, number(0), "ε of order one begins here"] = 0.5
    near_one_to: Annotated[float, number(0), "and ends here"] = 2.0
    slope_from: Annotated[
        float, number(0), "rounding grows with the unit roundoff to this power or more"
    ] = 0.9
    slope_to: Annotated[float, number(0), "and to this power or less"] = 1.05
    identity_residual: Annotated[
        float, number(0, 1), "relative residual up to which an identity is borne out"
    ] = 1e-10
    significance: Annotated[
        float, number(0, 1), "level of the test whether intervals cover as often as they say"
    ] = 0.01

    def __post_init__(self) -> None:
        """Check the order of the ends."""
        for low, high in (("near_one_from", "near_one_to"), ("slope_from", "slope_to")):
            if not getattr(self, low) < getattr(self, high):
                why = f"{getattr(self, low)} is not below {high}, {getattr(self, high)}"
                raise SchemaError((low, high), why)


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
    dense_dtype: Annotated[
        str,
        one_of("float64", "float32"),
        "arithmetic of dense extraction; many GPUs are far faster in float32",
    ] = "float64"
    literal_tolerance: Annotated[
        float, number(0, 1), "what the residual of the literal relations is held against"
    ] = 1e-6
    relation_tuples: Annotated[
        int, integer(1), "random tuples on which the two-term relations are checked"
    ] = 100
    relation_exhaustive_max_dim: Annotated[
        int, integer(1), "up to this dimension they are also checked on all basis tuples"
    ] = 40
    null_draws: Annotated[
        int, integer(2), "random layers drawn for each null of a layer; their spread needs two"
    ] = 4
    commutant_max_d: Annotated[
        int, integer(1), "the widest model whose W* level is computed; its cost grows as d³"
    ] = 512
    lie_max_heads: Annotated[
        int, integer(1), "the most heads of a layer whose Lie level is computed"
    ] = 32
    precision: Precision = field(default_factory=Precision)
    claims: Claims = field(default_factory=Claims)


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
    dpi: Annotated[int, integer(50, 1200), "dots per inch of the PNG files"] = 300
    width_inches: Annotated[float, number(3, 30), "width of a figure"] = 7.0


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a cluster is asked for in place of the rules' own estimates."""

    mem_mb: Annotated[int | None, nullable(integer(1)), "memory of a job in MB"] = None
    runtime: Annotated[int | None, nullable(integer(1)), "time of a job in minutes"] = None


# source -> the keys it needs, the keys it may have besides
SOURCES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "hub": (("id",), ("revision", "revisions", "sha256")),
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
    revision: Annotated[
        str | None, nullable(REVISION), "hub: required, or revisions; init: of the id"
    ] = None
    revisions: Annotated[
        list[str] | None,
        nullable(REVISIONS),
        "hub: checkpoints of one training run in its order, each a model `<name>.<revision>`",
    ] = None
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
    circuit: Annotated[
        str, one_of("qk", "ov"), "qk: operators W_q W_kᵀ of the scores; ov: W_v W_o of the values"
    ] = "qk"
    scale: Annotated[bool, FLAG, "qk: multiply by the model's softmax scale"] = False
    fold_norm: Annotated[
        bool, FLAG, "fold the norm before attention: its weights and, for LayerNorm, its centring"
    ] = False
    rope_offset: Annotated[
        int, integer(-(2**20), 2**20), "qk: rotary operators at this query minus key position"
    ] = 0
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
        for key in ("id", "revision", "revisions", "path", "package", "folder", "config", "sha256"):
            if getattr(self, key) and key not in own:
                raise SchemaError((key, "source"), f"belongs to another source; {takes}")
            if getattr(self, key) is None and key in needed:
                raise SchemaError((key, "source"), f"missing; {takes}")
        if self.source == "init" and (self.id is None) == (self.config is None):
            raise SchemaError(
                ("config", "id", "source"), "source init takes either a config or an id"
            )
        if self.source == "hub" and (self.revision is None) == (self.revisions is None):
            why = "source hub takes either a revision or revisions"
            raise SchemaError(("revision", "revisions", "source"), why)
        if self.revision is not None and self.id is None:
            raise SchemaError(("revision", "id"), "is of an id, and there is none")
        if self.circuit == "ov":
            for key in ("scale", "rope_offset"):
                if getattr(self, key):
                    why = "belongs to query-key scores, and circuit ov has none"
                    raise SchemaError((key, "circuit"), why)
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
        if nested := nested_schema(entry):
            for key, default, allowed, meaning in _rows(nested):
                yield f"{entry.name}.{key}", default, allowed, meaning
            continue
        kind, meaning = described(entry)
        if _required(entry):
            default = "the file's name" if entry.name == "name" else "required"
        else:
            factory = entry.default_factory
            value = entry.default if factory is MISSING else factory()
            default = f"`{value if isinstance(value, str) else json.dumps(value)}`"
        yield entry.name, default, kind.allowed, meaning


def shown(value: Any) -> str:
    """A value as messages show it, cut short."""
    whole = repr(value)
    return whole if len(whole) <= 60 else whole[:57] + "..."


def close_match(name: Any, choices: Iterable[str]) -> str:
    """The end of a message that proposes the nearest choice, if one is near."""
    matches = difflib.get_close_matches(str(name), list(choices), n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def unknown_key(key: Any, place: str, keys: Iterable[str]) -> str:
    """The message for a key that a place does not have."""
    keys = list(keys)
    return f"no key '{key}' in {place}; keys are {', '.join(keys)}{close_match(key, keys)}"


def nested_schema(entry: Field[Any]) -> type[Any] | None:
    """The schema of a key that is itself a mapping of known keys."""
    return entry.type if isinstance(entry.type, type) and is_dataclass(entry.type) else None


def described(entry: Field[Any]) -> tuple[Kind, str]:
    """What a key that is not nested may hold, and what it means."""
    kind, meaning = get_args(entry.type)[1:]
    return kind, meaning


def _required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def read_schema(schema: type[Any], raw: Any, place: str) -> Any:
    """An instance of `schema` from `raw`, the mapping from YAML that lies at `place`."""
    known = {entry.name: entry for entry in fields(schema)}
    if not isinstance(raw, dict):
        raise SchemaError(
            (place,), f"{place}: {shown(raw)} is not a mapping; keys are {', '.join(known)}"
        )
    for key in raw:
        if key not in known:
            raise SchemaError((f"{place}.{key}",), unknown_key(key, place, known))
    values: dict[str, Any] = {}
    for key, entry in known.items():
        path = f"{place}.{key}"
        if key not in raw:
            if _required(entry):
                raise SchemaError(
                    (path,), f"{path}: missing; it must be {described(entry)[0].allowed}"
                )
        elif nested := nested_schema(entry):
            values[key] = read_schema(nested, raw[key], path)
        else:
            kind, _ = described(entry)
            try:
                values[key] = kind.read(raw[key])
            except (ValueError, OverflowError):
                raise SchemaError(
                    (path,), f"{path}: {shown(raw[key])} is not {kind.allowed}"
                ) from None
    try:
        return schema(**values)
    except SchemaError as fault:
        keys = [f"{place}.{key}" for key in fault.keys]
        raise SchemaError(keys, f"{keys[0]}: {fault}") from None


def read_model(name: str, raw: Any) -> Model:
    """The model of the file `name`.yaml."""
    if isinstance(raw, dict):
        raw = {"name": name} | raw
    model: Model = read_schema(Model, raw, "model")
    if model.name != name:
        raise SchemaError(
            ("model.name",),
            f"model.name: '{model.name}' is not '{name}', the file's; delete the line",
        )
    return model


def plain(value: Any) -> Any:
    """Schema instances to dicts, and every dict by sorted keys."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
