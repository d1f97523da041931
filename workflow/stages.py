"""What a stage that works on the layers of a model is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paths


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of every model: a rule and a script of one name, and a job for each span of layers.

    Attributes
    ----------
    title
        What it gives, in words that can be followed by "of" and a model.
    outputs
        Where its files lie, by the names that the script knows them by.
    settings
        What of the analysis it depends on, by key.
    basis, coefficients
        Whether it takes the table of bases, and their coefficients in the heads.
    gpu
        Whether it has work for a GPU.
    """

    title: str
    outputs: Mapping[str, str]
    settings: Mapping[str, Any]
    basis: bool = False
    coefficients: bool = False
    gpu: bool = False

    @property
    def follows_basis(self) -> bool:
        """Whether it takes anything of the basis stage."""
        return self.basis or self.coefficients

    @property
    def taken_of_basis(self) -> dict[str, str]:
        """What it takes of the basis stage."""
        taken = {}
        if self.basis:
            taken["basis"] = paths.span_table("basis")
        if self.coefficients:
            taken["coefficients"] = paths.BASIS_COEFFICIENTS
        return taken


def tables(*names: str) -> dict[str, str]:
    """Outputs that are tables, under their own names."""
    return {name: paths.span_table(name) for name in names}
