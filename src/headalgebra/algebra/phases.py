"""The paper's three phases by depth (section 5)."""

import pandas as pd

from headalgebra import columns

PHASES = ("I", "II", "III")


def phase(epsilon: float, *, weak_below: float, topological_above: float) -> str:
    """I below the first threshold, III above the second, II between them, ends included.

    Empty where ε does not exist (a layer of one head).
    """
    if epsilon < weak_below:
        return "I"
    if epsilon > topological_above:
        return "III"
    return "II" if epsilon == epsilon else ""


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
