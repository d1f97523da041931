"""The configuration of a run, composed by Hydra and checked against the schema.

What the user typed (``--config study=…``, ``models=…``, ``hydra=[…]``) and the files of ``config/``
become plain, sorted Python values. Whatever is wrong is one line before any job starts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from addresses import Differences, addressed, differing, digest
from headalgebra.recipe import checkpoint_steps
from kinds import NAME, NAME_ALLOWED
from reading import SchemaError, close_match, read, shown, unknown_key
from schema import (
    GROUPS,
    KNOWN_TO_BE_TRAINED,
    Analysis,
    Experiment,
    Figures,
    Main,
    Model,
    Study,
    Text,
    Training,
    plain,
)

ARGUMENTS = ("study", "models", "experiment", "name", "hydra")
OF_FILES = ("model.", "experiment.")
"""Overrides of each file of a group that is in use."""
CHOOSES = {"analysis": "analysis", "text": "text", "study.text": "text"}
"""Groups of which an override with this key chooses a file."""
RESERVED = (
    *("models", "texts", "logs", "benchmarks", "trained", "corpora", "runs", "constructed"),
)
"""Folders of results that belong to no study."""
LARGEST_FILE = 65536
"""Bytes of a file of settings; shipped ones have a fiftieth of that or less. A megabyte takes more
than a second to parse."""


class ConfigurationError(ValueError):
    """What is wrong, in one line: the file or argument, the key, what is allowed."""

    def __init__(self, where: str, why: object) -> None:
        super().__init__(" ".join(f"{where}: {why}".split()))


@dataclass(frozen=True)
class Configuration:
    """What one run computes: plain Python values, resolved, every mapping by sorted keys.

    `study` names the folder of the results: the study, or the models or experiments that were named
    in its place, and a digest where settings differ from those of the files. `models` has a `Model`
    for each name, in the study's order; a file with `revisions` is one for each of them, named
    ``<file>.<revision>``, and `series` has these names by the file's. A model's `tokenizer` is what
    the file it names says of its source. `experiments` has an `Experiment` for each name, its arms
    as whole trainings.
    """

    study: str
    title: str
    wings: Sequence[str]
    models: dict[str, dict[str, Any]]
    series: dict[str, list[str]]
    experiments: dict[str, dict[str, Any]]
    text_name: str
    text: dict[str, Any]
    analysis: dict[str, Any]
    figures: dict[str, Any]
    differences: Differences


def compose(user: Mapping[str, Any], config_dir: str | Path) -> Configuration:
    """The configuration that ``--config`` asks for, from the files of the folder ``config``.

    Raises
    ------
    ConfigurationError
        One line naming the file or the argument at fault, the key, and what is allowed.
    """
    for key in user:
        if key not in ARGUMENTS:
            why = (
                "no such key; keys are study, models, experiment, name and, for all settings, "
                'hydra=["key=value"]'
            )
            raise ConfigurationError(f"--config {key}", why + close_match(key, ARGUMENTS))
    folder = _Folder(Path(config_dir).absolute())
    # Hydra reads a file once within this block, however often it composes.
    with initialize_config_dir(str(folder.path), version_base="1.3", job_name="headalgebra"):
        # ${now:} differs at every reading, and would rerun all jobs.
        OmegaConf.clear_resolver("now")
        return _composed_and_compared(user, folder)


def _composed_and_compared(user: Mapping[str, Any], folder: "_Folder") -> Configuration:
    """The configuration, and how it differs from that of the files."""
    found = _read(user, folder)
    file_of = {name: file for file, names in found.series.items() for name in names}
    files = list(dict.fromkeys(file_of.get(name, name) for name in found.models))
    name = _folder_name(user, found.study, folder)
    usual_text = _usual_choices(folder)["text"]
    if "hydra" not in user and found.text_name == usual_text:
        return replace(found, study=name)
    asked = {"models": files} if files else {"experiment": list(found.experiments)}
    shipped = _read(asked | {"hydra": [f"text='{usual_text}'"]}, folder)
    alike = {it: _as_shipped(model, file_of, shipped) for it, model in found.models.items()}
    differences = Differences(
        differing(found.analysis, shipped.analysis),
        differing(_text(found), _text(shipped)),
        {it: differing(_weights(found.models[it]), _weights(alike[it])) for it in alike},
        {
            it: differing(found.models[it]["tokenizer"] or {}, alike[it]["tokenizer"] or {})
            for it in alike
        },
    )
    if "hydra" in user:
        without = {key: value for key, value in user.items() if key != "hydra"}
        try:
            of_files = _addressed_part(_read(without, folder))
        except ConfigurationError:
            # Without the overrides it is no study: all that it is, they make it.
            of_files = {}
        name = addressed(name, differing(_addressed_part(found), of_files))
    return replace(found, study=name, differences=differences)


def _weights(model: Mapping[str, Any]) -> dict[str, Any]:
    """What of a model decides its weights."""
    return {key: value for key, value in model.items() if key not in UNLIKE_WEIGHTS}


def _text(study: Configuration) -> dict[str, Any]:
    return {"name": study.text_name, **study.text}


def _addressed_part(study: Configuration) -> dict[str, Any]:
    """What decides a study's tables: neither colours, nor threads and memory."""
    return {
        "analysis": study.analysis,
        "text": _text(study),
        "title": study.title,
        "wings": study.wings,
        "order": [*study.models, *study.experiments],
        "models": {
            name: {key: value for key, value in model.items() if key not in OF_JOBS}
            for name, model in study.models.items()
        },
        "experiments": study.experiments,
    }


def _as_shipped(
    model: Mapping[str, Any], file_of: Mapping[str, str], shipped: Configuration
) -> Mapping[str, Any]:
    """The model as its file has it."""
    name = model["name"]
    if name in shipped.models:
        return shipped.models[name]
    # A checkpoint that an override names, of a file that names others or none.
    file = file_of.get(name, name)
    other = shipped.models[shipped.series.get(file, [file])[0]]
    # Its name has the revision, unless it is the file's.
    return other | {"name": name} | ({"revision": model["revision"]} if name != file else {})


LONGEST_NAME = 100
"""Letters of the folder of a study that is named by its models."""


def _folder_name(user: Mapping[str, Any], study: str, folder: "_Folder") -> str:
    """The folder of a study before what its settings add to it."""
    taken = (*RESERVED, *folder.names("study"), *folder.names("experiment"))
    if "name" not in user:
        if "models" not in user:
            return study
        names = sorted(_names("models", user["models"]))
        joined = "+".join(names)
        if len(joined) <= LONGEST_NAME and joined not in taken:
            return joined
        return f"{len(names)}-models-{digest({'models': names})}"
    where, name = f"--config name={user['name']}", _name("name", user["name"])
    if "models" not in user and "experiment" not in user:
        why = "names the results of models=… or experiment=…; a study has its own name"
        raise ConfigurationError(where, why)
    if not re.fullmatch(NAME, name):
        raise ConfigurationError(where, f"'{name}' is not {NAME_ALLOWED}")
    if name in (*taken, *folder.names("model")):
        why = f"its results would lie in results/{name}/, which is taken; give another name"
        raise ConfigurationError(where, why)
    return name


def _read(user: Mapping[str, Any], folder: "_Folder") -> Configuration:
    """The configuration, its results named by the study alone."""
    overrides = _overrides(user["hydra"]) if "hydra" in user else []
    settings = [override for override in overrides if override.key not in CHOOSES]
    choices = _choices(user, overrides, folder)
    files = {group: folder.file(group, name) for group, name in choices.items()}
    for group, file in files.items():
        folder.check(group, file)
    files["figures"] = folder.main
    lines = [f"{group}='{name}'" for group, name in choices.items()]
    lines += [f"++{each.setting}" for each in settings if not each.key.startswith(OF_FILES)]
    composed = _composed(lines, settings, folder)
    with _blaming(files, settings):
        study = read(Study, _resolved(composed, "study"), "study")
        text = read(Text, _resolved(composed, "text"), "text")
        analysis = read(Analysis, _resolved(composed, "analysis"), "analysis")
        figures = read(Figures, _resolved(composed, "figures"), "figures")
    names = study.models
    if "models" in user:
        names, files["study"] = (
            _names("models", user["models"]),
            f"--config models={user['models']}",
        )
    experiments = study.experiments
    if "experiment" in user:
        experiments = _names("experiment", user["experiment"])
        files["study"] = f"--config experiment={user['experiment']}"
    with _blaming(files, settings):
        _check_names(names, experiments, folder)
    # In the order of the folder's name, so that one folder has one order.
    names = sorted(names) if "models" in user else names
    experiments = sorted(experiments) if "experiment" in user else experiments
    # All models at once, each in a package of its own: a composition for each gives the same and
    # takes 50 ms a model, nearly all of it for Hydra's own files.
    own = [each.setting.removeprefix("model.") for each in settings if each.touches("model")]
    for index, name in enumerate(names):
        folder.check("model", folder.file("model", name))
        lines.append(f"+model@models.m{index}='{name}'")
        lines += [f"++models.m{index}.{setting}" for setting in own]
    composed = _composed(lines, settings, folder)
    models: dict[str, dict[str, Any]] = {}
    series: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        with _blaming({"model": folder.file("model", name)}, settings):
            raw = _resolved(composed, f"models.m{index}", "model")
            members = _members(name, read(Model, raw, "model"))
            if taken := sorted(members.keys() & models.keys()):
                key = "model.revisions" if list(members) != [name] else "model.name"
                raise SchemaError((key,), f"{key}: another model is named {taken[0]}")
        if list(members) != [name]:
            series[name] = list(members)
        models |= members
    with _blaming({"model": "config/model"}, settings):
        _resolve_tokenizers(models, lines, settings, folder)
    described = _experiments(experiments, settings, folder)
    alone = "experiment" in user
    return Configuration(
        "+".join(sorted(experiments)) if alone else choices["study"],
        "; ".join(it["title"] for it in described.values()) if alone else study.title,
        study.wings if models else (),
        models,
        series,
        described,
        choices["text"],
        plain(text),
        plain(analysis),
        plain(figures),
        Differences(),
    )


def _members(name: str, model: Model) -> dict[str, dict[str, Any]]:
    """The model of the file `name`, or one for each of its revisions."""
    if model.name not in (None, name):
        why = f"model.name: '{model.name}' is not '{name}', the file's; delete the line"
        raise SchemaError(("model.name",), why)
    settings = plain(model) | {"name": name}
    if model.trained is None:
        settings["trained"] = KNOWN_TO_BE_TRAINED[model.source]
    owner, slash, _ = (model.id or "").partition("/")
    settings["organisation"] = model.organisation or (owner if slash else "")
    if (revisions := settings.pop("revisions")) is None:
        if model.train is not None:
            settings["revision"] = f"step{model.train.steps}"
        return {name: settings}
    if model.train is not None:
        _check_steps(model.train, revisions)
    # A revision may have a slash, a name that is a folder's may not.
    named = {f"{name}.{revision.replace('/', '-')}": revision for revision in revisions}
    if len(named) < len(revisions):
        why = "model.revisions: two of them have one name, since '/' becomes '-' in it"
        raise SchemaError(("model.revisions",), why)
    return {name: settings | {"name": name, "revision": it} for name, it in named.items()}


def _check_steps(training: Training, revisions: Sequence[str]) -> None:
    """Raise if a revision is no checkpoint of a training."""
    kept = [f"step{step}" for step in checkpoint_steps(training.steps, training.checkpoints)]
    for revision in revisions:
        if revision not in kept:
            why = f"'{revision}' is no checkpoint; the training keeps {', '.join(kept)}"
            raise SchemaError(("model.revisions", "model.train"), f"model.revisions: {why}")


def _experiments(
    names: Sequence[str], settings: Sequence["_Override"], folder: "_Folder"
) -> dict[str, dict[str, Any]]:
    """The experiments of these files, each arm as the training that it is."""
    own = [each.setting.removeprefix("experiment.") for each in settings]
    own = [line for line, each in zip(own, settings, strict=True) if each.touches("experiment")]
    lines = []
    for index, name in enumerate(names):
        folder.check("experiment", folder.file("experiment", name))
        lines.append(f"+experiment@experiments.e{index}='{name}'")
        lines += [f"++experiments.e{index}.{setting}" for setting in own]
    composed = _composed(lines, settings, folder) if names else {}
    found = {}
    for index, name in enumerate(names):
        with _blaming({"experiment": folder.file("experiment", name)}, settings):
            raw = _resolved(composed, f"experiments.e{index}", "experiment")
            found[name] = plain(read(Experiment, raw, "experiment")) | {
                "arms": {
                    arm: plain(
                        read(Training, raw.get("train", {}) | sets, f"experiment.arms.{arm}")
                    )
                    for arm, sets in raw["arms"].items()
                }
            }
            _check_arms(found[name])
    return found


def _check_arms(experiment: Mapping[str, Any]) -> None:
    """Raise if an experiment speaks of an arm that it does not have."""
    arms = list(experiment["arms"])
    named = {
        "control": [experiment["control"]] if experiment["control"] else [],
        "placebo_of": [*experiment["placebo_of"], *experiment["placebo_of"].values()],
        "judged": experiment["judged"] or [],
    }
    for key, names in named.items():
        for name in names:
            if name not in arms:
                path = f"experiment.{key}"
                why = f"'{name}' is no arm; arms are {', '.join(arms)}{close_match(name, arms)}"
                raise SchemaError((path, "experiment.arms"), f"{path}: {why}")


OF_JOBS = ("threads", "layers_per_job", "one_job", "resources")
"""Keys of a model that decide how it is computed, and no number."""

UNLIKE_WEIGHTS = (*OF_JOBS, "trained", "organisation", "tokenizer")
"""Keys of a model that decide nothing of its weights or its tokenizer."""


def _resolve_tokenizers(
    models: dict[str, dict[str, Any]],
    lines: list[str],
    settings: Iterable["_Override"],
    folder: "_Folder",
) -> None:
    """Put the source of the tokenizer that a model names in the place of the name."""
    wanted = {model["tokenizer"]: name for name, model in models.items() if model["tokenizer"]}
    places = {tokenizer: f"models.tokenizer{index}" for index, tokenizer in enumerate(wanted)}
    more = []
    for tokenizer, place in places.items():
        user = folder.file("model", wanted[tokenizer])
        if objection := folder.objection("model", tokenizer):
            raise ConfigurationError(user, f"model.tokenizer: '{tokenizer}': {objection}")
        folder.check("model", folder.file("model", tokenizer))
        more.append(f"+model@{place}='{tokenizer}'")
    composed = _composed(lines + more, settings, folder) if more else {}
    sources: dict[str, dict[str, Any]] = {}
    for tokenizer, place in places.items():
        with _blaming({"model": folder.file("model", tokenizer)}, settings):
            members = _members(tokenizer, read(Model, _resolved(composed, place, "model"), "model"))
        source = next(iter(members.values()))
        if source["source"] == "init":
            why = f"model.tokenizer: '{tokenizer}' is an initialisation, which has none"
            raise ConfigurationError(folder.file("model", wanted[tokenizer]), why)
        sources[tokenizer] = {key: it for key, it in source.items() if key not in UNLIKE_WEIGHTS}
    for name, model in models.items():
        if model["tokenizer"]:
            models[name] = model | {"tokenizer": sources[model["tokenizer"]]}


class _Folder:
    """The folder of the configuration, and what its files are called in messages."""

    def __init__(self, path: Path) -> None:
        self.path, self.main = path, f"{path.name}/config.yaml"

    def file(self, group: str, name: str) -> str:
        return f"{self.path.name}/{group}/{name}.yaml"

    def names(self, group: str) -> list[str]:
        """The files of a group."""
        return sorted(file.stem for file in self.path.glob(f"{group}/*.yaml"))

    def objection(self, group: str, name: str) -> str | None:
        """Why `name` cannot be the name of a file of the group."""
        names = self.names(group)
        if name not in names:
            has = ", ".join(names) or "no files"
            return f"no such {group}; {self.path.name}/{group}/ has {has}{close_match(name, names)}"
        if not re.fullmatch(NAME, name):
            return f"'{name}' is not {NAME_ALLOWED}; rename the file"
        taken = {"study": RESERVED, "experiment": (*RESERVED, *self.names("study"))}
        if name in taken.get(group, ()):
            return f"rename the {group}; its results would lie in results/{name}/, which is taken"
        return None

    def load(self, file: str) -> dict[Any, Any]:
        """What is written in `file`, as messages call it."""
        written = self._text(file)
        try:
            content = OmegaConf.to_container(OmegaConf.load(StringIO(written)), resolve=False)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            raise ConfigurationError(file + line, error.problem) from None
        # OmegaConf has an OSError for a document that is neither a mapping nor a list.
        except (
            ValueError,
            OSError,
            RecursionError,
            yaml.YAMLError,
            OmegaConfBaseException,
        ) as error:
            raise ConfigurationError(file, error) from None
        if not isinstance(content, dict):
            raise ConfigurationError(file, f"{shown(content)} is no mapping of keys to values")
        if re.search(r"^#\s*@package", written, re.MULTILINE):
            raise ConfigurationError(file, "a '# @package' line has no place here; delete it")
        return content

    def _text(self, file: str) -> str:
        path = self.path.parent / file
        try:
            size = path.stat().st_size
            if size <= LARGEST_FILE:
                return path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(file, error.strerror or error) from None
        except ValueError as error:
            raise ConfigurationError(file, error) from None
        raise ConfigurationError(
            file, f"{size} bytes; a file of settings has at most {LARGEST_FILE}"
        )

    def check(self, group: str, file: str) -> None:
        """Read a file by itself, so that what is wrong in it is laid to it."""
        content = self.load(file)
        # What an interpolation stands for may lie in another file.
        if "${" not in repr(content):
            with _blaming({group: file}):
                read(GROUPS[group], content, group)


def _usual_choices(folder: _Folder) -> dict[str, str]:
    """The file of each group that config.yaml names."""
    content = folder.load(folder.main)
    try:
        main = read(Main, content | ({"figures": {}} if "${" in repr(content) else {}), "")
    except SchemaError as fault:
        raise ConfigurationError(folder.main, fault) from None
    return {
        group: name
        for default in main.defaults
        if isinstance(default, dict)
        for group, name in default.items()
    }


def _choices(
    user: Mapping[str, Any], overrides: Iterable["_Override"], folder: _Folder
) -> dict[str, str]:
    """The file of each group that is in use."""
    chosen = {
        group: (name, f"{folder.main}: defaults: {group}: {name}")
        for group, name in _usual_choices(folder).items()
    }
    if "study" in user and "models" in user:
        why = 'choose one; other models in a study are given as hydra=["study.models=[a,b]"]'
        raise ConfigurationError("--config study=… models=…", why)
    if "experiment" in user and ("study" in user or "models" in user):
        why = "choose one; an experiment has its own models"
        raise ConfigurationError("--config experiment=… with study or models", why)
    for key in ("models", "experiment"):
        if key in user:
            chosen["study"] = "custom", f"--config {key}"
    if "study" in user:
        chosen["study"] = _name("study", user["study"]), f"--config study={user['study']}"
    for override in overrides:
        if group := CHOOSES.get(override.key):
            chosen[group] = override.value, _argument(override.line)
        elif "models" in user and override.touches("study.models"):
            why = "--config models lists the models already; choose one"
            raise ConfigurationError(_argument(override.line), why)
    study = folder.file("study", chosen["study"][0])
    asked = "text" in {CHOOSES.get(override.key) for override in overrides}
    there = not folder.objection("study", chosen["study"][0])
    if there and not asked and isinstance(named := folder.load(study).get("text"), str):
        chosen["text"] = named, f"{study}: study.text: {named}"
    for group, (name, where) in chosen.items():
        if objection := folder.objection(group, name):
            raise ConfigurationError(where, objection)
    return {group: name for group, (name, _) in chosen.items()}


def _names(key: str, value: Any) -> list[str]:
    """The names in a string with commas, or a list of these."""
    items = value if isinstance(value, list) else [value]
    return [name.strip() for item in items for name in _name(key, item).split(",")]


def _name(key: str, value: Any) -> str:
    """A name; what a file of configuration has without quotes may have been another."""
    if not isinstance(value, str):
        raise ConfigurationError(f"--config {key}={value}", "is no name; put it in quotes")
    return value


def _check_names(models: list[str], experiments: list[str], folder: _Folder) -> None:
    """Raise if the models and experiments of a study are none, or not all different files."""
    if not models and not experiments:
        why = "names no model; name some here, or with --config models=<name>,<name>"
        raise SchemaError(("study.models",), f"study.models: {why}")
    for group, names in (("model", models), ("experiment", experiments)):
        path = f"study.{group}s"
        for position, name in enumerate(names):
            twice = "is there twice; name it once" if name in names[:position] else None
            if objection := twice or folder.objection(group, name):
                raise SchemaError((path,), f"{path}: '{name}': {objection}")


@dataclass(frozen=True)
class _Override:
    """An element of ``--config hydra=[…]``."""

    line: str
    key: str
    value: str

    @property
    def setting(self) -> str:
        return self.line.strip().lstrip("+")

    def touches(self, key: str) -> bool:
        return f"{key}.".startswith(f"{self.key}.") or f"{self.key}.".startswith(f"{key}.")


def _argument(*lines: str) -> str:
    return f"--config hydra={json.dumps(lines, ensure_ascii=False)}"


def _overrides(value: Any) -> list[_Override]:
    lines = value if isinstance(value, list) else [value]
    if not all(isinstance(line, str) for line in lines):
        raise ConfigurationError(f"--config hydra={value}", 'write hydra=["key=value", …]')
    return [_override(line) for line in lines]


def _override(line: str) -> _Override:
    where, why = _argument(line), ""
    try:
        parsed = OverridesParser.create().parse_override(line.strip())
    except HydraException:
        raise ConfigurationError(where, "is not of the form key=value") from None
    key, group = parsed.key_or_group, parsed.key_or_group.partition(".")[0]
    if parsed.is_delete() or parsed.package is not None:
        why = "'~' and '@' have no use here; write key=value"
    elif parsed.is_sweep_override():
        why = "gives several values; a list is written [a,b]"
    elif key == "study":
        why = "choose it by --config study=<name>"
    elif key == "model":
        why = "choose it by --config models=<name>,<name>"
    elif key == "experiment":
        why = "choose it by --config experiment=<name>"
    elif group not in GROUPS:
        why = unknown_key(group, "the configuration", GROUPS)
    if why:
        raise ConfigurationError(where, why)
    return _Override(line, key, str(parsed.value()))


@contextmanager
def _blaming(files: Mapping[str, str], settings: Iterable[_Override] = ()) -> Iterator[None]:
    """Lay a fault at the door of the last override that touches its keys, or else of a file."""
    try:
        yield
    except SchemaError as fault:
        group = fault.keys[0].partition(".")[0]
        where = files[group]
        if guilty := [each.line for each in settings if any(map(each.touches, fault.keys))]:
            # such a setting is made on every model, and may suit only some
            where = _argument(guilty[-1]) + (f" on {where}" if group == "model" else "")
        raise ConfigurationError(where, fault) from None


def _composed(lines: list[str], settings: Iterable[_Override], folder: _Folder) -> Any:
    # The defaults lie below, so that an interpolation can name any key.
    defaults = {"analysis": plain(Analysis()), "figures": plain(Figures())}
    try:
        return OmegaConf.merge(defaults, hydra_compose("config", lines))
    except (HydraException, OmegaConfBaseException) as error:
        typed = [each.line for each in settings]
        raise ConfigurationError(_argument(*typed) if typed else folder.main, error) from None


def _resolved(composed: Any, place: str, group: str | None = None) -> Any:
    """What lies at `place`, resolved to plain Python; faults name it as if it lay at `group`."""
    try:
        node = OmegaConf.select(composed, place, default={}, throw_on_missing=True)
        if not OmegaConf.is_config(node):
            return node
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = (error.full_key or place).replace(place, group or place, 1).replace("[", ".[")
        raise SchemaError((key,), f"{key}: {str(error).splitlines()[0]}") from None
