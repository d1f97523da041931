"""The tables of a study: what each is, and the main ones to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from headalgebra.claims.wording import shown

DESCRIPTIONS = {
    "claims": "the papers' claims, each with its number and its verdict",
    "evidence": "every number behind a claim",
    "layers": "a row for each model and layer",
    "phases": "the paper's phases, by model",
    "nulls": "what the draws of each null of each layer give",
    "tower": "the levels C*, W*, Lie, L∞ and gauge of each layer, a row a quantity",
    "sampling": "every estimate of the obstruction with its interval",
    "precision": "the literal Jacobiator in four floating-point types",
    "literal": "largest residual of the literal L∞ relations",
    "associator": "the associator of ab + t[a,b] against t, computed and predicted",
    "conditioning": "constructed layers of prescribed κ",
    "feasibility": "extraction of random layers at the sizes that the paper calls feasible and not",
    "runs": "how each model was run on the text",
    "guards": "the checks that must hold before frozen blocks are believed",
    "states": "for each layer how much it changes the states",
    "dyson": "for each order k the size of T_k and the error of the sum up to it",
    "resummation": "how near each method comes to the last state",
    "normality": "how far each head's operator, and some whole blocks, are from normal ones",
    "convolution": "how near each head's attention and the model's impulse response are to a "
    "convolution",
    "geometry": "what norms make of states, how far scores are angles, what the feed-forward "
    "part turns off",
    "axes": "what permutations of axes, within blocks and across them, do to the loss or to the "
    "last state",
    "drift": "how far the states of a decoder move when a window slides along the text",
    "trainings": "each run of each experiment",
    "training_values": "every number that was measured of a run, its losses among them, by step "
    "and layer",
    "experiments": "each arm of an experiment against its control or a bound",
    "cost": "jobs, wall and CPU seconds and peak memory (MB) of each stage of each model",
    "estimate": "jobs, bytes to fetch, numbers to keep and CPU seconds, before the weights "
    "are there",
}
"""What each is, in the order in which they are listed; results/README.md goes on from here."""

SHOWN = {
    "layers": {
        "model": "model",
        "layer": "layer",
        "phase": "phase",
        "epsilon": "ε",
        "epsilon_relative": "ε̂",
        "epsilon_null_ratio": "ε / null",
        "kappa": "κ",
        "basis_dim": "n",
        "route": "route",
        "obstruction_rms": "obstruction",
        "jacobi_projected_rms": "projected J",
        "rho3": "ρ₃",
        "rho3_null": "null of ρ₃",
        "closure_isotropy": "(1 − χ) d²/n",
        "closure_isotropy_null": "its null",
    },
    "claims": {
        "paper": "paper",
        "id": "claim",
        "verdict": "verdict",
        "statistic": "statistic",
        "value": "value",
        "low": "from",
        "high": "to",
        "n": "n",
        "models": "models",
    },
    "phases": {
        "model": "model",
        "phase": "phase",
        "n_layers": "layers",
        "first_layer": "first",
        "last_layer": "last",
        "epsilon_min": "least ε",
        "epsilon_max": "largest ε",
        "jacobi_rms_max": "largest ‖J‖",
        "rho3_mean": "mean ρ₃",
    },
}
"""Columns of the tables that the page has whole, and what they are called there."""

ROWS_SHOWN = 400
"""Of a table, at the most."""

KILO = 1000


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a study.

    Attributes
    ----------
    name
        One of :data:`DESCRIPTIONS`.
    rows
        All of them.
    n_bytes, href
        Size of the file, and where it lies as seen from the page.
    """

    name: str
    rows: pd.DataFrame
    n_bytes: int
    href: str


def listed(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Every table with its description, number of rows and size.

    Raises
    ------
    ValueError
        When nothing says what a table is.
    """
    if unknown := {table.name for table in tables} - set(DESCRIPTIONS):
        raise ValueError(f"no description of {', '.join(sorted(unknown))}; add one to DESCRIPTIONS")
    order = list(DESCRIPTIONS)
    return [
        {
            "name": table.name,
            "href": table.href,
            "description": DESCRIPTIONS[table.name],
            "n_rows": len(table.rows),
            "n_bytes": table.n_bytes,
            "size": _size(table.n_bytes),
        }
        for table in sorted(tables, key=lambda table: order.index(table.name))
    ]


def sortable(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """The main tables as cells: what is written in each, and the number by which it is sorted."""
    by_name = {table.name: table for table in tables}
    return [
        {
            "name": name,
            "href": by_name[name].href,
            "n_rows": len(by_name[name].rows),
            "heads": [
                {"text": called, "column": column, "number": _is_number(by_name[name].rows[column])}
                for column, called in called_by.items()
            ],
            "rows": [
                [_cell(value) for value in row]
                for row in by_name[name].rows[list(called_by)].head(ROWS_SHOWN).itertuples(False)
            ],
        }
        for name, called_by in SHOWN.items()
        if name in by_name and len(by_name[name].rows)
    ]


def _is_number(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _cell(value: Any) -> dict[str, Any]:
    """What a cell says; the number behind it, none where it is text or missing."""
    if pd.isna(value):
        return {"text": "", "number": None}
    if isinstance(value, str | bool):
        return {"text": str(value), "number": None}
    whole = float(value).is_integer() and abs(value) < 1e15
    return {"text": str(int(value)) if whole else shown(value), "number": f"{value:.12g}"}


def _size(n_bytes: int) -> str:
    """Bytes as a person reads them."""
    if n_bytes < KILO:
        return f"{n_bytes} B"
    if n_bytes < KILO**2:
        return f"{n_bytes / KILO:.0f} kB"
    return f"{n_bytes / KILO**2:.1f} MB"
