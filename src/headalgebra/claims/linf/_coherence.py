"""Claims on the L∞ relations, which hold of themselves (sections 3 and 4)."""

import numpy as np

from headalgebra.claims._claim import (
    NOT_MEASURED,
    REPRODUCED,
    Claim,
    Finding,
    Study,
    layers_counted,
    magnitude,
    numbers,
    on_identity,
    residuals,
    verdict_if,
)
from headalgebra.claims.linf import _gpt2_medium
from headalgebra.claims.linf._paper import COHERENCE_RESIDUAL, GPT2_MEDIUM_COHERENCE_RESIDUAL


def literal(study: Study) -> Finding:
    """Residual of the relations with ℓ₁ = 0 and ℓ₃ = −J, which is J for unit arguments."""
    passed, texts = [], []
    dense = dict(study.rows("literal"))
    for model, rows in study.rows("layers"):
        # The basis has unit norm; of a few triples the largest is at most √n times their rms.
        triples = numbers(rows["n_triples"])
        residual = numbers(rows["jacobi_rms"]) * np.sqrt(triples)
        residual = residual[np.isfinite(residual)]
        if not len(residual):
            continue
        text = f"{model}: at most {magnitude(residual.max())} over {layers_counted(len(residual))}"
        largest = residual.max()
        if model in dense:
            everywhere = numbers(dense[model]["residual"])
            everywhere = everywhere[np.isfinite(everywhere)]
            if len(everywhere):
                largest = max(largest, everywhere.max())
                text += (
                    f", {magnitude(everywhere.max())} over every triple of the "
                    f"{layers_counted(len(everywhere))} extracted densely"
                )
        published = model in _gpt2_medium.published(study)
        limit = GPT2_MEDIUM_COHERENCE_RESIDUAL if published else COHERENCE_RESIDUAL
        passed.append(bool(largest < limit))
        texts.append(text)
    if study.counted.empty:
        return study.nothing_counts
    if not passed:
        return Finding(NOT_MEASURED, "no layer with a relation: it takes three basis elements")
    for table, what in (("conditioning", "constructed layers"), ("feasibility", "random layers")):
        made = numbers(study.tables[table]["literal_residual"])
        made = made[np.isfinite(made)]
        if len(made):
            passed.append(bool(made.max() < COHERENCE_RESIDUAL))
            texts.append(f"{what}: at most {magnitude(made.max())} over every triple")
    if not all(passed):
        return Finding(verdict_if(False), "; ".join(texts))
    return Finding(REPRODUCED, "trivially, since ℓ₃ = 0 up to rounding; " + "; ".join(texts))


def higher(study: Study) -> Finding:
    """Whether the two-term structure, which has no ℓ_k beyond ℓ₃, satisfies its relations."""
    texts, doubts = residuals(study, "coherence_residual", "relations to")
    return on_identity(
        *(study, REPRODUCED, texts, doubts),
        nothing="no layer with a residual of the relations",
        why="trivially, since ℓ_k = 0 from k = 4 on; ",
    )


CLAIMS = (
    Claim(
        id="coherence",
        section="3, 4",
        statement="ℓ₁ = 0, the commutator for ℓ₂ and −J for ℓ₃ make an L∞-algebra",
        paper_value="residual of the relations below 1e-6 in dense extraction, below 1e-5 for "
        "GPT-2 Medium",
        criterion="the residual, by the norms of the arguments, below that in every layer of every "
        "trained model and in every layer made here; reproduced trivially, for ℓ₃ vanishes",
        evidence="identity ℓ₃ = −J = 0; literal.csv: residual; layers.csv: jacobi_rms; "
        "conditioning.csv, feasibility.csv: literal_residual",
        figures=("jacobiator",),
        judge=literal,
    ),
    Claim(
        id="higher-small",
        section="3, 4",
        statement="brackets of four and more arguments are much smaller than ℓ₃",
        paper_value="an order",
        criterion="ℓ_k = 0 for k ≥ 4 by degree in the two-term structure, so trivially; borne out "
        "where its relations hold to {identity_residual:g} in every layer of every trained model",
        evidence="identity ℓ_k = 0 for k ≥ 4; layers.csv: coherence_residual",
        figures=("tower",),
        judge=higher,
    ),
)
