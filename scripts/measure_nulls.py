"""What chance alone gives each layer: the measured quantities over draws of random layers."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from headalgebra import columns
from headalgebra.algebra.coherence.chance import QUANTITIES, compared_with_chance
from headalgebra.algebra.nulls import (
    draw_foreign_groups,
    gaussian_factors,
    haar_conjugated,
    initial_factors,
    with_norms_of,
)
from headalgebra.algebra.operators import HeadOperators
from headalgebra.checkpoints import LayerFactors, load_factors, load_group
from headalgebra.seeds import layer_seed
from layers import factors_file, layers_of, origin
from stage import job, progress, write_table

if TYPE_CHECKING:
    snakemake: Any

GUARDS = ("balance_above", "cancellation_below", "rank_cutoff", "gram_floor", "well_below")

Draw = Callable[[np.random.Generator], HeadOperators]


class SharingOperators:
    """Operators of the extracted layers, the factor that heads share on the right.

    In the value-output circuit heads share the left factor, which is stored once a head. Everything
    that is compared with chance is the same for the transposed operators.
    """

    def __init__(self, factors: str, provenance: Mapping[str, Any]) -> None:
        self.folder = factors
        self.transposed = provenance["convention"]["circuit"] == "ov"
        self.layers = provenance["layers"]
        self.laws = provenance["initialisation"]
        self.untrained = provenance["source"]["source"] == "init"
        self.n_groups = provenance["n_kv_heads"]
        self.group_size = provenance["n_heads"] // self.n_groups

    def layer(self, layer: int) -> HeadOperators:
        """All heads of a layer."""
        return self._operators([load_factors(factors_file(self.folder, layer))])

    def groups(self, drawn: Sequence[tuple[int, int]]) -> HeadOperators:
        """The heads of some (layer, group of heads that share a factor), side by side."""
        size = self.group_size
        return self._operators(
            [
                load_group(
                    factors_file(self.folder, layer), range(group * size, (group + 1) * size)
                )
                for layer, group in drawn
            ]
        )

    def initialisation(self, layer: int) -> Mapping[str, Any] | None:
        """The law of the factors at initialisation, by the arguments of `initial_factors`."""
        law = self.laws[str(layer)]
        if law is None or not self.transposed:
            return law
        return {
            "query_std": law["key_std"],
            "key_std": law["query_std"],
            "query_centred": law["key_centred"],
            "key_centred": law["query_centred"],
        }

    def _operators(self, parts: Sequence[LayerFactors]) -> HeadOperators:
        if self.transposed:
            left = torch.cat([part.keys for part in parts])
            right = torch.cat([part.queries for part in parts])[:: self.group_size]
            return HeadOperators.from_factors(
                left, right, torch.arange(len(left)) // self.group_size
            )
        first = np.cumsum([0, *(len(part.keys) for part in parts)])
        key_of_head = [part.key_of_head + int(n) for part, n in zip(parts, first, strict=False)]
        return HeadOperators.from_factors(
            torch.cat([part.queries for part in parts]),
            torch.cat([part.keys for part in parts]),
            torch.cat(key_of_head),
        )


def draws_of(operators: HeadOperators, layer: int, model: SharingOperators) -> dict[str, Draw]:
    """The nulls that a layer has, by name."""

    def of_other_layers(generator: np.random.Generator) -> HeadOperators:
        drawn = draw_foreign_groups(layer, model.layers, model.n_groups, generator)
        return with_norms_of(operators, model.groups(drawn))

    draws: dict[str, Draw] = {"haar": lambda generator: haar_conjugated(operators, generator)}
    if model.untrained:  # it is itself a draw of the others
        return draws
    draws["gaussian"] = lambda generator: gaussian_factors(operators, generator)
    law = model.initialisation(layer)
    if law is not None:
        draws["init"] = lambda generator: initial_factors(operators, generator, **law)
    if len(model.layers) > 1:
        draws["layers"] = of_other_layers
    return draws


def null_rows(
    layer: int, null: str, measured: Sequence[Mapping[str, float]]
) -> list[dict[str, object]]:
    """Mean and spread of each quantity over the draws that have it."""
    rows = []
    for quantity in QUANTITIES:
        values = [m[quantity] for m in measured if not math.isnan(m[quantity])]
        mean = float(np.mean(values)) if values else math.nan
        sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        row = (layer, quantity, null, mean, sd, len(values))
        rows.append(dict(zip(columns.NULLS, row, strict=True)))
    return rows


with job(snakemake):
    torch.set_num_threads(snakemake.threads)
    settings = snakemake.params.settings
    guards = {name: settings[name] for name in GUARDS}
    provenance = json.loads(Path(snakemake.input.provenance).read_text())
    basis_dim = pd.read_parquet(snakemake.input.basis).set_index("layer")["basis_dim"]
    model = SharingOperators(snakemake.input.factors, provenance)
    layers = layers_of(snakemake.input.factors, snakemake.params.layers)
    rows: list[dict[str, object]] = []
    for layer in progress(layers, f"{snakemake.rule} {snakemake.wildcards.span}"):
        operators = model.layer(layer)
        for null, draw in draws_of(operators, layer, model).items():
            seed = layer_seed(settings["seed"], f"{null}_null", layer)
            measured = [
                compared_with_chance(
                    draw(np.random.default_rng(stream)), max_dim=int(basis_dim[layer]), **guards
                )
                for stream in seed.spawn(settings["null_draws"])
            ]
            rows += null_rows(layer, null, measured)
    write_table(snakemake.output.nulls, rows, columns.NULLS, origin(snakemake))
