"""The tables of a study, gathered from the stages of its models."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from headalgebra import columns
from headalgebra.algebra.phases import PHASES, phase
from headalgebra.defaults import TOPOLOGICAL_ABOVE, WEAK_BELOW

LEVELS = ("C*", "W*", "Lie", "L∞", "gauge")
"""The tower from the bottom up."""


def layer_table(
    model: str,
    provenance: Mapping[str, Any],
    stages: Mapping[str, pd.DataFrame],
    *,
    weak_below: float = WEAK_BELOW,
    topological_above: float = TOPOLOGICAL_ABOVE,
) -> pd.DataFrame:
    """One row for each layer of a model, in the columns of :data:`headalgebra.columns.LAYERS`.

    Parameters
    ----------
    provenance
        Shape, layers and revision of the model, the quantisation of each layer by its number as
        text, and a note on what it was read from.
    stages
        Frames ``basis``, ``epsilon``, ``linf_dense``, ``linf_sampled``, ``coherence``, ``gauge``
        and ``nulls``. Layers extracted both ways take the dense row.
    weak_below, topological_above
        Ends of phase II.

    Raises
    ------
    ValueError
        When a stage lacks a layer that was extracted, or has another.
    """
    dense, sampled = stages["linf_dense"], stages["linf_sampled"]
    sampled = sampled[~sampled["layer"].isin(dense["layer"])]
    extracted = stack([dense, sampled])
    chance = _chance(stages["nulls"])
    complete = {"linf": extracted, "nulls": chance} | {
        stage: stages[stage] for stage in ("basis", "coherence", "epsilon", "gauge")
    }
    for stage, found in complete.items():
        if lost := set(provenance["layers"]) ^ set(found["layer"]):
            raise ValueError(f"{model}: layers {sorted(lost)} are not those of {stage}; rerun it")
    table = stages["epsilon"].merge(stages["basis"], on="layer", validate="1:1")
    table = table.merge(extracted, on="layer", validate="1:1")
    table = table.merge(
        stages["coherence"], on="layer", validate="1:1", suffixes=("_linf", "_coherence")
    )
    table = table.merge(stages["gauge"], on="layer", validate="1:1")
    table = table.rename(columns={"note": "note_gauge"})
    table = table.merge(chance, on="layer", validate="1:1")
    table["epsilon_null_ratio"] = table["epsilon"] / table["epsilon_null"]
    of_source = provenance.get("note", "")
    table["note"] = [
        "; ".join(dict.fromkeys(filter(None, (of_source, *remarks(row, provenance["n_heads"])))))
        for _, row in table.iterrows()
    ]
    table["phase"] = [
        phase(epsilon, weak_below=weak_below, topological_above=topological_above)
        for epsilon in table["epsilon"]
    ]
    table["model"] = model
    for column in (*columns.SHAPE, "revision"):
        table[column] = provenance[column]
    for column in columns.CONVENTION:
        table[column] = provenance["convention"][column]
    table["quantisation"] = table["layer"].astype(str).map(provenance["quantisation"])
    return table.sort_values("layer")[list(columns.LAYERS)]


CHANCE = {
    "epsilon_null": ("haar", "epsilon"),
    "closure_isotropy_null": ("pooled", "closure_isotropy"),
    "rho3_null": ("pooled", "rho3"),
}
"""Columns of the table of layers that are the mean of a quantity over the draws of a null.

ε has the null that keeps the spectrum of every head, and which heads share a key. What a bracket
carries has the one that keeps the directions that all heads of the layer favour.
"""


def _chance(nulls: pd.DataFrame) -> pd.DataFrame:
    """What chance gives each layer that has it all, in the columns of :data:`CHANCE`."""
    chance = nulls[["layer"]].drop_duplicates()
    for column, (null, quantity) in CHANCE.items():
        rows = nulls[(nulls["null"] == null) & (nulls["quantity"] == quantity)]
        means = rows[["layer", "mean"]].rename(columns={"mean": column})
        chance = chance.merge(means, on="layer", validate="1:1")
    return chance


def remarks(row: pd.Series, n_heads: int) -> Iterable[str]:
    """Why numbers of a layer do not exist, or are not what they seem."""
    if row["epsilon"] != row["epsilon"]:
        yield "one head: no pairs"
    elif row["epsilon_relative"] != row["epsilon_relative"]:
        yield "a head is zero: no epsilon_relative"
    if row["rank"] == 0:
        yield "every head is zero: no basis"
    elif row["rank"] < n_heads:
        yield f"rank {row['rank']} of {n_heads} heads: the others depend on them"
    yield row["note_linf"]
    yield row["note_coherence"]
    yield row["note_gauge"]


def phase_table(layers: pd.DataFrame) -> pd.DataFrame:
    """One row for each model and phase that occurs, from the layer table."""
    groups = layers[layers["phase"].isin(PHASES)].groupby(["model", "phase"], sort=False)
    table = groups.agg(
        n_layers=("layer", "size"),
        first_layer=("layer", "min"),
        last_layer=("layer", "max"),
        epsilon_min=("epsilon", "min"),
        epsilon_max=("epsilon", "max"),
        jacobi_rms_max=("jacobi_rms", "max"),
        rho3_mean=("rho3", "mean"),
    ).reset_index()
    # The models stay in the study's order; the phases come in theirs.
    table["model"] = pd.Categorical(table["model"], categories=layers["model"].unique())
    return table.sort_values(["model", "phase"])[list(columns.PHASES)]


def sampling_table(model: str, stages: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every estimate of the obstruction, the dense value beside them where it was computed."""
    dense = stages["linf_dense"].assign(
        estimator="dense",
        value=lambda frame: frame["obstruction_rms"],
        low=lambda frame: frame["obstruction_ci_low"],
        high=lambda frame: frame["obstruction_ci_high"],
    )
    n = stages["basis"].set_index("layer")["basis_dim"]
    dense["n_triples"] = dense["layer"].map(n * n * (n - 1) // 2)
    dense["dtype"] = dense["layer"].map(stages["literal"].set_index("layer")["dtype"])
    dense["coverage"], dense["repetitions"] = math.nan, 0
    table = stack([stages["sampling"], dense[list(columns.SAMPLING)]])
    table.insert(0, "model", model)
    return table.sort_values("layer", kind="stable")


def tower_table(model: str, stages: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Every level of the tower, layer by layer; the L∞ level is the coherence stage's."""
    brackets = stages["coherence"].rename(columns={"closure_defect": "chi"})
    brackets = brackets.melt(
        id_vars="layer", value_vars=["l2_norm", "l3_norm", "chi", "rho3"], var_name="quantity"
    ).assign(level="L∞")
    table = stack([stages["tower"], brackets[list(columns.TOWER)]])
    table["level"] = pd.Categorical(table["level"], categories=LEVELS)
    table.insert(0, "model", model)
    return table.sort_values(["layer", "level"], kind="stable")


def cost_table(jobs: pd.DataFrame) -> pd.DataFrame:
    """What each stage of each model cost, in the columns of :data:`headalgebra.columns.COST`.

    Parameters
    ----------
    jobs
        A row for each job that finished: ``rule``, ``model``, ``wall_s`` and ``cpu_s`` in seconds,
        ``max_rss_mb`` in MB. The first two are summed over the jobs of a stage, the last is the
        largest of them. A number that was not measured, as on a system that does not tell, is
        left out of both; where none was, the cell is empty.
    """
    table = jobs.groupby(["rule", "model"], sort=False, dropna=False).agg(
        jobs=("wall_s", "size"),
        wall_s=("wall_s", lambda column: column.sum(min_count=1)),
        cpu_s=("cpu_s", lambda column: column.sum(min_count=1)),
        max_rss_mb=("max_rss_mb", "max"),
    )
    return table.reset_index()[list(columns.COST)]


def stack(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Frames below one another; empty ones, whose columns have no type, left out."""
    every = list(frames)
    filled = [frame for frame in every if len(frame)] or every[:1]
    return pd.concat(filled, ignore_index=True)
