"""GPT-2 Medium, the one model for which the paper gives figures of its own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from headalgebra.claims.study import Study

IDS = ("openai-community/gpt2-medium", "gpt2-medium")
"""Of one hub repository, by its name and its former one."""

COMMIT = "6dcaa7a952f72f9298047fd5137cd6e4f05f41da"
"""Of that repository, with the weights as they were published."""

SHAPE = {"n_layers": 24, "n_heads": 16, "d_model": 1024, "d_head": 64}
"""Of its attention, by the columns of the layer table."""


def published(study: "Study") -> list[str]:
    """Models that count and were read from the published commit, whatever they are called."""
    models = study.counted
    theirs = (models["source"] == "hub") & models["id"].isin(IDS) & (models["commit"] == COMMIT)
    return list(models["model"][theirs])


def taken_for_it(study: "Study") -> list[str]:
    """Models that have its id or its name and are not it, each with what it is instead."""
    models, real = study.models, published(study)
    named = models["id"].isin(IDS) | models["model"].str.startswith("gpt2-medium")
    return [
        f"{model['model']}: {study.left_out.get(model['model']) or _read_from(model)}"
        for _, model in models[named].iterrows()
        if model["model"] not in real
    ]


def _read_from(model: "pd.Series") -> str:
    if model["source"] == "hub" and model["id"] in IDS:
        return f"another commit, {model['commit'][:12]}"
    return f"of source {model['source']}" + (f", {model['id']}" if model["id"] else "")


def missing_layers(rows: "pd.DataFrame") -> str:
    """The layers of GPT-2 Medium that rows lack, in words; empty where they lack none."""
    missing = sorted(set(range(SHAPE["n_layers"])) - set(rows["layer"]))
    return f"no layers {', '.join(map(str, missing))}" if missing else ""
