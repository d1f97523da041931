"""Which of a study's models is GPT-2 Medium: its published weights, not another under its name."""

import pandas as pd

from headalgebra.claims._claim import Study, listed
from headalgebra.claims.linf.gpt2_medium import IDS, SHAPE


def published(study: Study) -> set[str]:
    """Models that count and come from GPT-2 Medium's repository on the hub."""
    models = study.counted
    return set(models["model"][(models["source"] == "hub") & models["id"].isin(IDS)])


def what_it_lacks(rows: pd.DataFrame) -> str:
    """What the layers of a model lack of GPT-2 Medium's; empty where they lack nothing."""
    first = rows.iloc[0]
    if wrong := [name for name, size in SHAPE.items() if first[name] != size]:
        sizes = ", ".join(f"{name} {first[name]} for {SHAPE[name]}" for name in wrong)
        return f"not its shape, {sizes}"
    found = set(rows["layer"][rows["epsilon"].notna()])
    if missing := sorted(set(range(SHAPE["n_layers"])) - found):
        return f"no ε of layers {listed([str(layer) for layer in missing])}"
    return ""
