"""GPT-2 Medium, the one model for which the paper gives figures of its own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from headalgebra.claims.study import Study

IDS = ("openai-community/gpt2-medium", "gpt2-medium")
"""Of one hub repository, by its name and its former one."""

SHAPE = {"n_layers": 24, "n_heads": 16, "d_model": 1024, "d_head": 64}
"""Of its attention, by the columns of the layer table."""


def published(study: "Study") -> set[str]:
    """Models that count and come from GPT-2 Medium's repository on the hub."""
    models = study.counted
    return set(models["model"][(models["source"] == "hub") & models["id"].isin(IDS)])


def what_it_lacks(rows: "pd.DataFrame") -> str:
    """What the layers of a model lack of GPT-2 Medium's; empty where they lack nothing."""
    first = rows.iloc[0]
    if wrong := [name for name, size in SHAPE.items() if first[name] != size]:
        sizes = ", ".join(f"{name} {first[name]} for {SHAPE[name]}" for name in wrong)
        return f"not its shape, {sizes}"
    found = set(rows["layer"][rows["epsilon"].notna()])
    if missing := sorted(set(range(SHAPE["n_layers"])) - found):
        return f"no ε of layers {', '.join(map(str, missing))}"
    return ""
