"""What was measured, and on which models a claim may rest."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from headalgebra import columns
from headalgebra.claims.doubt import Reads, doubts
from headalgebra.claims.finding import Finding, not_measured
from headalgebra.claims.statistics import listed

STEP_ZERO = re.compile(r"(?:^|[^a-z])step[-_]?0+(?![0-9.])", re.IGNORECASE)
"""In a revision's name: before the first step of training."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a statistic is held against.

    Attributes
    ----------
    share
        Of layers that must be as claimed.
    rank_correlation
        Spearman's ρ from which something grows.
    layers
        Layers of a model, from which an order of them is judged.
    sizes
        Different sizes of one family, from which their order is judged.
    cases
        Known values, from which the coverage of intervals is judged.
    classical_up_to
        A layer's ε̂ up to this is rounding.
    near_one_from, near_one_to
        ε that is of order one.
    slope_from, slope_to
        Of the Jacobiator against the unit roundoff, both on logarithmic scales, if it is rounding.
    identity_residual
        Relative residual up to which an identity holds.
    significance
        Level of the permutation test of a rank correlation, and of the binomial test of an
        interval's coverage.
    """

    share: float
    rank_correlation: float
    layers: int
    sizes: int
    cases: int
    classical_up_to: float
    near_one_from: float
    near_one_to: float
    slope_from: float
    slope_to: float
    identity_residual: float
    significance: float


@dataclass(frozen=True)
class Study:
    """What was measured, on which models.

    Attributes
    ----------
    tables
        By name, the tables of a study.
    models
        The models, in the columns of :data:`headalgebra.columns.DESCRIBED_MODELS`.
    thresholds
        What statistics are held against.
    seed
        Of the orders that a rank correlation is held against.
    """

    tables: Mapping[str, pd.DataFrame]
    models: pd.DataFrame
    thresholds: Thresholds
    seed: int

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Why a model says nothing of the paper's claims on trained models."""
        layers = self.tables["layers"].drop_duplicates("model").set_index("model")
        plain = (layers["circuit"] == "qk") & ~layers["scale"].astype(bool)
        plain &= ~layers["fold_norm"].astype(bool) & (layers["rope_offset"] == 0)
        as_in_paper = set(plain.index[plain])
        reasons: dict[str, str] = {}
        for model in self.models.to_dict("records"):
            name = model["model"]
            if model["source"] == "init":
                reasons[name] = "at initialisation"
            elif STEP_ZERO.search(model["revision"]):
                reasons[name] = f"revision {model['revision']}, before training"
            elif model["first_of_series"]:
                reasons[name] = "where a training run begins"
            elif model["trained"] is False:
                reasons[name] = "not trained, as its file says"
            elif model["trained"] is not True:
                reasons[name] = "not known to be trained"
            elif name not in as_in_paper:
                reasons[name] = "read as other operators than the paper's"
            elif not model["last_of_series"]:
                reasons[name] = "earlier in a training run"
        return reasons

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The models that count: trained, read as the paper does, the last of a training run."""
        return self.models[~self.models["model"].isin(list(self.left_out))]

    def showing(self, reads: Reads) -> "Study":
        """The study with no more of its tables than a claim says that it is judged by."""
        kept = {"layers": (), **reads}
        return replace(
            self,
            tables={
                table: self.tables[table][
                    [
                        name
                        for name in self.tables[table]
                        if name in ("model", "layer", *named)
                        or (table == "layers" and name in columns.CONVENTION)
                    ]
                ]
                for table, named in kept.items()
            },
        )

    def doubts(self, reads: Reads, models: list[str]) -> list[str]:
        """What a claim on these models is judged by and that is not finite, and where."""
        return doubts(self.tables, reads, models, self.thresholds.classical_up_to)

    def rows(self, table: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """The rows of each model that counts, by layer; models without any left out."""
        of_model = dict(list(self.tables[table].groupby("model", sort=False)))
        for model in self.counted["model"]:
            if model in of_model:
                yield model, of_model[model].sort_values("layer", kind="stable")

    @property
    def line_to_add(self) -> str:
        """What would let models count that are not known to be trained; empty without such."""
        unknown = self.models["source"].ne("init") & self.models["trained"].isna()
        files = [f"config/model/{name}.yaml" for name in self.models["model"][unknown]]
        return f"if trained, add 'trained: true' to {listed(files)}" if files else ""

    @property
    def nothing_counts(self) -> Finding:
        """What is found where no model counts."""
        by_reason: dict[str, list[str]] = {}
        for model, reason in self.left_out.items():
            by_reason.setdefault(reason, []).append(model)
        present = "; ".join(f"{listed(names)}: {reason}" for reason, names in by_reason.items())
        return not_measured("no trained model" + (present and f" ({present})"))
