"""What a claim is, what can be found of it, and what the findings are made from."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
CONTRADICTED = "contradicted by an identity"
NOT_MEASURED = "not measured"

VERDICTS = (REPRODUCED, NOT_REPRODUCED, CONTRADICTED, NOT_MEASURED)

FEWEST_LAYERS = 3
"""Fewer than three points always lie in order, forwards or backwards."""

Values = NDArray[np.float64]

Truth = bool | np.bool_


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """What a statistic is held against.

    Attributes
    ----------
    share
        Of layers, or of constructed cases, that must be as claimed.
    rank_correlation
        Spearman's ρ from which something grows.
    sizes
        Different sizes of one family, from which they can be ordered.
    classical_up_to
        A layer's ε̂ up to this is rounding.
    near_one_from, near_one_to
        ε that is of order one.
    slope_from, slope_to
        Of the Jacobiator against the unit roundoff, both on logarithmic scales, if it is rounding.
    identity_residual
        Relative residual up to which an identity holds.
    significance
        Level of the binomial test of an interval's coverage.
    """

    share: float
    rank_correlation: float
    sizes: int
    classical_up_to: float
    near_one_from: float
    near_one_to: float
    slope_from: float
    slope_to: float
    identity_residual: float
    significance: float


class Finding(NamedTuple):
    """A verdict of :data:`VERDICTS`, and what it rests on in words."""

    verdict: str
    measured: str


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
    """

    tables: Mapping[str, pd.DataFrame]
    models: pd.DataFrame
    thresholds: Thresholds

    @cached_property
    def left_out(self) -> dict[str, str]:
        """Why a model says nothing of the paper's claims on trained models."""
        layers = self.tables["layers"].drop_duplicates("model").set_index("model")
        plain = (layers["circuit"] == "qk") & ~layers["scale"].astype(bool)
        plain &= ~layers["fold_norm"].astype(bool) & (layers["rope_offset"] == 0)
        as_in_paper = set(plain.index[plain])
        reasons: dict[str, str] = {}
        for model in self.models.to_dict("records"):
            if model["source"] == "init":
                reasons[model["model"]] = "at initialisation"
            elif model["model"] not in as_in_paper:
                reasons[model["model"]] = "read as other operators than the paper's"
            elif not model["last_of_series"]:
                reasons[model["model"]] = "earlier in a training run"
        return reasons

    @cached_property
    def counted(self) -> pd.DataFrame:
        """The models that count: trained, read as the paper does, the last of a training run."""
        return self.models[~self.models["model"].isin(list(self.left_out))]

    def rows(self, table: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """The rows of each model that counts, by layer; models without any left out."""
        of_model = dict(list(self.tables[table].groupby("model", sort=False)))
        for model in self.counted["model"]:
            if model in of_model:
                yield model, of_model[model].sort_values("layer", kind="stable")

    @property
    def nothing_counts(self) -> Finding:
        """What is found where no model counts."""
        by_reason: dict[str, list[str]] = {}
        for model, reason in self.left_out.items():
            by_reason.setdefault(reason, []).append(model)
        present = "; ".join(f"{reason}: {listed(names)}" for reason, names in by_reason.items())
        return Finding(NOT_MEASURED, "no trained model" + (present and f" ({present})"))


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper and the rule that judges it.

    Attributes
    ----------
    id, section
        A name, and where the paper says it.
    statement, paper_value
        What the paper says, in our words, and its figure.
    criterion
        When it is reproduced; a format string over :class:`Thresholds`.
    evidence
        Table and columns, or the identity.
    figures
        Figures of a study that show it, the most telling first.
    judge
        The rule.
    """

    id: str
    section: str
    statement: str
    paper_value: str
    criterion: str
    evidence: str
    figures: tuple[str, ...] = ()
    judge: Callable[[Study], Finding]


def verdict_if(holds: Truth) -> str:
    """Reproduced, or not."""
    return REPRODUCED if holds else NOT_REPRODUCED


def on_every_model(passed: Mapping[str, Truth], texts: list[str], nothing: Finding) -> Finding:
    """Reproduced if so on every model judged; what is found elsewhere where there is none."""
    if not passed:
        measured = "; ".join(texts or [nothing.measured])
        return Finding(NOT_MEASURED, measured)
    return Finding(verdict_if(all(passed.values())), "; ".join(texts))


def on_identity(
    study: Study, verdict: str, texts: list[str], doubts: list[str], *, nothing: str, why: str = ""
) -> Finding:
    """The verdict that mathematics gives, where the computation bears its identity out.

    Parameters
    ----------
    texts, doubts
        What was measured on each model judged, and where the identity does not hold.
    nothing
        What is missing where no model could be judged.
    why
        Stands before what was measured.
    """
    if study.counted.empty:
        return study.nothing_counts
    if not texts:
        return Finding(NOT_MEASURED, nothing)
    if doubts:
        failed = "the computation failed its own check: " + "; ".join(doubts)
        return Finding(NOT_MEASURED, "; ".join([failed, *texts]))
    return Finding(verdict, why + "; ".join(texts))


def residuals(study: Study, column: str, called: str) -> tuple[list[str], list[str]]:
    """Largest residual of each model that has one, in words, and where it is no rounding."""
    texts, doubts = [], []
    tolerance = study.thresholds.identity_residual
    for model, rows in study.rows("layers"):
        residual = numbers(rows[column])
        residual = residual[np.isfinite(residual)]
        if not len(residual):
            continue
        if beyond := int((residual > tolerance).sum()):
            doubts.append(f"{model}: residual above {tolerance:g} in {layers_counted(beyond)}")
        largest = magnitude(residual.max())
        texts.append(f"{model}: {called} {largest} over {layers_counted(len(residual))}")
    return texts, doubts


def numbers(column: pd.Series) -> Values:
    """A column as float64, missing entries as NaN."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def inside(values: Values, interval: tuple[float, float]) -> NDArray[np.bool_]:
    """Which values lie in an interval, ends included; above its start where it has no end."""
    low, high = interval
    return values > low if math.isinf(high) else (values >= low) & (values <= high)


def spearman(x: Values, y: Values) -> float:
    """Rank correlation where both exist; not a number for a constant or fewer than three pairs."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < FEWEST_LAYERS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(stats.spearmanr(x, y).statistic)


def shown(value: float) -> str:
    """A number to three digits."""
    return f"{value:.3g}"


def magnitude(value: float) -> str:
    """A number that is no more than rounding, to one digit."""
    return f"{value:.0e}"


def listed(names: list[str], at_most: int = 4) -> str:
    """Names, those beyond a few only counted."""
    more = len(names) - at_most
    return ", ".join(names[:at_most]) + (f" and {more} more" if more > 0 else "")


def layers_counted(n: int) -> str:
    """A number of layers, in words."""
    return f"{n} layer" if n == 1 else f"{n} layers"
