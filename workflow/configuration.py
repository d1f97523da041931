"""The configuration of a run, composed by Hydra and checked against the schemas below.

`compose` turns what the user typed (``--config study=…``, ``models=…``, ``hydra=[…]``) and the
files of ``config/`` into a `Configuration` of plain, sorted Python values. Whatever is wrong raises
a `ConfigurationError` of one line before any job starts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from io import StringIO
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kinds import NAME
from schema import (
    GROUPS,
    Analysis,
    Figures,
    SchemaError,
    Study,
    close_match,
    described,
    nested_schema,
    plain,
    read_model,
    read_schema,
    shown,
    unknown_key,
)


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
        `Model` as a dict for each model's name, in the study's order. A file with `revisions` is
        one model for each of them, named ``<file>.<revision>``.
    series
        The models of each file with `revisions`, in its order.
    analysis, figures
        `Analysis` and `Figures` as dicts.
    """

    study: str
    title: str
    models: dict[str, dict[str, Any]]
    series: dict[str, list[str]]
    analysis: dict[str, Any]
    figures: dict[str, Any]


ARGUMENTS = ("study", "models", "hydra")

RESERVED = ("models", "logs", "benchmarks")
"""Folders of results that belong to no study."""


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
            raise ConfigurationError(f"--config {key}: {why}{close_match(key, ARGUMENTS)}")
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
                read_schema(GROUPS[group], content, group)

    lines = [f"{group}='{name}'" for group, name in choices.items()]
    lines += [f"++{o.setting}" for o in settings if not o.key.startswith("model.")]
    for_models = [o.setting.removeprefix("model.") for o in settings if o.key.startswith("model.")]
    with initialize_config_dir(str(folder.path), version_base="1.3", job_name="headalgebra"):
        composed = _hydra(lines, settings, folder)
        with _blaming(files, settings):
            study: Study = read_schema(Study, _resolved(composed, "study"), "study")
            analysis = read_schema(Analysis, _resolved(composed, "analysis"), "analysis")
            figures = read_schema(Figures, _resolved(composed, "figures"), "figures")
            names = study.models if listed is None else listed
            _check_models(names, folder)
        for name in names:
            content = folder.load(folder.called("model", name))
            if not _interpolated(content):
                with _blaming({"model": folder.called("model", name)}):
                    read_model(name, content)
        # All models at once, each in a package of its own: a composition for each gives the same
        # and takes 50 ms a model, nearly all of it for Hydra's own files.
        for index, name in enumerate(names):
            lines.append(f"+model@models.m{index}='{name}'")
            lines += [f"++models.m{index}.{setting}" for setting in for_models]
        composed = _hydra(lines, settings, folder)
    models: dict[str, dict[str, Any]] = {}
    series: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        with _blaming({"model": folder.called("model", name)}, settings):
            raw = _resolved(composed, f"models.m{index}", "model")
            members = _by_revision(plain(read_model(name, raw)))
            if taken := sorted(members.keys() & models.keys()):
                raise SchemaError(
                    ("model.revisions",), f"model.revisions: another model is named {taken[0]}"
                )
        if list(members) != [name]:
            series[name] = list(members)
        models |= members
    return Configuration(
        choices["study"], study.title, models, series, plain(analysis), plain(figures)
    )


def _by_revision(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The model itself, or one for each of its revisions."""
    revisions = model.pop("revisions")
    if revisions is None:
        return {model["name"]: model}
    # A revision may have a slash, a name that is a folder's may not.
    names = [f"{model['name']}.{revision.replace('/', '-')}" for revision in revisions]
    return {
        name: model | {"name": name, "revision": revision}
        for name, revision in zip(names, revisions, strict=True)
    }


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
            return f"no such {group}; {self.path.name}/{group}/ has {has}{close_match(name, names)}"
        try:
            NAME.read(name)
        except ValueError:
            return f"'{name}' is not {NAME.allowed}; rename the file"
        if group == "study" and name in RESERVED:
            return f"rename the study; its results would lie in results/{name}/, which is taken"
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
            raise ConfigurationError(f"{file}: {shown(content)} is no mapping of keys to values")
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
            why = unknown_key(key, "this file", ("defaults", "figures"))
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
        raise SchemaError((key,), unknown_key(place, "the configuration", GROUPS))
    schema: type[Any] | None = GROUPS[place]
    for part in rest:
        if schema is None:
            raise SchemaError((key,), f"{place} has no keys of its own")
        known = {entry.name: entry for entry in fields(schema)}
        if part not in known:
            raise SchemaError((key,), unknown_key(part, place, known))
        schema = nested_schema(known[part])
        if schema is None and described(known[part])[0].open:
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
