"""What the pages say of the study `demo`: every number and every statement, by its name there.

A number is what its tables give now. A statement is a sentence of a page that rests on the tables;
the page keeps its words, and here stands when they are true.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from headalgebra.claims.linf.paper import JACOBIATOR_RANGE
from headalgebra.claims.readme import findings_table
from headalgebra.claims.wording import ROUNDING
from headalgebra.tables import read_csv

TRAINED, INITIAL = "minilm", "minilm-init"
"""The models that the pages speak of: all-MiniLM-L6-v2, and its architecture at initialisation."""

NEAR = 4 / 3
"""Two sizes are about the same when neither is more than this times the other."""


class Tables(dict[str, pd.DataFrame]):
    """The tables of a finished study by name, each read when it is first asked for.

    Raises
    ------
    ValueError
        When a table is not there.
    """

    def __init__(self, study: Path) -> None:
        self.study = study

    def path(self, name: str) -> Path:
        """The file of a table."""
        return self.study / f"tables/{name}.csv"

    def __missing__(self, name: str) -> pd.DataFrame:
        """The table from its file."""
        if not self.path(name).is_file():
            raise ValueError(f"{self.path(name)} is not there: run the study first")
        self[name] = read_csv(self.path(name))
        return self[name]

    def rows(self, table: str, **where: str) -> pd.DataFrame:
        """The rows of a table in which columns are as given.

        Raises
        ------
        ValueError
            When there is no such column, or no such row.
        """
        rows = self[table]
        for column, value in where.items():
            if column not in rows:
                raise ValueError(f"{self.path(table)} has no column {column}")
            rows = rows[rows[column] == value]
        if rows.empty:
            told = " and ".join(f"{column} {value}" for column, value in where.items())
            raise ValueError(f"{self.path(table)} has no row with {told}")
        return rows

    def column(self, table: str, column: str, **where: str) -> pd.Series:
        """A column of such rows, in the order of the layers where there are any.

        Raises
        ------
        ValueError
            When the column or such a row is not there, or a number of it is not finite.
        """
        rows = self.rows(table, **where)
        if column not in rows:
            raise ValueError(f"{self.path(table)} has no column {column}")
        found = rows.set_index("layer")[column] if "layer" in rows else rows[column]
        if is_numeric_dtype(found) and not np.isfinite(found.astype(float)).all():
            raise ValueError(f"{self.path(table)} has a {column} that is not finite ({where})")
        return found


# ------ Words


def number(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, to the nearest; to one where it is rounding.

    Raises
    ------
    ValueError
        When it is not finite.
    """
    if not isfinite(value):
        raise ValueError(f"{value} is no number to show")
    if 0 < abs(value) < ROUNDING:
        digits = 1
    scientific = f"{value:.{digits - 1}e}"
    if -4 <= Decimal(scientific).adjusted() < 7:
        return f"{Decimal(scientific):,f}"
    mantissa, exponent = scientific.split("e")
    return f"{mantissa}e{int(exponent)}"


def each(values: pd.Series, digits: int = 3) -> str:
    """Every value in order."""
    return ", ".join(number(value, digits) for value in values)


def between(values: pd.Series, digits: int = 3) -> str:
    """The least and the largest value; one where they look alike."""
    ends = dict.fromkeys(number(value, digits) for value in (values.min(), values.max()))
    return " to ".join(ends)


# ------ Columns


def layers(study: Tables, column: str, model: str = TRAINED) -> pd.Series:
    """A column of layers.csv, of one model."""
    return study.column("layers", column, model=model)


def null(study: Tables, kind: str, quantity: str, column: str = "mean") -> pd.Series:
    """What a null of the trained model gives for a quantity."""
    return study.column("nulls", column, model=TRAINED, null=kind, quantity=quantity)


def beyond_every_draw(study: Tables, kind: str, quantity: str) -> pd.Series:
    """1 in layers above all draws of a null, −1 below all, 0 among them."""
    p, draws = (null(study, kind, quantity, column) for column in ("p_value", "n"))
    side = (layers(study, quantity) > null(study, kind, quantity)) * 2 - 1
    # With none of n draws on its far side, a layer has the least p-value there is, 2/(n + 1).
    return side.where(p * (draws + 1) < 3, 0)


def jacobiator(study: Tables, operand: str) -> pd.DataFrame:
    """‖J‖ of the trained model by layer and floating-point type."""
    where = {"model": TRAINED, "operand": operand}
    types, norms = (
        study.column("precision", column, **where) for column in ("dtype", "jacobi_mean")
    )
    return norms.to_frame().assign(dtype=types).pivot(columns="dtype", values="jacobi_mean")


def orders_of_magnitude(study: Tables) -> float:
    """How far ‖J‖ goes from one floating-point type to another, on the operands where it is less.

    Its geometric mean over the layers, as the figure draws it.
    """
    orders = []
    for operand in ("raw", "basis"):
        means = np.log10(jacobiator(study, operand)).mean()
        orders.append(means.max() - means.min())
    return min(orders)


def slope(study: Tables, operand: str) -> float:
    """Of ‖J‖ against the unit roundoff, both logarithmic."""
    statistic = f"slope of ‖J‖ in the unit roundoff, {operand} operands"
    found = study.column("evidence", "value", id="jacobi-range", on=TRAINED, statistic=statistic)
    return found.iloc[0]


def coverage(study: Tables) -> str:
    """How often the interval of uniform tuples has the exact value, in percent."""
    share = study.column("sampling", "coverage", model=TRAINED, estimator="uniform")
    return each(100 * share)


def shape(study: Tables) -> str:
    """Layers, heads and width of the trained model."""
    n_layers, heads, d = (
        layers(study, column).iloc[0] for column in ("n_layers", "n_heads", "d_model")
    )
    return f"{n_layers} layers, {heads} heads and d = {d}"


def closure_over(study: Tables, kind: str) -> pd.Series:
    """Closure of the trained model over the mean of a null's draws."""
    return layers(study, "closure_isotropy") / null(study, kind, "closure_isotropy")


NUMBERS: Mapping[str, Callable[[Tables], str]] = {
    "findings": lambda s: f"\n\n{findings_table(s['claims'])}\n",
    "shape": shape,
    # ε
    "epsilon_over_haar": lambda s: between(layers(s, "epsilon_null_ratio")),
    "epsilon_over_haar_initial": lambda s: between(layers(s, "epsilon_null_ratio", INITIAL)),
    "epsilon_relative": lambda s: between(layers(s, "epsilon_relative")),
    "epsilon_relative_pooled": lambda s: between(null(s, "pooled", "epsilon_relative")),
    # Closure, (1 − χ) d²/n
    "closure": lambda s: each(layers(s, "closure_isotropy")),
    "closure_initial": lambda s: between(layers(s, "closure_isotropy", INITIAL)),
    "closure_pooled": lambda s: each(null(s, "pooled", "closure_isotropy")),
    "closure_haar": lambda s: between(null(s, "haar", "closure_isotropy")),
    "closure_layers": lambda s: between(null(s, "layers", "closure_isotropy")),
    "closure_over_haar": lambda s: between(closure_over(s, "haar"), 2),
    "closure_over_haar_first": lambda s: number(closure_over(s, "haar").iloc[0], 2),
    "closure_over_haar_last": lambda s: number(closure_over(s, "haar").iloc[-1], 2),
    "closure_over_pooled_first": lambda s: number(closure_over(s, "pooled").iloc[0], 2),
    "closure_over_pooled_last": lambda s: number(closure_over(s, "pooled").iloc[-1], 2),
    "pooled_closure_over_haar": lambda s: between(
        null(s, "pooled", "closure_isotropy") / null(s, "haar", "closure_isotropy"), 2
    ),
    # ρ₃
    "rho3": lambda s: each(layers(s, "rho3")),
    "rho3_pooled": lambda s: between(null(s, "pooled", "rho3")),
    "rho3_haar": lambda s: between(null(s, "haar", "rho3")),
    "rho3_layers_first": lambda s: number(null(s, "layers", "rho3").iloc[0]),
    # J. Its digits are rounding, which another machine does not share.
    "jacobi_over_noise": lambda s: between(
        s.column("layers", "jacobi_rms") / s.column("layers", "jacobi_noise"), 1
    ),
    "jacobi_bound": lambda s: number(layers(s, "jacobi_bound").max()),
    "jacobi_orders": lambda s: f"{orders_of_magnitude(s):.0f}",
    "jacobi_slope_raw": lambda s: number(slope(s, "raw"), 2),
    "jacobi_slope_basis": lambda s: number(slope(s, "basis"), 2),
    # The obstruction
    "obstruction": lambda s: between(layers(s, "obstruction_rms"), 2),
    "obstruction_initial": lambda s: between(layers(s, "obstruction_rms", INITIAL), 2),
    "obstruction_haar": lambda s: number(2 / layers(s, "d_model").iloc[0], 2),
    "hochschild_residual": lambda s: number(layers(s, "hochschild_residual").max()),
    # Constructed layers
    "constructed": lambda s: str(len(s["conditioning"])),
    "constructed_kappa": lambda s: between(s.column("conditioning", "kappa"), 2),
    "constructed_dense_error": lambda s: number(s.column("conditioning", "dense_error").max()),
    "constructed_sampled_error": lambda s: number(
        s.column("conditioning", "sampled_error").max(), 2
    ),
    # Of trained layers, held against the exact value
    "uniform_coverage": coverage,
}


# ------ Statements


def falls_from_first_to_last(study: Tables) -> bool:
    """Whether ε is largest in the first layer and smallest in the last."""
    epsilon = layers(study, "epsilon")
    return bool(epsilon.idxmax() == epsilon.index[0] and epsilon.idxmin() == epsilon.index[-1])


def first_nearest_jacobi(study: Tables) -> bool:
    """Whether ρ₃ of the first layer is less than in any draw of any null there."""
    table = study["nulls"]
    kinds = table.loc[(table["model"] == TRAINED) & (table["quantity"] == "rho3"), "null"].unique()
    return all(beyond_every_draw(study, kind, "rho3").iloc[0] < 0 for kind in kinds)


def only_raw_in_16_bits(study: Tables) -> bool:
    """Whether ‖J‖ reaches the paper's range with operators as they are, in both 16-bit types.

    And nowhere else.
    """
    raw, basis = jacobiator(study, "raw"), jacobiator(study, "basis")
    short = ["float16", "bfloat16"]
    beyond = raw >= JACOBIATOR_RANGE[0]
    elsewhere = beyond.drop(columns=short).any(axis=None) or (basis >= JACOBIATOR_RANGE[0]).any(
        axis=None
    )
    return bool(beyond[short].all(axis=None) and not elsewhere)


def others_close_beyond_pooled(study: Tables) -> bool:
    """Whether heads of other layers close more than heads drawn alike, in every layer."""
    others = null(study, "layers", "closure_isotropy")
    return bool((others > null(study, "pooled", "closure_isotropy", "high")).all())


def own_beside_others(study: Tables) -> bool:
    """Whether the first layer closes more than all draws of other layers' heads, the last less."""
    sides = beyond_every_draw(study, "layers", "closure_isotropy")
    return bool(sides.iloc[0] > 0 and sides.iloc[-1] < 0)


STATEMENTS: Mapping[str, Callable[[Tables], bool]] = {
    "phase_one": lambda s: bool((layers(s, "phase") == "I").all()),
    "epsilon_falls": falls_from_first_to_last,
    "commutes_beyond_pooled": lambda s: all(
        (beyond_every_draw(s, "pooled", quantity) < 0).all()
        for quantity in ("epsilon", "epsilon_relative")
    ),
    "commutes_as_haar": lambda s: bool(
        layers(s, "epsilon_null_ratio").between(1 / NEAR, NEAR).all()
    ),
    "closes_beyond_pooled": lambda s: bool(
        (beyond_every_draw(s, "pooled", "closure_isotropy") > 0).all()
    ),
    "others_close_beyond_pooled": others_close_beyond_pooled,
    "own_beside_others": own_beside_others,
    "first_nearest_jacobi": first_nearest_jacobi,
    "slope_under_one": lambda s: all(0.9 < slope(s, of) < 1 for of in ("raw", "basis")),
    "only_raw_in_16_bits": only_raw_in_16_bits,
    "random_close_too": lambda s: bool((layers(s, "coherence_residual", INITIAL) < ROUNDING).all()),
    "dense_is_nearer": lambda s: bool(
        (s.column("conditioning", "dense_error") < s.column("conditioning", "sampled_error")).all()
    ),
    "action_of_both_signs": lambda s: layers(s, "action").min() < 0 < layers(s, "action").max(),
}
