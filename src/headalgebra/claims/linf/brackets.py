"""Section 3: the Jacobiator, and the brackets of an L∞-algebra."""

import numpy as np
import pandas as pd

from headalgebra.claims.claim import Claim
from headalgebra.claims.doubt import MADE_HERE
from headalgebra.claims.finding import (
    CONTRADICTED,
    NOT_REPRODUCED,
    TRUE_OF_ANYTHING,
    Evidence,
    Finding,
    largest,
    not_measured,
)
from headalgebra.claims.linf.gpt2_medium import published
from headalgebra.claims.linf.paper import (
    COHERENCE_RESIDUAL,
    GPT2_MEDIUM_COHERENCE_RESIDUAL,
    JACOBIATOR_RANGE,
    in_words,
    power,
)
from headalgebra.claims.rules import on_identity, residuals
from headalgebra.claims.statistics import Values, listed, numbers
from headalgebra.claims.study import Study

FEWEST_PRECISIONS = 3
"""Through two a line always goes."""

OPERANDS = ("raw", "basis")
"""Heads, and basis elements: the Jacobiator of either follows the unit roundoff."""

VANISHING_READS = {
    "layers": ("jacobi_rms", "jacobi_bound"),
    "precision": ("operand", "unit_roundoff", "jacobi_mean"),
}
"""What :func:`vanishing` is judged by."""


def vanishing(study: Study) -> Finding:
    """Whether what is computed for J is rounding: below its bound, and proportional to u."""
    found, beside, doubts = [], [], []
    precision = dict(study.rows("precision"))
    low, high = study.thresholds.slope_from, study.thresholds.slope_to
    for model, rows in study.rows("layers"):
        rms, bound = numbers(rows["jacobi_rms"]), numbers(rows["jacobi_bound"])
        exists = ~np.isnan(rms)
        if not exists.any():
            continue
        if (beyond := ~(rms <= bound) & exists).any():
            layers = listed([str(layer) for layer in rows["layer"][beyond]])
            doubts.append(f"{model}: J above the bound of rounding in layers {layers}")
        found.append(_most(model, "largest ‖J‖", rms[exists]))
        beside.append(_most(model, "largest bound of rounding", bound[exists]))
        slopes = _slopes(precision[model]) if model in precision else {}
        for operand in OPERANDS:
            if operand not in slopes:
                doubts.append(f"{model}: no Jacobiator in several precisions ({operand})")
                continue
            slope, n = slopes[operand], precision[model]["layer"].nunique()
            statistic = f"slope of ‖J‖ in the unit roundoff, {operand} operands"
            beside.append(Evidence(on=model, statistic=statistic, value=slope, n=n))
            if not low <= slope <= high:
                doubts.append(f"{model}: slope {slope:.3g} ({operand})")
    return on_identity(
        study,
        CONTRADICTED,
        "largest ‖J‖ of basis elements",
        found,
        doubts=doubts,
        beside=beside,
        nothing="no layer with a Jacobiator: it takes three basis elements",
    )


def _most(model: str, statistic: str, values: Values) -> Evidence:
    return Evidence(on=model, statistic=statistic, value=float(values.max()), n=len(values))


def _slopes(precision: pd.DataFrame) -> dict[str, float]:
    """Slope of log J, averaged over the layers, against log u, for each kind of operand."""
    positive = precision[precision["jacobi_mean"] > 0]
    slopes = {}
    for operand, rows in positive.groupby("operand", sort=False):
        logs = rows.assign(log=np.log(numbers(rows["jacobi_mean"])))
        mean = logs.groupby("unit_roundoff", as_index=False)["log"].mean()
        if len(mean) >= FEWEST_PRECISIONS:
            u = np.log(numbers(mean["unit_roundoff"]))
            slopes[str(operand)] = float(np.polyfit(u, numbers(mean["log"]), 1)[0])
    return slopes


def literal(study: Study) -> Finding:
    """Residual of the relations with ℓ₁ = 0 and ℓ₃ = −J, which is J for unit arguments."""
    found, beyond = [], []
    dense = dict(study.rows("literal"))
    real = published(study)
    for model, rows in study.rows("layers"):
        # The basis has unit norm; of a few triples the largest is at most √n times their rms.
        residual = numbers(rows["jacobi_rms"]) * np.sqrt(numbers(rows["n_triples"]))
        residual = residual[~np.isnan(residual)]
        if not len(residual):
            continue
        of_model = [_most(model, "largest residual", residual)]
        if model in dense:
            everywhere = numbers(dense[model]["residual"])
            everywhere = everywhere[~np.isnan(everywhere)]
            if len(everywhere):
                of_model.append(_most(model, "largest residual over every triple", everywhere))
        limit = GPT2_MEDIUM_COHERENCE_RESIDUAL if model in real else COHERENCE_RESIDUAL
        beyond += [measured for measured in of_model if not measured.value < limit]
        found += of_model
    if study.counted.empty:
        return study.nothing_counts
    if not found:
        return not_measured("no layer with a relation: it takes three basis elements")
    for table, (what, _) in MADE_HERE.items():
        made = numbers(study.tables[table]["literal_residual"])
        made = made[~np.isnan(made)]
        if len(made):
            measured = _most(what, "largest residual over every triple", made)
            beyond += [measured] * (not measured.value < COHERENCE_RESIDUAL)
            found.append(measured)
    return Finding(
        verdict=NOT_REPRODUCED if beyond else TRUE_OF_ANYTHING,
        deciding=largest(found, "largest residual of the literal relations"),
        evidence=tuple(found),
        note="" if beyond else "ℓ₃ = −J is zero for any matrices, up to rounding",
    )


def higher(study: Study) -> Finding:
    """Whether the two-term structure, which has no ℓ_k beyond ℓ₃, satisfies its relations."""
    statistic = "largest residual of the two-term relations"
    found, doubts = residuals(study, "coherence_residual", statistic)
    finding = on_identity(
        study,
        TRUE_OF_ANYTHING,
        statistic,
        found,
        doubts=doubts,
        nothing="no layer with a residual of the relations",
    )
    if finding.verdict != TRUE_OF_ANYTHING:
        return finding
    return Finding(
        verdict=finding.verdict,
        deciding=finding.deciding,
        evidence=finding.evidence,
        note="ℓ_k is zero from k = 4 on, by degree",
    )


CLAIMS = (
    Claim(
        id="jacobi-range",
        title="The Jacobiator is not zero",
        section="3",
        statement="the Jacobiator of basis elements is small, and systematically not zero",
        paper_value=f"norm in {in_words(JACOBIATOR_RANGE)}",
        criterion="J vanishes for matrices, whose product is associative; borne out where what is "
        "computed for it stays below the bound of rounding in every layer, and follows the unit "
        "roundoff with a slope in [{slope_from:g}, {slope_to:g}] in every trained model",
        identity="J = 0",
        reads=VANISHING_READS,
        figures=("jacobiator",),
        rule=vanishing,
    ),
    Claim(
        id="coherence",
        title="The literal L∞ relations hold",
        section="3, 4",
        statement="ℓ₁ = 0, the commutator for ℓ₂ and −J for ℓ₃ make an L∞-algebra",
        paper_value=f"residual of the relations below {power(COHERENCE_RESIDUAL)} in dense "
        f"extraction, below {power(GPT2_MEDIUM_COHERENCE_RESIDUAL)} for GPT-2 Medium",
        criterion="the residual, by the norms of the arguments, below that in every layer of every "
        "trained model and in every layer made here; true of anything, for ℓ₃ vanishes",
        identity="ℓ₃ = −J = 0",
        reads={
            "literal": ("residual",),
            "layers": ("jacobi_rms", "n_triples"),
            "conditioning": ("case", "literal_residual"),
            "feasibility": ("n", "literal_residual"),
        },
        figures=("jacobiator",),
        rule=literal,
    ),
    Claim(
        id="higher-small",
        title="Higher brackets are small",
        section="3, 4",
        statement="brackets of four and more arguments are much smaller than ℓ₃",
        paper_value="an order",
        criterion="ℓ_k = 0 for k ≥ 4 by degree in the two-term structure, so true of anything; "
        "borne out where its relations hold to {identity_residual:g} in every layer of every "
        "trained model",
        identity="ℓ_k = 0 for k ≥ 4",
        reads={"layers": ("coherence_residual",)},
        figures=("tower",),
        rule=higher,
    ),
)
