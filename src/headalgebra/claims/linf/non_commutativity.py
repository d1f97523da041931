"""Claims on ε by depth, size and training (sections 1, 2, 3 and 5)."""

import math

import numpy as np
import pandas as pd

from headalgebra.claims._claim import (
    NOT_MEASURED,
    Claim,
    Finding,
    Study,
    inside,
    layers_counted,
    listed,
    numbers,
    on_every_model,
    shown,
    spearman,
)
from headalgebra.claims.linf import _gpt2_medium
from headalgebra.claims.linf._paper import EPSILON_BY_THIRD, GPT2_MEDIUM_EPSILON
from headalgebra.claims.linf.gpt2_medium import IDS


def depth(study: Study) -> Finding:
    """Share of each third's layers inside its interval."""
    passed, texts = {}, []
    for model, rows in study.rows("layers"):
        epsilon = numbers(rows["epsilon"])
        third = 3 * rows["layer"].to_numpy() // rows["n_layers"].to_numpy()
        within, complete = [], True
        for index, interval in enumerate(EPSILON_BY_THIRD):
            here = epsilon[(third == index) & np.isfinite(epsilon)]
            complete &= len(here) > 0
            within.append((int(inside(here, interval).sum()), len(here)))
        if not complete:
            texts.append(f"{model}: not judged, a third of its depth has no ε")
            continue
        passed[model] = all(k >= study.thresholds.share * n for k, n in within)
        counts = ", ".join(f"{k} of {n}" for k, n in within)
        texts.append(
            f"{model}: {counts} layers inside in the early, middle and deep third; "
            f"ε from {shown(np.nanmin(epsilon))} to {shown(np.nanmax(epsilon))}"
        )
    return on_every_model(passed, texts, study.nothing_counts)


def monotone(study: Study) -> Finding:
    """Rank correlation of ε with the layer."""
    passed, texts = {}, []
    for model, rows in study.rows("layers"):
        epsilon = numbers(rows["epsilon"])
        rho = spearman(numbers(rows["layer"]), epsilon)
        n = int(np.isfinite(epsilon).sum())
        if math.isnan(rho):
            texts.append(f"{model}: no rank correlation of ε over {layers_counted(n)}")
            continue
        passed[model] = rho >= study.thresholds.rank_correlation
        third = 3 * rows["layer"] // rows["n_layers"]
        early, deep = rows["phase"][third == 0], rows["phase"][third == 2]
        texts.append(
            f"{model}: ρ = {rho:.2f} over {layers_counted(n)}, phase I or II in "
            f"{int(early.isin(['I', 'II']).sum())} of {len(early)} early, "
            f"III in {int((deep == 'III').sum())} of {len(deep)} deep ones"
        )
    return on_every_model(passed, texts, study.nothing_counts)


def gpt2_medium(study: Study) -> Finding:
    """Layers of the real GPT-2 Medium inside the intervals given for them."""
    real = _gpt2_medium.published(study)
    passed, texts = {}, []
    for model, rows in study.rows("layers"):
        if model not in real:
            continue
        if lacking := _gpt2_medium.what_it_lacks(rows):
            texts.append(f"{model}: {lacking}")
            continue
        epsilon = rows.set_index("layer")["epsilon"]
        parts = []
        for layers, interval in GPT2_MEDIUM_EPSILON:
            here = numbers(epsilon.loc[list(layers)])
            parts.append((int(inside(here, interval).sum()), len(here), here))
        passed[model] = all(k == n for k, n, _ in parts)
        counts = ", ".join(
            f"{k} of {n} (ε {shown(here.min())} to {shown(here.max())})" for k, n, here in parts
        )
        texts.append(f"{model}: inside {counts}")
    absent = f"no model of source hub with id {IDS[0]}: its weights were not given"
    named = study.models["id"].isin(IDS)
    named |= study.models["model"].str.startswith("gpt2-medium")
    if others := [model for model in study.models["model"][named] if model not in real]:
        absent += f" ({listed(others)} is not that)"
    return on_every_model(passed, texts, Finding(NOT_MEASURED, absent))


def block_parameters(n_layers: int, d_model: int) -> int:
    """Parameters of so many standard blocks: 4 d² in attention and 8 d² in the MLP of each.

    The size of a model among others of its family; embeddings, which differ by vocabulary, and
    norms are left out.
    """
    return 12 * n_layers * d_model**2


def size(study: Study) -> Finding:
    """Rank correlation of largest ε, and of its largest step, with the size within a family."""
    models = study.counted.set_index("model")
    measures = []
    for model, rows in study.rows("layers"):
        epsilon = numbers(rows["epsilon"])
        if len(rows) == rows["n_layers"].iloc[0] and np.isfinite(epsilon).all() and len(rows) > 1:
            parameters = block_parameters(*map(int, rows[["n_layers", "d_model"]].iloc[0]))
            step = np.abs(np.diff(epsilon)).max()
            measures.append((models.loc[model, "family"], model, parameters, epsilon.max(), step))
    table = pd.DataFrame(measures, columns=["family", "model", "parameters", "largest", "step"])
    passed, texts = {}, []
    for family, members in table.groupby("family", sort=False):
        if members["parameters"].nunique() < study.thresholds.sizes:
            continue
        members = members.sort_values("parameters", kind="stable")
        rhos = [
            spearman(numbers(members["parameters"]), numbers(members[of]))
            for of in ("largest", "step")
        ]
        text = (
            f"{family} ({', '.join(members['model'])}): ρ with size = {rhos[0]:.2f} of the largest "
            f"ε, {rhos[1]:.2f} of the largest step"
        )
        if any(math.isnan(rho) for rho in rhos):
            texts.append(f"{family}: no rank correlation, it is alike in all sizes")
            continue
        passed[str(family)] = all(rho >= study.thresholds.rank_correlation for rho in rhos)
        texts.append(text)
    sizes = table.groupby("family", sort=False)["parameters"].nunique()
    found = ", ".join(f"{family} {count}" for family, count in sizes.items()) or "none"
    few = f"no family of {study.thresholds.sizes} sizes with all layers (sizes by family: {found})"
    nothing = study.nothing_counts if study.counted.empty else Finding(NOT_MEASURED, few)
    return on_every_model(passed, texts, nothing)


def never_classical(study: Study) -> Finding:
    """Smallest ε, and whether ε̂ is more than rounding."""
    passed, texts = {}, []
    for model, rows in study.rows("layers"):
        # ε has the scale of the weights; what is rounding shows in ε̂, where it exists.
        epsilon, relative = numbers(rows["epsilon"]), numbers(rows["epsilon_relative"])
        classical = (epsilon == 0) | (relative <= study.thresholds.classical_up_to)
        judged = classical | np.isfinite(relative)
        if not judged.any():
            texts.append(f"{model}: no layer has ε̂")
            continue
        passed[model] = not classical.any()
        text = f"{model}: ε from {shown(epsilon[judged].min())}"
        if np.isfinite(relative).any():
            text += f", ε̂ from {shown(np.nanmin(relative))}"
        text += f" over {layers_counted(int(judged.sum()))}"
        if classical.any():
            text += f", {int(classical.sum())} of them classical"
        if not judged.all():
            text += f", {int((~judged).sum())} without ε̂ not judged"
        texts.append(text)
    return on_every_model(passed, texts, study.nothing_counts)


CLAIMS = (
    Claim(
        id="eps-depth",
        section="1",
        statement="ε lies in one range in the early third of a model's layers, in a higher one in "
        "the middle third, and above 1 in the deep third",
        paper_value="[0.1, 0.8], [0.3, 1.5], above 1",
        criterion="at least {share:.0%} of the layers of every third inside, in every trained "
        "model; tested as stated, though the paper's ranges for GPT-2 Medium are others",
        evidence="layers.csv: epsilon",
        figures=("epsilon", "phases"),
        judge=depth,
    ),
    Claim(
        id="eps-monotone",
        section="1, 5",
        statement="ε grows with depth, whatever the architecture",
        paper_value="early third mostly in phase I or II, last third mostly in phase III",
        criterion="Spearman's ρ of ε and layer ≥ {rank_correlation:g} in every trained model",
        evidence="layers.csv: epsilon, phase",
        figures=("epsilon", "phases"),
        judge=monotone,
    ),
    Claim(
        id="eps-gpt2-medium",
        section="5",
        statement="ε of GPT-2 Medium has a range of its own in layers 1–8, 9–16 and 17–24",
        paper_value="[0.05, 0.3], [0.4, 1.2], [1.1, 2.3]",
        criterion="all 24 layers inside, on the published weights alone; tested as stated, though "
        "the first range begins below that for the early layers of all models",
        evidence="layers.csv: epsilon",
        figures=("gpt2_medium", "epsilon"),
        judge=gpt2_medium,
    ),
    Claim(
        id="eps-size",
        section="5",
        statement="the larger a model, the higher its ε and the sharper its transitions",
        paper_value="an order by size",
        criterion="Spearman's ρ ≥ {rank_correlation:g} of the largest ε, and of the largest "
        "absolute step of ε from a layer to the next, with size, in every family of at least "
        "{sizes} sizes; of the size, 12 × layers × d² of a standard block, only the rank is used",
        evidence="layers.csv: epsilon, n_layers, d_model",
        figures=("size", "epsilon"),
        judge=size,
    ),
    Claim(
        id="never-classical",
        section="2, 3",
        statement="no layer is classical: ε vanishes nowhere",
        paper_value="above 0 everywhere, though phase I is elsewhere called classical",
        criterion="ε above 0 and ε̂ above {classical_up_to:g}, which is rounding, in every layer "
        "of every trained model",
        evidence="layers.csv: epsilon, epsilon_relative",
        figures=("epsilon", "phases"),
        judge=never_classical,
    ),
)
