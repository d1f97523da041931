"""What was measured, and on which models a claim may rest."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from headalgebra import columns
from headalgebra.claims.doubt import PLACES, Reads, doubts
from headalgebra.claims.finding import Finding, not_measured
from headalgebra.claims.statistics import listed

STEP_ZERO = re.compile(r"(?:^|[^a-z])step[-_]?0+(?![0-9.])", re.IGNORECASE)
"""In a revision's name: before the first step of training."""

OF_RUNS = (
    *("guards", "states", "dyson", "resummation", "normality", "convolution"),
    *("geometry", "axes", "drift"),
)
"""Tables of what a model does on a text; one that could not be run is in none of them."""

MEASURED_BY = {"experiments": "snakemake --cores all --config study=experiments"}
"""What measures a table that most studies leave out."""


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
        Level of the permutation test of a rank correlation, of the binomial test of an interval's
        coverage, and of the tests over trainings after Holm's correction.
    small_update
        Of |δx|/|x|, up to which an update is small.
    truncation_error
        Of the Dyson series' sum to second order, relative to the last state, at the most.
    hermitian_from
        A head of such a symmetric share or a larger one counts as Hermitian.
    non_hermitian_share
        Of a model's heads that must be non-Hermitian.
    own_block
        Of a head's squared norm that its own block of axes must hold.
    low_rank
        Of a head's width that a low rank is at the most.
    norm_growth
        Of the states over the first ones, beyond which they diverge.
    stable_rank
        Of a layer's states, below which they have collapsed into one mode.
    resummation_gain
        Of the last state's error that resummation must take away.
    trained_models
        Models, from which their order is judged.
    update_r2, impulse_share
        Of an update that a linear map must explain, and of the response to an impulse that a
        convolution must.
    convolution_share
        Of a head's attention that a convolution must explain.
    gradient_cosine
        Of a layer's update with the descent of the loss.
    growth_without_norms
        Of the last state over the recorded one, beyond which it has left the norms' sphere.
    second_eigenvalue
        Of a norm's covariance matrix over the median one, up to which a direction is null.
    cosine_r2
        Of a head's scores that their cosines must explain.
    variance_ratio_error
        Of the scores' variance over that of independent coordinates, from 1, at the most.
    score_std_from, score_std_to
        Standard deviation of scores over √r that is of order one.
    drift_saturation
        Of the drift over that of half the offset, up to which it saturates.
    off_share
        Of an activation's inputs, beyond which those below 0 are most.
    standard_errors
        By which a mean must be beyond a bound, or within which two are alike.
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
    small_update: float
    truncation_error: float
    hermitian_from: float
    non_hermitian_share: float
    own_block: float
    low_rank: float
    norm_growth: float
    stable_rank: float
    resummation_gain: float
    trained_models: int
    update_r2: float
    impulse_share: float
    convolution_share: float
    gradient_cosine: float
    growth_without_norms: float
    second_eigenvalue: float
    cosine_r2: float
    variance_ratio_error: float
    score_std_from: float
    score_std_to: float
    drift_saturation: float
    off_share: float
    standard_errors: float


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
        """Why a model says nothing of the papers' claims on trained models."""
        as_in_paper = self._as_in_paper
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

    @property
    def _as_in_paper(self) -> set[str]:
        """Models whose operators are the paper's; all of them where none has operators."""
        if "layers" not in self.tables:
            return set(self.models["model"])
        layers = self.tables["layers"].drop_duplicates("model").set_index("model")
        plain = (layers["circuit"] == "qk") & ~layers["scale"].astype(bool)
        plain &= ~layers["fold_norm"].astype(bool) & (layers["rope_offset"] == 0)
        return set(plain.index[plain])

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The models that count: trained, read as the paper does, the last of a training run."""
        return self.models[~self.models["model"].isin(list(self.left_out))]

    def showing(self, reads: Reads, quantities: Collection[str] = ()) -> "Study":
        """The study with no more of its tables than a claim says that it is judged by.

        Parameters
        ----------
        quantities
            Of tables with a row for each of many quantities, guards or experiments, those that are
            shown; all where none is named.
        """
        kept = {"layers": (), **reads} if "layers" in self.tables else dict(reads)
        return replace(
            self,
            tables={
                table: of_quantities(self.tables[table], quantities)[
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

    def doubts(
        self, reads: Reads, models: list[str], quantities: Collection[str] = ()
    ) -> list[str]:
        """What a claim on these models is judged by and that is not finite, and where."""
        shown = {table: of_quantities(rows, quantities) for table, rows in self.tables.items()}
        return doubts(shown, reads, models, self.thresholds.classical_up_to)

    def lacking(self, reads: Reads) -> str:
        """Tables that a claim is judged by and that the study has not, in words; empty if none."""
        absent = [f"{table}.csv" for table in reads if table not in self.tables]
        if not absent:
            return ""
        commands = [f"{MEASURED_BY[table]} measures it" for table in reads if table in MEASURED_BY]
        return "; ".join((f"the study leaves out {listed(absent)}", *commands))

    def without_rows(self, reads: Reads, models: list[str]) -> dict[str, str]:
        """Why models have no part in tables of what they do on a text, by model."""
        reasons: dict[str, str] = {}
        for table in (table for table in reads if table in OF_RUNS):
            for model in set(models) - set(self.tables[table]["model"]):
                nothing = f"not measured: {table}.csv has nothing of it"
                reasons.setdefault(model, self.refused.get(model, nothing))
        return {model: reasons[model] for model in models if model in reasons}

    def rows(
        self, table: str, models: Collection[str] | None = None
    ) -> Iterator[tuple[str, pd.DataFrame]]:
        """The rows of each model in their order; models without any left out.

        Parameters
        ----------
        models
            By default those that count.
        """
        of_model = dict(list(self.tables[table].groupby("model", sort=False)))
        for model in self.counted["model"] if models is None else models:
            if model in of_model:
                rows = of_model[model]
                place = PLACES.get(table, "layer")
                yield model, rows.sort_values(place, kind="stable") if place in rows else rows

    def comparisons(self, experiment: str) -> pd.DataFrame:
        """The rows of an experiment on decoders trained here, which are of no model of the study.

        Parameters
        ----------
        experiment
            Its name, of the column in :data:`headalgebra.columns.EXPERIMENTS`.
        """
        table = self.tables["experiments"]
        return table[table["experiment"] == experiment]

    def of_kind(self, column: str, kind: str) -> list[str]:
        """Models that count and, as they were run, are of a kind.

        Parameters
        ----------
        column
            ``kind`` or ``norm_placement``, of :data:`headalgebra.columns.RUNS`.
        """
        runs = self.tables["runs"]
        named = set(runs["model"][runs[column] == kind])
        return [model for model in self.counted["model"] if model in named]

    @property
    def refused(self) -> dict[str, str]:
        """Why models could not be run, by model."""
        if "note" not in self.tables.get("runs", ()):
            return {}
        runs = self.tables["runs"]
        told = zip(runs["model"], runs["note"], strict=True)
        return {
            model: f"not measured: {why}" for model, why in told if isinstance(why, str) and why
        }

    @property
    def not_in_double(self) -> dict[str, str]:
        """Models whose arithmetic is too rough for an identity to be seen to hold, and its type."""
        runs = self.tables["runs"]
        types = zip(runs["model"], runs["dtype"], strict=True)
        return {
            model: f"run in {dtype}, whose rounding hides what an identity leaves"
            for model, dtype in types
            if isinstance(dtype, str) and dtype not in ("", "float64")
        }

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

    @property
    def nothing_measured(self) -> Finding:
        """What is found where models count and the tables have nothing of them."""
        if self.counted.empty:
            return self.nothing_counts
        return not_measured("no trained model could be judged")


def of_quantities(rows: pd.DataFrame, quantities: Collection[str]) -> pd.DataFrame:
    """The rows of these quantities, guards or experiments, where a table has such; of none, all."""
    for column in ("quantity", "guard", "experiment"):
        if quantities and column in rows:
            return rows[rows[column].isin(list(quantities))]
    return rows
