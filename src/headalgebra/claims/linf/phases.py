"""Section 5: phases, GPT-2 Medium and sizes."""

import numpy as np
import pandas as pd

from headalgebra.claims.claim import Claim
from headalgebra.claims.finding import Evidence, Finding, not_measured
from headalgebra.claims.linf.brackets import VANISHING_READS, vanishing
from headalgebra.claims.linf.gpt2_medium import (
    COMMIT,
    IDS,
    missing_layers,
    published,
    taken_for_it,
)
from headalgebra.claims.linf.paper import GPT2_MEDIUM_EPSILON, JACOBIATOR_RANGE, in_words
from headalgebra.claims.rules import on_every_model, on_every_order
from headalgebra.claims.statistics import (
    RankCorrelation,
    inside,
    listed,
    numbers,
    rank_correlation,
    share,
)
from headalgebra.claims.study import Study


def gpt2_medium(study: Study) -> Finding:
    """Layers of the real GPT-2 Medium inside the intervals given for them."""
    real = published(study)
    deciding, beside, not_judged = {}, [], {}
    for model, rows in study.rows("layers"):
        if model not in real:
            continue
        if lacking := missing_layers(rows):
            not_judged[model] = lacking
            continue
        epsilon = rows.set_index("layer")["epsilon"]
        within = n = 0
        for layers, interval in GPT2_MEDIUM_EPSILON:
            here = numbers(epsilon.loc[list(layers)])
            as_claimed = int(inside(here, interval).sum())
            within, n = within + as_claimed, n + len(here)
            called = f"layers {layers.start + 1}–{layers.stop}"
            beside.append(share(model, f"share of {called} inside", as_claimed, len(here)))
            beside += [
                Evidence(
                    on=model, statistic=f"{which} ε of {called}", value=float(value), n=len(here)
                )
                for which, value in (("smallest", here.min()), ("largest", here.max()))
            ]
        deciding[model] = share(model, "share of all layers inside", within, n)
    absent = f"no model of source hub with id {IDS[0]} at its commit {COMMIT[:12]}"
    if others := taken_for_it(study):
        absent += f" ({'; '.join(others)})"
    return on_every_model(
        "share of the layers of GPT-2 Medium inside their range",
        deciding,
        1.0,
        beside=beside,
        not_judged=not_judged,
        nothing=not_measured(absent),
    )


def block_parameters(n_layers: int, d_model: int) -> int:
    """Parameters of so many standard blocks: 4 d² in attention and 8 d² in the MLP of each.

    The size of a model among others of its family; embeddings, which differ by vocabulary, and
    norms are left out.
    """
    return 12 * n_layers * d_model**2


def size(study: Study) -> Finding:
    """Rank correlation of largest ε, and of its largest step, with the size within a family."""
    table = _largest_by_model(study)
    correlations: dict[str, dict[str, RankCorrelation]] = {}
    on, sizes = {}, {}
    for (organisation, architecture), members in table.groupby(
        ["organisation", "architecture"], sort=False
    ):
        family = f"{architecture} of {organisation}"
        sizes[family] = members["parameters"].nunique()
        on[family] = f"{family} ({', '.join(members['model'])})"
        if sizes[family] >= study.thresholds.sizes:
            parameters = numbers(members["parameters"])
            correlations[family] = {
                f"size and {called}": rank_correlation(
                    parameters, numbers(members[column]), study.seed
                )
                for column, called in (("largest", "largest ε"), ("step", "largest step of ε"))
            }
    found = ", ".join(f"{family} {count}" for family, count in sizes.items()) or "none"
    few = f"no family of {study.thresholds.sizes} sizes with all layers (sizes by family: {found})"
    unknown = list(study.counted["model"][study.counted["organisation"] == ""])
    nobodys = "of no known organisation, so of no family; name it in the model file"
    aside = {listed(unknown): nobodys} if unknown else {}
    return on_every_order(
        study,
        "smallest Spearman's ρ of size and largest ε, or largest step of ε",
        correlations,
        on=on,
        fewest=study.thresholds.sizes,
        of="models",
        not_judged=({} if correlations else {"no order": few}) | aside,
        nothing=study.nothing_counts,
    )


def _largest_by_model(study: Study) -> pd.DataFrame:
    """Largest ε and largest step of ε of each model with ε in all layers, smallest model first.

    A family is an architecture of one organisation: models that are of the same code and that
    others made, on other data, are no sizes of one another.
    """
    models = study.counted.set_index("model")
    measures = []
    for model, rows in study.rows("layers"):
        epsilon = numbers(rows["epsilon"])
        known = models.loc[model, "organisation"] != ""
        whole = len(rows) == rows["n_layers"].iloc[0] and not np.isnan(epsilon).any()
        if known and whole and len(rows) > 1:
            measures.append(
                {
                    "organisation": models.loc[model, "organisation"],
                    "architecture": models.loc[model, "family"],
                    "model": model,
                    "parameters": block_parameters(
                        *map(int, rows[["n_layers", "d_model"]].iloc[0])
                    ),
                    "largest": epsilon.max(),
                    "step": np.abs(np.diff(epsilon)).max(),
                }
            )
    columns = ["organisation", "architecture", "model", "parameters", "largest", "step"]
    return pd.DataFrame(measures, columns=columns).sort_values("parameters", kind="stable")


def jacobiator_by_phase(study: Study) -> Finding:
    """The identity J = 0, and how often the projected Jacobiator is in the phase that ε has."""
    finding = vanishing(study)
    low, high = JACOBIATOR_RANGE
    agreements = []
    for model, rows in study.rows("layers"):
        projected = numbers(rows["jacobi_projected_rms"])
        exists = ~np.isnan(projected) & rows["phase"].isin(["I", "II", "III"]).to_numpy()
        by_projected = np.select([projected < low, projected > high], ["I", "III"], "II")
        same = int((by_projected == rows["phase"].to_numpy())[exists].sum())
        if exists.any():
            statistic = "share of layers whose phase by ε and by projected Jacobiator agree"
            agreements.append(share(model, statistic, same, int(exists.sum())))
    return Finding(
        verdict=finding.verdict,
        deciding=finding.deciding,
        evidence=(*finding.evidence, *agreements),
        note=finding.note,
    )


CLAIMS = (
    Claim(
        id="eps-gpt2-medium",
        title="GPT-2 Medium's ranges of ε",
        section="5",
        statement="ε of GPT-2 Medium has a range of its own in layers 1–8, 9–16 and 17–24",
        paper_value=in_words(*(interval for _, interval in GPT2_MEDIUM_EPSILON)),
        criterion="all 24 layers inside, on the published weights alone, which their commit tells; "
        "tested as stated, though the first range begins below that for the early layers of all "
        "models",
        reads={"layers": ("epsilon",)},
        models=published,
        figures=("gpt2_medium", "epsilon"),
        rule=gpt2_medium,
    ),
    Claim(
        id="eps-size",
        title="ε grows with size",
        section="5",
        statement="the larger a model, the higher its ε and the sharper its transitions",
        paper_value="an order by size",
        criterion="Spearman's ρ ≥ {rank_correlation:g}, and such an order less likely than "
        "{significance:g} by chance, of the largest ε, and of the largest absolute step of ε from "
        "a layer to the next, with size, in every family of at least {sizes} sizes; a family is "
        "an architecture of one organisation; of the size, 12 × layers × d² of a standard block, "
        "only the rank is used",
        reads={"layers": ("epsilon", "n_layers", "d_model")},
        figures=("size", "epsilon"),
        rule=size,
    ),
    Claim(
        id="jacobi-phase",
        title="Phase and Jacobiator go together",
        section="5",
        statement="the violation of the Jacobi identity goes with the phase of a layer",
        paper_value="I below {0:g}, II from {0:g} to {1:g}, III above {1:g}".format(
            *JACOBIATOR_RANGE
        ),
        criterion="as for jacobi-range; beside it, the layers in which the projected Jacobiator, "
        "which need not vanish, is in the range of the phase that ε gives",
        identity="J = 0",
        reads={
            **VANISHING_READS,
            "layers": (*VANISHING_READS["layers"], "jacobi_projected_rms", "phase"),
        },
        figures=("jacobiator", "phase_diagram", "phases"),
        rule=jacobiator_by_phase,
    ),
)
