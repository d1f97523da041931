"""What the user typed after ``--config``, where Snakemake would read it as something else."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

NAMES = ("study", "models", "experiment", "name")


def as_typed(user: Mapping[str, Any], arguments: Iterable[str] | None) -> dict[str, Any]:
    """The configuration with the names in it as they were typed.

    Snakemake turns what Python or YAML take for a number into one: of `1.10` remains 1.1,
    of `1_000` 1000, of `1e5` 100000.0.

    Parameters
    ----------
    user
        What Snakemake made of the arguments, and of files of configuration.
    arguments
        Those of ``--config``, each ``key=value``. A job's own Snakemake is given the same ones.
    """
    typed = dict(user)
    for argument in arguments or ():
        key, _, text = argument.partition("=")
        if key in NAMES and key in user:
            typed[key] = _names(text.strip("'\""))
    return typed


def _names(text: str) -> Any:
    """A list, where it is written as one, or the text."""
    if not text.startswith("["):
        return text
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError:
        return text
